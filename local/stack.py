"""The whole service on one machine: Azurite, the Entra ID emulator and the Functions host with our app."""

import os
import secrets
from asyncio import TaskGroup
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from local.azurite import Azurite
from local.entra.client import EntraControl
from local.installing import REPO
from local.processes import Server, python_module, running

FUNCTION_KEY = "local"

DEFAULTS = {"WEEKLY_REPORT_SCHEDULE": "0 0 3 * * 0"}
"""Settings that the bindings name and the host therefore needs, as the app has them by default."""


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs. ``entra`` is ``None`` where a Graph from outside is used."""

    host_url: str
    connection_string: str
    entra: EntraControl | None
    environment: Mapping[str, str]
    servers: tuple[Server, ...]


@asynccontextmanager
async def running_stack(
    *,
    port: int = 0,
    logs: Path | None = None,
    overrides: Mapping[str, str] | None = None,
    on_ready: Callable[[Server], None] = lambda _: None,
) -> AsyncIterator[Stack]:
    """Run the service while the context lasts, on loopback and, unless ``port`` is given, on any free port.

    What AzureWebJobsStorage, GRAPH_BASE_URL and IDENTITY_ENDPOINT name in the environment is used instead of what
    would be started; Azurite's data is in memory. ``logs``: the folder for what the servers print, which is kept; for
    ``None`` it goes when they end. ``overrides``: more settings. ``on_ready`` is called with each server when it is
    ready.

    Raises LocalError if anything does not start.
    """
    given = {**DEFAULTS, **os.environ, **(overrides or {})}
    async with AsyncExitStack() as contexts:
        folder = logs or Path(contexts.enter_context(TemporaryDirectory(prefix="stack-")))
        starting = _Starting(contexts, on_ready, folder)
        try:
            async with TaskGroup() as group:
                if not given.get("AzureWebJobsStorage"):
                    group.create_task(starting.storage())
                if not (given.get("GRAPH_BASE_URL") or given.get("IDENTITY_ENDPOINT")):
                    group.create_task(starting.entra_id())
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        environment = {**given, **starting.settings}
        host = await starting.entered(_host(port, environment, folder))
        starting.ready(host)
        storage = environment["AzureWebJobsStorage"]
        yield Stack(host.url, storage, starting.entra, environment, tuple(starting.servers))


@dataclass(slots=True)
class _Starting:
    """What was started so far, and the settings that lead the host to it."""

    contexts: AsyncExitStack
    on_ready: Callable[[Server], None]
    logs: Path
    settings: dict[str, str] = field(default_factory=dict)
    servers: list[Server] = field(default_factory=list)
    entra: EntraControl | None = None

    async def storage(self) -> None:
        azurite = await self.entered(Azurite.start(None))
        self.settings["AzureWebJobsStorage"] = azurite.connection_string
        self.ready(azurite.server)

    async def entra_id(self) -> None:
        header = secrets.token_hex(24)  # not urlsafe: a leading hyphen would be taken for an option
        command = python_module("local.entra", "--port", "0", "--identity-header", header)
        log = self.logs / "entra.log"
        server = await self.entered(running("Entra ID emulator", command, log=log, cwd=REPO))
        self.entra = await self.entered(EntraControl(server.url))
        self.settings["GRAPH_BASE_URL"] = self.entra.graph_base_url
        self.settings["IDENTITY_ENDPOINT"] = self.entra.identity_endpoint
        self.settings["IDENTITY_HEADER"] = header
        self.ready(server)

    async def entered[T](self, context: AbstractAsyncContextManager[T]) -> T:
        return await self.contexts.enter_async_context(context)

    def ready(self, server: Server) -> None:
        self.servers.append(server)
        self.on_ready(server)


@asynccontextmanager
async def _host(port: int, environment: Mapping[str, str], logs: Path) -> AsyncIterator[Server]:
    own = ["--function-key", FUNCTION_KEY, "--state", str(logs / "timers")]
    command = python_module("local.host", "--app", str(REPO), "--port", str(port), *own)
    async with running("Functions host", command, log=logs / "host.log", env=environment, cwd=REPO) as server:
        yield server
