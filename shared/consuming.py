"""Messages off the queues to the use cases. A failure is noted and passed on, for the host to try again."""

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

import azure.functions as func

from shared import wiring
from shared.messages import CHANGES, CHUNKS, POISON, REPORTS, ChangesMessage, ChunkMessage, Pointer
from shared.ports import UnavailableError
from shared.reporting import Delivery, LeaseTooShortError
from shared.weekly import weekly_run_id

HOST_LEASE = timedelta(minutes=10)
"""How long the Functions host hides a message that it hands to a function; taken where it does not say."""

log = logging.getLogger(__name__)


async def fold_changes(message: func.QueueMessage) -> None:
    """Fold a message of ``device-changes``."""
    await _consume(CHANGES, message, lambda body: wiring.folder().handle(ChangesMessage.model_validate_json(body)))


async def report_devices(message: func.QueueMessage) -> None:
    """Report the devices of a message of ``device-reports``."""
    invisible_until = message.time_next_visible or wiring.now() + HOST_LEASE
    delivery = Delivery(message.dequeue_count or 1, invisible_until)
    await _consume(REPORTS, message, lambda body: wiring.reporter().handle(Pointer.model_validate_json(body), delivery))


async def plan_chunk(message: func.QueueMessage) -> None:
    """Plan a chunk of a run, off ``weekly-shards``."""
    await _consume(CHUNKS, message, lambda body: wiring.weekly().plan(ChunkMessage.model_validate_json(body)))


async def keep_failed(queue: str, message: func.QueueMessage) -> None:
    """Keep what was moved to the poison queue of a queue."""
    log.error("a message of %s failed too often; it is on FailedChanges", queue.removesuffix(POISON))
    await wiring.failures().keep(queue.removesuffix(POISON), _body(message))


async def start_weekly_run() -> None:
    """Start the run of this week, unless it was started already."""
    await wiring.weekly().start(weekly_run_id(wiring.now()), requested_mode=wiring.settings().WEEKLY_REPORT_MODE)


async def _consume(queue: str, message: func.QueueMessage, handle: Callable[[str], Awaitable[None]]) -> None:
    body = _body(message)
    try:
        await handle(body)
    except LeaseTooShortError:
        raise  # no failure of the message: it only has to come back
    except Exception as error:
        try:
            await wiring.failures().note(queue, body, error)
        except UnavailableError as unavailable:
            log.warning("the reason of a failure could not be noted: %s", unavailable)
        raise


def _body(message: func.QueueMessage) -> str:
    return message.get_body().decode("utf-8", "replace")
