"""Folding keeps every change, loses no race, and points to each device that Azure is to be told of."""

import asyncio
from dataclasses import replace

import pytest

from shared.errors import ReportError
from shared.fold import Phase
from shared.folding import MAX_RACES
from shared.messages import ChangesMessage, Pointer
from shared.model import ChangeType, ErrorClass, Undelivered, Verdict
from shared.ports import ConflictError, Stored, UnavailableError
from tests.core.making import DEVICE, START, change
from tests.use_cases.house import House, blocked, compliant

OTHER = "00000000-0000-0000-0000-000000000001"


def devices(count: int) -> list[str]:
    return [f"00000000-0000-0000-0000-{number:012d}" for number in range(count)]


@pytest.fixture
def house() -> House:
    return House()


async def test_a_change_makes_the_device_due_and_points_to_it(house: House) -> None:
    await house.fold(blocked(1))
    assert house.row.phase is Phase.PENDING
    assert house.queues.pointers == [(Pointer(devices=(DEVICE,)), 0)]


async def test_changes_of_many_devices_are_pointed_to_twenty_at_a_time_those_to_be_blocked_first(house: House) -> None:
    some = [compliant(1).model_copy(update={"device_id": device}) for device in devices(44)]
    await house.fold(*some, blocked(1))
    sizes = [len(pointer.devices) for pointer, _ in house.queues.pointers]
    assert sizes == [20, 20, 5]
    assert house.queues.pointers[0][0].devices[0] == DEVICE


async def test_a_change_of_a_reported_device_that_changes_nothing_told_points_to_nothing(house: House) -> None:
    await house.settled(compliant(1))
    await house.fold(compliant(2))
    assert (house.queues.pointers, house.row.phase) == ([], Phase.REPORTED)


async def test_a_message_that_is_delivered_again_points_again_for_the_pointer_may_have_been_lost(house: House) -> None:
    await house.fold(blocked(1))
    house.queues.pointers.clear()
    await house.fold(blocked(1))
    assert house.queues.pointers == [(Pointer(devices=(DEVICE,)), 0)]


async def test_a_message_that_is_delivered_again_after_the_report_points_to_nothing(house: House) -> None:
    await house.settled(blocked(1))
    await house.fold(blocked(1))
    assert house.queues.pointers == []


async def test_while_a_call_that_failed_waits_to_be_tried_again_no_more_pointers_are_sent(house: House) -> None:
    await house.fold(blocked(1))
    house.entra.errors = [ReportError(ErrorClass.TRANSIENT, "It failed.")]
    pointer, _ = house.queues.take_pointer()
    await house.report(pointer)
    house.queues.pointers.clear()
    await house.fold(blocked(2))
    assert (house.queues.pointers, house.row.phase, house.row.attempts) == ([], Phase.PENDING, 1)


async def test_of_a_replay_that_fails_in_part_the_rest_stays_one_message(house: House) -> None:
    others = [compliant(1).model_copy(update={"device_id": device}) for device in devices(2)]
    house.devices.broken = set(devices(2))
    await house.folder.handle(ChangesMessage(v=1, changes=(blocked(1), *others), replay_of="a" * 32))
    assert house.queues.changes == [ChangesMessage(v=1, changes=tuple(others), replay_of="a" * 32)]


async def test_a_write_that_loses_its_race_is_made_again_on_what_the_other_wrote(house: House) -> None:
    house.devices.before_write = lambda: house.fold_elsewhere(blocked(2))
    await house.fold(compliant(1, inventory={"os_version": "18"}))
    assert house.row.decision.verdict is Verdict.NON_COMPLIANT
    assert house.row.device_inventory.os_version == "18"


async def test_many_workers_at_once_on_one_device_lose_nothing(house: House) -> None:
    names = ("display_name", "manufacturer", "model", "serial_number", "ownership")
    await asyncio.gather(
        *(house.fold_elsewhere(change(number, inventory={name: name})) for number, name in enumerate(names))
    )
    held = house.row.device_inventory.model_dump()
    assert [held[name] for name in names] == list(names)


async def test_a_message_gives_up_after_losing_race_upon_race(house: House) -> None:
    minutes = iter(range(2, 100))

    async def overtake() -> None:
        await house.fold_elsewhere(blocked(next(minutes)))
        house.devices.before_write = overtake

    house.devices.before_write = overtake
    with pytest.raises(ConflictError, match=f"{MAX_RACES} times"):
        await house.fold(change(1, inventory={"os_version": "18"}))


async def test_what_cannot_be_folded_comes_back_alone_and_the_rest_goes_on(house: House) -> None:
    bad = compliant(1).model_copy(update={"device_id": OTHER})
    house.devices.broken = {OTHER}
    await house.fold(blocked(1), bad)
    assert house.queues.pointers == [(Pointer(devices=(DEVICE,)), 0)]
    assert house.queues.changes == [ChangesMessage(v=1, changes=(bad,))]


async def test_when_nothing_can_be_folded_the_message_is_left_to_come_back(house: House) -> None:
    house.devices.broken = {DEVICE, OTHER}
    with pytest.raises(UnavailableError):
        await house.fold(blocked(1), compliant(1).model_copy(update={"device_id": OTHER}))
    assert (house.queues.changes, house.queues.pointers) == ([], [])


async def test_the_history_says_what_came_in_and_what_was_decided(house: House) -> None:
    await house.fold(blocked(2))
    await house.fold(compliant(1))
    newest, late = house.lines.entries
    assert newest.summary == (
        "compliance_changed: NonCompliant: policy 'Compromised devices' (rooted) has the action QUARANTINE"
    )
    assert (newest.at, newest.facts["changeId"], newest.facts["inForce"]) == (blocked(2).time, "change-2", True)
    assert late.summary == "compliance_changed: Changes nothing: changes as new or newer are known"
    assert late.facts["verdict"] == "NonCompliant"


async def test_a_change_that_carries_nothing_says_that_the_device_was_heard_of(house: House) -> None:
    await house.settled(compliant(1))
    await house.fold(change(2, ChangeType.CHECKED_IN))
    assert house.lines.entries[-1].summary == "checked_in: The device was heard of"


async def test_a_message_that_is_delivered_twice_is_in_the_history_under_one_key(house: House) -> None:
    await house.fold(blocked(1))
    await house.fold(blocked(1))
    first, second = house.lines.entries
    assert (first.at, first.key) == (second.at, second.key)


async def test_the_replay_of_a_failed_message_clears_what_was_undelivered_of_it_and_no_more(house: House) -> None:
    await house.fold(compliant(1))
    mine = Undelivered(id="a" * 32, queue="device-changes", message="m", at=START)
    other = Undelivered(id="b" * 32, queue="device-changes", message="m", at=START)
    stored = house.devices.rows[DEVICE]
    house.devices.rows[DEVICE] = Stored(replace(stored.report, undelivered=(mine, other)), stored.etag)
    await house.folder.handle(ChangesMessage(v=1, changes=(blocked(2),), replay_of=mine.id))
    assert house.row.undelivered == (other,)
    assert house.row.decision.verdict is Verdict.NON_COMPLIANT
