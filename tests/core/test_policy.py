"""The most restrictive action counts, and what is not known is never called compliant."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model import PolicyAction, RegistrationState, Verdict, Violation
from shared.policy import RESTRICTIVENESS, TOLD, decide, most_restrictive
from tests.core.making import violation

COMPLIANT, NON_COMPLIANT, REMOVED = Verdict


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("NONE", COMPLIANT),
        ("WAIT", COMPLIANT),
        ("SEND_ALERT", COMPLIANT),
        ("BLOCK_EMAIL", NON_COMPLIANT),
        ("BLOCK_APPCONNECT", NON_COMPLIANT),
        ("QUARANTINE", NON_COMPLIANT),
        ("RETIRE", REMOVED),
        ("WIPE", REMOVED),
    ],
)
def test_each_action_tells_azure_what_the_table_says(action: str, told: Verdict) -> None:
    assert decide((violation(PolicyAction(action)),), None).verdict is told


def test_every_action_stands_in_the_table_once() -> None:
    assert list(TOLD) == list(PolicyAction)


def test_the_actions_rank_from_none_to_wipe_and_the_two_blocks_are_equal() -> None:
    ranks = [RESTRICTIVENESS[action] for action in PolicyAction]
    assert ranks == sorted(ranks)
    assert RESTRICTIVENESS[PolicyAction.BLOCK_EMAIL] == RESTRICTIVENESS[PolicyAction.BLOCK_APPCONNECT]
    assert len(set(ranks)) == len(PolicyAction) - 1


def test_no_violation_means_compliant() -> None:
    decision = decide((), None)
    assert (decision.verdict, decision.action) == (COMPLIANT, PolicyAction.NONE)
    assert decision.reason == "Compliant: no policy is violated"


def test_a_policy_that_only_monitors_leaves_the_device_compliant_and_is_named() -> None:
    decision = decide((Violation(policy="Old OS", actions=()),), None)
    assert decision.verdict is COMPLIANT
    assert "Old OS" in decision.reason


def test_unknown_compliance_is_no_verdict_at_all() -> None:
    decision = decide(None, RegistrationState.ACTIVE)
    assert (decision.verdict, decision.action) == (None, None)


@given(st.lists(st.sampled_from(PolicyAction), min_size=1, max_size=6))
def test_the_most_restrictive_of_all_actions_counts_wherever_it_stands(actions: list[PolicyAction]) -> None:
    apart = tuple(violation(action, policy=f"policy {number}") for number, action in enumerate(actions))
    together = (violation(*actions),)
    worst = max(map(RESTRICTIVENESS.__getitem__, actions))
    for violations in (apart, apart[::-1], together):
        assert RESTRICTIVENESS[most_restrictive(violations)[0]] == worst


def test_between_equals_the_answer_does_not_depend_on_their_order() -> None:
    equals = [
        violation(PolicyAction.BLOCK_EMAIL, policy="b"),
        violation(PolicyAction.BLOCK_APPCONNECT, policy="a"),
        violation(PolicyAction.BLOCK_EMAIL, policy="a"),
    ]
    assert {most_restrictive(order) for order in permutations(equals)} == {(PolicyAction.BLOCK_EMAIL, equals[2])}


@pytest.mark.parametrize("state", [RegistrationState.RETIRE_SENT, RegistrationState.WIPE_SENT])
@pytest.mark.parametrize("violations", [None, (), (violation(PolicyAction.RETIRE),)])
def test_a_retire_that_was_sent_blocks_until_it_is_confirmed(
    state: RegistrationState, violations: tuple[Violation, ...] | None
) -> None:
    assert decide(violations, state).verdict is NON_COMPLIANT


@pytest.mark.parametrize("state", [RegistrationState.RETIRED, RegistrationState.WIPED])
def test_a_retired_device_is_removed_though_the_mdm_still_calls_it_compliant(state: RegistrationState) -> None:
    decision = decide((), state)
    assert decision.verdict is REMOVED
    assert decision.reason == f"Removed: the MDM says {state}"


def test_the_reason_of_a_block_names_policy_cause_and_action_in_one_line() -> None:
    reason = decide((violation(PolicyAction.SEND_ALERT, PolicyAction.QUARANTINE),), None).reason
    assert reason == "NonCompliant: policy 'Compromised devices' (rooted) has the action QUARANTINE"
