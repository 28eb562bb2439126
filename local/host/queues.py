"""Queue triggers: fetches messages of a storage queue and runs a function on each, as the real host's listener does."""

import asyncio
import base64
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from local.errors import LocalError
from local.host.bindings import Function, QueueTrigger
from local.host.hostjson import QueueSettings
from local.host.runtime import Datum, invoke, json_datum, text_datum

log = logging.getLogger("host.queues")

# Seconds for which a message that runs is hidden from others; renewed at half time.
LEASE = 600.0
# Seconds between two looks at an empty queue: doubled from this on, up to `maxPollingInterval`.
_SHORTEST_POLL = 0.1
_NEVER_EXPIRES = -1
_POISON = "-poison"


class QueueListener:
    """Runs `function` on the messages of its queue. `lease`, in seconds, is shorter than 600 only in tests."""

    def __init__(
        self, function: Function, trigger: QueueTrigger, settings: QueueSettings, *, lease: float = LEASE
    ) -> None:
        self._function = function
        self._trigger = trigger
        self._settings = settings
        self._lease = lease
        self._queue = _client(trigger, trigger.queue_name, function.name)
        self._poison = _client(trigger, f"{trigger.queue_name}{_POISON}", function.name)
        # As in the real host, a poison queue has none of its own: its failing messages come back again and again.
        self._has_poison = not trigger.queue_name.endswith(_POISON)
        self._running = 0
        self._ended = asyncio.Event()
        self._unreachable = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Listen until `stopping` is set, then wait for the functions that still run.

        A cancelled run abandons them: their messages come back when the lease is over.
        """
        pause = _SHORTEST_POLL
        async with self._queue, self._poison, asyncio.TaskGroup() as group:
            while not stopping.is_set():
                if self._running > self._settings.new_batch_threshold:
                    # No need to wake on `stopping`: the running ones are waited for in any case.
                    self._ended.clear()
                    await self._ended.wait()
                    continue
                messages = await self._fetch()
                for message in messages:
                    self._running += 1
                    group.create_task(self._process(message))
                if messages:
                    pause = _SHORTEST_POLL
                    continue
                await _wait(stopping, pause)
                pause = min(pause * 2, self._settings.max_polling_interval.total_seconds())

    async def run_now(self, text: str) -> None:
        """Run the function once on a message that was on no queue."""
        body = text.encode() if self._trigger.binary else text
        metadata = {"QueueTrigger": text_datum(text), "Id": text_datum(str(uuid.uuid4())), "DequeueCount": _integer(1)}
        await invoke(self._function, _body(body), metadata)

    async def _fetch(self) -> list[QueueMessage]:
        try:
            try:
                batch = self._queue.receive_messages(
                    max_messages=self._settings.batch_size,
                    messages_per_page=self._settings.batch_size,
                    visibility_timeout=round(self._lease),
                )
                messages = [message async for message in batch]
            except ResourceNotFoundError:
                await self._queue.create_queue()
                messages = []
        except AzureError as error:
            if not self._unreachable:
                log.warning("queue '%s' cannot be read; going on trying: %s", self._queue.queue_name, _line(error))
            self._unreachable = True
            return []
        if self._unreachable:
            log.warning("queue '%s' can be read again", self._queue.queue_name)
        self._unreachable = False
        return messages

    async def _process(self, message: QueueMessage) -> None:
        try:
            async with self._renewed(message):
                succeeded = await self._attempt(message)
            await self._settle(message, succeeded=succeeded)
        except AzureError as error:
            # Nothing is lost: the message comes back when its lease is over.
            log.warning("message %s of '%s' was not settled: %s", message.id, self._queue.queue_name, _line(error))
        finally:
            self._running -= 1
            self._ended.set()

    def _is_spent(self, attempts: int) -> bool:
        return self._has_poison and attempts >= self._settings.max_dequeue_count

    async def _attempt(self, message: QueueMessage) -> bool:
        if self._is_spent((message.dequeue_count or 0) - 1):
            return False  # the last attempt never got to its end: the host was killed, perhaps by this very message
        try:
            body = self._decoded(message.content)
        except ValueError as error:
            log.error("message %s of '%s' cannot be decoded: %s", message.id, self._queue.queue_name, error)  # noqa: TRY400 - one line
            return False
        outcome = await invoke(self._function, _body(body), _metadata(message, body))
        return outcome.ok

    def _decoded(self, content: str) -> bytes | str:
        body = base64.b64decode(content, validate=True) if self._settings.base64 else content.encode()
        return body if self._trigger.binary else body.decode()

    async def _settle(self, message: QueueMessage, *, succeeded: bool) -> None:
        if not succeeded:
            if not self._is_spent(message.dequeue_count or 0):
                delay = round(self._settings.visibility_timeout.total_seconds())
                await self._queue.update_message(message.id, message.pop_receipt, visibility_timeout=delay)
                return
            await self._send_to_poison(message)
        await self._queue.delete_message(message.id, message.pop_receipt)

    async def _send_to_poison(self, message: QueueMessage) -> None:
        queue = self._poison.queue_name
        log.warning("message %s failed %s times and moves to '%s'", message.id, message.dequeue_count, queue)
        try:
            await self._poison.send_message(message.content, time_to_live=_NEVER_EXPIRES)
        except ResourceNotFoundError:
            await self._poison.create_queue()
            await self._poison.send_message(message.content, time_to_live=_NEVER_EXPIRES)

    @asynccontextmanager
    async def _renewed(self, message: QueueMessage) -> AsyncIterator[None]:
        done = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renew(message, done))
            yield
            # Told rather than cancelled: a renewal cut short may have changed the pop receipt all the same, and with
            # the old one the message could not be deleted.
            done.set()

    async def _renew(self, message: QueueMessage, done: asyncio.Event) -> None:
        while not await _wait(done, self._lease / 2):
            try:
                renewed = await self._queue.update_message(
                    message.id, message.pop_receipt, visibility_timeout=round(self._lease)
                )
            except AzureError as error:
                log.warning("lease of message %s was not renewed: %s", message.id, _line(error))
            else:
                message.pop_receipt = renewed.pop_receipt


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event, at most so long; say whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


def _client(trigger: QueueTrigger, queue: str, function: str) -> QueueClient:
    try:
        # No retries below us: the listener's own polling is the retry, and says that there is one.
        return QueueClient.from_connection_string(
            trigger.connection_string, queue, retry_total=0, connection_timeout=5, read_timeout=30
        )
    except ValueError as error:
        raise LocalError(f"function {function!r}: the queue's connection string is malformed: {error}") from None


def _body(body: bytes | str) -> Datum:
    return Datum(body, "bytes") if isinstance(body, bytes) else text_datum(body)


def _integer(number: int) -> Datum:
    return Datum(number, "int")


def _metadata(message: QueueMessage, body: bytes | str) -> dict[str, Datum]:
    """What the real host says of a message, under its names; azure.functions reads all but the first of them."""
    return {
        "QueueTrigger": text_datum(body if isinstance(body, str) else body.decode(errors="replace")),
        "Id": text_datum(message.id),
        "DequeueCount": _integer(message.dequeue_count or 0),
        "ExpirationTime": _time(message.expires_on),
        "InsertionTime": _time(message.inserted_on),
        "NextVisibleTime": _time(message.next_visible_on),
        "PopReceipt": text_datum(message.pop_receipt or ""),
    }


def _time(moment: datetime | None) -> Datum:
    return json_datum(moment.isoformat() if moment else None)


def _line(error: AzureError) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
