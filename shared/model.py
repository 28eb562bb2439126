"""The words of the field as types: changes, actions, verdicts, outcomes. Pure, no I/O.

JSON names are camelCase and are the same wherever a thing appears: in a change that comes in, on the
queue, in the table and in the answers of the API. All times are UTC.
"""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel


class Frozen(BaseModel):
    """A value: compared by content, and never changed.

    What it does not know it leaves out, so that a row or message of a newer version can be read after a roll-back.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, validate_by_name=True)


class Strict(Frozen):
    """A value from outside: a property that it does not know is refused, for it may be one that is misspelt."""

    model_config = ConfigDict(extra="forbid")


class PolicyAction(StrEnum):
    """What a compliance policy of the MDM does to a device that violates it."""

    NONE = "NONE"
    WAIT = "WAIT"
    SEND_ALERT = "SEND_ALERT"
    BLOCK_EMAIL = "BLOCK_EMAIL"
    BLOCK_APPCONNECT = "BLOCK_APPCONNECT"
    QUARANTINE = "QUARANTINE"
    RETIRE = "RETIRE"
    WIPE = "WIPE"


class Verdict(StrEnum):
    """What Azure is to be told of a device. Where nothing is known there is no verdict (``None``)."""

    COMPLIANT = "Compliant"
    NON_COMPLIANT = "NonCompliant"
    REMOVED = "Removed"


class ChangeType(StrEnum):
    """What happened to the device; the ``type`` of the CloudEvent that says so."""

    COMPLIANCE_CHANGED = "mdm.device.compliance_changed"
    INVENTORY_CHANGED = "mdm.device.inventory_changed"
    REGISTRATION_CHANGED = "mdm.device.registration_changed"
    CHECKED_IN = "mdm.device.checked_in"
    ENROLLED = "mdm.device.enrolled"
    RETIRED = "mdm.device.retired"
    WIPED = "mdm.device.wiped"


class ClientStatusCode(StrEnum):
    """How the Microsoft sign-in on the device went, in the words of Ivanti's help on reporting to Azure."""

    SUCCESS = "Success"
    INTERNAL_ERROR = "Internal_Error"
    WORKPLACE_JOIN_REQUIRED = "Workplace_Join_Required"
    INTERACTION_REQUIRED = "Interaction_Required"
    SERVER_DECLINED_SCOPES = "Server_Declined_Scopes"
    SERVER_PROTECTION_POLICIES_REQUIRED = "Server_Protection_Policies_Required"
    USER_CANCELED = "User_Canceled"
    ACCOUNT_LOGGED_OUT = "Account_logged_out"


class Platform(StrEnum):
    """The platforms of the MDM; ``OSX`` is macOS."""

    IOS = "IOS"
    ANDROID = "ANDROID"
    OSX = "OSX"
    WINDOWS = "WINDOWS"
    UNKNOWN = "UNKNOWN"


class RegistrationState(StrEnum):
    """Where the device stands in the MDM. ``*_SENT``: asked of the device and not yet confirmed by it."""

    ACTIVE = "ACTIVE"
    ENROLLMENT_PENDING = "ENROLLMENT_PENDING"
    RETIRE_SENT = "RETIRE_SENT"
    RETIRED = "RETIRED"
    WIPE_SENT = "WIPE_SENT"
    WIPED = "WIPED"
    UNKNOWN = "UNKNOWN"


class ReportStatus(StrEnum):
    """The Azure device compliance status; blank is ``None``."""

    IN_PROGRESS = "InProgress"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"


class ErrorClass(StrEnum):
    """Why Azure could not be told, one word each; who can mend it follows from it (see ``errors``)."""

    THROTTLED = "Throttled"
    TRANSIENT = "Transient"
    NOT_FOUND = "NotFound"
    UNSUPPORTED = "Unsupported"
    FORBIDDEN = "Forbidden"
    REJECTED = "Rejected"
    NOT_REGISTERED = "NotRegistered"
    UNDELIVERED = "Undelivered"


MendedBy = Literal["user", "administrator", "service"]


_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
"""The control characters of Unicode: its category Cc."""

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _no_unprintables(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("holds a control character")
    return text


def _without_unprintables(text: str) -> str:
    """Put a space for what storage, logs or a terminal would choke on: a change is not lost for a line break."""
    return _CONTROL.sub(" ", text)


def _guid(text: str) -> str:
    try:
        guid = UUID(text)
    except ValueError:
        raise ValueError("is not a GUID such as 1d71e131-0487-4d1d-9a0d-89f2bd1a888d") from None
    if str(guid) != text.lower():
        raise ValueError("is not a GUID of the form 1d71e131-0487-4d1d-9a0d-89f2bd1a888d")
    return str(guid)


def _not_too_many(value: object) -> object:
    """Refuse a list that is too long before any of it is looked at, so that none holds up everyone else."""
    if isinstance(value, list) and len(value) > MAX_VIOLATIONS:
        raise ValueError(f"has more than {MAX_VIOLATIONS} items")
    return value


def _time_as_text(value: object) -> object:
    """Take a time from RFC 3339 text only: a bare number might be seconds or milliseconds, and is not guessed."""
    if isinstance(value, datetime) or (isinstance(value, str) and _RFC3339.fullmatch(value)):
        return value
    raise ValueError("is not a time such as 2026-11-23T09:30:00Z")


def _in_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("is not within the years 1 to 9999 in UTC") from None


def rfc3339(time: datetime) -> str:
    """Write a time as RFC 3339 in UTC, to the microsecond where there are any."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


Text = Annotated[str, Field(strict=True, max_length=1024), AfterValidator(_without_unprintables)]
"""What people read: at most 1,024 characters; a control character becomes a space."""

Name = Annotated[str, Field(strict=True, min_length=1, max_length=256), AfterValidator(_no_unprintables)]
"""What programs compare: 1 to 256 characters, and refused if one of them is a control character."""

Guid = Annotated[str, Field(strict=True), AfterValidator(_guid)]
"""A GUID with its hyphens, in lower case whatever the case it came in."""

Time = Annotated[
    AwareDatetime,
    BeforeValidator(_time_as_text),
    AfterValidator(_in_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
]
"""A point in time, with an offset in what comes in and UTC from there on."""

MAX_VIOLATIONS = 100


class Violation(Strict):
    """One compliance policy that the device violates, and what the policy does about it."""

    policy: Annotated[Text, Field(min_length=1)]
    reason: Text | None = None
    since: Time | None = None
    actions: Annotated[tuple[PolicyAction, ...], Field(max_length=len(PolicyAction)), BeforeValidator(_not_too_many)]


class Inventory(Strict):
    """What the MDM knows of the device itself. What was left out of a change is not among ``model_fields_set``."""

    platform: Platform | None = None
    os_version: Text | None = None
    display_name: Text | None = None
    manufacturer: Text | None = None
    model: Text | None = None
    serial_number: Text | None = None
    ownership: Text | None = None
    registration_state: RegistrationState | None = None


class ChangeData(Strict):
    """The ``data`` of a change. What it leaves out, the change does not touch.

    ``violations``: all that apply; empty means compliant, ``None`` means that the MDM does not know.
    """

    azure_device_id: Guid | None = None
    azure_client_status_code: ClientStatusCode | None = None
    user_principal_name: Text | None = None
    violations: Annotated[tuple[Violation, ...] | None, BeforeValidator(_not_too_many)] = None
    inventory: Inventory = Inventory()


class DeviceChange(Strict):
    """One change of one device, in the form that every sender's dialect is turned into.

    ``source`` and ``id`` together are the idempotency key; ``time`` is the source's own time.
    """

    source: Name
    id: Name
    type: ChangeType
    device_id: Guid
    time: Time
    data: ChangeData = ChangeData()


class Reported(Frozen):
    """What Azure was last told with success, and by which channels (joined with ``+``)."""

    verdict: Verdict
    at: Time
    channel: str
    azure_device_id: Guid
    digest: str


class LastError(Frozen):
    """Why Azure does not hold the verdict, and who can mend it."""

    error_class: Annotated[ErrorClass, Field(alias="class")]
    code: str | None
    message: str
    mended_by: MendedBy
    permanent: bool
    at: Time | None


class Undelivered(Frozen):
    """A message about the device that could not be processed and waits on ``FailedChanges`` to be replayed."""

    id: str
    queue: str
    message: str
    at: Time
