"""The whole service on one machine: Azurite, the Entra ID emulator and the Functions host with our app."""

import os
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from local.azurite import Azurite
from local.entra.client import EntraControl
from local.installing import REPO, WORK
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
    *, port: int = 0, data: Path | None = None, overrides: Mapping[str, str] | None = None
) -> AsyncIterator[Stack]:
    """Run the service while the context lasts, on loopback and, unless ``port`` is given, on any free port.

    What AzureWebJobsStorage, GRAPH_BASE_URL and IDENTITY_ENDPOINT name in the environment is used instead of what
    would be started. ``data``: where Azurite keeps its data; in memory for ``None``. ``overrides``: more settings.

    Raises LocalError if anything does not start.
    """
    given = {**DEFAULTS, **os.environ, **(overrides or {})}
    settings: dict[str, str] = {}
    servers: list[Server] = []
    async with AsyncExitStack() as started:
        if not given.get("AzureWebJobsStorage"):
            azurite = await started.enter_async_context(Azurite.start(data))
            servers.append(azurite.server)
            settings["AzureWebJobsStorage"] = azurite.connection_string
        entra = None
        if not (given.get("GRAPH_BASE_URL") or given.get("IDENTITY_ENDPOINT")):
            entra = await started.enter_async_context(_entra(settings, servers))
        environment = {**given, **settings}
        host = await started.enter_async_context(_host(port, environment))
        servers.append(host)
        yield Stack(host.url, environment["AzureWebJobsStorage"], entra, environment, tuple(servers))


@asynccontextmanager
async def _entra(settings: dict[str, str], servers: list[Server]) -> AsyncIterator[EntraControl]:
    header = secrets.token_urlsafe(24)
    command = python_module("local.entra", "--port", "0", "--identity-header", header)
    async with (
        running("Entra ID emulator", command, log=WORK / f"entra-{os.getpid()}.log", cwd=REPO) as server,
        EntraControl(server.url) as control,
    ):
        servers.append(server)
        settings["GRAPH_BASE_URL"] = control.graph_base_url
        settings["IDENTITY_ENDPOINT"] = control.identity_endpoint
        settings["IDENTITY_HEADER"] = header
        yield control


@asynccontextmanager
async def _host(port: int, environment: Mapping[str, str]) -> AsyncIterator[Server]:
    command = python_module("local.host", "--app", str(REPO), "--port", str(port), "--function-key", FUNCTION_KEY)
    log = WORK / f"host-{os.getpid()}.log"
    async with running("Functions host", command, log=log, env=environment, cwd=REPO) as server:
        yield server
