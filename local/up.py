"""`python3 dev.py up`: the whole service on this machine, with a sample fleet, until Ctrl-C."""

import argparse
import asyncio
import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aiohttp import ClientError

from local import azurite
from local.entra.client import EntraControl
from local.errors import LocalError
from local.fleet.checking import mismatches
from local.fleet.loading import Api, Loading, Outcome
from local.fleet.showing import counts, table
from local.fleet.stories import FLEET
from local.installing import WORK, shown_path
from local.processes import Server
from local.stack import FUNCTION_KEY, Stack, running_stack
from shared.settings import SettingsError, from_environment

INTERRUPTED = 130

# Nobody wants to wait in front of a terminal; what the environment says goes first.
_QUICK = {
    "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
    "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:00.2",
}
_STORAGE = "AzureWebJobsStorage"
_FROM_OUTSIDE = ("GRAPH_BASE_URL", "IDENTITY_ENDPOINT")
_EXPECTED_BY_DEFAULT = ("REPORT_CHANNELS", "COMPLIANCE_ATTRIBUTE", "INVENTORY_ATTRIBUTE")
_LAST_WORDS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for; `begun` is when, by the monotonic clock."""

    port: int
    sample: bool
    once: bool
    begun: float

    @property
    def seconds(self) -> float:
        """Seconds since the program was started."""
        return time.monotonic() - self.begun


def main(arguments: Sequence[str]) -> int:
    """Run the service; return the exit code: 0 after Ctrl-C while it serves, 130 before, 1 for all that goes wrong."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = _options(arguments)
    try:
        return asyncio.run(_run(options, _prepared(options)))
    except (LocalError, SettingsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED


def _options(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(
        prog="python3 dev.py up",
        description="Runs storage (Azurite), an Entra ID emulator and the Functions host on this machine, sends a "
        "sample fleet of 60 devices through the HTTP route, shows what Entra ID was told, and serves until Ctrl-C.",
        epilog="Where AzureWebJobsStorage, GRAPH_BASE_URL or IDENTITY_ENDPOINT are set, these are used.",
    )
    parser.add_argument("--port", type=int, default=7071, help="of the HTTP API; 0 for any free one (default 7071)")
    parser.add_argument("--no-sample", action="store_true", help="start without the sample fleet")
    parser.add_argument(
        "--once", action="store_true", help="check the sample fleet, then end: exit code 0 if all is well"
    )
    given = parser.parse_args(arguments)
    if not 0 <= given.port < 2**16:
        parser.error(f"--port must be from 0 to 65535, not {given.port}")
    if given.once and given.no_sample:
        parser.error("--once checks the sample fleet; it cannot do without")
    begun = time.monotonic() - time.process_time()  # what the imports took counts too, and they do nothing but compute
    return Options(given.port, not given.no_sample, given.once, begun)


def _prepared(options: Options) -> str | None:
    """Make sure that it can start; return why there can be no sample fleet, if so. Raises LocalError, SettingsError."""
    _check_port(options.port)
    no_sample = why_no_sample(os.environ)
    if no_sample and options.once:
        raise LocalError(f"--once has nothing to check: {no_sample}")
    if not os.environ.get(_STORAGE):
        azurite.install()  # here, where its progress is seen
    return no_sample


async def _run(options: Options, no_sample: str | None) -> int:
    _end_on_signals()
    print("starting the servers", flush=True)
    ready = partial(_tell_ready, options)
    logs = WORK / "logs" / str(options.port) if options.port else None
    overrides = _overrides(options, os.environ)
    async with running_stack(port=options.port, overrides=overrides, logs=logs, on_ready=ready) as stack:
        code = 0
        loaded = options.sample and no_sample is None
        if loaded and stack.entra is not None:
            code = await unless_one_dies(stack.servers, _sample(stack, stack.entra, options))
        elif options.sample:
            print(f"no sample fleet: {no_sample}")
        if options.once:
            return code
        print("\n".join(_guide(stack, loaded)), flush=True)
        with suppress(asyncio.CancelledError):
            await unless_one_dies(stack.servers, asyncio.Event().wait())
        print("\nstopping …", flush=True)
        return 0


async def _sample(stack: Stack, entra: EntraControl, options: Options) -> int:
    """Load the sample fleet and tell what came of it; return 0 if every device ended as it should, 1 if not."""

    def tell_first() -> None:
        print(f"first device reported after {options.seconds:.1f} s", flush=True)

    async with Api(stack.host_url, FUNCTION_KEY) as api:
        if os.environ.get(_STORAGE) and await api.sample_details():
            raise LocalError(
                "the storage that AzureWebJobsStorage names holds a sample fleet already, and this Entra ID emulator "
                "knows nothing of it; empty the storage, or start with --no-sample"
            )
        print(f"sending the changes of {len(FLEET)} sample devices to {stack.host_url}/api/device-changes", flush=True)
        outcomes = await Loading(api, entra, FLEET, tell_first).run(datetime.now(UTC))
    late = sum(not outcome.has_ended for outcome in outcomes)
    print(f"{f'{late} devices have not' if late else 'all devices have'} ended after {options.seconds:.1f} s\n")
    print("\n".join([*table(outcomes), "", *counts(outcomes, await entra.log()), ""]))
    return _verdict(outcomes)


def _verdict(outcomes: Sequence[Outcome]) -> int:
    wrong = {outcome.sample.name: lines for outcome in outcomes if (lines := mismatches(outcome))}
    for name in filter(os.environ.get, _EXPECTED_BY_DEFAULT):
        print(f"note: {name} is set; what is expected of the sample fleet is what it is by default")
    for lines in wrong.values():
        print("\n".join(lines))
    print(f"{len(outcomes) - len(wrong)} of {len(outcomes)} devices ended as they should", flush=True)
    return 1 if wrong else 0


async def unless_one_dies[T](servers: Sequence[Server], work: Coroutine[Any, Any, T]) -> T:
    """Return what the work returns; raises LocalError with a server's last words as soon as one ends by itself."""
    watches = [asyncio.create_task(server.failed()) for server in servers]
    task = asyncio.create_task(work)
    try:
        await asyncio.wait([task, *watches], return_when=asyncio.FIRST_COMPLETED)
        if task.done() and isinstance(task.exception(), ClientError):
            await asyncio.wait(watches, timeout=_LAST_WORDS_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for watch in watches:  # first: that a server died is why the work failed
            if watch.done():
                watch.result()
        return await task
    except ClientError as error:
        raise LocalError(f"a server that runs does not answer: {error}") from error
    finally:
        for pending in (task, *watches):
            pending.cancel()
        await asyncio.gather(task, *watches, return_exceptions=True)


_TO_BE_STARTED = "AccountName=to-be-started;AccountKey=none"
"""Stands for the connection string of the Azurite that does not run yet."""


def why_no_sample(environment: Mapping[str, str]) -> str | None:
    """Say why the sample fleet cannot be loaded under these settings; raises SettingsError if they are not valid."""
    for name in _FROM_OUTSIDE:
        if environment.get(name):
            return f"{name} is set, and the sample's devices are for the emulator alone"
    known = {name: value for name, value in environment.items() if name not in _FROM_OUTSIDE}
    settings = from_environment({**known, _STORAGE: environment.get(_STORAGE) or _TO_BE_STARTED})
    if settings.DRY_RUN or not settings.REPORTING_ENABLED:
        return "DRY_RUN or REPORTING_ENABLED keeps Entra ID from being told anything"
    return None


def _overrides(options: Options, environment: Mapping[str, str]) -> dict[str, str]:
    overrides = dict(_QUICK)
    if options.once:  # a weekly run that is overdue must not come in between
        overrides["AzureWebJobs.weekly.Disabled"] = "true"
    given = {name.lower() for name in environment}
    return {name: value for name, value in overrides.items() if name.lower() not in given}


def _tell_ready(options: Options, server: Server) -> None:
    print(f"  {server.name + ' is ready':<28}{options.seconds:4.1f} s", flush=True)


def _guide(stack: Stack, loaded: bool) -> list[str]:
    """Say how to go on; a device can be asked for only where the sample fleet was loaded."""
    key = f"curl -H 'x-functions-key: {FUNCTION_KEY}'"
    url = stack.host_url
    lines = [
        f"\nServing on {url} until Ctrl-C. What was started here is kept in memory: the next start begins anew.",
        f"  devices not reported   {key} '{url}/api/devices?status=Failed'",
        f"  every device           {key} {url}/api/devices",
    ]
    if loaded:
        lines += [
            f"  one device             {key} {url}/api/devices/{FLEET[0].guid}",
            f"  its history            {key} {url}/api/devices/{FLEET[0].guid}/history",
        ]
    lines += [
        f"  weekly report now      {key} -X POST {url}/api/report-runs",
        f"  only say what it would {key} -X POST {url}/api/report-runs -d '{{\"dryRun\":true}}'",
        f"  how far it is          {key} {url}/api/report-runs",
    ]
    if stack.entra is not None:
        lines.append(f"  Entra ID emulator      {stack.entra.base_url}/")
    logs = [f"{shown_path(server.log)} ({server.name})" for server in stack.servers]
    return [*lines, f"  logs                   {', '.join(logs)}"]


def _check_port(port: int) -> None:
    """Find out before anything is started; the host would say it too, but only after the others."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        what = "is in use" if in_use else f"cannot be listened on ({error.strerror})"
        raise LocalError(f"port {port} {what}; choose another with --port") from error


def _end_on_signals() -> None:
    """Take SIGINT and SIGTERM as a request to end in order: the work is cancelled, the servers are stopped."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not loop.add_signal_handler, which Windows lacks.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(task.cancel) if task else None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
