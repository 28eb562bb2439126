"""One Azurite for all tests that need storage, a blank account in it for each that asks, and one running service."""

import signal
from collections.abc import AsyncIterator, Callable

import pytest

from local.azurite import Azurite
from tests.service import Service, running_service

# The key that every storage emulator has: no secret.
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_ACCOUNTS = [f"account{number}" for number in range(100)]


@pytest.fixture(scope="session", autouse=True)
def _heeding_ctrl_c() -> None:
    """Take SIGINT as everyone does: started in the background, a shell has us and all that we start ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
async def blank_account() -> AsyncIterator[Callable[[], str]]:
    """Give the connection string of a storage account that nobody has used, each time it is called."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AZURITE_ACCOUNTS", ";".join(f"{account}:{_KEY}" for account in _ACCOUNTS))
        async with Azurite.start(None) as azurite:
            environment.undo()
            unused = iter(_ACCOUNTS)
            yield lambda: azurite.connection_string.replace("devstoreaccount1", next(unused))


@pytest.fixture(scope="session")
async def service(blank_account: Callable[[], str]) -> AsyncIterator[Service]:
    """Run the service as it is by default; tests share it, each with devices of its own."""
    async with running_service(blank_account()) as running:
        yield running
