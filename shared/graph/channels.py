"""What is written to a device object, channel by channel. Pure.

An app that is not Intune may set ``isCompliant`` on Windows devices only, and only as an approved MDM app; of every
other device it may write nothing but the extension attributes (Microsoft Graph, "Update device"). Conditional
Access reads these with a filter for devices.
"""

from dataclasses import dataclass
from typing import Any

from shared.errors import ReportError
from shared.fold import Desired
from shared.model import ErrorClass, Inventory, Platform, Verdict
from shared.settings import Channel, Settings

MAX_ATTRIBUTE = 1024
"""Characters that an extension attribute holds."""

MAX_TEXT = 256
"""Characters of a name or a version that go out with ``isCompliant``: neither is to make Graph refuse the verdict."""

_SEPARATORS = str.maketrans(";=", "  ")
"""What would let a device whose user named it so pass for another in a filter."""

OPERATING_SYSTEM = {
    Platform.WINDOWS: "Windows",
    Platform.IOS: "iOS",
    Platform.ANDROID: "Android",
    Platform.OSX: "MacOS",
}


@dataclass(frozen=True, slots=True)
class Write:
    """One update of a device object: the channel, and the properties by their names in Graph."""

    channel: Channel
    properties: dict[str, Any]


def writes_for(desired: Desired, settings: Settings) -> list[Write]:
    """Return the updates that tell Entra ID what is desired.

    Raises:
        ReportError: ``Unsupported``, if REPORT_CHANNELS has no channel for the platform.
    """
    platform = desired.inventory.platform or Platform.UNKNOWN
    channels = settings.REPORT_CHANNELS[platform]
    if not channels:
        raise ReportError(ErrorClass.UNSUPPORTED, f"REPORT_CHANNELS has no channel for {platform}.")
    make = {Channel.IS_COMPLIANT: _is_compliant, Channel.EXTENSION_ATTRIBUTES: _extension_attributes}
    return [Write(channel, make[channel](desired, settings)) for channel in channels]


def _is_compliant(desired: Desired, _: Settings) -> dict[str, Any]:
    inventory = desired.inventory
    known = {
        "operatingSystem": OPERATING_SYSTEM.get(inventory.platform or Platform.UNKNOWN),
        "operatingSystemVersion": inventory.os_version,
        "displayName": inventory.display_name,
    }
    return {
        "isCompliant": desired.verdict is Verdict.COMPLIANT,
        "isManaged": True,
    } | {name: held[:MAX_TEXT] for name, held in known.items() if held}


def _extension_attributes(desired: Desired, settings: Settings) -> dict[str, Any]:
    attributes = {settings.COMPLIANCE_ATTRIBUTE: str(desired.verdict)}
    if settings.INVENTORY_ATTRIBUTE and (inventory := inventory_text(desired.inventory)):
        attributes[settings.INVENTORY_ATTRIBUTE] = inventory
    return {"extensionAttributes": attributes}


def inventory_text(inventory: Inventory) -> str:
    """Write the inventory as ``platform=IOS; osVersion=18.1; …``, which a filter finds by ``-contains``."""
    held = inventory.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"registration_state"})
    plain = {name: text.translate(_SEPARATORS) for name, text in held.items() if text}
    return "".join(f"{name}={text}; " for name, text in plain.items()).strip()[:MAX_ATTRIBUTE]
