"""A fleet of its own, for what looks at every device: lists and runs."""

from asyncio import gather
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from local.entra.contract import Device as EntraDevice
from local.entra.contract import Fault
from tests.service import BLOCKED, Device, Service, change, running_service


@dataclass(frozen=True, slots=True)
class Fleet:
    """A service with a fleet in it, every device of which was reported as far as it can be.

    ``refused``: Graph refuses what is told of it, each time. ``unknown``: it has no Azure identifier and no code.
    """

    service: Service
    compliant: tuple[Device, ...]
    blocked: Device
    refused: Device
    unknown: Device

    @property
    def reportable(self) -> tuple[Device, ...]:
        return (*self.compliant, self.blocked, self.refused)

    @property
    def everyone(self) -> tuple[Device, ...]:
        return (*self.reportable, self.unknown)


@pytest.fixture(scope="package")
async def fleet(blank_account: Callable[[], str]) -> AsyncIterator[Fleet]:
    async with running_service(blank_account()) as service:
        fleet = Fleet(service, tuple(Device.new() for _ in range(22)), Device.new(), Device.new(), Device.new())
        await service.entra.put_devices(
            [EntraDevice(device_id=device.azure_id, operating_system="iOS") for device in fleet.reportable]
        )
        await service.entra.add_faults(Fault(kind="status", device_id=fleet.refused.azure_id, status=400, times=None))
        blocked = change(fleet.blocked, azureDeviceId=fleet.blocked.azure_id, violations=BLOCKED)
        named = {"displayName": "Ada's iPad", "platform": "IOS"}
        good = (*fleet.compliant, fleet.refused)
        await service.api.send(
            blocked,
            change(fleet.unknown, violations=[]),
            *(change(device, azureDeviceId=device.azure_id, violations=[], inventory=named) for device in good),
        )
        await gather(
            *(service.settled(device) for device in (*fleet.compliant, fleet.blocked)),
            service.shows(fleet.refused, azureDeviceComplianceStatus="Failed"),
            service.shows(fleet.unknown, verdict="Compliant"),
        )
        yield fleet
