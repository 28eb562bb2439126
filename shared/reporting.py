"""Report: tell Entra ID what the rows of devices say now, and write down what came of it.

The rules that keep a late or doubled message from doing harm stand here, each marked with its number in
docs/architecture.md.
"""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import JsonValue

from shared.errors import ReportError
from shared.fold import Desired, DeviceReport, Phase
from shared.messages import REPORTS, Pointer
from shared.model import ErrorClass, Reported, Verdict, rfc3339
from shared.ports import (
    Clock,
    ConflictError,
    DeviceStore,
    Directory,
    History,
    HistoryEntry,
    ReportQueue,
    RunStore,
    Stored,
    Told,
)
from shared.turns import Turns

MAX_ATTEMPTS = 14
"""Calls without success until a device is ``Failed``; with ``backoff`` that takes three to four hours."""

MIN_LEASE = timedelta(seconds=90)
"""What must be left of a message's invisibility: more than the longest call to Graph takes."""

PARALLEL_CALLS = 16
"""Calls to Graph at once from one process; its own limit of 20 writes a second is for the whole tenant."""

log = logging.getLogger(__name__)


class LeaseTooShortError(Exception):
    """The message will soon be seen by another worker; it is left to come back (rule 5)."""


class Outcome(StrEnum):
    """What came of a device in a run; the letter is what its slot in the run shows."""

    DONE = "d"
    FAILED = "f"
    SKIPPED = "s"


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a pointer came: how often it was taken off the queue, and until when no other worker sees it."""

    dequeue_count: int
    invisible_until: datetime


@dataclass(frozen=True, slots=True)
class Next:
    """What is to be done about a device after it was handled: count its outcome, or come back to it later."""

    outcome: Outcome | None = None
    again_after: float | None = None
    forced: bool = False


_DONE = Next(Outcome.DONE)
_SKIPPED = Next(Outcome.SKIPPED)


def backoff(attempts: int, random_fraction: Callable[[], float] = random.random) -> float:
    """Return the seconds to wait after so many calls without success: doubling from 2 s up to an hour, jittered."""
    longest = min(2.0**attempts, 3600.0)
    return longest * (0.5 + random_fraction() / 2)


@dataclass(slots=True)
class Reporter:
    """Reports devices, over the ports that it is given.

    ``reporting_enabled``: where it is not, Azure is not called and the rows stay as they are. ``former_verdict``: what
    is told of an identifier that a device had before.
    """

    store: DeviceStore
    history: History
    reports: ReportQueue
    directory: Directory
    runs: RunStore
    clock: Clock
    reporting_enabled: bool = True
    dry_directory: Directory | None = None
    former_verdict: Verdict = Verdict.NON_COMPLIANT
    _throttled_until: datetime | None = field(default=None, init=False)
    _turns: Turns = field(default_factory=Turns, init=False)
    _calls: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PARALLEL_CALLS), init=False)

    async def handle(self, pointer: Pointer, delivery: Delivery) -> None:
        """Report the devices that a pointer names.

        Raises:
            LeaseTooShortError: the message should come back; nothing was called.
            Exception: what storage raised, if no device of the pointer could be handled.
        """
        forced = pointer.forced or delivery.dequeue_count > 1  # rule 4: a redelivered pointer never skips the call
        results = await asyncio.gather(
            *(self._report(device, pointer, forced, delivery) for device in pointer.devices),
            return_exceptions=True,
        )
        failed = [result for result in results if isinstance(result, BaseException)]
        if len(failed) == len(results):
            raise failed[0]
        steps = [
            Next(again_after=0, forced=True) if isinstance(result, BaseException) else result for result in results
        ]
        for error in failed:
            log.warning("a device of a pointer goes back to the queue: %s", error)
        await self._come_back(pointer, steps, forced)
        await self._count(pointer, steps)

    async def _report(self, device_id: str, pointer: Pointer, forced: bool, delivery: Delivery) -> Next:
        # Two pointers to one device would both call, and the slower would lose its race and call once more. That is
        # right (rule 3) but wasteful; within this process the second waits, and finds that there is nothing to do.
        async with self._turns.of(device_id), self._calls:
            stored = await self.store.read(device_id)  # rule 2: what the row says now, not what a message said once
            if stored is None or not stored.report.has_something_to_tell or not self.reporting_enabled:
                return _SKIPPED
            if not forced and stored.report.phase is not Phase.PENDING:
                return _DONE
            if (wait := self._still_throttled()) > 0:
                return Next(again_after=wait)
            if delivery.invisible_until - self.clock() < MIN_LEASE:  # rule 5
                raise LeaseTooShortError(f"less than {MIN_LEASE.seconds} s of the message's invisibility are left")
            return await self._tell(stored, self._directory_for(pointer))

    def _directory_for(self, pointer: Pointer) -> Directory:
        dry = self.dry_directory if pointer.run is not None and pointer.run.dry_run else None
        return dry or self.directory

    async def _tell(self, stored: Stored, directory: Directory) -> Next:
        """Tell of the device as it is now, and of each identifier that it had before (rule 8); write down both."""
        report = stored.report
        answers, error = await self._tell_all(report, directory)
        if error is not None:
            await self._remember_told(report, answers)
            if not directory.writes:
                await self._remember(report, f"Dry run: {error}", _facts_of_error(error))
                return Next(Outcome.FAILED)
            return await self._failed(stored, error)
        written = not directory.writes or await self._write(stored, self._told(report, answers))
        await self._remember_told(report, answers)
        return _DONE if written else Next(again_after=0, forced=True)

    async def _tell_all(
        self, report: DeviceReport, directory: Directory
    ) -> tuple[list[tuple[Desired, Told]], ReportError | None]:
        """Return what was told, and the first failure; one that time does not mend holds up none of the others."""
        former = [Desired(azure_id, self.former_verdict, report.device_inventory) for azure_id in report.former_ids]
        answers: list[tuple[Desired, Told]] = []
        failure: ReportError | None = None
        for desired in (*([report.desired] if report.desired else []), *former):
            try:
                answers.append((desired, await directory.tell(desired)))
            except ReportError as error:
                if error.error_class is ErrorClass.NOT_FOUND and desired in former:
                    continue  # an object that is gone cannot be compliant any more
                failure = failure or error
                if error.handling.retried:
                    break
        return answers, failure

    def _told(self, report: DeviceReport, answers: Sequence[tuple[Desired, Told]]) -> DeviceReport:
        """Return the row after Azure was told all of it."""
        after = replace(_delivered(report), former_ids=(), last_error=None, attempts=0)
        if report.desired is None:
            return replace(after, phase=Phase.NOTHING_TO_TELL)
        desired, told = answers[0]
        reported = Reported(
            verdict=desired.verdict,
            at=self.clock(),
            channel=told.channel,
            azure_device_id=desired.azure_device_id,
            digest=desired.digest,
        )
        return replace(after, phase=Phase.REPORTED, reported=reported)

    async def _failed(self, stored: Stored, error: ReportError) -> Next:
        """Write down a failure and say when to try again. Throttling uses up no attempt (rule 6)."""
        report = stored.report
        throttled = error.error_class is ErrorClass.THROTTLED
        attempts = report.attempts + (0 if throttled else 1)
        again = error.handling.retried and attempts < MAX_ATTEMPTS
        after = replace(
            report if error.status is None else _delivered(report),
            phase=Phase.PENDING if again else Phase.FAILED,
            last_error=error.as_last_error(self.clock()),
            attempts=attempts,
        )
        if throttled:
            self._hold(error.retry_after)
        written = await self._write(stored, after)
        await self._remember(report, str(error), _facts_of_error(error))
        if not written:
            return Next(again_after=self._still_throttled(), forced=True)
        if not again:
            return Next(Outcome.FAILED)
        # Forced (rule 4): after a time-out or a cut connection Graph may yet apply what it was sent.
        wait = self._still_throttled() if throttled else max(backoff(attempts), error.retry_after or 0)
        return Next(again_after=wait, forced=True)

    async def _write(self, stored: Stored, after: DeviceReport) -> bool:
        """Write the outcome if the row is still the one that was read; else say that the race is lost (rule 3)."""
        try:
            await self.store.write(after, stored.etag)
        except ConflictError:
            return False
        return True

    def _hold(self, retry_after: float | None) -> None:
        until = self.clock() + timedelta(seconds=retry_after if retry_after is not None else 10)
        self._throttled_until = max(until, self._throttled_until or until)

    def _still_throttled(self) -> float:
        if self._throttled_until is None:
            return 0
        return max(0.0, (self._throttled_until - self.clock()).total_seconds())

    async def _remember_told(self, report: DeviceReport, answers: Sequence[tuple[Desired, Told]]) -> None:
        for desired, told in answers:
            former = desired.azure_device_id != report.azure_device_id
            under = f" under the former identifier {desired.azure_device_id}" if former else ""
            await self._remember(report, told.summary + under, _facts_of(desired, told))

    async def _remember(self, report: DeviceReport, summary: str, facts: dict[str, JsonValue]) -> None:
        now = self.clock()
        entry = HistoryEntry(
            device_id=report.device_id,
            at=now,
            key=f"{rfc3339(now)} {summary}",
            kind="report",
            summary=summary,
            facts=facts,
        )
        await self.history.append([entry])

    async def _come_back(self, pointer: Pointer, steps: Sequence[Next], forced: bool) -> None:
        """Put the devices that are not done back on the queue, with the delay that each needs (never by sleeping)."""
        groups: dict[tuple[float, bool], list[int]] = defaultdict(list)
        for place, step in enumerate(steps):
            if step.again_after is not None:
                groups[round(step.again_after, 1), forced or step.forced].append(place)
        for (delay, forced_again), places in groups.items():
            await self.reports.send_pointers([_part_of(pointer, places, forced_again)], delay)

    async def _count(self, pointer: Pointer, steps: Sequence[Next]) -> None:
        if pointer.run is None:
            return
        outcomes = {
            slot: step.outcome.value
            for slot, step in zip(pointer.run.slots, steps, strict=True)
            if step.outcome is not None
        }
        if outcomes:
            await self.runs.record(pointer.run.run_id, pointer.run.chunk, outcomes, self.clock())


def _part_of(pointer: Pointer, places: Sequence[int], forced: bool) -> Pointer:
    """Point to some of the devices of a pointer, each still counted in its slot of the run."""
    run = pointer.run
    if run is not None:
        run = run.model_copy(update={"slots": tuple(run.slots[place] for place in places)})
    return Pointer(devices=tuple(pointer.devices[place] for place in places), forced=forced, run=run)


def _delivered(report: DeviceReport) -> DeviceReport:
    """A call that was answered makes up for pointers that were lost; what a lost *change* said is still unknown."""
    kept = tuple(failure for failure in report.undelivered if failure.queue != REPORTS)
    return replace(report, undelivered=kept)


def _facts_of(desired: Desired, told: Told) -> dict[str, JsonValue]:
    return {
        "verdict": desired.verdict,
        "azureDeviceId": desired.azure_device_id,
        "channel": told.channel,
        "requestIds": list(told.request_ids),
    }


def _facts_of_error(error: ReportError) -> dict[str, JsonValue]:
    return {
        "class": error.error_class,
        "code": error.code,
        "status": error.status,
        "retryAfter": error.retry_after,
        "requestIds": [error.request_id] if error.request_id else [],
    }
