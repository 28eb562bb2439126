"""The ports in memory, behaving as Storage and Graph do, with hooks where a test steps in between."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from shared.errors import ReportError
from shared.fold import Desired, DeviceReport
from shared.messages import ChangesMessage, ChunkMessage, Pointer
from shared.model import Verdict
from shared.ports import (
    ConflictError,
    DeviceFilter,
    FailedChange,
    HistoryEntry,
    Page,
    Position,
    Run,
    RunTotals,
    Stored,
    Told,
    UnavailableError,
)

type Hook = Callable[[], Awaitable[None]]


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Devices:
    """Implements ``DeviceStore``. ``broken``: devices whose row cannot be read or written."""

    rows: dict[str, Stored] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    before_write: Hook | None = None
    _versions: "count[int]" = field(default_factory=count)

    async def read(self, device_id: str) -> Stored | None:
        await asyncio.sleep(0)
        self._check(device_id)
        return self.rows.get(device_id)

    async def write(self, report: DeviceReport, etag: str | None) -> None:
        if (hook := self.before_write) is not None:
            self.before_write = None
            await hook()
        await asyncio.sleep(0)
        self._check(report.device_id)
        stored = self.rows.get(report.device_id)
        if (stored.etag if stored else None) != etag:
            raise ConflictError(report.device_id)
        self.rows[report.device_id] = Stored(report, str(next(self._versions)))

    async def page(self, wanted: DeviceFilter, size: int, after: Position | None) -> Page[DeviceReport]:
        assert wanted == DeviceFilter(), "filters are tested against the real table"
        ids = sorted(device for device in self.rows if after is None or device > after[1])
        page = [self.rows[device].report for device in ids[:size]]
        return Page(page, ("", ids[size - 1]) if len(ids) > size else None)

    def _check(self, device_id: str) -> None:
        if device_id in self.broken:
            raise UnavailableError(f"the row of {device_id}")

    def report(self, device_id: str) -> DeviceReport:
        return self.rows[device_id].report


@dataclass
class Lines:
    """Implements ``History``."""

    entries: list[HistoryEntry] = field(default_factory=list)

    async def append(self, entries: Sequence[HistoryEntry]) -> None:
        self.entries.extend(entries)

    async def page(self, device_id: str, size: int, after: Position | None) -> Page[HistoryEntry]:
        assert after is None
        return Page([entry for entry in self.entries if entry.device_id == device_id][:size])


@dataclass
class Queues:
    """Implements the three queues; what was sent stays listed, with its delay."""

    changes: list[ChangesMessage] = field(default_factory=list)
    pointers: list[tuple[Pointer, float]] = field(default_factory=list)
    chunks: list[ChunkMessage] = field(default_factory=list)

    async def send_changes(self, messages: Sequence[ChangesMessage]) -> None:
        self.changes.extend(messages)

    async def send_pointers(self, pointers: Sequence[Pointer], delay: float = 0) -> None:
        self.pointers.extend((pointer, delay) for pointer in pointers)

    async def send_chunk(self, message: ChunkMessage) -> None:
        self.chunks.append(message)

    def take_pointer(self) -> tuple[Pointer, float]:
        (only,) = self.pointers
        self.pointers.clear()
        return only


@dataclass
class Entra:
    """Implements ``Directory``: holds what it was told.

    ``errors`` are raised first, in turn, instead of telling; ``errors_of`` those of one Azure identifier.
    ``applied_then`` are raised after telling: the call was applied and its answer lost.
    """

    writes: bool = True
    holds: dict[str, Verdict] = field(default_factory=dict)
    calls: list[Desired] = field(default_factory=list)
    errors: list[ReportError] = field(default_factory=list)
    applied_then: list[ReportError] = field(default_factory=list)
    errors_of: dict[str, list[ReportError]] = field(default_factory=dict)
    before_apply: Hook | None = None

    async def tell(self, desired: Desired) -> Told:
        self.calls.append(desired)
        if (hook := self.before_apply) is not None:
            self.before_apply = None
            await hook()
        await asyncio.sleep(0)
        if errors := self.errors_of.get(desired.azure_device_id) or self.errors:
            raise errors.pop(0)
        if self.writes:
            self.holds[desired.azure_device_id] = desired.verdict
        if self.applied_then:
            raise self.applied_then.pop(0)
        return Told("memory", f"told {desired.verdict}", ("request-1",))


@dataclass
class Runs:
    """Implements ``RunStore``."""

    runs: dict[str, Run] = field(default_factory=dict)
    slots: dict[tuple[str, int], list[str]] = field(default_factory=dict)

    async def create(self, run: Run) -> bool:
        if run.id in self.runs:
            return False
        self.runs[run.id] = run
        return True

    async def get(self, run_id: str) -> tuple[Run, RunTotals] | None:
        letters = [letter for (run, _), slots in self.slots.items() if run == run_id for letter in slots]
        totals = RunTotals(len(letters), letters.count("d"), letters.count("f"), letters.count("s"))
        return (self.runs[run_id], totals) if run_id in self.runs else None

    async def newest(self, count: int) -> Sequence[tuple[Run, RunTotals]]:
        raise NotImplementedError(count)

    async def plan(self, run_id: str, chunk: int, devices: int) -> None:
        self.slots.setdefault((run_id, chunk), ["."] * devices)

    async def planned(self, run_id: str, at: datetime) -> None:
        self.runs[run_id] = replace(self.runs[run_id], planned_at=at)

    async def record(self, run_id: str, chunk: int, outcomes: dict[int, str], at: datetime) -> None:
        assert at.tzinfo is not None
        for slot, letter in outcomes.items():
            self.slots[run_id, chunk][slot] = letter


@dataclass
class Failed:
    """Implements ``FailureStore``."""

    reasons: dict[str, str] = field(default_factory=dict)
    kept: dict[str, FailedChange] = field(default_factory=dict)

    async def note_reason(self, failure_id: str, reason: str) -> None:
        self.reasons[failure_id] = reason

    async def keep(self, failure: FailedChange) -> FailedChange:
        kept = replace(failure, reason=self.reasons.get(failure.id, failure.reason))
        self.kept[failure.id] = kept
        return kept

    async def get(self, failure_id: str) -> FailedChange | None:
        return self.kept.get(failure_id)

    async def page(self, size: int, after: Position | None) -> Page[FailedChange]:
        raise NotImplementedError(size, after)

    async def replayed(self, failure_id: str, at: datetime) -> None:
        self.kept[failure_id] = replace(self.kept[failure_id], replayed_at=at)
