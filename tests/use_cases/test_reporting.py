"""The rules that keep Entra ID right whatever happens on the way; each test falls when its rule is taken out."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from shared.errors import HANDLING, ReportError
from shared.fold import Phase
from shared.messages import Pointer, RunSlots
from shared.model import ChangeType, DeviceChange, ErrorClass, Undelivered, Verdict
from shared.ports import UnavailableError
from shared.reporting import MAX_ATTEMPTS, MIN_LEASE, LeaseTooShortError, backoff
from tests.core.making import AZURE_ID, DEVICE, START, change
from tests.use_cases.house import KNOWN, House, blocked, compliant, retired
from tests.use_cases.memory import Entra

COMPLIANT, NON_COMPLIANT, REMOVED = Verdict
OTHER = "00000000-0000-0000-0000-000000000001"


def failure(error_class: ErrorClass, retry_after: float | None = None) -> ReportError:
    return ReportError(error_class, "It failed.", code="Code", status=400, retry_after=retry_after, request_id="r-1")


@pytest.fixture
def house() -> House:
    return House()


async def test_what_the_row_says_is_told_and_remembered(house: House) -> None:
    await house.settled(blocked(1))
    assert house.entra.holds == {AZURE_ID: NON_COMPLIANT}
    assert house.row.phase is Phase.REPORTED
    assert house.row.reported is not None
    assert (house.row.reported.verdict, house.row.reported.at) == (NON_COMPLIANT, house.clock())
    assert (house.row.last_error, house.row.attempts) == (None, 0)
    assert [entry.kind for entry in house.lines.entries] == ["change", "report"]


async def test_rule_2_the_row_as_it_is_now_is_told_and_not_what_was_true_when_the_pointer_was_sent(
    house: House,
) -> None:
    await house.fold(compliant(1))
    pointer, _ = house.queues.take_pointer()
    await house.fold(blocked(2))
    await house.report(pointer)
    assert [call.verdict for call in house.entra.calls] == [NON_COMPLIANT]


async def test_rule_3_an_outcome_is_not_written_over_a_change_that_came_in_during_the_call(house: House) -> None:
    await house.fold(compliant(1))
    house.queues.pointers.clear()
    house.entra.before_apply = lambda: house.fold(blocked(2))
    await house.report()
    assert house.row.phase is Phase.PENDING
    assert house.row.decision.verdict is NON_COMPLIANT


async def test_rule_3_a_lost_race_sends_a_forced_pointer(house: House) -> None:
    await house.fold(compliant(1))
    house.queues.pointers.clear()
    house.devices.before_write = lambda: house.fold(blocked(2))
    await house.report()
    assert (Pointer(devices=(DEVICE,), forced=True), 0) in house.queues.pointers
    await house.drain()
    assert house.entra.holds == {AZURE_ID: NON_COMPLIANT}
    assert house.row.phase is Phase.REPORTED


async def test_rule_3_a_slow_worker_that_tells_an_old_verdict_last_is_put_right(house: House) -> None:
    await house.fold(compliant(1))
    house.queues.pointers.clear()
    fast = house.worker()

    async def overtake() -> None:
        await house.fold(blocked(2))
        await house.report(by=fast)

    house.entra.before_apply = overtake
    await house.report()
    assert house.entra.holds == {AZURE_ID: COMPLIANT}, "the slow call was applied last"
    await house.drain()
    assert house.entra.holds == {AZURE_ID: NON_COMPLIANT}


@pytest.mark.parametrize("error_class", [ErrorClass.TRANSIENT, ErrorClass.THROTTLED])
async def test_rule_3_a_failure_that_loses_its_race_sends_a_forced_pointer_too(
    house: House, error_class: ErrorClass
) -> None:
    await house.fold(compliant(1))
    house.queues.pointers.clear()
    house.entra.errors = [failure(error_class, retry_after=7)]
    house.devices.before_write = lambda: house.fold(blocked(2))
    await house.report()
    assert house.row.last_error is None, "the failure was of what is not wanted any more"
    forced = [delay for pointer, delay in house.queues.pointers if pointer.forced]
    assert forced == [7 if error_class is ErrorClass.THROTTLED else 0]


async def test_rule_4_after_an_unclear_outcome_the_call_is_made_again_though_the_row_says_it_need_not(
    house: House,
) -> None:
    await house.settled(compliant(1))
    await house.fold(blocked(2))
    house.entra.applied_then = [failure(ErrorClass.TRANSIENT)]
    await house.report()
    again = [pointer for pointer, _ in house.queues.pointers if pointer.forced]
    assert again == [Pointer(devices=(DEVICE,), forced=True)]
    # Meanwhile the device is compliant again, and another worker has told so.
    await house.fold(compliant(3))
    await house.report(by=house.worker())
    assert house.row.phase is Phase.REPORTED
    calls = len(house.entra.calls)
    await house.report(again[0])
    assert len(house.entra.calls) == calls + 1


async def test_rule_4_a_redelivered_pointer_never_skips_the_call(house: House) -> None:
    await house.settled(compliant(1))
    house.entra.holds[AZURE_ID] = NON_COMPLIANT  # a call of a worker that died was applied late
    await house.report(dequeue_count=2)
    assert house.entra.holds == {AZURE_ID: COMPLIANT}


async def test_a_second_pointer_to_a_device_that_was_reported_makes_no_call(house: House) -> None:
    await house.settled(compliant(1))
    await house.report()
    assert len(house.entra.calls) == 1


async def test_two_pointers_at_once_to_one_device_make_one_call(house: House) -> None:
    await house.fold(compliant(1))
    await asyncio.gather(house.report(), house.report())
    assert len(house.entra.calls) == 1


async def test_rule_5_without_enough_lease_left_nothing_is_called_and_the_message_comes_back(house: House) -> None:
    await house.fold(blocked(1))
    before = house.row
    house.queues.pointers.clear()
    with pytest.raises(LeaseTooShortError):
        await house.report(lease=MIN_LEASE.total_seconds() - 1)
    assert (house.entra.calls, house.row, house.queues.pointers) == ([], before, [])


async def test_rule_5_the_lease_is_looked_at_before_each_call_and_the_rest_of_the_pointer_comes_back(
    house: House,
) -> None:
    devices = [f"00000000-0000-0000-0000-{number:012d}" for number in range(20)]
    await house.fold(*(compliant(1).model_copy(update={"device_id": device}) for device in devices))
    pointer, _ = house.queues.take_pointer()

    async def freeze() -> None:
        house.clock.advance(560)

    house.entra.before_apply = freeze
    await house.report(pointer)
    assert len(house.entra.calls) == 1
    assert house.queues.take_pointer() == (Pointer(devices=tuple(devices[1:]), forced=True), 0)


async def test_rule_6_throttling_puts_the_pointer_back_for_as_long_as_graph_asked_and_uses_no_attempt(
    house: House,
) -> None:
    await house.fold(blocked(1))
    house.queues.pointers.clear()
    house.entra.errors = [failure(ErrorClass.THROTTLED, retry_after=120)]
    await house.report()
    assert house.queues.take_pointer() == (Pointer(devices=(DEVICE,), forced=True), 120)
    assert (house.row.phase, house.row.attempts) == (Phase.PENDING, 0)
    assert house.row.last_error is not None
    assert house.row.last_error.error_class is ErrorClass.THROTTLED


async def test_rule_6_until_the_time_that_graph_asked_for_is_over_no_device_is_called_for(house: House) -> None:
    other = blocked(1).model_copy(update={"device_id": OTHER})
    await house.fold(blocked(1), other)
    house.queues.pointers.clear()
    house.entra.errors = [failure(ErrorClass.THROTTLED, retry_after=120)]
    await house.report()
    house.queues.pointers.clear()
    house.clock.advance(100)
    await house.report(Pointer(devices=(OTHER,)))
    assert len(house.entra.calls) == 1
    assert house.queues.take_pointer() == (Pointer(devices=(OTHER,)), 20)
    house.clock.advance(20)
    await house.report(Pointer(devices=(OTHER,)))
    assert len(house.entra.calls) == 2


async def test_throttling_without_a_time_waits_ten_seconds(house: House) -> None:
    await house.fold(blocked(1))
    house.queues.pointers.clear()
    house.entra.errors = [failure(ErrorClass.THROTTLED)]
    await house.report()
    assert house.queues.take_pointer()[1] == 10


async def test_a_transient_failure_is_tried_again_later_and_later_and_in_the_end_is_failed(house: House) -> None:
    await house.fold(blocked(1))
    house.entra.errors = [failure(ErrorClass.TRANSIENT)] * 100
    started = house.clock()
    await house.drain()
    assert len(house.entra.calls) == MAX_ATTEMPTS
    assert (house.row.phase, house.row.attempts) == (Phase.FAILED, MAX_ATTEMPTS)
    assert house.row.last_error is not None
    assert house.row.last_error.mended_by == "service"
    hours = (house.clock() - started).total_seconds() / 3600
    assert 1 < hours < 6


async def test_a_transient_failure_waits_at_least_as_long_as_graph_asked(house: House) -> None:
    await house.fold(blocked(1))
    house.queues.pointers.clear()
    house.entra.errors = [failure(ErrorClass.TRANSIENT, retry_after=300)]
    await house.report()
    assert house.queues.take_pointer()[1] == 300


def test_the_wait_doubles_up_to_an_hour_and_is_jittered_by_half() -> None:
    assert [backoff(attempts, lambda: 1.0) for attempts in (1, 2, 3, 20)] == [2, 4, 8, 3600]
    assert [backoff(attempts, lambda: 0.0) for attempts in (1, 2, 3, 20)] == [1, 2, 4, 1800]


@pytest.mark.parametrize("error_class", [name for name, handling in HANDLING.items() if not handling.retried])
async def test_what_trying_again_does_not_mend_is_failed_at_once(house: House, error_class: ErrorClass) -> None:
    await house.fold(blocked(1))
    house.queues.pointers.clear()
    house.entra.errors = [failure(error_class)]
    await house.report()
    assert house.queues.pointers == []
    assert (house.row.phase, house.row.attempts) == (Phase.FAILED, 1)
    error = house.row.last_error
    assert error is not None
    assert (error.error_class, error.code, error.at) == (error_class, "Code", house.clock())
    assert error.message.startswith("It failed. ")


async def test_a_failed_device_is_not_called_for_by_a_pointer_that_was_left_over(house: House) -> None:
    await house.fold(blocked(1))
    house.entra.errors = [failure(ErrorClass.REJECTED)]
    await house.drain()
    await house.report()
    assert len(house.entra.calls) == 1


async def test_a_failed_device_is_reported_by_a_forced_pointer_and_is_whole_again(house: House) -> None:
    await house.fold(blocked(1))
    house.entra.errors = [failure(ErrorClass.FORBIDDEN)]
    await house.drain()
    await house.report(forced=True)
    assert (house.row.phase, house.row.last_error, house.row.attempts) == (Phase.REPORTED, None, 0)


async def test_a_retired_device_is_removed_and_a_late_event_does_not_bring_it_back(house: House) -> None:
    await house.settled(compliant(1))
    await house.settled(retired(3))
    await house.settled(compliant(2))
    assert house.entra.holds == {AZURE_ID: REMOVED}


@pytest.mark.parametrize("data", [{"violations": ()}, KNOWN], ids=["no identifier", "no verdict"])
async def test_without_anything_to_tell_nothing_is_called_even_if_forced(house: House, data: dict[str, Any]) -> None:
    await house.fold(change(1, **data))
    assert house.queues.pointers == []
    await house.report(forced=True)
    assert house.entra.calls == []


async def test_a_pointer_to_a_device_that_is_not_known_does_nothing(house: House) -> None:
    await house.report(forced=True)
    assert house.entra.calls == []


async def test_with_reporting_off_nothing_is_called_and_the_change_waits() -> None:
    house = House(reporting_enabled=False)
    await house.settled(blocked(1))
    await house.report(forced=True)
    assert (house.entra.calls, house.row.phase) == ([], Phase.PENDING)


async def test_in_a_dry_run_nothing_is_told_and_the_history_says_what_would_be() -> None:
    house = House(entra=Entra(writes=False))
    await house.settled(blocked(1))
    assert house.entra.holds == {}
    assert (house.row.phase, house.row.reported) == (Phase.PENDING, None)
    assert house.lines.entries[-1].summary == "told NonCompliant"


async def test_a_device_whose_row_cannot_be_read_does_not_hold_up_the_others(house: House) -> None:
    await house.fold(blocked(1), compliant(1).model_copy(update={"device_id": OTHER}))
    house.queues.pointers.clear()
    house.devices.broken = {OTHER}
    await house.report(Pointer(devices=(DEVICE, OTHER)))
    assert house.row.phase is Phase.REPORTED
    assert house.queues.take_pointer() == (Pointer(devices=(OTHER,), forced=True), 0)


async def test_when_no_row_can_be_read_the_message_is_left_to_come_back(house: House) -> None:
    house.devices.broken = {DEVICE, OTHER}
    with pytest.raises(UnavailableError):
        await house.report(Pointer(devices=(DEVICE, OTHER)))
    assert house.queues.pointers == []


async def test_a_report_that_arrives_makes_up_for_pointers_that_were_lost_but_not_for_changes(house: House) -> None:
    await house.fold(blocked(1))
    pointer = Undelivered(id="a", queue="device-reports", message="m", at=START)
    lost_change = Undelivered(id="b", queue="device-changes", message="m", at=START)
    stored = house.devices.rows[DEVICE]
    house.devices.rows[DEVICE] = replace(stored, report=replace(stored.report, undelivered=(pointer, lost_change)))
    await house.drain()
    assert house.row.undelivered == (lost_change,)


async def test_each_device_of_a_run_is_counted_once_when_its_outcome_is_final(house: House) -> None:
    ids = [f"00000000-0000-0000-0000-{number:012d}" for number in range(4)]
    await house.settled(*(compliant(1).model_copy(update={"device_id": device}) for device in ids[:3]))
    await house.runs.plan("run", 0, 4)
    house.entra.errors = [failure(ErrorClass.THROTTLED, 1), failure(ErrorClass.REJECTED)]
    slots = RunSlots(run_id="run", chunk=0, slots=(0, 1, 2, 3))
    await house.report(Pointer(devices=tuple(ids), forced=True, run=slots))
    assert sorted(house.runs.slots["run", 0]) == [".", "d", "f", "s"]
    await house.drain()
    assert sorted(house.runs.slots["run", 0]) == ["d", "d", "f", "s"]


async def test_a_dry_run_of_the_fleet_tells_nothing_and_leaves_the_rows_as_they_are(house: House) -> None:
    await house.settled(compliant(1))
    before = house.row
    await house.runs.plan("run", 0, 1)
    slots = RunSlots(run_id="run", chunk=0, slots=(0,), dry_run=True)
    await house.report(Pointer(devices=(DEVICE,), forced=True, run=slots))
    assert (len(house.entra.calls), house.row, house.runs.slots["run", 0]) == (1, before, ["d"])


async def test_a_dry_run_that_finds_no_channel_counts_it_and_leaves_the_row_as_it_is(house: House) -> None:
    await house.settled(compliant(1))
    before = house.row
    await house.runs.plan("run", 0, 1)
    reporter = house.worker()
    reporter.dry_directory = Entra(writes=False, errors=[failure(ErrorClass.UNSUPPORTED)])
    slots = RunSlots(run_id="run", chunk=0, slots=(0,), dry_run=True)
    await house.report(Pointer(devices=(DEVICE,), forced=True, run=slots), by=reporter)
    assert (house.row, house.runs.slots["run", 0]) == (before, ["f"])
    assert house.lines.entries[-1].summary == "Dry run: Unsupported: It failed."


NEW_ID = "99999999-9999-4999-8999-999999999999"


def renamed(minute: int, azure_id: str | None = NEW_ID) -> DeviceChange:
    return change(minute, ChangeType.REGISTRATION_CHANGED, azure_device_id=azure_id)


async def test_rule_8_the_object_under_the_old_identifier_does_not_stay_compliant(house: House) -> None:
    await house.settled(compliant(1))
    await house.settled(renamed(2))
    assert house.entra.holds == {AZURE_ID: NON_COMPLIANT, NEW_ID: COMPLIANT}
    assert (house.row.phase, house.row.former_ids) == (Phase.REPORTED, ())
    assert any(f"under the former identifier {AZURE_ID}" in entry.summary for entry in house.lines.entries)


async def test_rule_8_the_old_object_is_removed_where_that_is_what_was_set(house: House) -> None:
    await house.settled(compliant(1))
    house.reporter.former_verdict = REMOVED
    await house.settled(renamed(2))
    assert house.entra.holds == {AZURE_ID: REMOVED, NEW_ID: COMPLIANT}


async def test_rule_8_the_old_object_is_told_of_though_the_device_has_no_identifier_any_more(house: House) -> None:
    await house.settled(compliant(1))
    await house.settled(renamed(2, None))
    assert house.entra.holds == {AZURE_ID: NON_COMPLIANT}
    assert (house.row.phase, house.row.former_ids) == (Phase.NOTHING_TO_TELL, ())


async def test_rule_8_the_device_is_not_done_until_the_old_object_is_told_of_too(house: House) -> None:
    await house.settled(compliant(1))
    await house.fold(renamed(2))
    house.entra.errors_of[AZURE_ID] = [failure(ErrorClass.TRANSIENT)]
    house.queues.pointers.clear()
    await house.report()
    assert (house.entra.holds, house.row.phase) == ({AZURE_ID: COMPLIANT, NEW_ID: COMPLIANT}, Phase.PENDING)
    assert house.row.former_ids == (AZURE_ID,)
    await house.drain()
    assert house.entra.holds == {AZURE_ID: NON_COMPLIANT, NEW_ID: COMPLIANT}


async def test_rule_8_an_identifier_that_was_never_reported_but_may_have_been_told_of_counts_too(house: House) -> None:
    await house.fold(compliant(1))
    house.entra.applied_then = [failure(ErrorClass.TRANSIENT)]
    await house.report()
    await house.settled(renamed(2))
    assert house.entra.holds == {AZURE_ID: NON_COMPLIANT, NEW_ID: COMPLIANT}


async def test_rule_8_an_old_object_that_is_gone_is_as_good(house: House) -> None:
    await house.settled(compliant(1))
    house.entra.errors_of[AZURE_ID] = [failure(ErrorClass.NOT_FOUND)]
    await house.settled(renamed(2))
    assert (house.row.phase, house.row.former_ids) == (Phase.REPORTED, ())


async def test_rule_8_a_device_that_gets_its_old_identifier_back_is_told_of_under_it(house: House) -> None:
    await house.settled(compliant(1))
    await house.settled(renamed(2), renamed(3, AZURE_ID))
    assert house.entra.holds[AZURE_ID] is COMPLIANT
    assert house.row.former_ids == ()


async def test_rule_8_an_identifier_under_which_nothing_can_have_been_told_is_not_kept(house: House) -> None:
    await house.fold(change(1, **KNOWN))
    await house.settled(renamed(2), change(3, violations=()))
    assert house.entra.holds == {NEW_ID: COMPLIANT}


async def test_rule_8_two_identifiers_in_one_message_leave_none_behind_for_nothing_was_told_in_between(
    house: House,
) -> None:
    await house.settled(compliant(1), renamed(2))
    assert house.entra.holds == {NEW_ID: COMPLIANT}


async def test_rule_8_the_old_object_is_not_forgotten_while_compliance_is_unknown(house: House) -> None:
    await house.settled(compliant(1))
    await house.settled(change(2, violations=None))
    await house.settled(renamed(3))
    assert house.entra.holds == {AZURE_ID: NON_COMPLIANT}
    assert house.row.former_ids == ()


async def test_rule_8_the_old_object_does_not_stay_compliant_though_the_new_one_is_not_in_entra(house: House) -> None:
    await house.settled(compliant(1))
    house.entra.errors_of[NEW_ID] = [failure(ErrorClass.NOT_FOUND)]
    await house.settled(renamed(2))
    assert house.entra.holds == {AZURE_ID: NON_COMPLIANT}
    assert house.row.phase is Phase.FAILED


async def test_an_answer_makes_up_for_a_pointer_that_was_lost_though_it_is_a_refusal(house: House) -> None:
    await house.fold(blocked(1))
    lost = Undelivered(id="a", queue="device-reports", message="m", at=START)
    stored = house.devices.rows[DEVICE]
    house.devices.rows[DEVICE] = replace(stored, report=replace(stored.report, undelivered=(lost,)))
    house.entra.errors = [failure(ErrorClass.NOT_FOUND)]
    await house.drain()
    assert house.row.undelivered == ()
