"""``/api/report-runs`` and the weekly timer: every device is reported, counted once, and at a bearable pace."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from shared.fold import DeviceReport, fold
from shared.messages import ChunkMessage, Pointer
from shared.model import ChangeData, ChangeType, DeviceChange
from shared.ports import DeviceFilter, Page, Position, Run, RunTotals
from shared.weekly import Weekly, weekly_run_id
from tests.api.conftest import Fleet
from tests.service import Answer, Service, eventually


async def ended(service: Service, location: str) -> dict[str, Any]:
    """Follow a run to its end."""

    async def look() -> dict[str, Any] | None:
        answer = await service.api.call("GET", location)
        run: dict[str, Any] = answer.json
        return run if answer.status == 200 and run["endedAt"] else None

    return await eventually(look, lambda: service.api.call("GET", location))


def counts(run: dict[str, Any]) -> dict[str, int]:
    return {name: run[name] for name in ("planned", "done", "failed", "skipped", "open")}


@pytest.mark.parametrize("body", [None, {}, {"dryRun": False, "mode": "full"}, {"mode": "reconcile"}])
async def test_a_run_reports_every_device_that_can_be_reported(fleet: Fleet, body: object) -> None:
    service = fleet.service
    before = len(await service.writes())
    answer = await service.api.post("/api/report-runs", body)
    assert answer.status == 202
    started = answer.json
    assert answer.headers["Location"] == f"/api/report-runs/{started['id']}"
    assert (started["endedAt"], started["dryRun"]) == (None, False)

    run = await ended(service, answer.headers["Location"])
    assert counts(run) == {"planned": 24, "done": 23, "failed": 1, "skipped": 0, "open": 0}
    assert run["startedAt"] <= run["plannedAt"] <= run["endedAt"]
    told = [entry.device_id for entry in (await service.writes())[before:]]
    assert sorted(filter(None, told)) == sorted(device.azure_id for device in fleet.reportable)
    refused = await service.api.details(fleet.refused.guid)
    assert refused is not None
    assert refused["lastError"]["class"] == "Rejected"


async def test_a_dry_run_counts_and_writes_nothing_to_entra_id(fleet: Fleet) -> None:
    service = fleet.service
    before = await service.writes()
    details = await service.api.details(fleet.blocked.guid)
    answer = await service.api.post("/api/report-runs", {"dryRun": True})
    assert (answer.status, answer.json["dryRun"]) == (202, True)

    run = await ended(service, answer.headers["Location"])
    assert counts(run) == {"planned": 24, "done": 24, "failed": 0, "skipped": 0, "open": 0}
    assert await service.writes() == before
    entry = await service.remembers(fleet.blocked, kind="report")
    assert entry["summary"] == "Dry run: Entra ID would be told: NonCompliant, by extensionAttributes"
    assert await service.api.details(fleet.blocked.guid) == details


async def test_the_timer_makes_one_run_of_the_week_however_often_it_fires(fleet: Fleet) -> None:
    service = fleet.service
    week = weekly_run_id(datetime.now(UTC))
    before = len(await service.writes(*fleet.compliant))

    for _ in range(2):
        fired = await service.api.call("POST", "/admin/functions/weekly", b'{"input":""}', "application/json")
        assert fired.status == 202
        run = await ended(service, f"/api/report-runs/{week}")
        assert counts(run) == {"planned": 24, "done": 23, "failed": 1, "skipped": 0, "open": 0}
    # What a second run of the week would have put on the queues goes before a run that begins after it.
    after = await service.api.post("/api/report-runs")
    await ended(service, after.headers["Location"])
    await service.idle("weekly-shards")
    await service.idle("device-reports")

    assert len(await service.writes(*fleet.compliant)) - before == 2 * len(fleet.compliant)
    runs = (await service.api.get("/api/report-runs"))["runs"]
    assert [run["id"] for run in runs].count(week) == 1


async def test_runs_are_listed_newest_first(fleet: Fleet) -> None:
    service = fleet.service
    asked = [(await service.api.post("/api/report-runs", {"dryRun": True})).json["id"] for _ in range(2)]
    for run_id in asked:
        await ended(service, f"/api/report-runs/{run_id}")
    runs = (await service.api.get("/api/report-runs"))["runs"]
    assert [run["id"] for run in runs[:2]] == asked[::-1]
    assert runs[0] == await service.api.get(f"/api/report-runs/{asked[-1]}")
    assert all(one["startedAt"] >= other["startedAt"] for one, other in pairwise(runs))


@pytest.mark.parametrize("run_id", ["2020-W01", "runs", "..%2F..", "a%2Fb", "a%5Cb", "%23", "%3F", "%00", "%27", "é"])
async def test_a_run_that_is_not_known_is_404(service: Service, run_id: str) -> None:
    path = f"/api/report-runs/{run_id}".replace("é", "%C3%A9")
    (await service.api.call("GET", path)).problem(404)


BAD_BODIES: dict[bytes, tuple[int, list[str]]] = {
    b"{": (400, []),
    b"dryRun=true": (400, []),
    b'{"dryRun":true,"dryRun":false}': (400, []),
    b'{"dryRun":NaN}': (400, []),
    b"\xff": (400, []),
    b"[" * 100_000: (400, []),
    b"null": (422, [""]),
    b"[]": (422, [""]),
    b'{"dryRun":"yes"}': (422, ["/dryRun"]),
    b'{"dryRun":1}': (422, ["/dryRun"]),
    b'{"dryRun":null}': (422, ["/dryRun"]),
    b'{"mode":"sometimes"}': (422, ["/mode"]),
    b'{"dryrun":true}': (422, ["/dryrun"]),
}


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: body[:20].decode(errors="replace"))
async def test_a_run_that_is_asked_for_badly_is_not_started(service: Service, body: bytes) -> None:
    status, pointers = BAD_BODIES[body]
    before = await service.api.get("/api/report-runs")
    answer: Answer = await service.api.call("POST", "/api/report-runs", body, "application/json")
    problem = answer.problem(status)
    assert [flaw["pointer"] for flaw in problem["errors"]] == pointers
    assert await service.api.get("/api/report-runs") == before


# Pace, on the use case itself: a run of a large fleet takes too long to wait for.

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


def reportable() -> DeviceReport:
    device = str(uuid4())
    said = ChangeData(azure_device_id=str(uuid4()), violations=())
    change = DeviceChange(
        source="urn:mdm:tests",
        id="1",
        type=ChangeType.COMPLIANCE_CHANGED,
        device_id=device,
        time=NOW,
        data=said,
    )
    return fold(DeviceReport(device), change)


@dataclass
class Recorder:
    """Stands for every port that planning needs, and records what was sent and when it is due.

    Every second device has nothing to report. A page has ``page_size`` devices, whatever is asked for.
    """

    reportable: int
    page_size: int
    sent: list[tuple[Pointer, float]] = field(default_factory=list)
    chunks: list[ChunkMessage] = field(default_factory=list)
    plans: dict[int, int] = field(default_factory=dict)
    ended: bool = False

    def __post_init__(self) -> None:
        self.fleet = [report for _ in range(self.reportable) for report in (reportable(), DeviceReport(str(uuid4())))]

    async def page(self, _wanted: DeviceFilter, _size: int, after: Position | None) -> Page[DeviceReport]:
        start = int(after[1]) if after else 0
        end = start + self.page_size
        return Page(self.fleet[start:end], ("", str(end)) if end < len(self.fleet) else None)

    async def send_pointers(self, pointers: Sequence[Pointer], delay: float = 0) -> None:
        self.sent += [(pointer, delay) for pointer in pointers]

    async def send_chunk(self, message: ChunkMessage) -> None:
        self.chunks.append(message)

    async def plan(self, _run_id: str, chunk: int, devices: int) -> None:
        self.plans[chunk] = devices

    async def planned(self, _run_id: str, _at: datetime) -> None:
        self.ended = True

    async def read(self, _device_id: str) -> None: ...

    async def write(self, _report: DeviceReport, _etag: str | None) -> None: ...

    async def create(self, _run: Run) -> bool:
        return True

    async def get(self, _run_id: str) -> tuple[Run, RunTotals] | None:
        return None

    async def newest(self, _count: int) -> Sequence[tuple[Run, RunTotals]]:
        return ()

    async def record(self, _run_id: str, _chunk: int, _outcomes: dict[int, str], _at: datetime) -> None: ...

    async def run(self, per_second: float, *, dry_run: bool = False) -> None:
        """Plan a run to its end."""
        weekly = Weekly(self, self, self, self, lambda: NOW, per_second)
        await weekly.start("run", requested_mode="full", dry_run=dry_run)
        planned = 0
        while planned < len(self.chunks):
            await weekly.plan(self.chunks[planned])
            planned += 1


async def test_a_run_is_paced_from_its_first_device_to_its_last() -> None:
    recorder = Recorder(reportable=150, page_size=120)
    await recorder.run(per_second=2)
    told = [device for pointer, _ in recorder.sent for device in pointer.devices]
    assert told == [report.device_id for report in recorder.fleet if report.desired]
    due = [delay for _, delay in recorder.sent]
    assert due == sorted(due)
    for (_, sooner), (pointer, later) in pairwise(recorder.sent):
        assert 0 < later - sooner <= 20 / 2, pointer
    assert due[-1] >= (150 - 20) / 2
    told_before = 0
    for pointer, delay in recorder.sent:
        assert delay == told_before / 2
        told_before += len(pointer.devices)


async def test_each_device_of_a_run_is_counted_in_a_slot_of_its_own() -> None:
    recorder = Recorder(reportable=150, page_size=120)
    await recorder.run(per_second=16, dry_run=True)
    assert recorder.plans == {0: 60, 1: 60, 2: 30}
    assert recorder.ended
    slots = []
    for pointer, _ in recorder.sent:
        assert pointer.run is not None
        assert pointer.forced
        assert pointer.run.dry_run
        assert len(pointer.run.slots) == len(pointer.devices)
        slots += [(pointer.run.chunk, slot) for slot in pointer.run.slots]
    assert slots == [(chunk, slot) for chunk, planned in recorder.plans.items() for slot in range(planned)]


async def test_a_fleet_of_nobody_is_planned_to_its_end() -> None:
    recorder = Recorder(reportable=0, page_size=10)
    await recorder.run(per_second=2)
    assert (recorder.plans, recorder.sent, recorder.ended) == ({0: 0}, [], True)
    assert json.loads(recorder.chunks[0].model_dump_json(by_alias=True))["runId"] == "run"
