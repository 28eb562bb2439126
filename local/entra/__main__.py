"""`python -m local.entra [--port N] [--identity-header SECRET]`: serve until SIGINT or SIGTERM.

Prints one line when it is ready. A port of 0 takes a free one.
"""

import argparse
import asyncio
import errno
import signal
import sys

from local.entra.server import DEFAULT_IDENTITY_HEADER, serving


async def _serve(port: int, identity_header: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not loop.add_signal_handler: Windows has none.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    async with serving(port=port, identity_header=identity_header) as base_url:
        print(f"Entra ID emulator listening on {base_url}", flush=True)
        await stop.wait()


def main(arguments: list[str] | None = None) -> int:
    """Serve; the exit status: 0 after a signal, 1 if the port is in use."""
    parser = argparse.ArgumentParser(prog="python -m local.entra", description="Entra ID emulator on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--identity-header", default=DEFAULT_IDENTITY_HEADER, help="what IDENTITY_HEADER is set to")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_serve(options.port, options.identity_header))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        print(f"error: port {options.port} is in use; choose another with --port", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
