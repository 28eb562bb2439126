"""What the tests of the Entra ID emulator share: a clock to turn, sample devices, and a plain caller of Graph."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession

from local.entra.contract import Device

IPHONE = "007c8232-9489-4074-9b35-345b16f0a72d"
LAPTOP = "1a2b3c4d-9489-4074-9b35-345b16f0a72e"
NOBODY = "ffffffff-9489-4074-9b35-345b16f0a72f"
IDENTITY_HEADER = "identity-header-of-the-tests"
GRAPH = "https://graph.microsoft.com"


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def sample_devices() -> list[Device]:
    return [
        Device(device_id=IPHONE, display_name="iPhone of Ada", operating_system="iOS", operating_system_version="18.1"),
        Device(device_id=LAPTOP, display_name="Laptop of Ada", operating_system="Windows"),
    ]


def by_key(device_id: str) -> str:
    return f"/devices(deviceId='{device_id}')"


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def code(self) -> str:
        return str(self.body["error"]["code"])

    @property
    def message(self) -> str:
        return str(self.body["error"]["message"])


@dataclass
class Caller:
    """Calls Graph with a token, without any SDK between."""

    session: ClientSession
    base_url: str
    token: str = ""

    async def sign_in(self) -> None:
        self.token = (await self.ask_token()).body["access_token"]

    async def ask_token(self, *, header: str | None = IDENTITY_HEADER, **query: str) -> Answer:
        params = {"api-version": "2019-08-01", "resource": GRAPH} | {k.replace("_", "-"): v for k, v in query.items()}
        if "client-id" in params:
            params["client_id"] = params.pop("client-id")
        headers = {} if header is None else {"X-IDENTITY-HEADER": header}
        async with self.session.get(f"{self.base_url}/msi/token", params=params, headers=headers) as response:
            return Answer(response.status, dict(response.headers), await response.json())

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """`path` is after /v1.0, or a whole URL; header names are written with underscores."""
        url = path if path.startswith("http") else f"{self.base_url}/v1.0{path}"
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        async with self.session.request(method, url, data=data, headers=sent) as response:
            text = await response.text()
            return Answer(response.status, dict(response.headers), json.loads(text) if text else None)

    async def get(self, path: str) -> Answer:
        return await self.call("GET", path)

    async def patch(self, device_id: str, changes: object) -> Answer:
        return await self.call("PATCH", by_key(device_id), changes)

    async def delete(self, device_id: str) -> Answer:
        return await self.call("DELETE", by_key(device_id))

    async def batch(self, *requests: dict[str, Any]) -> Answer:
        return await self.call("POST", "/$batch", {"requests": list(requests)})

    async def responses(self, *requests: dict[str, Any]) -> dict[str, Any]:
        return {item["id"]: item for item in (await self.batch(*requests)).body["responses"]}


def item(name: str, device_id: str, changes: object = None, **more: object) -> dict[str, Any]:
    """A PATCH in a batch, or a GET where there are no changes."""
    if changes is None:
        return {"id": name, "method": "GET", "url": by_key(device_id), **more}
    typed = {"Content-Type": "application/json"}
    return {"id": name, "method": "PATCH", "url": by_key(device_id), "headers": typed, "body": changes, **more}


def attribute(value: str | None, number: int = 15) -> dict[str, Any]:
    return {"extensionAttributes": {f"extensionAttribute{number}": value}}
