"""A typed client of the emulator's control side, for tests and for what runs the service on one machine."""

from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self

from aiohttp import ClientSession

from local.entra.contract import DEVICES, FAULTS, LOG_PAGE, SETTINGS, Device, Fault, LogEntry, LogPage, Settings

SEED_CHUNK = 10_000


class ControlError(Exception):
    """The emulator refused a control request; the text says why."""


class EntraControl:
    """Controls the emulator at `base_url`. Use as an async context manager.

    Every method raises ControlError if it is refused, and aiohttp.ClientError if the emulator cannot be reached.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")

    @property
    def graph_base_url(self) -> str:
        """What GRAPH_BASE_URL must be."""
        return f"{self.base_url}/v1.0"

    @property
    def identity_endpoint(self) -> str:
        """What IDENTITY_ENDPOINT must be."""
        return f"{self.base_url}/msi/token"

    async def __aenter__(self) -> Self:
        self._session = ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def put_devices(self, devices: Sequence[Device]) -> None:
        """Add devices; one with a deviceId that is there already takes its place."""
        for start in range(0, len(devices), SEED_CHUNK):
            chunk = list(devices[start : start + SEED_CHUNK])
            await self._call("PUT", "devices", DEVICES.dump_json(chunk, by_alias=True))

    async def devices(self) -> list[Device]:
        """Every device."""
        return DEVICES.validate_json(await self._call("GET", "devices"))

    async def device(self, device_id: str) -> Device | None:
        """The device with this deviceId, if any. Reads all of them: not for large tenants."""
        return next((device for device in await self.devices() if device.device_id == device_id.lower()), None)

    async def delete_device(self, device_id: str) -> None:
        """Delete a device, as an administrator does in the portal."""
        await self._call("DELETE", f"devices/{device_id}")

    async def reset(self) -> None:
        """Back to an empty tenant: no devices, faults or spent quota, default settings. Tokens and log stay."""
        await self._call("DELETE", "devices")

    async def add_faults(self, *faults: Fault) -> None:
        """Add faults behind those that are there."""
        await self._call("POST", "faults", FAULTS.dump_json(list(faults), by_alias=True))

    async def faults(self) -> list[Fault]:
        """Every fault, with how often it was taken."""
        return FAULTS.validate_json(await self._call("GET", "faults"))

    async def clear_faults(self) -> None:
        """Forget all faults."""
        await self._call("DELETE", "faults")

    async def configure(self, settings: Settings) -> None:
        """Make these the tenant's settings, all of them."""
        await self._call("POST", "settings", SETTINGS.dump_json(settings, by_alias=True))

    async def settings(self) -> Settings:
        """The tenant's settings."""
        return SETTINGS.validate_json(await self._call("GET", "settings"))

    async def log_page(self, since: int = 0) -> LogPage:
        """The first requests (at most 10,000) after sequence `since`."""
        return LOG_PAGE.validate_json(await self._call("GET", f"log?since={since}"))

    async def log(self, since: int = 0) -> list[LogEntry]:
        """Every request after sequence `since`."""
        return [entry async for entry in self._entries(since)]

    async def clear_log(self) -> None:
        """Forget the log; sequences go on."""
        await self._call("DELETE", "log")

    async def _entries(self, since: int) -> AsyncIterator[LogEntry]:
        while (page := await self.log_page(since)).entries:
            for entry in page.entries:
                yield entry
            since = page.entries[-1].sequence

    async def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        async with self._session.request(method, f"{self.base_url}/emulator/{path}", data=body) as response:
            answer = await response.read()
            if not response.ok:
                raise ControlError(f"{method} {path}: {response.status} {answer.decode(errors='replace')}")
            return answer
