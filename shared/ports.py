"""What the use cases need from outside. The adapters of Table and Queue Storage and of Graph implement it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from pydantic import JsonValue

from shared.fold import Desired, DeviceReport
from shared.messages import ChangesMessage, ChunkMessage, Pointer
from shared.model import ReportStatus, Verdict

type Clock = Callable[[], datetime]
"""Says what time it is, in UTC."""

type Position = tuple[str, str]
"""The place of a device in the store's order: partition and row."""


class ConflictError(Exception):
    """The row is not the one that was read: someone else has written it since."""


class UnavailableError(Exception):
    """Storage cannot be reached, or refuses us. The message names what and why, without secrets."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A device's state as it was read, with the version that a write must name."""

    report: DeviceReport
    etag: str


@dataclass(frozen=True, slots=True)
class DeviceFilter:
    """Which devices to list. ``blank_status`` asks for those whose status is blank."""

    search: str | None = None
    status: ReportStatus | None = None
    blank_status: bool = False
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Page[T]:
    """Some of a list; ``after`` is where the next page begins, ``None`` at the end."""

    items: Sequence[T]
    after: Position | None = None


class DeviceStore(Protocol):
    """Keeps each device's state."""

    async def read(self, device_id: str) -> Stored | None:
        """Return a device's state; ``None`` if it is not known."""
        ...

    async def write(self, report: DeviceReport, etag: str | None) -> None:
        """Write a device's state if its row is still the one with that version, or absent for ``None``.

        Raises:
            ConflictError: it is another one.
        """
        ...

    async def page(self, wanted: DeviceFilter, size: int, after: Position | None) -> Page[DeviceReport]:
        """Return at most ``size`` devices, in the store's order."""
        ...


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a device's history.

    Attributes:
        at: when it happened: the source's time of a change, our time of a call. The order of the history.
        key: tells entries of one time apart; an entry written twice under one key is there once.
        kind: ``change`` (what came in and what was decided), ``report`` (what Azure was told and answered),
            ``failure`` (a message that could not be processed).
        summary: the whole of it in one line.
        facts: the same in parts.
    """

    device_id: str
    at: datetime
    key: str
    kind: str
    summary: str
    facts: dict[str, JsonValue] = field(default_factory=dict)


class History(Protocol):
    """Keeps what happened to each device."""

    async def append(self, entries: Sequence[HistoryEntry]) -> None:
        """Keep the entries."""
        ...

    async def page(self, device_id: str, size: int, after: Position | None) -> Page[HistoryEntry]:
        """Return at most ``size`` entries of a device, newest first."""
        ...


class ChangeQueue(Protocol):
    """The queue ``device-changes``."""

    async def send_changes(self, messages: Sequence[ChangesMessage]) -> None:
        """Put messages on the queue; when this returns they are durable. Raises ``UnavailableError``."""
        ...


class ReportQueue(Protocol):
    """The queue ``device-reports``."""

    async def send_pointers(self, pointers: Sequence[Pointer], delay: float = 0) -> None:
        """Put pointers on the queue, to be seen after ``delay`` seconds. Raises ``UnavailableError``."""
        ...


class ChunkQueue(Protocol):
    """The queue ``weekly-shards``."""

    async def send_chunk(self, message: ChunkMessage) -> None:
        """Put a chunk of a run on the queue. Raises ``UnavailableError``."""
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """What Azure was told: by which channels (joined with ``+``), in one line, and Graph's ids of the requests."""

    channel: str
    summary: str
    request_ids: tuple[str, ...] = ()


class Directory(Protocol):
    """Entra ID."""

    writes: bool
    """Whether telling it changes anything there; not in a dry run."""

    async def tell(self, desired: Desired) -> Told:
        """Make Entra ID say what is desired of a device. Raises ``errors.ReportError``."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """A run that reports every device. ``planned_at``: when the last device was put on the queue."""

    id: str
    mode: str
    requested_mode: str
    dry_run: bool
    started_at: datetime
    planned_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunTotals:
    """How far a run is: devices planned, and of these reported, failed and with nothing to report any more."""

    planned: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    last_outcome_at: datetime | None = None

    @property
    def open(self) -> int:
        """How many devices are still to be reported."""
        return self.planned - self.done - self.failed - self.skipped


class RunStore(Protocol):
    """Keeps the runs and the outcome of each device in them."""

    async def create(self, run: Run) -> bool:
        """Keep a new run; ``False`` if there is one of that id already."""
        ...

    async def get(self, run_id: str) -> tuple[Run, RunTotals] | None:
        """Return a run with its totals; ``None`` if it is not known."""
        ...

    async def newest(self, count: int) -> Sequence[tuple[Run, RunTotals]]:
        """Return the newest runs with their totals, newest first."""
        ...

    async def plan(self, run_id: str, chunk: int, devices: int) -> None:
        """Say that a chunk of the run has so many devices. Saying it again changes nothing."""
        ...

    async def planned(self, run_id: str, at: datetime) -> None:
        """Say that every chunk was planned."""
        ...

    async def record(self, run_id: str, chunk: int, outcomes: dict[int, str], at: datetime) -> None:
        """Record outcomes by slot: ``d`` done, ``f`` failed, ``s`` skipped. Saying it again changes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class FailedChange:
    """A message that failed too often, as it was, with what is known of why."""

    id: str
    queue: str
    body: str
    reason: str
    devices: tuple[str, ...]
    failed_at: datetime
    replayed_at: datetime | None = None


class FailureStore(Protocol):
    """Keeps the messages that failed too often."""

    async def note_reason(self, failure_id: str, reason: str) -> None:
        """Keep why a message failed just now, for when it fails for the last time."""
        ...

    async def keep(self, failure: FailedChange) -> FailedChange:
        """Keep a failed message, and return it with the reason that was noted for it, if any."""
        ...

    async def get(self, failure_id: str) -> FailedChange | None:
        """Return a failed message; ``None`` if it is not known."""
        ...

    async def page(self, size: int, after: Position | None) -> Page[FailedChange]:
        """Return at most ``size`` failed messages."""
        ...

    async def replayed(self, failure_id: str, at: datetime) -> None:
        """Say that a message was put back on its queue."""
        ...
