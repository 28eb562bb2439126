"""The environment, read and validated once at cold start. The README lists what each one means."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from shared.model import Platform


class SettingsError(Exception):
    """The environment is not valid. The message names each setting, what is wrong with it and what belongs there."""


class Channel(StrEnum):
    """A way of telling Entra ID: which properties of the device object are written."""

    IS_COMPLIANT = "isCompliant"
    EXTENSION_ATTRIBUTES = "extensionAttributes"


type Channels = Mapping[Platform, tuple[Channel, ...]]

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_PLATFORMS = {"windows": Platform.WINDOWS, "ios": Platform.IOS, "android": Platform.ANDROID, "macos": Platform.OSX}
_NATIONAL_CLOUDS = {"graph.microsoft.us", "dod-graph.microsoft.us", "microsoftgraph.chinacloudapi.cn"}


def parse_channels(text: object) -> Channels:
    """Read ``windows=isCompliant;*=extensionAttributes``; ``+`` joins channels, ``*`` is every platform not named."""
    if not isinstance(text, str):
        raise ValueError("is not text")  # noqa: TRY004 - pydantic turns a ValueError into a finding
    named: dict[Platform, tuple[Channel, ...]] = {}
    others: tuple[Channel, ...] = ()
    for rule in filter(None, (part.strip() for part in text.split(";"))):
        platform, _, channels = (part.strip() for part in rule.partition("="))
        if platform == "*":
            others = _channels_of(channels)
        elif platform.lower() in _PLATFORMS:
            named[_PLATFORMS[platform.lower()]] = _channels_of(channels)
        else:
            raise ValueError(f"names the platform {platform!r}; there are {', '.join(_PLATFORMS)} and *")
    return {platform: named.get(platform, others) for platform in Platform}


def _channels_of(text: str) -> tuple[Channel, ...]:
    try:
        return tuple(Channel(name.strip()) for name in text.split("+"))
    except ValueError:
        raise ValueError(f"has the channel {text!r}; there are {', '.join(Channel)}, joined with +") from None


def _graph_url(text: object) -> object:
    if not isinstance(text, str):
        return text
    url = urlsplit(text)
    if url.hostname is None or url.scheme not in {"https", "http"}:
        raise ValueError("is not a URL such as https://graph.microsoft.com/v1.0")
    if url.scheme == "http" and url.hostname not in _LOOPBACK:
        raise ValueError("must be https: a token would go over the network in the clear")
    if url.scheme == "https" and url.hostname not in {"graph.microsoft.com", *_NATIONAL_CLOUDS, *_LOOPBACK}:
        raise ValueError("is not a host of Microsoft Graph; a token would go to strangers")
    return text.rstrip("/")


_Attribute = Annotated[str, Field(pattern=r"^extensionAttribute([1-9]|1[0-5])$")]
_NcronTab = Annotated[str, Field(pattern=r"^\S+( \S+){5}$")]


@dataclass(frozen=True, slots=True)
class ByConnectionString:
    """A storage service that is reached with the key in a connection string."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ByIdentity:
    """A storage service that is reached with the managed identity of that client id."""

    endpoint: str
    client_id: str | None


type StorageAccount = ByConnectionString | ByIdentity


class Settings(BaseModel):
    """All settings. Names are those of the environment."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    GRAPH_BASE_URL: Annotated[str, BeforeValidator(_graph_url)] = "https://graph.microsoft.com/v1.0"
    AZURE_CLIENT_ID: str | None = None
    REPORTING_ENABLED: bool = True
    DRY_RUN: bool = False
    REPORT_CHANNELS: Annotated[Channels, BeforeValidator(parse_channels)] = Field(
        default="windows=isCompliant;*=extensionAttributes", validate_default=True
    )
    COMPLIANCE_ATTRIBUTE: _Attribute = "extensionAttribute15"
    INVENTORY_ATTRIBUTE: _Attribute | Literal[""] = "extensionAttribute14"
    OLD_IDENTIFIER: Literal["noncompliant", "remove"] = "noncompliant"
    WEEKLY_REPORT_SCHEDULE: _NcronTab = "0 0 3 * * 0"
    WEEKLY_REPORT_MODE: Literal["reconcile", "full"] = "reconcile"
    GRAPH_WRITES_PER_SECOND: Annotated[float, Field(gt=0, le=20)] = 16
    RETENTION_DAYS: Annotated[int, Field(ge=1, le=3650)] = 30

    queues: StorageAccount
    tables: StorageAccount

    @model_validator(mode="after")
    def _attributes_differ(self) -> Self:
        if self.COMPLIANCE_ATTRIBUTE == self.INVENTORY_ATTRIBUTE:
            raise ValueError("COMPLIANCE_ATTRIBUTE and INVENTORY_ATTRIBUTE name the same attribute")
        return self

    @property
    def graph_scope(self) -> str:
        """The scope to ask a token for; it follows the cloud. On loopback it is that of the public cloud."""
        host = urlsplit(self.GRAPH_BASE_URL).hostname
        return f"https://{'graph.microsoft.com' if host in _LOOPBACK else host}/.default"


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: one of them is not valid; the message lists all that is wrong.
    """
    given: dict[str, Any] = {name: held for name, held in environment.items() if name in Settings.model_fields}
    problems: list[str] = []
    for service, prefixes in (("queue", ["AzureWebJobsStorage"]), ("table", ["STATE_STORAGE", "AzureWebJobsStorage"])):
        try:
            given[f"{service}s"] = _storage(environment, prefixes, service)
        except SettingsError as error:
            problems += [] if str(error) in problems else [str(error)]
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        problems += [
            f"{'.'.join(map(str, found['loc'][:1])) or 'settings'}: {found['msg'].removeprefix('Value error, ')}"
            for found in error.errors(include_url=False, include_input=False, include_context=False)
            if found["loc"][:1] not in {("queues",), ("tables",)}
        ]
    if problems:
        raise SettingsError("The settings are not valid. " + "; ".join(problems))
    return settings


def _storage(environment: Mapping[str, str], prefixes: Sequence[str], service: str) -> StorageAccount:
    """Read where a service is, by the first prefix of which there is anything. Raises ``SettingsError``.

    As the Functions host reads a connection: a connection string first, then an account reached by identity.
    """
    for prefix in prefixes:
        if connection_string := environment.get(prefix):
            if not _is_connection_string(connection_string):
                raise SettingsError(f"{prefix}: is not a connection string of a storage account")
            return ByConnectionString(connection_string)
        client_id = environment.get(f"{prefix}__clientId") or environment.get("AZURE_CLIENT_ID")
        if endpoint := environment.get(f"{prefix}__{service}ServiceUri"):
            if not endpoint.startswith("https://"):
                raise SettingsError(f"{prefix}__{service}ServiceUri: is not a URL that begins with https://")
            return ByIdentity(endpoint, client_id)
        if account := environment.get(f"{prefix}__accountName"):
            if not re.fullmatch(r"[a-z0-9]{3,24}", account):
                raise SettingsError(f"{prefix}__accountName: is not the name of a storage account")
            return ByIdentity(f"https://{account}.{service}.core.windows.net", client_id)
    raise SettingsError(f"{prefixes[-1]}: is missing; set a connection string, or {prefixes[-1]}__accountName")


def _is_connection_string(text: str) -> bool:
    """Say whether a text has what the Azure SDKs for Python need; they do not know ``UseDevelopmentStorage``."""
    names = {part.partition("=")[0].strip() for part in text.split(";")}
    return {"AccountName", "AccountKey"} <= names or "SharedAccessSignature" in names
