"""A device of the sample fleet: what the MDM says of it, what goes wrong on the way, and how it has to end."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from local.entra.contract import Device, Fault
from shared.model import (
    ChangeData,
    ChangeType,
    ClientStatusCode,
    ErrorClass,
    Inventory,
    MendedBy,
    Platform,
    PolicyAction,
    RegistrationState,
    ReportStatus,
    Verdict,
    Violation,
    rfc3339,
)

SOURCE = "urn:mdm:sample-fleet"
DOMAIN = "contoso.example"
SERIAL_PREFIX = "SAMPLE-"
"""By which the API finds these devices among others."""

NO_OBJECT = "no object"
NOT_TOLD = "not told"

_NAMESPACE = UUID("0f4c5a0e-9a3b-5d0e-8f43-5c1f3a7f2b60")


@dataclass(frozen=True, slots=True)
class Hardware:
    """A kind of device; `entra_system` is what its object in Entra ID has as operating system."""

    platform: Platform
    entra_system: str
    manufacturer: str
    model: str
    os_version: str


@dataclass(frozen=True, slots=True)
class Event:
    """One change that the MDM sends; `new_identifier`: Microsoft has given the device another Azure identifier."""

    type: ChangeType
    minutes_ago: int
    data: ChangeData = field(default_factory=ChangeData)
    new_identifier: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """How a device has to end.

    Attributes:
        status: the Azure device compliance status; `None` is blank.
        action: the policy action that counts.
        verdict: what the MDM's word comes to.
        time_shown: whether the report time is there, rather than blank.
        error: the class of the last error.
        mended_by: who can mend it.
        answers: failures that its history has to show although the device is reported in the end.
    """

    status: ReportStatus | None
    action: PolicyAction | None
    verdict: Verdict | None
    time_shown: bool = False
    error: ErrorClass | None = None
    mended_by: MendedBy | None = None
    answers: tuple[ErrorClass, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One device of the fleet.

    Attributes:
        name: its display name, which tells its story.
        hardware: which kind of device it is.
        user: the part of the user's name before the @.
        violations: what the MDM says in its first change; `None` means that it does not know.
        expected: how it has to end.
        code: the Azure client status code; the details have to show it as it is.
        registered: whether Microsoft gave it an Azure identifier.
        in_entra: whether Entra ID has an object under that identifier at the start.
        faults: what goes wrong with the calls to Graph for it.
        copies: how often its first change comes once more.
        then: what the MDM says later, each sent when Entra ID was told of what came before.
    """

    name: str
    hardware: Hardware
    user: str
    violations: tuple[Violation, ...] | None
    expected: Expected
    code: ClientStatusCode | None = ClientStatusCode.SUCCESS
    registered: bool = True
    in_entra: bool = True
    faults: tuple[Fault, ...] = ()
    copies: int = 0
    then: tuple[Event, ...] = ()

    @property
    def guid(self) -> str:
        """Its id in the MDM."""
        return str(uuid5(_NAMESPACE, self.name))

    @property
    def azure_ids(self) -> tuple[str, ...]:
        """The Azure identifiers that it has in the course of its story, the last one at the end."""
        count = 1 + sum(event.new_identifier for event in self.then) if self.registered else 0
        return tuple(str(uuid5(_NAMESPACE, f"{self.name}, identifier {number}")) for number in range(count))

    @property
    def azure_id(self) -> str | None:
        """The Azure identifier that it has at the end; `None` if it could not be had."""
        return self.azure_ids[-1] if self.azure_ids else None

    @property
    def events(self) -> tuple[Event, ...]:
        """All that the MDM sends, in the order of sending."""
        first = Event(ChangeType.COMPLIANCE_CHANGED, 60, self._first_data())
        return (first,) * (1 + self.copies) + self.then

    def change_id(self, position: int) -> str:
        """The id of the change at that place; a copy has that of its original."""
        return f"{self.guid}-{self.events.index(self.events[position]) + 1}"

    def cloud_event(self, position: int, now: datetime) -> dict[str, object]:
        """The change at that place, in the canonical form in which an MDM sends it."""
        event = self.events[position]
        data = event.data.model_dump(mode="json", by_alias=True, exclude_unset=True)
        if event.new_identifier:
            number = sum(earlier.new_identifier for earlier in self.events[: position + 1])
            data["azureDeviceId"] = self.azure_ids[number]
        return {
            "specversion": "1.0",
            "id": self.change_id(position),
            "source": SOURCE,
            "type": event.type,
            "subject": self.guid,
            "time": rfc3339(now - timedelta(minutes=event.minutes_ago)),
            "data": data,
        }

    def entra_devices(self) -> list[Device]:
        """The objects that Entra ID has of it at the start."""
        if not self.in_entra:
            return []
        return [
            Device(
                device_id=azure_id,
                display_name=self.name,
                operating_system=self.hardware.entra_system,
                operating_system_version=self.hardware.os_version,
            )
            for azure_id in self.azure_ids
        ]

    def entra_faults(self) -> list[Fault]:
        """What goes wrong with the calls to Graph for it."""
        return [replace(fault, device_id=self.azure_id) for fault in self.faults]

    @property
    def holds(self) -> str | None:
        """What Entra ID has to hold of it at the end, in the words of `held`; `None` without an identifier."""
        if not self.registered:
            return None
        if self.expected.status is not ReportStatus.SUCCESSFUL:
            return NOT_TOLD if self.in_entra else NO_OBJECT
        if self.expected.verdict is Verdict.REMOVED:
            return NO_OBJECT
        if self.hardware.platform is Platform.WINDOWS:
            return f"isCompliant {'true' if self.expected.verdict is Verdict.COMPLIANT else 'false'}"
        return f"attribute15 {self.expected.verdict}"

    def _first_data(self) -> ChangeData:
        made = self.hardware
        inventory = Inventory(
            platform=made.platform,
            os_version=made.os_version,
            display_name=self.name,
            manufacturer=made.manufacturer,
            model=made.model,
            serial_number=f"{SERIAL_PREFIX}{self.guid[:8].upper()}",
            ownership="COMPANY",
            registration_state=RegistrationState.ACTIVE,
        )
        data: dict[str, object] = {"violations": self.violations, "inventory": inventory}
        data["user_principal_name"] = f"{self.user}@{DOMAIN}"
        if self.azure_ids:
            data["azure_device_id"] = self.azure_ids[0]
        if self.code is not None:
            data["azure_client_status_code"] = self.code
        return ChangeData.model_validate(data)


def held(device: Device | None) -> str:
    """What Entra ID's object of a device says of its compliance."""
    if device is None:
        return NO_OBJECT
    told = [] if device.is_compliant is None else [f"isCompliant {'true' if device.is_compliant else 'false'}"]
    if attribute := device.extension_attributes.get("extensionAttribute15"):
        told.append(f"attribute15 {attribute}")
    return " + ".join(told) or NOT_TOLD
