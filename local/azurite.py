"""Gets and runs Azurite, Microsoft's emulator of Azure Storage."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from local.errors import LocalError
from local.installing import LOG, WORK, CommandError, install_once, run_shown, shown_path
from local.node import find_node, find_npm
from local.processes import Server, running

VERSION = "3.37.0"
# The account and key that every storage emulator has and Microsoft's documentation prints: no secret.
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

# Ends Azurite as a SIGTERM would when its parent is gone; before Azurite heeds SIGTERM, it has nothing to save.
# `unref`, or else waiting for that would keep it from ending after a real SIGTERM.
_END_WITH_PARENT = (
    'data:text/javascript,process.stdin.on("end",()=>process.emit("SIGTERM")||process.exit()).resume().unref()'
)


def install() -> Path:
    """Return Azurite's script, after getting Azurite (once, with progress shown) if it is not there.

    Raises LocalError if it cannot be had.
    """
    find_node()
    folder = install_once(WORK / f"azurite-{VERSION}", _install_package)
    return folder / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"


@dataclass(frozen=True)
class Azurite:
    """An Azurite that is running on loopback, with its endpoints (`http://127.0.0.1:<port>/devstoreaccount1`)."""

    server: Server
    blob_endpoint: str
    queue_endpoint: str
    table_endpoint: str

    @property
    def connection_string(self) -> str:
        """What goes into `AzureWebJobsStorage`."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_KEY};"
            f"BlobEndpoint={self.blob_endpoint};QueueEndpoint={self.queue_endpoint};TableEndpoint={self.table_endpoint};"
        )

    async def failed(self) -> NoReturn:
        """Wait until Azurite ends by itself, and raise LocalError with its last words."""
        await self.server.failed()

    @classmethod
    @asynccontextmanager
    async def start(cls, folder: Path | None, *, ports: tuple[int, int, int] = (0, 0, 0)) -> AsyncIterator["Azurite"]:
        """Run Azurite while the context lasts, installed if it has to be.

        Its data is kept in `folder`, or in memory if that is None. `ports` are those of blob, queue and table; 0 stands
        for any that is free. Raises LocalError if it cannot be installed or does not start.
        """
        script = install()
        with TemporaryDirectory(prefix="azurite-") as scratch:
            home = Path(scratch) if folder is None else folder
            home.mkdir(parents=True, exist_ok=True)
            where = ["--inMemoryPersistence"] if folder is None else ["--location", str(folder)]
            command = [str(find_node()), "--import", _END_WITH_PARENT, str(script), *where, *_flags(ports)]
            async with running("Azurite", command, log=home / "azurite.log", cwd=home, addresses=len(ports)) as server:
                blob, queue, table = (f"{url}/{_ACCOUNT}" for url in server.urls)  # in the order Azurite starts them
                yield cls(server, blob, queue, table)


def _flags(ports: tuple[int, int, int]) -> list[str]:
    """What Azurite is told: loopback only, and to take the API versions of SDKs newer than itself."""
    flags = ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    for service, port in zip(("blob", "queue", "table"), ports, strict=True):
        flags += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
    return flags


def _install_package(folder: Path) -> None:
    # npm takes 70 s by default to find out that there is no network. No package that Azurite needs has a script to run.
    options = ["--no-fund", "--no-audit", "--save-exact", "--ignore-scripts", "--fetch-retry-mintimeout=1000"]
    options += ["--fetch-retry-maxtimeout=5000"]
    npm = find_npm(find_node())
    try:
        run_shown(f"getting Azurite {VERSION}", [*npm, "install", "--prefix", folder, *options, f"azurite@{VERSION}"])
    except CommandError as error:
        raise LocalError(
            f"could not get Azurite ({error}): check the network or the proxy settings of npm; "
            f"the whole output is in {shown_path(LOG)}"
        ) from error
