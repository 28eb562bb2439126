"""The changes that are measured: four of each device, of all platforms; compliance, inventory and check-ins mixed."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from local.entra.contract import Device

_PLATFORMS = {"iOS": "IOS", "Android": "ANDROID", "MacOS": "OSX", "Windows": "WINDOWS"}
_BLOCKED = [{"policy": "Compromised devices", "reason": "rooted", "actions": ["SEND_ALERT", "QUARANTINE"]}]


def fleet(count: int, name: str) -> list[Device]:
    """Return device objects as Entra ID has them; each ``name`` gives others."""
    ids = [str(uuid5(NAMESPACE_URL, f"{name}-{place}")) for place in range(count)]
    systems = [*_PLATFORMS] * count
    return [Device(device_id=id_, operating_system=system) for id_, system in zip(ids, systems, strict=False)]


def changes_of(devices: Sequence[Device]) -> list[dict[str, Any]]:
    """Return four CloudEvents a device: first the first of every device, then the second of every one, and so on."""
    start = datetime.now(UTC) - timedelta(hours=1)
    rounds = zip(*(_of_one(place, device) for place, device in enumerate(devices)), strict=True)
    return [
        {
            "specversion": "1.0",
            "id": f"evt-{device.device_id}-{number}",
            "source": "urn:mdm:bench",
            "type": f"mdm.device.{kind}",
            "subject": str(uuid5(NAMESPACE_URL, device.device_id)),
            "time": (start + timedelta(minutes=number)).isoformat(),
            "data": data,
        }
        for number, changes in enumerate(rounds)
        for device, (kind, data) in zip(devices, changes, strict=True)
    ]


def _of_one(place: int, device: Device) -> list[tuple[str, dict[str, Any]]]:
    first, then = (_BLOCKED, []) if place % 2 else ([], _BLOCKED)
    known = {"azureDeviceId": device.device_id, "azureClientStatusCode": "Success"}
    inventory = {"displayName": f"Device {place}", "manufacturer": "Contoso Inc.", "model": "C5,3"}
    inventory |= {"platform": _PLATFORMS[device.operating_system], "osVersion": "18.1", "ownership": "COMPANY"}
    inventory |= {"serialNumber": f"SERIAL{place:06}", "registrationState": "ACTIVE"}
    user = {"userPrincipalName": f"user{place}@contoso.example"}
    return [
        ("compliance_changed", known | user | {"violations": first, "inventory": inventory}),
        ("inventory_changed", {"inventory": {"osVersion": "18.2"}}),
        ("compliance_changed", {"violations": then}),
        ("checked_in", known | user | {"inventory": {"registrationState": "ACTIVE"}}),
    ]
