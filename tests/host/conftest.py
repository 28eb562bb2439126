"""One Azurite and one sample app for all tests of the host."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from azure.storage.queue.aio import QueueServiceClient

from local.azurite import Azurite
from tests.host.running import RunningHost, running, write_app
from tests.host.sample import SETTINGS, SOURCE


@pytest.fixture(scope="session")
async def storage() -> AsyncIterator[str]:
    """Connection string of an empty storage account."""
    async with Azurite.start(None) as azurite:
        yield azurite.connection_string


@pytest.fixture(scope="session")
async def queues(storage: str) -> AsyncIterator[QueueServiceClient]:
    async with QueueServiceClient.from_connection_string(storage) as service:
        yield service


@pytest.fixture(scope="session")
async def sample(storage: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningHost]:
    app = write_app(tmp_path_factory.mktemp("sample"), SOURCE)
    options = ("--function-key", "opens-functions", "--master-key", "opens-all")
    async with running(app, *options, AzureWebJobsStorage=storage, **SETTINGS) as host:
        yield host


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
