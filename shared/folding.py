"""Fold: changes off the queue into the devices' rows, then a pointer to each device that Azure is to be told of."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.fold import DeviceReport, Phase, carries_nothing, fold, in_force
from shared.messages import ChangesMessage, pointers
from shared.model import DeviceChange, Verdict, rfc3339
from shared.ports import (
    ChangeQueue,
    Clock,
    ConflictError,
    DeviceStore,
    History,
    HistoryEntry,
    ReportQueue,
)
from shared.turns import Turns

MAX_RACES = 20
"""How often a write may lose against another before the message is left to come back."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Folder:
    """Folds messages of changes, over the ports that it is given."""

    store: DeviceStore
    history: History
    changes: ChangeQueue
    reports: ReportQueue
    clock: Clock
    _turns: Turns = field(default_factory=Turns, init=False)

    async def handle(self, message: ChangesMessage) -> None:
        """Fold a message. What cannot be folded comes back on its own, so that it does not hold up the rest.

        Raises whatever storage raises if no device of the message could be folded.
        """
        by_device: dict[str, list[DeviceChange]] = defaultdict(list)
        for change in message.changes:
            by_device[change.device_id].append(change)
        results = await asyncio.gather(
            *(self._fold(device, changes, message.replay_of) for device, changes in by_device.items()),
            return_exceptions=True,
        )
        failed = [result for result in results if isinstance(result, BaseException)]
        if len(failed) == len(results):
            raise failed[0]
        folded = [result for result in results if isinstance(result, DeviceReport)]
        await self._point_to(folded)
        await self._set_aside(
            [changes for changes, result in zip(by_device.values(), results, strict=True) if result in failed],
            message.replay_of,
        )
        await self._write_history(message.changes, {report.device_id: report for report in folded})

    async def _fold(self, device_id: str, changes: Sequence[DeviceChange], replay_of: str | None) -> DeviceReport:
        def merged(report: DeviceReport) -> DeviceReport:
            report = fold(report, *changes)
            if replay_of is not None:
                kept = tuple(failure for failure in report.undelivered if failure.id != replay_of)
                report = replace(report, undelivered=kept)
            return report

        async with self._turns.of(device_id):
            return await update(self.store, device_id, merged)

    async def _point_to(self, reports: Sequence[DeviceReport]) -> None:
        """Point to every device that is due, those to be blocked first.

        Also to those that were due before: a worker may have stopped between the row and the queue.
        """
        due = [report for report in reports if _wants_a_pointer(report)]
        due.sort(key=lambda report: report.decision.verdict is Verdict.COMPLIANT)
        if due:
            await self.reports.send_pointers(list(pointers(report.device_id for report in due)))

    async def _set_aside(self, failed: Sequence[Sequence[DeviceChange]], replay_of: str | None) -> None:
        """Put what could not be folded back in one message: one that fails as a whole is one failure to replay."""
        if failed:
            log.warning("%d devices of a message could not be folded; their changes go back to the queue", len(failed))
            rest = tuple(change for changes in failed for change in changes)
            await self.changes.send_changes([ChangesMessage(v=1, changes=rest, replay_of=replay_of)])

    async def _write_history(self, changes: Sequence[DeviceChange], reports: dict[str, DeviceReport]) -> None:
        received = self.clock()
        await self.history.append(
            [entry_of(change, reports[change.device_id], received) for change in changes if change.device_id in reports]
        )


def _wants_a_pointer(report: DeviceReport) -> bool:
    """Say whether a device is due; after a call that failed, the pointer that tries again is on its way already."""
    return report.phase is Phase.PENDING and report.has_something_to_tell and report.attempts == 0


async def update(store: DeviceStore, device_id: str, change: Callable[[DeviceReport], DeviceReport]) -> DeviceReport:
    """Change a device's row by compare-and-set, again and again until no one else has written it in between.

    Returns the row as it is afterwards.

    Raises:
        ConflictError: others wrote it ``MAX_RACES`` times in a row.
    """
    for _ in range(MAX_RACES):
        stored = await store.read(device_id)
        before = stored.report if stored else DeviceReport(device_id)
        after = change(before)
        if after == before:
            return before
        try:
            await store.write(after, stored.etag if stored else None)
        except ConflictError:
            continue
        return after
    raise ConflictError(f"the row of device {device_id} was written by others {MAX_RACES} times in a row")


def entry_of(change: DeviceChange, report: DeviceReport, received_at: datetime) -> HistoryEntry:
    """Say in one line what a change did, and what was decided after it."""
    decision = report.decision
    kind = change.type.removeprefix("mdm.device.")
    effect = "Changes nothing: changes as new or newer are known"
    if in_force(report, change):
        effect = decision.reason
    elif carries_nothing(change):
        effect = "The device was heard of"
    return HistoryEntry(
        device_id=change.device_id,
        at=change.time,
        key=f"{change.source}\n{change.id}",
        kind="change",
        summary=f"{kind}: {effect}",
        facts={
            "changeId": change.id,
            "source": change.source,
            "type": change.type,
            "receivedAt": rfc3339(received_at),
            "inForce": in_force(report, change),
            "verdict": decision.verdict,
            "action": decision.action,
            "data": change.data.model_dump(mode="json", by_alias=True, exclude_unset=True),
        },
    )
