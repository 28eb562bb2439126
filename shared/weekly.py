"""Weekly: every known device is reported again, at a pace that Graph's quota bears.

A run is planned chunk by chunk, each chunk a message of its own: planning a large fleet takes longer than one
function should run, and a crash then repeats one chunk. Repeating it is harmless: the devices are reported twice and
counted once.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched
from uuid import UUID

from shared.fold import DeviceReport, Phase
from shared.messages import MAX_POINTED_DEVICES, ChunkMessage, Pointer, RunSlots
from shared.model import Verdict
from shared.ports import ChunkQueue, Clock, DeviceFilter, DeviceStore, ReportQueue, Run, RunStore

CHUNK = 1000
"""Devices to a chunk: one page of a table."""

MODE = "full"
"""What a run does: report every device. Comparing with what Entra ID holds first is asked for as ``reconcile``."""

STALLED_AFTER = timedelta(minutes=15)
"""A run that is not planned to its end by then was cut off, and is planned again when it is asked for again."""


def weekly_run_id(now: datetime) -> str:
    """Name the run of a week (ISO 8601, UTC), so that a timer that fires twice in it makes one run."""
    year, week, _ = now.isocalendar()
    return f"{year}-W{week:02d}"


def manual_run_id(now: datetime, unique: UUID) -> str:
    """Name a run that someone asked for."""
    return f"{now:%Y%m%dT%H%M%SZ}-{unique.hex[:8]}"


def is_run_id(text: str) -> bool:
    """Say whether a text can be the id of a run; no other may become the key of a row."""
    return re.fullmatch(r"[0-9A-Za-z-]{1,64}", text) is not None


def _is_reported_again(report: DeviceReport) -> bool:
    """Say whether a run reports a device.

    One that was removed is done with: its identifier may by now be that of another device in the MDM.
    """
    removed = report.phase is Phase.REPORTED and report.decision.verdict is Verdict.REMOVED
    return report.has_something_to_tell and not removed


@dataclass(frozen=True, slots=True)
class Weekly:
    """Plans runs, over the ports that it is given. ``per_second``: how many devices are reported in a second."""

    store: DeviceStore
    runs: RunStore
    chunks: ChunkQueue
    reports: ReportQueue
    clock: Clock
    per_second: float

    async def start(self, run_id: str, *, requested_mode: str, dry_run: bool = False) -> Run:
        """Start a run, or go on with the one of that id if it was cut off while it was planned."""
        now = self.clock()
        run = Run(run_id, MODE, requested_mode, dry_run, started_at=now)
        if not await self.runs.create(run):
            found = await self.runs.get(run_id)
            if found is None or found[0].planned_at is not None or now - found[0].started_at < STALLED_AFTER:
                return found[0] if found else run
            run = found[0]
        await self.chunks.send_chunk(ChunkMessage(run_id=run.id, started_at=now, dry_run=run.dry_run))
        return run

    async def plan(self, message: ChunkMessage) -> None:
        """Put the devices of a chunk on the queue, each at its time, then ask for the next chunk."""
        page = await self.store.page(DeviceFilter(), CHUNK, message.after)
        reportable = [report for report in page.items if _is_reported_again(report)]
        await self.runs.plan(message.run_id, message.chunk, len(reportable))
        await self._spread(message, reportable)
        if page.after is None:
            await self.runs.planned(message.run_id, self.clock())
            return
        following = {
            "chunk": message.chunk + 1,
            "after": page.after,
            "offset": message.offset + len(reportable),
        }
        await self.chunks.send_chunk(message.model_copy(update=following))

    async def _spread(self, message: ChunkMessage, reports: Sequence[DeviceReport]) -> None:
        elapsed = (self.clock() - message.started_at).total_seconds()
        for some in batched(enumerate(reports), MAX_POINTED_DEVICES, strict=False):
            slots, devices = zip(*some, strict=True)
            run = RunSlots(run_id=message.run_id, chunk=message.chunk, slots=slots, dry_run=message.dry_run)
            pointer = Pointer(devices=tuple(report.device_id for report in devices), forced=True, run=run)
            due = (message.offset + slots[0]) / self.per_second
            await self.reports.send_pointers([pointer], max(0.0, due - elapsed))
