"""A fresh tenant for each test, served over HTTP on loopback, with two devices in it."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession

from local.entra.client import EntraControl
from local.entra.server import serving
from local.entra.tenant import Tenant
from tests.entra.entra_support import IDENTITY_HEADER, Caller, Clock, sample_devices


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tenant(clock: Clock) -> Tenant:
    tenant = Tenant(clock)
    for device in sample_devices():
        tenant.directory.put(device)
    return tenant


@pytest.fixture
def slept() -> list[float]:
    """How long the server would have held answers back: in the tests it does not."""
    return []


@pytest.fixture
async def base_url(tenant: Tenant, slept: list[float]) -> AsyncIterator[str]:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with serving(tenant, identity_header=IDENTITY_HEADER, sleep=sleep) as url:
        yield url


@pytest.fixture
async def control(base_url: str) -> AsyncIterator[EntraControl]:
    async with EntraControl(base_url) as control:
        yield control


@pytest.fixture
async def graph(base_url: str) -> AsyncIterator[Caller]:
    async with ClientSession() as session:
        caller = Caller(session, base_url)
        await caller.sign_in()
        yield caller
