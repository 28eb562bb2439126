"""Changes into state: what a device's row says after a change was merged into it. Pure.

``DeviceReport`` is the row: three registers of what the MDM meant, and how far Azure has been told of it.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from json import dumps

from pydantic import JsonValue

from shared import policy, registers
from shared.model import (
    ChangeType,
    ClientStatusCode,
    DeviceChange,
    Inventory,
    LastError,
    PolicyAction,
    RegistrationState,
    Reported,
    Undelivered,
    Verdict,
    Violation,
)
from shared.registers import Field, Register, Stamp

_TERMINAL = {RegistrationState.RETIRED, RegistrationState.WIPED}
_SENT = {RegistrationState.RETIRE_SENT, RegistrationState.WIPE_SENT}
_SENT_NO_MORE = {RegistrationState.ACTIVE, *_TERMINAL}
_INVENTORY_NAMES = {field.alias for field in Inventory.model_fields.values()}

_UNKNOWN_STRICTNESS = policy.RESTRICTIVENESS[PolicyAction.SEND_ALERT] + 0.5
_RETIREMENT_STRICTNESS = max(policy.RESTRICTIVENESS.values())

_STATE_OF_TYPE = {
    ChangeType.RETIRED: RegistrationState.RETIRED,
    ChangeType.WIPED: RegistrationState.WIPED,
    ChangeType.ENROLLED: RegistrationState.ACTIVE,
}


class Phase(StrEnum):
    """How far Azure has been told of what the row says."""

    NOTHING_TO_TELL = "nothing-to-tell"
    PENDING = "pending"
    REPORTED = "reported"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Desired:
    """What Azure is to be told of a device now."""

    azure_device_id: str
    verdict: Verdict
    inventory: Inventory

    @property
    def digest(self) -> str:
        """A fingerprint: two desired states that tell Azure the same have the same one."""
        told = {"id": self.azure_device_id, "verdict": self.verdict}
        if self.verdict is not Verdict.REMOVED:
            told["inventory"] = self.inventory.model_dump_json(exclude={"registration_state"})
        return sha256(dumps(told, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """The state of one device.

    ``last_change_at``: the newest time that any change of it carried. ``attempts``: calls to Graph for what is
    desired now that had no success. ``former_ids``: identifiers that the device had before, and under which Azure may
    still hold an old verdict (rule 8).
    """

    device_id: str
    compliance: Register = field(default_factory=dict)
    inventory: Register = field(default_factory=dict)
    registration: Register = field(default_factory=dict)
    last_change_at: datetime | None = None
    phase: Phase = Phase.NOTHING_TO_TELL
    reported: Reported | None = None
    last_error: LastError | None = None
    attempts: int = 0
    verified_at: datetime | None = None
    undelivered: tuple[Undelivered, ...] = ()
    former_ids: tuple[str, ...] = ()

    @property
    def violations(self) -> tuple[Violation, ...] | None:
        """All violations that the MDM last named; ``None`` if it does not know."""
        stored = registers.value(self.compliance, "violations")
        return None if stored is None else tuple(map(Violation.model_validate, _list(stored)))

    @property
    def device_inventory(self) -> Inventory:
        """What the MDM last said of the device itself."""
        return Inventory.model_validate(
            {name: held.value for name, held in self.inventory.items() if name in _INVENTORY_NAMES}
        )

    @property
    def azure_device_id(self) -> str | None:
        """The device id that Microsoft gave the device; ``None`` if it could not be had."""
        return _text(registers.value(self.registration, "azureDeviceId"))

    @property
    def client_status_code(self) -> ClientStatusCode | None:
        """How the sign-in on the device went."""
        code = _text(registers.value(self.registration, "azureClientStatusCode"))
        return None if code is None else ClientStatusCode(code)

    @property
    def user_principal_name(self) -> str | None:
        """The user of the device."""
        return _text(registers.value(self.registration, "userPrincipalName"))

    @property
    def decision(self) -> policy.Decision:
        """What the MDM's word comes to: verdict, action that counted, reason."""
        retirement, sent = (_text(registers.value(self.compliance, name)) for name in ("retirement", "retirementSent"))
        state = retirement or sent
        return policy.decide(self.violations, None if state is None else RegistrationState(state))

    @property
    def desired(self) -> Desired | None:
        """What Azure is to be told; ``None`` without an identifier to tell it of, or without a verdict."""
        verdict = self.decision.verdict
        if self.azure_device_id is None or verdict is None:
            return None
        return Desired(self.azure_device_id, verdict, self.device_inventory)

    @property
    def has_something_to_tell(self) -> bool:
        """Whether Azure is to be told anything: of the device, or of an identifier that is not its any more."""
        return self.desired is not None or bool(self.former_ids)


def fold(report: DeviceReport, *changes: DeviceChange) -> DeviceReport:
    """Merge changes into the state of their device.

    The registers end the same whatever the order or the number of copies in which changes are folded.
    Where that changes what Azure is to be told, or Azure holds none of it yet, the phase is ``PENDING``.
    """
    merged = report
    for change in changes:
        merged = _merge(merged, change)
    merged = replace(merged, former_ids=_former_ids(report, merged))
    return report if merged == report else _due(report, merged)


def carries_nothing(change: DeviceChange) -> bool:
    """Say whether a change has nothing to write: it only says that the device was heard of."""
    return not (_compliance(change) or _inventory(change) or _registration(change))


def in_force(report: DeviceReport, change: DeviceChange) -> bool:
    """Say whether anything that the change wrote still stands, or has been overtaken by newer changes."""
    stamp = Stamp(change.time, change.source, change.id)
    held = (*report.compliance.values(), *report.inventory.values(), *report.registration.values())
    return any(register_field.stamp == stamp for register_field in held)


def _merge(report: DeviceReport, change: DeviceChange) -> DeviceReport:
    stamp = Stamp(change.time, change.source, change.id)
    return replace(
        report,
        compliance=registers.merge(report.compliance, _stamped(_compliance(change), stamp), _strictness),
        inventory=registers.merge(report.inventory, _stamped(_inventory(change), stamp)),
        registration=registers.merge(report.registration, _stamped(_registration(change), stamp)),
        last_change_at=max(report.last_change_at or change.time, change.time),
    )


def _former_ids(before: DeviceReport, after: DeviceReport) -> tuple[str, ...]:
    """Keep the identifier that the device loses, unless Azure cannot have been told anything under it."""
    lost, kept = before.azure_device_id, before.former_ids
    if lost is not None and before.phase is not Phase.NOTHING_TO_TELL and lost not in kept:
        kept = (*kept, lost)
    return tuple(former for former in kept if former != after.azure_device_id)


def _due(before: DeviceReport, after: DeviceReport) -> DeviceReport:
    """Return the row with the phase that follows from what is desired now.

    Where nothing else is desired than before, the phase stays as it is: a device that failed is not tried again for
    every check-in. Once anything may have been told, the phase never goes back to ``NOTHING_TO_TELL`` here: a call may
    be under way, and the identifier that it is for must not be forgotten if the device loses it (rule 8).
    """
    if _wanted(before) == _wanted(after):
        return after
    return replace(after, phase=Phase.PENDING, attempts=0)


def _wanted(report: DeviceReport) -> tuple[str | None, tuple[str, ...]]:
    desired = report.desired
    return None if desired is None else desired.digest, report.former_ids


def _compliance(change: DeviceChange) -> dict[str, JsonValue]:
    fields: dict[str, JsonValue] = {}
    if "violations" in change.data.model_fields_set:
        violations = change.data.violations
        fields["violations"] = (
            None
            if violations is None
            else [violation.model_dump(mode="json", by_alias=True) for violation in violations]
        )
    elif change.type is ChangeType.ENROLLED:
        fields["violations"] = None  # what was said of the device before is not said of what is enrolled now
    states = {_STATE_OF_TYPE.get(change.type), change.data.inventory.registration_state}
    if terminal := states & _TERMINAL:
        fields["retirement"] = max(state for state in terminal if state)
    elif _revives(change):
        fields["retirement"] = None
    if sent := states & _SENT:
        fields["retirementSent"] = max(state for state in sent if state)
    elif states & _SENT_NO_MORE:
        fields["retirementSent"] = None
    return fields


def _strictness(held: JsonValue) -> float:
    """Rank what compliance says, for two changes of the same time: the stricter one wins.

    Not to know is stricter than any action that leaves the device compliant. A retirement outranks its absence.
    """
    if isinstance(held, list):
        action, _ = policy.most_restrictive(tuple(map(Violation.model_validate, held)))
        return policy.RESTRICTIVENESS[action]
    return _UNKNOWN_STRICTNESS if held is None else _RETIREMENT_STRICTNESS


def _revives(change: DeviceChange) -> bool:
    """Only an enrolment, or a compliance change without retire, brings a retired device back."""
    if change.type is ChangeType.ENROLLED:
        return True
    if change.type is not ChangeType.COMPLIANCE_CHANGED or change.data.violations is None:
        return False
    action, _ = policy.most_restrictive(change.data.violations)
    return action not in {PolicyAction.RETIRE, PolicyAction.WIPE}


def _inventory(change: DeviceChange) -> dict[str, JsonValue]:
    implied = _STATE_OF_TYPE.get(change.type)
    fields: dict[str, JsonValue] = {} if implied is None else {"registrationState": implied}
    return fields | change.data.inventory.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _registration(change: DeviceChange) -> dict[str, JsonValue]:
    names = {"azure_device_id", "azure_client_status_code", "user_principal_name"}
    return change.data.model_dump(mode="json", by_alias=True, exclude_unset=True, include=names)


def _stamped(fields: dict[str, JsonValue], stamp: Stamp) -> Register:
    return {name: Field(held, stamp) for name, held in fields.items()}


def _list(stored: JsonValue) -> list[JsonValue]:
    if isinstance(stored, list):
        return stored
    raise TypeError(f"a list was expected in the row, not {type(stored).__name__}")


def _text(stored: JsonValue) -> str | None:
    if stored is None or isinstance(stored, str):
        return stored
    raise TypeError(f"text was expected in the row, not {type(stored).__name__}")
