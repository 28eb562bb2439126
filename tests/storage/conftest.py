"""The adapters on an account that no host listens to; tests share it, each with devices and runs of its own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from azure.data.tables.aio import TableServiceClient

from shared.settings import ByConnectionString
from shared.storage.connection import table_service


@pytest.fixture(scope="session")
async def blank_tables(
    blank_account: Callable[[], str],
) -> AsyncIterator[Callable[[], TableServiceClient]]:
    """Give the tables of an account that has none yet, each time it is called."""
    async with AsyncExitStack() as opened:

        def tables() -> TableServiceClient:
            client = table_service(ByConnectionString(blank_account()))
            opened.push_async_callback(client.close)
            return client

        yield tables


@pytest.fixture(scope="session")
def tables(blank_tables: Callable[[], TableServiceClient]) -> TableServiceClient:
    """Tables that tests share."""
    return blank_tables()
