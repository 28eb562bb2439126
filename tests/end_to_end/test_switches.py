"""``REPORTING_ENABLED`` and ``DRY_RUN``: what is kept, what is shown, and that Entra ID is left alone."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from local.entra.contract import Device as EntraDevice
from tests.service import BLOCKED, Device, Service, change, running_service


@pytest.fixture(scope="module")
async def silent(blank_account: Callable[[], str]) -> AsyncIterator[Service]:
    async with running_service(blank_account(), REPORTING_ENABLED="false") as service:
        yield service


@pytest.fixture(scope="module")
async def dry(blank_account: Callable[[], str]) -> AsyncIterator[Service]:
    async with running_service(blank_account(), DRY_RUN="true") as service:
        yield service


async def processed(service: Service, **data: Any) -> Device:
    """Send a change of a device that Entra ID has; return when all that comes of it is done."""
    device = Device.new()
    await service.entra.put_devices([EntraDevice(device_id=device.azure_id, operating_system="iOS")])
    await service.api.send(change(device, id_="sent", azureDeviceId=device.azure_id, **data))
    await service.remembers(device, changeId="sent")
    await service.idle("device-reports")
    return device


async def test_with_reporting_disabled_changes_are_kept_and_nobody_is_called(silent: Service) -> None:
    device = await processed(silent, violations=BLOCKED, azureClientStatusCode="Success")
    details = await silent.shows(device)
    assert details["azureDeviceComplianceStatus"] == "InProgress"
    assert details["azureDeviceComplianceReportTime"] is None
    assert (details["verdict"], details["reported"]) == ("NonCompliant", None)
    assert details["violations"][0]["policy"] == "Compromised devices"
    assert await silent.entra.log() == []  # not even for a token


async def test_with_reporting_disabled_no_device_can_be_reported_now(silent: Service) -> None:
    device = await processed(silent, violations=[])
    problem = (await silent.api.post(f"/api/devices/{device.guid}/report")).problem(409)
    assert "REPORTING_ENABLED" in problem["detail"]
    await silent.idle("device-reports")
    assert await silent.entra.log() == []


async def test_a_dry_run_says_what_would_be_told_and_writes_nothing(dry: Service) -> None:
    blocked = await processed(dry, violations=BLOCKED)
    removed = await processed(dry, violations=[{"policy": "Lost", "actions": ["RETIRE"]}])
    for device, verdict, summary in (
        (blocked, "NonCompliant", "Dry run: Entra ID would be told: NonCompliant, by extensionAttributes"),
        (removed, "Removed", "Dry run: the device would be deleted from Entra ID"),
    ):
        assert (await dry.remembers(device, kind="report"))["summary"] == summary
        details = await dry.shows(device, verdict=verdict)
        assert details["reported"] is None
        assert details["azureDeviceComplianceReportTime"] is None
        assert details["azureDeviceComplianceStatus"] == "InProgress"
    assert await dry.writes() == []
    assert await dry.entra.device(removed.azure_id) is not None


async def test_reporting_a_device_now_writes_nothing_in_a_dry_run(dry: Service) -> None:
    device = await processed(dry, violations=[])
    assert (await dry.api.post(f"/api/devices/{device.guid}/report")).status == 202
    await dry.idle("device-reports")
    reports = [entry for entry in await dry.api.history(device.guid) if entry["kind"] == "report"]
    assert len(reports) == 2
    assert await dry.writes() == []
