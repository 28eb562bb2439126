"""Starts the servers that the local run is made of, knows when each is ready, and ends them."""

import asyncio
import os
import re
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from local.errors import LocalError
from local.installing import shown_path

READY_SECONDS = 60.0
STOP_SECONDS = 10.0
_LAST_LINES = 50
_POLL_SECONDS = 0.05
_LISTENING = re.compile(r"listening (?:on|at) (http://127\.0\.0\.1:\d+)")


@dataclass(frozen=True)
class Server:
    """A server that is running: `urls` are the addresses that it announced, `log` has all that it prints."""

    name: str
    urls: tuple[str, ...]
    log: Path
    process: asyncio.subprocess.Process

    @property
    def url(self) -> str:
        """The first address, `http://127.0.0.1:<port>`."""
        return self.urls[0]

    async def failed(self) -> NoReturn:
        """Wait until the server ends by itself, and raise LocalError with its last words."""
        code = await self.process.wait()
        raise _died(self.name, f"ended unexpectedly with exit code {code}", self.log)


@asynccontextmanager
async def running(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    addresses: int = 1,
    ready_seconds: float = READY_SECONDS,
) -> AsyncIterator[Server]:
    """Run a server from when it has printed `addresses` lines `… listening on http://127.0.0.1:<port>` to the end.

    What it prints goes to `log`, which is begun anew. `env` replaces the environment. The server is in a session of its
    own, so that Ctrl-C reaches us alone and we end it in order; its standard input closes when we are gone, however
    that came about, and it is to end then (`python_module` and Azurite see to it).

    Raises LocalError with the last lines of its output if it ends or says nothing for `ready_seconds`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            process = await asyncio.create_subprocess_exec(
                *map(str, command),
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={**(os.environ if env is None else env), "PYTHONUNBUFFERED": "1"},
                cwd=cwd,
                start_new_session=True,
            )
        except OSError as error:
            raise LocalError(f"{name} could not be started: {command[0]}: {error.strerror}") from error
    try:
        urls = await _announced(name, process, log, addresses, ready_seconds)
        yield Server(name, urls, log, process)
    finally:
        await _stop(process)


def python_module(module: str, *arguments: str) -> list[str]:
    """Return the command that runs one of our modules as a server which ends when its parent does."""
    return [sys.executable, "-m", "local.tethered", module, *arguments]


async def _announced(
    name: str, process: asyncio.subprocess.Process, log: Path, addresses: int, seconds: float
) -> tuple[str, ...]:
    try:
        async with asyncio.timeout(seconds):
            while True:
                ended = process.returncode
                urls = _urls_in(log)
                if len(urls) >= addresses:
                    return urls
                if ended is not None:
                    raise _died(name, f"ended with exit code {ended} before it was ready", log)
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise _died(name, f"was not ready after {seconds:g} s", log) from None


def _urls_in(log: Path) -> tuple[str, ...]:
    return tuple(_LISTENING.findall(log.read_text(errors="replace")))


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End the process: ask it to, wait 10 s, then kill it. To return early would leave it behind."""
    if process.returncode is None:
        process.terminate()
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
    finally:  # also when we are cancelled while we wait
        if process.returncode is None:
            process.kill()
            await process.wait()
        if process.stdin is not None:  # not before: the server would take it for a second SIGTERM while it is ending
            process.stdin.close()


def _died(name: str, what: str, log: Path) -> LocalError:
    with log.open(errors="replace") as lines:
        last = "".join(f"  {line.rstrip()}\n" for line in deque(lines, maxlen=_LAST_LINES))
    return LocalError(f"{name} {what}; the end of its output ({shown_path(log)}):\n{last}".rstrip())
