"""Sends the sample fleet through the HTTP route, as an MDM does, and waits until every device of it has ended."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientSession

from local.entra.client import EntraControl
from local.entra.contract import Device
from local.errors import LocalError
from local.fleet.sample import SERIAL_PREFIX, Sample
from shared.details import DeviceDetails
from shared.model import ReportStatus

PATIENCE_SECONDS = 90.0
STUBBORN_ATTEMPTS = 3
"""After so many calls without success, a device whose calls never succeed has shown what there is to see."""

_POLL_SECONDS = 0.2
_ONE, _BATCH, _LINES = "application/cloudevents+json", "application/cloudevents-batch+json", "application/x-ndjson"

type Details = Mapping[str, DeviceDetails]
type CloudEvent = dict[str, object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a device: its details, its history where that matters, its objects in Entra ID."""

    sample: Sample
    details: DeviceDetails | None
    history: Sequence[Mapping[str, Any]] = ()
    device: Device | None = None
    former: tuple[Device, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to be expected of it."""
        return self.details is not None and has_ended(self.sample, self.details)


class Api:
    """The service's HTTP API as its operator uses it. Raises LocalError where it answers with a problem."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key

    async def __aenter__(self) -> Self:
        self._session = ClientSession(headers={"x-functions-key": self._key})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def post(self, content_type: str, body: str) -> Mapping[str, Any]:
        """Send changes in one request; returns the receipt."""
        return await self._call("POST", "device-changes", data=body, headers={"Content-Type": content_type})

    async def sample_details(self) -> Details:
        """The details of all devices of the sample fleet that are known, by their id in the MDM."""
        found: dict[str, DeviceDetails] = {}
        query = {"search": SERIAL_PREFIX, "pageSize": "200"}
        while True:
            page = await self._call("GET", "devices", params=query)
            found |= {device["deviceGuid"]: DeviceDetails.model_validate(device) for device in page["devices"]}
            if page["continuation"] is None:
                return found
            query["continuation"] = page["continuation"]

    async def history(self, guid: str) -> Sequence[Mapping[str, Any]]:
        """What happened to a device, newest first."""
        page = await self._call("GET", f"devices/{guid}/history", params={"pageSize": "200"})
        entries: Sequence[Mapping[str, Any]] = page["entries"]
        return entries

    async def _call(self, method: str, path: str, **options: Any) -> Mapping[str, Any]:  # noqa: ANN401 - aiohttp's own
        async with self._session.request(method, f"{self._url}/api/{path}", **options) as response:
            body = await response.text()
            if not response.ok:
                raise LocalError(f"{method} /api/{path} was answered with {response.status}: {body}")
            answer: Mapping[str, Any] = json.loads(body)
            return answer


@dataclass(slots=True)
class Loading:
    """One run of the sample fleet. `on_first` is called when the first device is reported."""

    api: Api
    entra: EntraControl
    fleet: Sequence[Sample]
    on_first: Callable[[], None]
    _histories: dict[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict, init=False)
    _any_reported: bool = field(default=False, init=False)

    async def run(self, now: datetime) -> list[Outcome]:
        """Load the fleet, its changes dated back from `now`; returns what came of each device after 90 s at the most.

        Raises LocalError if the service does not take a change.
        """
        await self.entra.put_devices([device for sample in self.fleet for device in sample.entra_devices()])
        await self.entra.add_faults(*(fault for sample in self.fleet for fault in sample.entra_faults()))
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._send_all(now)
        return await self._outcomes()

    async def _send_all(self, now: datetime) -> None:
        """Send the first change of every device; and each further one when the device has ended with those before."""
        latecomers: Sequence[Sample] = self.fleet
        position = 0
        while latecomers:
            await self._ended(latecomers, position)
            await self._send([sample.cloud_event(position, now) for sample in latecomers])
            position += 1
            latecomers = [sample for sample in latecomers if len(sample.events) > position]
        await self._ended(self.fleet, position)

    async def _send(self, events: Sequence[CloudEvent]) -> None:
        for content_type, body in requests_for(events):
            receipt = await self.api.post(content_type, body)
            if receipt["rejected"]:
                raise LocalError(f"the service refuses changes of the sample fleet: {receipt['rejected']}")

    async def _ended(self, samples: Sequence[Sample], sent: int) -> None:
        """Wait until the first `sent` changes of each device are folded, and Entra ID was told or cannot be."""
        while sent:
            folded = [await self._is_folded(sample, sent) for sample in samples]
            details = await self.api.sample_details()  # read last: what was folded before shows in it
            self._notice_first(details)
            if all(folded) and all(
                sample.guid in details and has_ended(sample, details[sample.guid]) for sample in samples
            ):
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def _is_folded(self, sample: Sample, sent: int) -> bool:
        """Whether the history shows all changes that were sent; a device with but one is known or not."""
        if len(sample.events) == 1 or sent == 1:
            return True
        wanted = {sample.change_id(position) for position in range(min(sent, len(sample.events)))}
        if not wanted <= _change_ids(self._histories.get(sample.guid, ())):
            self._histories[sample.guid] = await self.api.history(sample.guid)
        return wanted <= _change_ids(self._histories[sample.guid])

    def _notice_first(self, details: Details) -> None:
        reported = (found.azure_device_compliance_status is ReportStatus.SUCCESSFUL for found in details.values())
        if not self._any_reported and any(reported):
            self._any_reported = True
            self.on_first()

    async def _outcomes(self) -> list[Outcome]:
        details = await self.api.sample_details()
        devices = {device.device_id: device for device in await self.entra.devices()}
        return [
            Outcome(
                sample,
                details.get(sample.guid),
                await self.api.history(sample.guid) if sample.expected.answers and sample.guid in details else (),
                devices.get(sample.azure_id or ""),
                tuple(devices[former] for former in sample.azure_ids[:-1] if former in devices),
            )
            for sample in self.fleet
        ]


def requests_for(events: Sequence[CloudEvent]) -> Iterator[tuple[str, str]]:
    """Spread changes over requests of all three content types: the first alone, the rest as an array and as lines."""
    half = 1 + len(events) // 2
    yield _ONE, json.dumps(events[0])
    if batch := events[1:half]:
        yield _BATCH, json.dumps(batch)
    if lines := events[half:]:
        yield _LINES, "\n".join(map(json.dumps, lines))


def has_ended(sample: Sample, details: DeviceDetails) -> bool:
    """Whether nothing more is to be expected: Entra ID was told, or cannot be, or has failed often enough to see it."""
    in_progress = ReportStatus.IN_PROGRESS
    if details.azure_device_compliance_status is not in_progress:
        return True
    if sample.expected.status is not in_progress:
        return False
    return sample.expected.error is None or details.attempts >= STUBBORN_ATTEMPTS


def _change_ids(history: Sequence[Mapping[str, Any]]) -> set[str]:
    return {entry["facts"]["changeId"] for entry in history if entry["kind"] == "change"}
