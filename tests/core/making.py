"""Changes and reports for tests, and strategies that make any of them."""

from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

from hypothesis import strategies as st

from shared.fold import DeviceReport, fold
from shared.model import (
    ChangeData,
    ChangeType,
    ClientStatusCode,
    DeviceChange,
    Inventory,
    Platform,
    PolicyAction,
    RegistrationState,
    Violation,
)

DEVICE = "1d71e131-0487-4d1d-9a0d-89f2bd1a888d"
AZURE_ID = "007c8232-9489-4074-9b35-345b16f0a72d"
START = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


def minutes(number: int) -> datetime:
    return START + timedelta(minutes=number)


def violation(*actions: PolicyAction, policy: str = "Compromised devices") -> Violation:
    return Violation(policy=policy, reason="rooted", actions=actions)


def change(
    minute: int = 0,
    type_: ChangeType = ChangeType.COMPLIANCE_CHANGED,
    *,
    id_: str | None = None,
    source: str = "urn:mdm:test",
    **data: Any,
) -> DeviceChange:
    """Make a change of the test device at a minute; ``data`` by the names of ``ChangeData``."""
    return DeviceChange(
        source=source,
        id=id_ or f"change-{minute}",
        type=type_,
        device_id=DEVICE,
        time=minutes(minute),
        data=ChangeData.model_validate(data),
    )


def folded(*changes: DeviceChange, onto: DeviceReport | None = None) -> DeviceReport:
    return reduce(fold, changes, onto or DeviceReport(DEVICE))


BLOCKED = (violation(PolicyAction.QUARANTINE),)

_texts = st.text("aé\n\U0001f4f1", max_size=3)
_violations = st.lists(
    st.fixed_dictionaries(
        {
            "policy": st.sampled_from(["a", "b"]),
            "reason": st.none() | _texts,
            "actions": st.lists(st.sampled_from(PolicyAction), max_size=3).map(tuple),
        }
    ).map(Violation.model_validate),
    max_size=2,
).map(tuple)


def _given(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    """Any part of these fields: what is not drawn is left out, which is not the same as ``None``."""
    return st.fixed_dictionaries({}, optional=fields)


inventories = _given(
    platform=st.none() | st.sampled_from(Platform),
    os_version=st.none() | _texts,
    display_name=_texts,
    registration_state=st.none() | st.sampled_from(RegistrationState),
).map(Inventory.model_validate)

data = _given(
    violations=st.none() | _violations,
    azure_device_id=st.none() | st.sampled_from([AZURE_ID, "00000000-0000-0000-0000-000000000001"]),
    azure_client_status_code=st.none() | st.sampled_from(ClientStatusCode),
    user_principal_name=st.none() | _texts,
    inventory=inventories,
).map(ChangeData.model_validate)

# Few times and few ids, so that ties, late ones and ids used twice come up often.
changes = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["urn:mdm:one", "urn:mdm:two"]),
        "id": st.sampled_from(["1", "2", "3"]),
        "type": st.sampled_from(ChangeType),
        "device_id": st.just(DEVICE),
        "time": st.integers(0, 3).map(minutes),
        "data": data,
    }
).map(DeviceChange.model_validate)
