"""The tenant: its devices, what may be written to them, and all else that a request meets."""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from itertools import islice

from pydantic.alias_generators import to_camel

from local.entra.contract import EXTENSION_ATTRIBUTES, Device, LogEntry, LogPage, Settings
from local.entra.faults import Faults
from local.entra.odata import Json, bad_request, forbidden
from local.entra.throttle import Quota
from local.entra.tokens import Tokens

# Graph's name of each property that can be read -> the field of Device that holds it.
PROPERTIES = {to_camel(f.name): f.name for f in fields(Device) if f.name != "last_written"}
WRITABLE: dict[str, type] = {
    "accountEnabled": bool,
    "operatingSystem": str,
    "operatingSystemVersion": str,
    "displayName": str,
    "isCompliant": bool,
    "isManaged": bool,
    "extensionAttributes": dict,
}
ATTRIBUTE_LENGTH = 1024
_MDM_ONLY = frozenset({"isCompliant", "isManaged"})


class Directory:
    """The devices, by deviceId and by object id, in order of object id for paging."""

    def __init__(self) -> None:
        self._by_device_id: dict[str, Device] = {}
        self._by_object_id: dict[str, Device] = {}
        self._order: list[str] | None = None

    def __len__(self) -> int:
        return len(self._by_device_id)

    def __iter__(self) -> Iterator[Device]:
        return iter(self._by_device_id.values())

    def put(self, device: Device) -> None:
        """Add a device, or put it in the place of the one with its deviceId."""
        self.remove(device.device_id)
        self._by_device_id[device.device_id] = device
        self._by_object_id[device.id] = device
        self._order = None

    def with_device_id(self, device_id: str) -> Device | None:
        """The device with this deviceId (lower case), if any."""
        return self._by_device_id.get(device_id)

    def with_object_id(self, object_id: str) -> Device | None:
        """The device with this object id (lower case), if any."""
        return self._by_object_id.get(object_id)

    def remove(self, device_id: str) -> bool:
        """Take a device away for good (devices are not soft-deleted); whether there was one."""
        device = self._by_device_id.pop(device_id, None)
        if device is None:
            return False
        # The order keeps the id: to rebuild it after each of many deletions would cost more than to skip it.
        self._by_object_id.pop(device.id, None)
        return True

    def page(self, after: str, top: int) -> tuple[list[Device], bool]:
        """At most `top` devices whose object ids follow `after`, and whether there are more."""
        if self._order is None:
            self._order = sorted(self._by_object_id)
        ids = islice(self._order, bisect_right(self._order, after), None)
        found = list(islice((self._by_object_id[i] for i in ids if i in self._by_object_id), top + 1))
        return found[:top], len(found) > top


class RequestLog:
    """Every request, oldest first, as many as the capacity allows."""

    def __init__(self) -> None:
        self._entries: deque[LogEntry] = deque()
        self.last = 0

    def __len__(self) -> int:
        return len(self._entries)

    def next_sequence(self) -> int:
        """The sequence of the request that is about to be added."""
        return self.last + 1

    def add(self, entry: LogEntry, capacity: int) -> None:
        """Add a request; the oldest go once there are more than `capacity`."""
        self._entries.append(entry)
        self.last = entry.sequence
        while len(self._entries) > capacity:
            self._entries.popleft()

    def page(self, since: int, limit: int) -> LogPage:
        """At most `limit` entries with a sequence above `since`."""
        first = self.last - len(self._entries) + 1
        start = max(0, since + 1 - first)
        return LogPage(
            entries=list(islice(self._entries, start, start + limit)), last=self.last, dropped=self.last - len(self)
        )

    def newest(self, count: int) -> list[LogEntry]:
        """The newest `count`, newest first."""
        return list(islice(reversed(self._entries), count))

    def clear(self) -> None:
        """Forget all entries; the sequence goes on."""
        self._entries.clear()


class Tenant:
    """One Entra ID tenant. `clock` gives seconds since the epoch and drives windows, expiry and dates."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.tokens = Tokens()
        self.log = RequestLog()
        self.reset()

    def reset(self) -> None:
        """As new: no devices, no faults, no quota used, default settings. Tokens stay good and the log stays."""
        self.directory = Directory()
        self.faults = Faults()
        self.quota = Quota()
        self.settings = Settings()


def check_update(device: Device, changes: Mapping[str, Json], settings: Settings) -> None:
    """Refuse, as a GraphError, what an application may not write to this device.

    "Update device" lists the properties; the refusal for systems other than Windows is as live tenants word it.
    """
    for name, value in changes.items():
        _check_property(name, value)
    if device.operating_system.casefold() != "windows":
        _check_other_system(changes, settings)
    elif not settings.approved_mdm_app and not _MDM_ONLY.isdisjoint(changes):
        raise forbidden()


def apply_update(device: Device, changes: Mapping[str, Json], now: float) -> None:
    """Write changes that `check_update` let through."""
    for name, value in changes.items():
        if isinstance(value, dict):
            _write_attributes(device.extension_attributes, value)
        else:
            setattr(device, PROPERTIES[name], value)
    device.last_written = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")


def _write_attributes(held: dict[str, str | None], values: Mapping[str, Json]) -> None:
    for name, value in values.items():
        if isinstance(value, str):
            held[name] = value
        else:
            held.pop(name, None)


def _check_property(name: str, value: Json) -> None:
    expected = WRITABLE.get(name)
    if expected is None:
        if name in PROPERTIES:
            raise bad_request(f"Property '{name}' is read-only and cannot be set.")
        raise bad_request(f"Property '{name}' does not exist as a declared property or extension property.")
    if not isinstance(value, expected):
        raise bad_request(f"Invalid value specified for property '{name}' of resource 'Device'.")
    if isinstance(value, dict):
        for attribute, text in value.items():
            _check_attribute(attribute, text)


def _check_attribute(name: str, value: Json) -> None:
    if name not in EXTENSION_ATTRIBUTES:
        raise bad_request(f"Property '{name}' does not exist as a declared property or extension property.")
    if value is not None and (not isinstance(value, str) or len(value) > ATTRIBUTE_LENGTH):
        raise bad_request(f"Invalid value specified for property '{name}' of resource 'Device'.")


def _check_other_system(changes: Mapping[str, Json], settings: Settings) -> None:
    allowed = {"extensionAttributes"}
    named = "ExtendedAttribute1..15"
    if settings.app_only_disable:
        allowed.add("accountEnabled")
        named = "AccountEnabled and ExtensionAttribute1..15"
    if not allowed.issuperset(changes):
        raise bad_request(f"Properties other than {named} can be modified only on windows devices.")


def render(device: Device, properties: list[str]) -> dict[str, Json]:
    """The device as Graph shows it; all fifteen extension attributes are there, null where there is no value."""
    shown: dict[str, Json] = {name: getattr(device, PROPERTIES[name]) for name in properties}
    if "extensionAttributes" in shown:
        shown["extensionAttributes"] = {name: device.extension_attributes.get(name) for name in EXTENSION_ATTRIBUTES}
    return shown
