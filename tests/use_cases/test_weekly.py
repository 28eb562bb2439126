"""A run reports every device once, at the pace that was set, and counts what came of each."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from shared.errors import ReportError
from shared.messages import MAX_POINTED_DEVICES
from shared.model import ErrorClass
from shared.ports import Run, RunTotals
from shared.weekly import CHUNK, MODE, STALLED_AFTER, manual_run_id, weekly_run_id
from tests.core.making import change
from tests.use_cases.house import PER_SECOND, House, compliant, retired

RUN = "2026-W48"


def devices(count: int) -> list[str]:
    return [f"00000000-0000-0000-0000-{number:012d}" for number in range(count)]


async def fleet(count: int) -> House:
    house = House()
    await house.fold(*(compliant(1).model_copy(update={"device_id": device}) for device in devices(count)))
    house.queues.pointers.clear()
    return house


async def planned(house: House) -> None:
    await house.weekly.start(RUN, requested_mode="reconcile")
    while house.queues.chunks:
        await house.weekly.plan(house.queues.chunks.pop(0))


@pytest.mark.parametrize(
    ("day", "run_id"),
    [
        ((2026, 11, 29), "2026-W48"),
        ((2026, 11, 30), "2026-W49"),
        ((2027, 1, 3), "2026-W53"),
        ((2027, 1, 4), "2027-W01"),
    ],
)
def test_the_run_of_a_week_goes_by_its_iso_week(day: tuple[int, int, int], run_id: str) -> None:
    assert weekly_run_id(datetime(*day, 3, tzinfo=UTC)) == run_id


def test_a_run_that_someone_asked_for_has_a_name_of_its_own() -> None:
    at = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    assert manual_run_id(at, UUID("1d71e131-0487-4d1d-9a0d-89f2bd1a888d")) == "20261123T093000Z-1d71e131"


async def test_every_device_is_pointed_to_once_by_force_twenty_to_a_message() -> None:
    house = await fleet(45)
    await planned(house)
    pointed = [pointer for pointer, _ in house.queues.pointers]
    assert sorted(device for pointer in pointed for device in pointer.devices) == devices(45)
    assert all(pointer.forced for pointer in pointed)
    assert [len(pointer.devices) for pointer in pointed] == [MAX_POINTED_DEVICES, MAX_POINTED_DEVICES, 5]


async def test_the_messages_are_seen_one_after_the_other_at_the_pace_that_was_set() -> None:
    house = await fleet(CHUNK + 45)
    await planned(house)
    seen: list[float] = []
    for pointer, delay in house.queues.pointers:
        assert len(seen) == delay * PER_SECOND
        seen.extend([delay] * len(pointer.devices))
    assert len(seen) == CHUNK + 45


async def test_time_that_planning_took_is_not_waited_for_again() -> None:
    house = await fleet(45)
    await house.weekly.start(RUN, requested_mode="full")
    house.clock.advance(2)
    await house.weekly.plan(house.queues.chunks.pop())
    assert [delay for _, delay in house.queues.pointers] == [0, 0, 0.5]


async def test_a_large_fleet_is_planned_chunk_by_chunk() -> None:
    house = await fleet(CHUNK + 1)
    await house.weekly.start(RUN, requested_mode="full")
    await house.weekly.plan(house.queues.chunks.pop())
    run, totals = await found(house)
    assert (run.planned_at, totals.planned) == (None, CHUNK)
    await house.weekly.plan(house.queues.chunks.pop())
    run, totals = await found(house)
    assert (run.planned_at, totals.planned) == (house.clock(), CHUNK + 1)


async def test_devices_with_nothing_to_tell_are_not_planned_and_removed_ones_until_they_are_gone() -> None:
    house = await fleet(2)
    await house.fold(change(2, violations=()), retired(2).model_copy(update={"device_id": devices(2)[0]}))
    await planned(house)
    _, totals = await found(house)
    assert totals.planned == 2


async def test_a_device_that_was_removed_is_left_alone_for_its_identifier_may_be_another_one_s_by_now() -> None:
    house = await fleet(2)
    await house.settled(retired(2).model_copy(update={"device_id": devices(2)[0]}))
    await planned(house)
    pointed = [device for pointer, _ in house.queues.pointers for device in pointer.devices]
    assert pointed == devices(2)[1:]


async def test_the_run_counts_what_was_done_and_what_failed() -> None:
    house = await fleet(45)
    await planned(house)
    house.entra.errors = [ReportError(ErrorClass.NOT_FOUND, "It is gone.")] * 3
    await house.drain()
    _, totals = await found(house)
    assert (totals.planned, totals.done, totals.failed, totals.open) == (45, 42, 3, 0)


async def test_a_chunk_that_is_planned_twice_counts_each_device_once() -> None:
    house = await fleet(45)
    await house.weekly.start(RUN, requested_mode="full")
    (chunk,) = house.queues.chunks
    await house.weekly.plan(chunk)
    await house.weekly.plan(chunk)
    await house.drain()
    _, totals = await found(house)
    assert (totals.planned, totals.done, totals.open) == (45, 45, 0)


async def test_a_timer_that_fires_twice_in_a_week_makes_one_run() -> None:
    house = await fleet(3)
    await planned(house)
    await house.weekly.start(RUN, requested_mode="full")
    assert house.queues.chunks == []


async def test_a_run_that_is_still_being_planned_is_not_begun_again() -> None:
    house = await fleet(3)
    await house.weekly.start(RUN, requested_mode="full")
    await house.weekly.start(RUN, requested_mode="full")
    assert len(house.queues.chunks) == 1


async def test_a_run_whose_planning_was_cut_off_goes_on_when_it_is_started_again() -> None:
    house = await fleet(3)
    await house.weekly.start(RUN, requested_mode="full", dry_run=True)
    house.queues.chunks.clear()
    house.clock.advance(STALLED_AFTER.total_seconds())
    await house.weekly.start(RUN, requested_mode="full")
    (chunk,) = house.queues.chunks
    assert (chunk.run_id, chunk.chunk, chunk.dry_run) == (RUN, 0, True)


async def test_what_was_asked_for_and_what_is_done_stand_side_by_side() -> None:
    house = await fleet(1)
    await planned(house)
    run, _ = await found(house)
    assert (run.requested_mode, run.mode) == ("reconcile", MODE)


async def found(house: House) -> tuple[Run, RunTotals]:
    run = await house.runs.get(RUN)
    assert run is not None
    return run
