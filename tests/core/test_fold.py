"""Changes fold to the same state in any order and any number of copies, and a late one changes nothing."""

from dataclasses import replace
from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import registers
from shared.fold import DeviceReport, Phase, fold, in_force
from shared.model import ChangeType, ClientStatusCode, DeviceChange, PolicyAction, RegistrationState, Reported, Verdict
from shared.registers import Field
from tests.core.making import AZURE_ID, BLOCKED, DEVICE, START, change, changes, folded, minutes, violation

COMPLIANT, NON_COMPLIANT, REMOVED = Verdict
KNOWN: dict[str, Any] = {"azure_device_id": AZURE_ID, "azure_client_status_code": "Success"}


def meaning(report: DeviceReport) -> tuple[object, ...]:
    """All that a device's state says, but for how far Azure was told of it."""
    return report.compliance, report.inventory, report.registration, report.last_change_at, report.decision


def reported(report: DeviceReport) -> DeviceReport:
    """Make it as if Azure had been told just this."""
    desired = report.desired
    assert desired is not None
    told = Reported(
        verdict=desired.verdict,
        at=START,
        channel="test",
        azure_device_id=desired.azure_device_id,
        digest=desired.digest,
    )
    return replace(report, phase=Phase.REPORTED, reported=told)


@given(st.lists(changes, max_size=6), st.randoms(use_true_random=False))
def test_any_order_and_any_duplication_ends_in_the_same_state(some: list[DeviceChange], random: Random) -> None:
    shuffled = some + random.choices(some, k=3) if some else []
    random.shuffle(shuffled)
    assert meaning(folded(*shuffled)) == meaning(folded(*some))


@given(st.lists(changes, min_size=3, max_size=3))
def test_every_order_of_three_changes_ends_in_the_same_state(some: list[DeviceChange]) -> None:
    first, *others = [meaning(folded(*order)) for order in permutations(some)]
    assert all(other == first for other in others)


@given(st.lists(changes, max_size=4), changes)
def test_a_change_that_comes_twice_is_the_same_as_once(some: list[DeviceChange], twice: DeviceChange) -> None:
    once = folded(*some, twice)
    assert fold(once, twice) is once


@given(st.lists(changes, max_size=6))
def test_a_register_comes_back_from_storage_as_it_was(some: list[DeviceChange]) -> None:
    report = folded(*some)
    for register in (report.compliance, report.inventory, report.registration):
        assert registers.from_json(registers.to_json(register)) == register


def test_a_late_compliant_change_does_not_unblock_the_device() -> None:
    report = folded(change(2, violations=BLOCKED, **KNOWN), change(1, violations=()))
    assert report.decision.verdict is NON_COMPLIANT


def test_a_compliance_change_does_not_lose_to_a_newer_inventory_change() -> None:
    newer = change(2, ChangeType.INVENTORY_CHANGED, inventory={"os_version": "18.1"})
    report = folded(newer, change(1, violations=BLOCKED, **KNOWN))
    assert report.decision.verdict is NON_COMPLIANT
    assert report.device_inventory.os_version == "18.1"


def test_what_a_change_leaves_out_it_does_not_touch() -> None:
    first = change(1, inventory={"os_version": "18.0", "display_name": "iPad"}, **KNOWN)
    second = change(2, inventory={"os_version": "18.1"}, user_principal_name="user@contoso.example")
    for order in ((first, second), (second, first)):
        report = folded(*order)
        assert (report.device_inventory.os_version, report.device_inventory.display_name) == ("18.1", "iPad")
        assert (report.azure_device_id, report.user_principal_name) == (AZURE_ID, "user@contoso.example")


def test_what_a_change_says_is_not_there_any_more_is_gone() -> None:
    report = folded(change(1, **KNOWN), change(2, azure_device_id=None))
    assert report.azure_device_id is None
    assert report.client_status_code is ClientStatusCode.SUCCESS


def test_of_two_changes_at_the_same_time_the_same_one_wins_in_either_order() -> None:
    one, two = change(1, id_="a", violations=()), change(1, id_="b", violations=BLOCKED)
    assert folded(one, two).decision == folded(two, one).decision


def test_an_id_used_twice_with_different_content_ends_the_same_in_either_order() -> None:
    one, two = change(1, id_="a", violations=()), change(1, id_="a", violations=BLOCKED)
    assert meaning(folded(one, two)) == meaning(folded(two, one))


def test_when_the_worst_violation_clears_the_next_one_counts() -> None:
    alert = violation("SEND_ALERT", policy="Old OS")  # type: ignore[arg-type]
    both = change(1, violations=(*BLOCKED, alert), **KNOWN)
    assert folded(both).decision.verdict is NON_COMPLIANT
    assert folded(both, change(2, violations=(alert,))).decision.verdict is COMPLIANT


@pytest.mark.parametrize("type_", [ChangeType.RETIRED, ChangeType.WIPED])
def test_a_retired_device_is_removed(type_: ChangeType) -> None:
    report = folded(change(1, violations=(), **KNOWN), change(2, type_))
    assert report.decision.verdict is REMOVED


@pytest.mark.parametrize(
    "state", [RegistrationState.RETIRED, RegistrationState.WIPED], ids=["said to be retired", "said to be wiped"]
)
def test_the_state_outranks_the_flag_of_the_same_message(state: RegistrationState) -> None:
    report = folded(change(1, violations=(), inventory={"registration_state": state}, **KNOWN))
    assert report.decision.verdict is REMOVED


def test_a_wipe_outranks_a_retire_in_one_message() -> None:
    report = folded(change(1, ChangeType.RETIRED, inventory={"registration_state": "WIPED"}, **KNOWN))
    assert report.decision.action == "WIPE"


@pytest.mark.parametrize(
    "later",
    [
        change(1, violations=()),
        change(1, ChangeType.ENROLLED),
        change(3, ChangeType.INVENTORY_CHANGED, inventory={"registration_state": "ACTIVE"}),
        change(3, ChangeType.CHECKED_IN, violations=()),
        change(3, ChangeType.REGISTRATION_CHANGED, **KNOWN),
        change(3, violations=None),
        change(3, violations=(violation("RETIRE"),)),  # type: ignore[arg-type]
        change(3, violations=(violation("WIPE"),)),  # type: ignore[arg-type]
    ],
    ids=lambda change: f"{change.type.rpartition('.')[2]} at {change.time:%H:%M}",
)
def test_a_retired_device_stays_retired_whatever_else_comes_in(later: DeviceChange) -> None:
    retired = change(2, ChangeType.RETIRED, **KNOWN)
    for order in ((retired, later), (later, retired)):
        assert folded(*order).decision.verdict is REMOVED


@pytest.mark.parametrize(
    ("later", "verdict"),
    [
        (change(3, violations=()), COMPLIANT),
        (change(3, violations=BLOCKED), NON_COMPLIANT),
        (change(3, ChangeType.ENROLLED, violations=()), COMPLIANT),
        (change(3, ChangeType.ENROLLED), None),
    ],
)
def test_a_newer_enrolment_or_compliance_change_brings_a_retired_device_back(
    later: DeviceChange, verdict: Verdict | None
) -> None:
    retired = change(2, ChangeType.RETIRED, **KNOWN)
    for order in ((retired, later), (later, retired)):
        assert folded(*order).decision.verdict is verdict


def test_an_enrolment_ends_a_retire_that_was_only_sent_and_what_was_known_of_compliance() -> None:
    sent = change(1, violations=(), inventory={"registration_state": "RETIRE_SENT"}, **KNOWN)
    assert folded(sent).decision.verdict is NON_COMPLIANT
    assert folded(sent, change(2, ChangeType.ENROLLED)).decision.verdict is None
    assert folded(sent, change(2, ChangeType.ENROLLED, violations=())).decision.verdict is COMPLIANT


@pytest.mark.parametrize("action", ["RETIRE", "WIPE"])
def test_an_enrolment_ends_a_removal_by_policy_so_that_the_new_object_is_not_deleted(action: PolicyAction) -> None:
    removed = change(1, violations=(violation(action),), **KNOWN)
    assert folded(removed).decision.verdict is REMOVED
    assert folded(removed, change(2, ChangeType.ENROLLED, **KNOWN)).decision.verdict is None


def test_a_device_that_is_enrolled_again_is_not_called_compliant_for_what_was_so_before_it_was_retired() -> None:
    report = folded(change(1, violations=(), **KNOWN), change(2, ChangeType.RETIRED), change(3, ChangeType.ENROLLED))
    assert report.decision.verdict is None


@pytest.mark.parametrize("state", ["UNKNOWN", "ENROLLMENT_PENDING", None])
def test_a_retire_that_was_sent_is_not_undone_by_a_state_that_says_nothing_of_it(state: str | None) -> None:
    sent = change(1, violations=(), inventory={"registration_state": "RETIRE_SENT"}, **KNOWN)
    later = change(2, ChangeType.INVENTORY_CHANGED, inventory={"registration_state": state})
    assert folded(sent, later, change(3, violations=())).decision.verdict is NON_COMPLIANT
    active = change(4, ChangeType.INVENTORY_CHANGED, inventory={"registration_state": "ACTIVE"})
    assert folded(sent, later, active).decision.verdict is COMPLIANT


@pytest.mark.parametrize(
    ("strict", "verdict"),
    [
        (change(1, id_="a", violations=BLOCKED), NON_COMPLIANT),
        (change(1, id_="a", violations=None), None),
        (change(1, ChangeType.RETIRED, id_="a"), REMOVED),
    ],
    ids=["blocked", "unknown", "retired"],
)
def test_of_two_changes_at_the_same_time_the_stricter_one_wins(strict: DeviceChange, verdict: Verdict | None) -> None:
    lenient = change(1, id_="b", violations=())
    for order in ((strict, lenient), (lenient, strict)):
        assert folded(*order).decision.verdict is verdict


def test_a_row_of_a_newer_version_can_be_read() -> None:
    stamp = registers.Stamp(START, "source", "id")
    report = DeviceReport(DEVICE, inventory={"colour": Field("red", stamp), "osVersion": Field("19", stamp)})
    assert report.device_inventory.os_version == "19"


def test_a_first_change_makes_the_device_due() -> None:
    assert folded(change(1, violations=(), **KNOWN)).phase is Phase.PENDING


@pytest.mark.parametrize("data", [{"violations": ()}, KNOWN, {}], ids=["no identifier", "no verdict", "neither"])
def test_without_an_identifier_or_a_verdict_there_is_nothing_to_tell(data: dict[str, Any]) -> None:
    report = folded(change(1, **data))
    assert report.desired is None
    assert report.phase is Phase.NOTHING_TO_TELL


@pytest.mark.parametrize(
    "same",
    [
        change(2, ChangeType.CHECKED_IN),
        change(2, violations=()),
        change(2, violations=(violation("SEND_ALERT"),)),  # type: ignore[arg-type]
        change(2, user_principal_name="other@contoso.example"),
        change(2, azure_client_status_code="User_Canceled"),
        change(2, ChangeType.INVENTORY_CHANGED, inventory={"registration_state": "ENROLLMENT_PENDING"}),
    ],
)
def test_a_change_that_changes_nothing_that_azure_is_told_leaves_the_device_reported(same: DeviceChange) -> None:
    report = reported(folded(change(1, violations=(), inventory={"os_version": "18"}, **KNOWN)))
    after = fold(report, same)
    assert after.phase is Phase.REPORTED
    assert after.last_change_at == minutes(2)


@pytest.mark.parametrize(
    "different",
    [
        change(2, violations=BLOCKED),
        change(2, ChangeType.INVENTORY_CHANGED, inventory={"os_version": "19"}),
        change(2, azure_device_id="00000000-0000-0000-0000-000000000001"),
        change(2, ChangeType.RETIRED),
    ],
)
def test_a_change_that_changes_what_azure_is_told_makes_the_device_due(different: DeviceChange) -> None:
    report = reported(folded(change(1, violations=(), inventory={"os_version": "18"}, **KNOWN)))
    assert fold(report, different).phase is Phase.PENDING


def test_the_inventory_of_a_removed_device_is_nobody_s_business_any_more() -> None:
    report = reported(folded(change(1, ChangeType.RETIRED, **KNOWN)))
    late = change(2, ChangeType.INVENTORY_CHANGED, inventory={"os_version": "19"})
    assert fold(report, late).phase is Phase.REPORTED


@pytest.mark.parametrize("phase", [Phase.FAILED, Phase.PENDING])
def test_a_device_that_could_not_be_reported_is_not_tried_again_for_every_check_in(phase: Phase) -> None:
    failed = replace(folded(change(1, violations=(), **KNOWN)), phase=phase, attempts=3)
    after = fold(failed, change(2, ChangeType.CHECKED_IN))
    assert (after.phase, after.attempts) == (phase, 3)


def test_a_device_that_could_not_be_reported_is_due_when_something_else_is_to_be_told() -> None:
    failed = replace(folded(change(1, violations=(), **KNOWN)), phase=Phase.FAILED, attempts=3)
    after = fold(failed, change(2, violations=BLOCKED))
    assert (after.phase, after.attempts) == (Phase.PENDING, 0)


def test_going_back_to_what_azure_was_told_before_is_told_again_while_a_call_may_be_under_way() -> None:
    report = reported(folded(change(1, violations=(), **KNOWN)))
    there_and_back = folded(change(2, violations=BLOCKED), change(3, violations=()), onto=report)
    assert there_and_back.phase is Phase.PENDING


def test_a_change_is_in_force_until_newer_ones_have_written_all_of_it() -> None:
    old = change(1, violations=BLOCKED, user_principal_name="user@contoso.example")
    report = folded(old, change(2, violations=()))
    assert in_force(report, old)
    assert not in_force(folded(change(3, user_principal_name=None), onto=report), old)


def test_a_row_that_holds_what_it_should_not_is_refused_rather_than_guessed() -> None:
    stamp = registers.Stamp(START, "source", "id")
    with pytest.raises(TypeError, match="list was expected"):
        _ = DeviceReport(DEVICE, compliance={"violations": Field("none", stamp)}).violations
    with pytest.raises(TypeError, match="text was expected"):
        _ = DeviceReport(DEVICE, registration={"azureDeviceId": Field(1, stamp)}).azure_device_id
