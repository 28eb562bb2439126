"""Failures: a message that failed too often is kept, its devices show it, and it can be sent again."""

import json
import re
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, TypeIs

from pydantic import ValidationError

from shared.fold import DeviceReport
from shared.folding import update
from shared.messages import CHANGES, CHUNKS, REPORTS, ChangesMessage, ChunkMessage, Pointer
from shared.model import Undelivered, rfc3339
from shared.ports import (
    ChangeQueue,
    ChunkQueue,
    Clock,
    DeviceStore,
    FailedChange,
    FailureStore,
    History,
    HistoryEntry,
    ReportQueue,
)

MAX_SHOWN = 20
"""Failures that a device's row holds; a property of a table is bounded. ``FailedChanges`` has them all."""

_UNKNOWN_REASON = "No reason was noted: the function was cut off, or its storage could not be reached."


class NotReplayableError(Exception):
    """The message cannot be sent again as it is; the text says why."""


def failure_id(queue: str, body: str) -> str:
    """Name a failed message by its queue and content: the poison queue gives it a new message id.

    A replay that fails again goes by the name of what it is the replay of.
    """
    if is_failure_id(first := _object(body).get("replayOf")):
        return first
    return sha256(f"{queue}\n{body}".encode()).hexdigest()[:32]


def reason_of(error: BaseException) -> str:
    """Say in one line why a function failed, without what may hold secrets or personal data."""
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return f"The message is not valid: {'/'.join(map(str, found['loc']))}: {found['msg']}"
    first_line = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first_line}"[:500]


@dataclass(frozen=True, slots=True)
class Failures:
    """Keeps and replays failed messages, over the ports that it is given."""

    store: DeviceStore
    history: History
    failures: FailureStore
    changes: ChangeQueue
    reports: ReportQueue
    chunks: ChunkQueue
    clock: Clock

    async def note(self, queue: str, body: str, error: BaseException) -> None:
        """Keep why a message failed just now."""
        await self.failures.note_reason(failure_id(queue, body), reason_of(error))

    async def keep(self, queue: str, body: str) -> None:
        """Keep a message off a poison queue, and show it at its devices as ``Failed``."""
        now = self.clock()
        failed = FailedChange(failure_id(queue, body), queue, body, _UNKNOWN_REASON, devices_in(body), failed_at=now)
        failed = await self.failures.keep(failed)
        undelivered = Undelivered(id=failed.id, queue=queue, message=failed.reason, at=now)
        for device in failed.devices:
            await update(self.store, device, lambda report: _with(report, undelivered))
        await self.history.append(
            [
                HistoryEntry(
                    device_id=device,
                    at=now,
                    key=failed.id,
                    kind="failure",
                    summary=f"A message could not be processed: {failed.reason}",
                    facts={"failedChangeId": failed.id, "queue": queue, "at": rfc3339(now)},
                )
                for device in failed.devices
            ]
        )

    async def replay(self, failed: FailedChange) -> None:
        """Put a failed message back on its queue. Doing so twice does no harm.

        Raises:
            NotReplayableError: the message cannot be read; it would only fail again.
            UnavailableError: the queue could not take it.
        """
        try:
            await self._send(failed)
        except ValidationError as error:
            raise NotReplayableError(reason_of(error)) from None
        await self.failures.replayed(failed.id, self.clock())

    async def _send(self, failed: FailedChange) -> None:
        replay = {"replay_of": failed.id}
        if failed.queue == CHANGES:
            message = ChangesMessage.model_validate_json(failed.body)
            await self.changes.send_changes([message.model_copy(update=replay)])
        elif failed.queue == REPORTS:
            pointer = Pointer.model_validate_json(failed.body)
            await self.reports.send_pointers([pointer.model_copy(update={**replay, "forced": True})])
        elif failed.queue == CHUNKS:
            await self.chunks.send_chunk(ChunkMessage.model_validate_json(failed.body))
        else:
            raise NotReplayableError(f"No queue {failed.queue!r} is known to this version.")


def devices_in(body: str) -> tuple[str, ...]:
    """Return the devices that a message is about, as far as it can be read at all."""
    message = _object(body)
    changes, pointed = message.get("changes"), message.get("devices")
    named = [change.get("deviceId") for change in changes if isinstance(change, dict)] if _is_list(changes) else []
    if _is_list(pointed):
        named += pointed
    guids = (device.lower() for device in named if isinstance(device, str))
    return tuple(dict.fromkeys(device for device in guids if _GUID.fullmatch(device)))


_GUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")


def _object(body: str) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def is_failure_id(value: object) -> TypeIs[str]:
    """Say whether a value can be the id of a failed message; no other may become the key of a row."""
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{32}", value) is not None


def _is_list(value: object) -> TypeIs[list[Any]]:
    return isinstance(value, list)


def _with(report: DeviceReport, undelivered: Undelivered) -> DeviceReport:
    others = tuple(failure for failure in report.undelivered if failure.id != undelivered.id)
    return replace(report, undelivered=(*others, undelivered)[-MAX_SHOWN:])
