"""What goes over the control side (`/emulator/…`), shared by the server and its client.

All are JSON objects in camelCase; an unknown field or a wrong type is refused.
"""

import re
import uuid
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, with_config
from pydantic.alias_generators import to_camel

CONTRACT = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", strict=True)
_OBJECT_IDS = uuid.UUID("5a8f0c1e-7d55-5f0c-9a0b-0d5ca2f1c9b7")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

EXTENSION_ATTRIBUTES = tuple(f"extensionAttribute{n}" for n in range(1, 16))


def guid(text: str) -> str:
    """`text` in lower case, as GUIDs compare; ValueError if it is no GUID with dashes."""
    if not _GUID.fullmatch(text):
        raise ValueError("not a GUID")
    return text.lower()


def _attributes(values: dict[str, str | None]) -> dict[str, str | None]:
    if unknown := values.keys() - set(EXTENSION_ATTRIBUTES):
        raise ValueError(f"not an extension attribute: {', '.join(sorted(unknown))}")
    return {name: value for name, value in values.items() if value is not None}


Guid = Annotated[str, AfterValidator(guid)]


@with_config(CONTRACT)
@dataclass(slots=True, kw_only=True)
class Device:
    """A device object; names and meanings are those of Graph's `device` resource.

    `id` is derived from `device_id` unless given. `extension_attributes` holds those that have a value.
    `last_written` (RFC 3339, UTC) is ours: when Graph last applied a PATCH.
    """

    device_id: Guid
    id: Guid = ""
    display_name: str = ""
    operating_system: str = "Windows"
    operating_system_version: str = ""
    account_enabled: bool = True
    is_compliant: bool | None = None
    is_managed: bool | None = None
    trust_type: str = "Workplace"
    profile_type: str = "RegisteredDevice"
    manufacturer: str | None = None
    model: str | None = None
    mdm_app_id: str | None = None
    management_type: str | None = None
    device_ownership: str | None = None
    compliance_expiration_date_time: str | None = None
    registration_date_time: str | None = None
    approximate_last_sign_in_date_time: str | None = None
    extension_attributes: Annotated[dict[str, str | None], AfterValidator(_attributes)] = field(default_factory=dict)
    last_written: str | None = None

    def __post_init__(self) -> None:
        self.id = self.id or str(uuid.uuid5(_OBJECT_IDS, self.device_id))


@with_config(CONTRACT)
@dataclass(slots=True, frozen=True, kw_only=True)
class Settings:
    """How the tenant behaves. Defaults are a small tenant's, with an application that may do all.

    `resource_unit_limit` None means the one for `tenant_size` (S < 50 users, M to 500, L above). `roles` are those of
    tokens issued from now on: a token keeps the roles that it was issued with. `approved_mdm_app` lets the application
    write isCompliant and isManaged on Windows; `app_only_disable` opens accountEnabled on other systems.
    `log_capacity` is in requests; the oldest are dropped first.
    """

    write_limit: Annotated[int, Field(ge=1)] = 3000
    write_window_seconds: Annotated[float, Field(gt=0)] = 150
    tenant_size: Literal["S", "M", "L"] = "S"
    resource_unit_limit: Annotated[int, Field(ge=1)] | None = None
    resource_unit_window_seconds: Annotated[float, Field(gt=0)] = 10
    roles: list[str] = field(default_factory=lambda: ["Device.ReadWrite.All"])
    approved_mdm_app: bool = True
    app_only_disable: bool = False
    token_lifetime_seconds: Annotated[int, Field(ge=1)] = 86400
    log_capacity: Annotated[int, Field(ge=1)] = 1_000_000


FaultKind = Literal[
    "applied-then-timeout", "applied-then-reset", "reset", "status", "slow", "slow-token", "token-status"
]
TOKEN_KINDS = frozenset({"slow-token", "token-status"})
_NEEDS_SECONDS = frozenset({"slow", "slow-token"})
_NEEDS_STATUS = frozenset({"status", "token-status"})


@with_config(CONTRACT)
@dataclass(slots=True, kw_only=True)
class Fault:
    """Something to go wrong with the next requests that match.

    Attributes:
        kind: `applied-then-timeout` applies, holds for `seconds` (default 300), then cuts the connection;
            `applied-then-reset` applies and cuts; `reset` cuts without applying; `status` answers `status` without
            applying; `slow` applies, and answers after `seconds`. `slow-token` and `token-status` are for the token
            endpoint alone.
        device_id: only requests for this device; None for any.
        method: only this HTTP method; None for any. A $batch as a whole matches only where this is POST; its items
            match like requests of their own.
        times: how many requests; None for ever.
        seconds: see `kind`.
        status: an HTTP status of 400 or more.
        retry_after: the `Retry-After` header, as it is to be sent; None sends none.
        code: the error's code; None for Graph's own for that status.
        message: the error's text; None likewise.
        taken: how many requests it has hit so far.
    """

    kind: FaultKind
    device_id: Guid | None = None
    method: Literal["GET", "PATCH", "DELETE", "POST"] | None = None
    times: Annotated[int, Field(ge=1)] | None = 1
    seconds: Annotated[float, Field(ge=0)] | None = None
    status: int | None = None
    retry_after: int | str | None = None
    code: str | None = None
    message: str | None = None
    taken: int = 0

    def __post_init__(self) -> None:
        if self.kind in _NEEDS_STATUS and self.status not in {
            s.value for s in HTTPStatus if s.is_client_error or s.is_server_error
        }:
            raise ValueError(f"{self.kind} needs a status from 400 to 599")
        if self.kind in _NEEDS_SECONDS and self.seconds is None:
            raise ValueError(f"{self.kind} needs seconds")


@with_config(CONTRACT)
@dataclass(slots=True, frozen=True, kw_only=True)
class LogEntry:
    """One request to Graph or to the token endpoint. Tokens and the identity header are never kept.

    Attributes:
        sequence: 1 for the first; without gaps, also within a $batch.
        time: seconds since the epoch when it was decided.
        method: HTTP method.
        path: decoded, with `/v1.0`.
        query: as sent.
        device_id: the device's deviceId, also where it was named by its object id.
        body: what was sent, as text; empty if nothing. The $batch as a whole has none: its items have theirs.
        status: what was answered; None where a fault withheld the answer.
        applied: whether it changed a device.
        request_id: as in the answer.
        client_id: the application that called; None without a good token.
        batch_request_id: the request id of the $batch that it came in.
    """

    sequence: int
    time: float
    method: str
    path: str
    query: str = ""
    device_id: str | None = None
    body: str = ""
    status: int | None = None
    applied: bool = False
    request_id: str = ""
    client_id: str | None = None
    batch_request_id: str | None = None


@with_config(CONTRACT)
@dataclass(slots=True, frozen=True, kw_only=True)
class LogPage:
    """Part of the log: entries in order, the sequence of the newest request of all, and how many were dropped."""

    entries: list[LogEntry]
    last: int
    dropped: int


DEVICES = TypeAdapter(list[Device])
SETTINGS = TypeAdapter(Settings)
FAULTS = TypeAdapter(list[Fault])
LOG_PAGE = TypeAdapter(LogPage)
