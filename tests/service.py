"""The running service as tests see it: its HTTP API, its queues, its Entra ID, and a way to wait for what it does."""

import json
from asyncio import sleep, timeout
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from aiohttp import ClientSession
from azure.storage.queue import TextBase64DecodePolicy, TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient, QueueServiceClient
from yarl import URL

from local.entra.client import EntraControl
from local.entra.contract import Device as EntraDevice
from local.entra.contract import LogEntry
from local.stack import FUNCTION_KEY, running_stack

PATIENCE = 30.0
MAX_PAGES = 100
EVENT = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
LINES = "application/x-ndjson"

QUICK = {
    "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:00",
    "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:00.100",
    "AzureWebJobs.weekly.Disabled": "true",  # the timer never fires by itself; a test runs it
    "GRAPH_WRITES_PER_SECOND": "20",
}
_NOT_OURS = ("AzureWebJobsStorage", "GRAPH_BASE_URL", "IDENTITY_ENDPOINT", "STATE_STORAGE", "REPORT_CHANNELS")

_ids = count(1)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def problem(self, status: int) -> dict[str, Any]:
        """Return the problem that this is, after checking that it is one as RFC 9457 has them."""
        assert (self.status, self.headers["Content-Type"].partition(";")[0]) == (status, "application/problem+json"), (
            self
        )
        problem: dict[str, Any] = self.json
        assert problem["status"] == status
        assert problem["title"]
        assert problem["detail"]
        assert isinstance(problem["errors"], list)
        return problem


class Api:
    """A client of the HTTP API at an address."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        content_type: str | None = None,
        *,
        key: str | None = FUNCTION_KEY,
    ) -> Answer:
        """Send a request as it is, its path already encoded."""
        headers = {"x-functions-key": key} if key else {}
        if content_type is not None:
            headers["Content-Type"] = content_type
        async with self._session.request(
            method,
            URL(self._url + path, encoded=True),
            data=None if body is None else BytesIO(body),
            headers=headers,
            skip_auto_headers=["Content-Type"],
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str) -> Any:
        """Return the document at a path, which has to be there."""
        answer = await self.call("GET", path)
        assert answer.status == 200, answer
        return answer.json

    async def post(self, path: str, document: object = None) -> Answer:
        """Post a document as JSON, or nothing."""
        body = None if document is None else json.dumps(document).encode()
        return await self.call("POST", path, body, None if document is None else "application/json")

    async def send(self, *changes: Mapping[str, Any]) -> None:
        """Send changes, every one of which has to be accepted."""
        answer = await self.call("POST", "/api/device-changes", json.dumps(changes).encode(), BATCH)
        assert (answer.status, answer.json) == (202, {"accepted": len(changes), "rejected": []})

    async def details(self, guid: str) -> dict[str, Any] | None:
        """Return the details of a device, ``None`` while it is not known."""
        answer = await self.call("GET", f"/api/devices/{guid}")
        if answer.status == 404:
            return None
        assert answer.status == 200, answer
        found: dict[str, Any] = answer.json
        return found

    async def history(self, guid: str) -> list[dict[str, Any]]:
        """Return the newest entries of a device's history, newest first; none while it is not known."""
        answer = await self.call("GET", f"/api/devices/{guid}/history")
        return [] if answer.status == 404 else list(answer.json["entries"])

    async def pages(self, path: str, items: str, query: str = "") -> list[list[Any]]:
        """Read a list to its end; return its pages."""
        pages: list[list[Any]] = []
        continuation = ""
        while len(pages) < MAX_PAGES:
            found = await self.get(f"{path}?continuation={continuation}&{query}")
            pages.append(found[items])
            if found["continuation"] is None:
                return pages
            continuation = found["continuation"]
        raise AssertionError(f"{path} has no end")


@dataclass(frozen=True, slots=True)
class Device:
    """A device of a test: its id in the MDM, and the one that Microsoft gave it."""

    guid: str
    azure_id: str

    @classmethod
    def new(cls) -> Self:
        return cls(str(uuid4()), str(uuid4()))


@dataclass(frozen=True, slots=True)
class Service:
    """A running service."""

    api: Api
    entra: EntraControl
    queues: QueueServiceClient
    host_log: Path

    def log(self) -> str:
        """Return what the Functions host has said so far."""
        return self.host_log.read_text(errors="replace")

    async def enrolled(self, *, operating_system: str = "iOS", platform: str = "IOS", **data: Any) -> Device:
        """Return a device that is in Entra ID and was reported compliant, unless ``data`` says otherwise."""
        device = Device.new()
        await self.entra.put_devices([EntraDevice(device_id=device.azure_id, operating_system=operating_system)])
        said = {"azureDeviceId": device.azure_id, "violations": [], "inventory": {"platform": platform}} | data
        await self.api.send(change(device, seconds_ago=3600, **said))
        await self.settled(device)
        return device

    async def settled(self, device: Device) -> dict[str, Any]:
        """Wait until Entra ID was told of a device; return its details."""
        return await self.shows(device, azureDeviceComplianceStatus="Successful")

    async def shows(self, device: Device, **fields: object) -> dict[str, Any]:
        """Wait until the details of a device have these fields; return all of them."""

        async def look() -> dict[str, Any] | None:
            found = await self.api.details(device.guid)
            return found if found and found | fields == found else None

        return await eventually(look, lambda: self.api.details(device.guid))

    async def remembers(self, device: Device, **fields: object) -> dict[str, Any]:
        """Wait until the history of a device has an entry with these fields or facts; return the newest such."""

        async def look() -> dict[str, Any] | None:
            entries = await self.api.history(device.guid)
            return next((entry for entry in entries if (known := entry | entry["facts"]) | fields == known), None)

        return await eventually(look, lambda: self.api.history(device.guid))

    async def lists_as_failed(self, device: Device) -> dict[str, Any]:
        """Wait until a failed message about a device is listed; return what is said of it."""

        async def look() -> dict[str, Any] | None:
            pages = await self.api.pages("/api/failed-changes", "failedChanges", "pageSize=200")
            listed = (failed for page in pages for failed in page)
            return next((failed for failed in listed if device.guid in failed["devices"]), None)

        return await eventually(look, lambda: self.api.get("/api/failed-changes"))

    async def writes(self, *devices: Device) -> list[LogEntry]:
        """Return the requests that Graph had to change devices, oldest first; of all devices if none is named."""
        wanted = {device.azure_id for device in devices}
        return [
            entry
            for entry in await self.entra.log()
            if entry.method in {"PATCH", "DELETE"} and (not wanted or entry.device_id in wanted)
        ]

    async def attribute(self, device: Device) -> str | None:
        """Return what Entra ID says of the device's compliance."""
        held = await self.entra.device(device.azure_id)
        assert held is not None, "Entra ID does not have the device"
        return held.extension_attributes.get("extensionAttribute15")

    def queue(self, name: str) -> QueueClient:
        """Return a queue, in the encoding that the Functions host expects."""
        return self.queues.get_queue_client(
            name, message_encode_policy=TextBase64EncodePolicy(), message_decode_policy=TextBase64DecodePolicy()
        )

    async def idle(self, queue: str) -> None:
        """Wait until every message of a queue was processed, those that run included."""

        async def is_empty() -> bool:
            return (await self.queue(queue).get_queue_properties()).approximate_message_count == 0

        await eventually(is_empty)


@asynccontextmanager
async def running_service(connection_string: str, **settings: str) -> AsyncIterator[Service]:
    """Run the service on a storage account with an Entra ID of its own, whatever this machine's environment says."""
    overrides = dict.fromkeys(_NOT_OURS, "") | QUICK | {"AzureWebJobsStorage": connection_string}
    overrides["REPORT_CHANNELS"] = "windows=isCompliant;*=extensionAttributes"
    async with AsyncExitStack() as opened:
        stack = await opened.enter_async_context(running_stack(overrides=overrides | settings))
        assert stack.entra is not None
        session = await opened.enter_async_context(ClientSession())
        queues = QueueServiceClient.from_connection_string(connection_string)
        await opened.enter_async_context(queues)
        yield Service(Api(session, stack.host_url), stack.entra, queues, stack.servers[-1].log)


async def eventually[T](
    look: Callable[[], Awaitable[T | None]],
    explain: Callable[[], Awaitable[object]] | None = None,
    *,
    within: float = PATIENCE,
) -> T:
    """Return what ``look`` finds as soon as it is truthy; fail with what ``explain`` says after ``within`` seconds."""
    try:
        async with timeout(within):
            while True:
                if found := await look():
                    return found
                await sleep(0.05)
    except TimeoutError:
        seen = None if explain is None else await explain()
    raise AssertionError(f"did not come about within {within:g} s; last seen: {seen}")


def ago(seconds: float) -> str:
    """Write the time that was so many seconds ago."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def change(
    device: Device, type_: str = "compliance_changed", *, seconds_ago: float = 0, id_: str | None = None, **data: Any
) -> dict[str, Any]:
    """Make a change of a device as a CloudEvent; ``data`` by its JSON names."""
    return {
        "specversion": "1.0",
        "id": id_ or f"evt-{next(_ids)}",
        "source": "urn:mdm:tests",
        "type": f"mdm.device.{type_}",
        "subject": device.guid,
        "time": ago(seconds_ago),
        "data": data,
    }


def violation(*actions: str, policy: str = "Compromised devices") -> dict[str, Any]:
    """Make a violation of a policy with these actions."""
    return {"policy": policy, "reason": "rooted", "actions": list(actions)}


BLOCKED: Sequence[dict[str, Any]] = [violation("SEND_ALERT", "QUARANTINE")]
