"""From the violations of a device to what Azure is told: the most restrictive action counts. Pure."""

from dataclasses import dataclass

from shared.model import PolicyAction, RegistrationState, Verdict, Violation

_A, _V = PolicyAction, Verdict

# action of the compliance policy     how restrictive   what Azure is told
TABLE: tuple[tuple[PolicyAction, int, Verdict], ...] = (
    (_A.NONE,                         0,                _V.COMPLIANT),
    (_A.WAIT,                         1,                _V.COMPLIANT),
    (_A.SEND_ALERT,                   2,                _V.COMPLIANT),
    (_A.BLOCK_EMAIL,                  3,                _V.NON_COMPLIANT),
    (_A.BLOCK_APPCONNECT,             3,                _V.NON_COMPLIANT),
    (_A.QUARANTINE,                   4,                _V.NON_COMPLIANT),
    (_A.RETIRE,                       5,                _V.REMOVED),
    (_A.WIPE,                         6,                _V.REMOVED),
)  # fmt: skip

RESTRICTIVENESS = {action: rank for action, rank, _ in TABLE}
TOLD = {action: verdict for action, _, verdict in TABLE}

# state in the MDM                    the action it comes from   what Azure is told
STATES: dict[RegistrationState, tuple[PolicyAction, Verdict]] = {
    RegistrationState.RETIRE_SENT:    (_A.RETIRE,                _V.NON_COMPLIANT),
    RegistrationState.WIPE_SENT:      (_A.WIPE,                  _V.NON_COMPLIANT),
    RegistrationState.RETIRED:        (_A.RETIRE,                _V.REMOVED),
    RegistrationState.WIPED:          (_A.WIPE,                  _V.REMOVED),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decision:
    """What Azure is to be told, the action that counted, and the reason in one line.

    ``verdict`` and ``action`` are ``None`` where the MDM does not know whether the device is compliant.
    """

    verdict: Verdict | None
    action: PolicyAction | None
    reason: str


def most_restrictive(violations: tuple[Violation, ...]) -> tuple[PolicyAction, Violation | None]:
    """Return the most restrictive action of all violations, with the violation that it comes from.

    Between equals the action that stands first in ``TABLE`` is named, then the policy that comes first by name,
    so that the answer does not depend on the order in which the MDM lists them. Without violations: ``NONE``.
    """
    order = [action for action, _, _ in TABLE]
    candidates = [(action, violation) for violation in violations for action in violation.actions]
    if not candidates:
        return PolicyAction.NONE, min(violations, key=lambda violation: violation.policy, default=None)
    return min(
        candidates,
        key=lambda candidate: (-RESTRICTIVENESS[candidate[0]], order.index(candidate[0]), candidate[1].policy),
    )


def decide(violations: tuple[Violation, ...] | None, state: RegistrationState | None) -> Decision:
    """Decide what Azure is told of a device.

    Args:
        violations: all that apply; ``None`` if the MDM does not know.
        state: how far the device was retired or wiped, if it was and is not enrolled again since. It outranks the
            violations: an MDM goes on calling a device compliant that it has just retired.
    """
    if state in STATES:
        action, verdict = STATES[state]
        return Decision(verdict, action, f"{verdict}: the MDM says {state}")
    if violations is None:
        return Decision(None, None, "No verdict: the MDM has not said whether the device is compliant")
    action, violation = most_restrictive(violations)
    verdict = TOLD[action]
    if violation is None:
        return Decision(verdict, action, f"{verdict}: no policy is violated")
    because = f" ({violation.reason})" if violation.reason else ""
    return Decision(verdict, action, f"{verdict}: policy {violation.policy!r}{because} has the action {action}")
