"""`python -m local.host --app FOLDER`: runs a Functions app until SIGINT or SIGTERM."""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from local.errors import LocalError
from local.host.host import Host, Options
from local.host.queues import LEASE
from local.host.web import Keys


def _options(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m local.host", description="Runs an Azure Functions app locally.")
    parser.add_argument("--app", type=Path, required=True, help="folder with function_app.py and host.json")
    parser.add_argument("--port", type=int, default=7071, help="on 127.0.0.1; 0 for any free one (default 7071)")
    parser.add_argument("--function-key", default="local", help="opens functions of level function (default local)")
    parser.add_argument("--master-key", default="local", help="opens everything, and /admin (default local)")
    parser.add_argument("--state", type=Path, help="where last runs of timers are kept (default APP/.local/host)")
    parser.add_argument("--queue-lease", type=float, default=LEASE, help=argparse.SUPPRESS)  # for tests
    parser.add_argument("--grace", type=float, default=10.0, help=argparse.SUPPRESS)  # the same
    given = parser.parse_args(arguments)
    if not 0 <= given.port < 2**16:
        parser.error(f"--port must be from 0 to 65535, not {given.port}")
    app = given.app.resolve()
    state = given.state.resolve() if given.state else app / ".local" / "host"
    return Options(app, given.port, Keys(given.function_key, given.master_key), state, given.queue_lease, given.grace)


async def _run(options: Options) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not loop.add_signal_handler, which Windows lacks.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopping.set))
    host = await Host.load(options, stopping)
    finished = await host.serve(_announce)
    if not finished:
        # A function on a thread cannot be cancelled, and Python would wait for it before it exits.
        print("some functions did not finish in time and are abandoned", file=sys.stderr, flush=True)
        os._exit(0)


def _announce(port: int) -> None:
    print(f"Functions host listening on http://127.0.0.1:{port}", flush=True)


def main() -> int:
    """Run the host; return the exit code."""
    try:
        asyncio.run(_run(_options(sys.argv[1:])))
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
