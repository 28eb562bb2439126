"""All use cases on ports in memory, wired as the program wires them, with what tests do to them over and over."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from shared.failures import Failures
from shared.fold import DeviceReport
from shared.folding import Folder
from shared.messages import ChangesMessage, Pointer
from shared.model import ChangeType, DeviceChange
from shared.reporting import Delivery, Reporter
from shared.weekly import Weekly
from tests.core.making import AZURE_ID, BLOCKED, DEVICE, change
from tests.use_cases.memory import Clock, Devices, Entra, Failed, Lines, Queues, Runs

PER_SECOND = 16.0
KNOWN: dict[str, Any] = {"azure_device_id": AZURE_ID, "azure_client_status_code": "Success"}


def compliant(minute: int, **data: Any) -> DeviceChange:
    return change(minute, violations=(), **KNOWN, **data)


def blocked(minute: int, **data: Any) -> DeviceChange:
    return change(minute, violations=BLOCKED, **KNOWN, **data)


def retired(minute: int) -> DeviceChange:
    return change(minute, ChangeType.RETIRED)


@dataclass
class House:
    clock: Clock = field(default_factory=Clock)
    devices: Devices = field(default_factory=Devices)
    lines: Lines = field(default_factory=Lines)
    queues: Queues = field(default_factory=Queues)
    entra: Entra = field(default_factory=Entra)
    runs: Runs = field(default_factory=Runs)
    failed: Failed = field(default_factory=Failed)
    reporting_enabled: bool = True

    def __post_init__(self) -> None:
        self.folder = Folder(self.devices, self.lines, self.queues, self.queues, self.clock)
        self.reporter = self.worker()
        self.weekly = Weekly(self.devices, self.runs, self.queues, self.queues, self.clock, PER_SECOND)
        self.failures = Failures(
            self.devices, self.lines, self.failed, self.queues, self.queues, self.queues, self.clock
        )

    def worker(self) -> Reporter:
        """Another process that reports, sharing nothing with the first but the ports."""
        return Reporter(
            self.devices,
            self.lines,
            self.queues,
            self.entra,
            self.runs,
            self.clock,
            reporting_enabled=self.reporting_enabled,
            dry_directory=Entra(writes=False),
        )

    async def fold(self, *changes: DeviceChange) -> None:
        await self.folder.handle(ChangesMessage(v=1, changes=changes))

    async def fold_elsewhere(self, *changes: DeviceChange) -> None:
        """Fold changes in another process, sharing nothing with the first but the ports."""
        elsewhere = Folder(self.devices, self.lines, self.queues, self.queues, self.clock)
        await elsewhere.handle(ChangesMessage(v=1, changes=changes))

    async def report(
        self,
        pointer: Pointer | None = None,
        *,
        forced: bool = False,
        dequeue_count: int = 1,
        lease: float = 600,
        by: Reporter | None = None,
    ) -> None:
        """Deliver a pointer, to the test device unless another is given, with that many seconds of lease left."""
        delivery = Delivery(dequeue_count, self.clock() + timedelta(seconds=lease))
        await (by or self.reporter).handle(pointer or Pointer(devices=(DEVICE,), forced=forced), delivery)

    async def drain(self) -> None:
        """Deliver every pointer on the queue, and those that come of it, each when its delay is over."""
        while self.queues.pointers:
            pointer, delay = self.queues.pointers.pop(0)
            self.clock.advance(delay)
            await self.report(pointer)

    async def settled(self, *changes: DeviceChange) -> None:
        """Fold changes and report until there is nothing left to do."""
        await self.fold(*changes)
        await self.drain()

    @property
    def row(self) -> DeviceReport:
        return self.devices.report(DEVICE)
