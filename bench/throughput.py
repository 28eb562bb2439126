"""How fast changes go all the way: 2,000 changes of 500 devices, from the HTTP route to the last report to Graph.

The app runs as `local.stack` runs it, with its own host.json, over Azurite in memory and the Entra ID emulator, whose
write quota is lifted: the program is measured (Graph itself takes 20 writes a second). A few devices go ahead, so that
everything is loaded. The changes are posted in requests of 1,000; the clock stops when both queues are empty, by when
every device must be Successful. CPU is that of the host process, from /proc (Linux only); the local Functions host is
in it, whose part Azure's own host has elsewhere.
Calls out are those of the timed run, from Azurite's access log and the emulator's log. How often a row is told twice
depends on how its reports and further changes meet, and differs from run to run.
"our own code": bench/own_code.py. "baseline", last and on the same servers: a plain azure-data-tables client and a
plain msgraph client, 16 calls at once, in one process (process_time); the scale for the rest.
"""

import asyncio
import json
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from math import nan
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from unittest.mock import patch

from aiohttp import ClientSession
from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import ManagedIdentityCredential
from azure.storage.queue.aio import QueueServiceClient
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph.generated.models.device import Device as GraphDevice
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph.graph_service_client import GraphServiceClient

from bench.changes import changes_of, fleet
from bench.own_code import cpu_seconds
from bench.tables import show
from local.azurite import _END_WITH_PARENT, Azurite, _flags, install
from local.entra.contract import Device, Settings
from local.node import find_node
from local.processes import running
from local.stack import FUNCTION_KEY, Stack, running_stack
from shared.messages import CHANGES, REPORTS
from shared.sources.cloudevents import BATCH

DEVICES, AHEAD, PER_REQUEST = 500, 20, 1000
UPSERTS, PATCHES, AT_ONCE = 1000, DEVICES, 16

_SETTINGS = dict.fromkeys(("GRAPH_BASE_URL", "IDENTITY_ENDPOINT", "STATE_STORAGE"), "") | {
    "REPORTING_ENABLED": "true",
    "DRY_RUN": "false",
    "REPORT_CHANNELS": "windows=isCompliant;*=extensionAttributes",
    "AzureWebJobs.weekly.Disabled": "true",
}
"""The same whatever this machine's environment says."""

_REQUEST = re.compile(r'"(\w+) /\w+/([$\w-]+)(\S*) HTTP/1.1" (\d+)')
_ON_QUEUE = {"POST": "put", "GET": "get", "DELETE": "delete", "PUT": "update"}
_ON_TABLE = {"POST": "insert", "GET": "get", "DELETE": "delete", "PUT": "update", "PATCH": "upsert or merge"}


@dataclass(frozen=True, slots=True)
class Spent:
    """What some things took: seconds, and CPU seconds of the process that did them (``nan`` where not to be had)."""

    count: int
    seconds: float
    cpu: float


async def run() -> None:
    """Measure and print."""
    ahead, measured = fleet(AHEAD, "ahead"), fleet(DEVICES, "measured")
    bodies = _bodies(measured)
    async with AsyncExitStack() as opened:
        azurite = await opened.enter_async_context(_logging_azurite())
        overrides = _SETTINGS | {"AzureWebJobsStorage": azurite.connection_string}
        stack = await opened.enter_async_context(running_stack(overrides=overrides))
        session = await opened.enter_async_context(ClientSession(headers={"x-functions-key": FUNCTION_KEY}))
        assert stack.entra is not None
        await stack.entra.configure(Settings(write_limit=10**9, resource_unit_limit=10**9))
        await stack.entra.put_devices([*ahead, *measured])
        await _take_in(stack, session, _bodies(ahead))
        before, newest = _operations(azurite), (await stack.entra.log_page()).last
        posting, all_through = await _take_in(stack, session, bodies)
        calls = _operations(azurite) - before
        calls.update(
            ("Graph", f"{entry.method} {entry.path.split('/')[2][:7]}") for entry in await stack.entra.log(newest)
        )
        await _check(stack, session)
        upserts, patches = await _upserts(stack), await _patches(stack, measured)
    own = {f"our own code: {stage}": cpu for stage, cpu in (await cpu_seconds(bodies)).items()}
    own["our own code: all"] = sum(own.values())
    _show(posting, all_through, own, upserts, patches)
    rows = [[*call, number, number / (DEVICES * 4), number / DEVICES] for call, number in sorted(calls.items())]
    show("Calls out", ["to", "operation", "calls", "per change", "per device"], rows)


def _bodies(devices: Sequence[Device]) -> list[bytes]:
    changes = changes_of(devices)
    return [json.dumps(changes[place : place + PER_REQUEST]).encode() for place in range(0, len(changes), PER_REQUEST)]


@asynccontextmanager
async def _logging_azurite() -> AsyncIterator[Azurite]:
    """Run Azurite in memory, as ``Azurite.start`` does, but with its access log."""
    with TemporaryDirectory(prefix="bench-") as scratch:
        flags = ["--inMemoryPersistence", *(flag for flag in _flags((0, 0, 0)) if flag != "--silent")]
        command: list[str | Path] = [find_node(), "--import", _END_WITH_PARENT, install(), *flags]
        home = Path(scratch)
        async with running("Azurite", command, log=home / "log", cwd=home, addresses=3) as server:
            yield Azurite(server, *(f"{url}/devstoreaccount1" for url in server.urls))


async def _take_in(stack: Stack, session: ClientSession, bodies: Sequence[bytes]) -> tuple[Spent, Spent]:
    """Post changes; return what it took until all were answered, and until there was nothing left to do."""
    pid = stack.servers[-1].process.pid
    start, cpu = perf_counter(), _cpu_of(pid)
    for body in bodies:
        headers = {"Content-Type": BATCH}
        async with session.post(f"{stack.host_url}/api/device-changes", data=body, headers=headers) as answer:
            assert answer.status == HTTPStatus.ACCEPTED, await answer.text()
    posting = Spent(DEVICES * 4, perf_counter() - start, _cpu_of(pid) - cpu)
    async with QueueServiceClient.from_connection_string(stack.connection_string) as queues:
        for name in (CHANGES, REPORTS):  # in this order: a message is deleted after those that come of it were sent
            queue = queues.get_queue_client(name)
            while (await queue.get_queue_properties()).approximate_message_count:  # noqa: ASYNC110 - not our process
                await asyncio.sleep(0.05)
    return posting, Spent(DEVICES * 4, perf_counter() - start, _cpu_of(pid) - cpu)


def _cpu_of(pid: int) -> float:
    """Return the CPU seconds, user and system, that a process has used."""
    path = Path(f"/proc/{pid}/stat")
    if not path.exists():
        return nan
    fields = path.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _check(stack: Stack, session: ClientSession) -> None:
    """Every device must be Successful: what was measured is all of the work."""
    found = 0
    place: str | None = ""
    while place is not None:
        parameters = {"status": "Successful", "continuation": place}
        async with session.get(f"{stack.host_url}/api/devices", params=parameters) as answer:
            page = await answer.json()
        found, place = found + len(page["devices"]), page["continuation"]
    assert found == AHEAD + DEVICES, f"only {found} devices are Successful"


def _operations(azurite: Azurite) -> Counter[tuple[str, str]]:
    """Count the requests of the app and its host to Storage so far, by table or queue and by operation."""
    counted: Counter[tuple[str, str]] = Counter()
    for method, name, rest, status in _REQUEST.findall(azurite.server.log.read_text()):
        if "comp=metadata" in rest:
            continue  # ours: whether the queue is empty
        operation = (_ON_QUEUE if rest.startswith("/messages") else _ON_TABLE)[method]
        if int(status) >= HTTPStatus.BAD_REQUEST:
            operation += f", answered {status}"
        counted["tables" if name == "$batch" else name, "transaction" if name == "$batch" else operation] += 1
    return counted


async def _upserts(stack: Stack) -> Spent:
    async with TableServiceClient.from_connection_string(stack.connection_string) as service:
        table = await service.create_table_if_not_exists("Baseline")
        columns = {f"text{number}": "x" * 150 for number in range(7)}  # about what a device's row holds

        async def upsert(number: int) -> None:
            await table.upsert_entity({"PartitionKey": f"{number % 256:02x}", "RowKey": str(number), **columns})

        return await _spent(UPSERTS, upsert)


async def _patches(stack: Stack, devices: Sequence[Device]) -> Spent:
    with patch.dict(os.environ, stack.environment):
        credential = ManagedIdentityCredential()
    async with credential:
        scopes = ["https://graph.microsoft.com/.default"]
        adapter = GraphRequestAdapter(
            AzureIdentityAuthenticationProvider(credential, scopes=scopes, allowed_hosts=["127.0.0.1"])
        )
        adapter.base_url = stack.environment["GRAPH_BASE_URL"]
        client = GraphServiceClient(request_adapter=adapter)
        body = GraphDevice(additional_data={"extensionAttributes": {"extensionAttribute15": "Compliant"}})

        async def update(number: int) -> None:
            await client.devices.by_device_id(devices[number].id).patch(body)

        return await _spent(PATCHES, update)


async def _spent(count: int, call: Callable[[int], Awaitable[None]]) -> Spent:
    """Make calls, some at once, after one that does not count; return what they took in this process."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with turns:
            await call(number)

    await one(0)
    start, cpu = perf_counter(), process_time()
    await asyncio.gather(*map(one, range(count)))
    return Spent(count, perf_counter() - start, process_time() - cpu)


def _show(posting: Spent, all_through: Spent, own: dict[str, float], upserts: Spent, patches: Spent) -> None:
    named = {"changes posted and answered": posting, "changes all the way": all_through}
    named |= {"baseline: upserts": upserts, "baseline: PATCHes": patches}
    rows: list[list[object]] = [
        [name, spent.count, spent.seconds, spent.count / spent.seconds, spent.cpu * 1000 / spent.count]
        for name, spent in named.items()
    ]
    rows += [[name, all_through.count, "", "", cpu * 1000 / all_through.count] for name, cpu in own.items()]
    show(f"Changes of {DEVICES} devices", ["", "count", "seconds", "a second", "CPU ms each"], rows)
    seconds, cpu = upserts.seconds + patches.seconds, upserts.cpu + patches.cpu
    ratios = [
        ["time: changes all the way / baseline", all_through.seconds / seconds],
        ["CPU: host process / baseline", all_through.cpu / cpu],
        ["CPU: our own code / baseline", own["our own code: all"] / cpu],
        ["CPU: our own code / host process", own["our own code: all"] / all_through.cpu],
    ]
    show("Ratios, by which machines and versions compare", ["", "ratio"], ratios)
