"""Runs the programs that install something: shown as they go on, logged, one at a time, and never half done.

`dev.py` uses this before there is an environment, so it is limited to the standard library and to Python 3.9.
"""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from local.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

REPO = Path(__file__).resolve().parent.parent
WORK = REPO / ".local"
LOG = WORK / "install.log"

_LIVE_SECONDS = 0.2
_PLAIN_SECONDS = 5.0
_LOCK_WAIT_SECONDS = 900.0
_ERROR = re.compile(r"(?:npm )?error\b", re.IGNORECASE)
_TROUBLE = re.compile(
    r"connection refused|connection reset|timed out|name or service not known|name resolution|dns error|"
    r"no route to host|network is unreachable|certificate verify failed|self-signed certificate|"
    r"proxy authentication required|no space left on device|permission denied|"
    r"ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|ENOSPC|EACCES",
    re.IGNORECASE,
)


class CommandError(Exception):
    """A program ended with an exit code other than 0, or is not there; the text is what says best why."""


def run_shown(doing: str, command: Sequence[str | Path], *, log: Path = LOG) -> None:
    """Run a program to its end, with `doing` and the seconds gone by on the terminal and its output added to `log`.

    Raises CommandError if the program fails, or if there is no such program.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        output.write(f"\n$ {' '.join(map(str, command))}\n".encode())
        output.flush()
        start = output.tell()
        try:
            process = subprocess.Popen(  # noqa: S603 - every caller passes a fixed command, never a shell's
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        except OSError as error:
            raise CommandError(f"{command[0]}: {error.strerror}") from error
        code = _wait_shown(doing, process)
    if code in (-signal.SIGINT, 128 + signal.SIGINT):  # the terminal gave Ctrl-C to the program; it was meant for us
        raise KeyboardInterrupt
    if code != 0:
        with log.open("rb") as written:
            written.seek(start)
            raise CommandError(_telling_line(written.read().decode(errors="replace")) or f"exit code {code}")


def install_packages(doing: str, python: Path, arguments: Sequence[str | Path]) -> None:
    """Run `pip install` for `python` with these arguments: by uv where there is one, for it is much faster.

    uv does not read pip's settings, so where it fails, pip has a try. Raises CommandError.
    """
    uv = find_uv()
    if uv is not None:
        try:
            run_shown(f"{doing} with uv", [uv, "pip", "install", "--python", python, *arguments])
        except CommandError as error:
            print(f"uv: {error}; trying pip", flush=True)
        else:
            return
    if not output_of([python, "-m", "pip", "--version"]):
        run_shown("getting pip", [python, "-m", "ensurepip"])  # from the Python itself, not from the network
    # Python compiles the modules that it imports; pip would compile all, of which there are tens of thousands.
    run_shown(f"{doing} with pip", [python, "-m", "pip", "install", "--no-compile", *arguments])


def find_uv() -> str | None:
    """Return the path of a `uv` that runs (one that a version manager merely stands in for may not)."""
    uv = shutil.which("uv")
    return uv if uv is not None and output_of([uv, "--version"]).startswith("uv ") else None


def output_of(command: Sequence[str | Path]) -> str:
    """Return what a quick program printed, or nothing if it failed, hung or is not there."""
    try:
        answer = subprocess.run(  # noqa: S603 - every caller passes a fixed command, never a shell's
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()


def install_once(target: Path, build: Callable[[Path], None]) -> Path:
    """Return `target`, made by `build(folder)` if it is not there yet; what is there under that name is always whole.

    `build` fills another folder, which gets the name `target` only when it is done. So an interrupted installation
    leaves nothing that could be taken for a good one, and is done again.
    """
    if target.exists():
        return target
    with sole(target.with_name(f"{target.name}.lock")):
        if not target.exists():  # another process may have made it while this one waited
            partial = target.with_name(f"{target.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            build(partial)
            partial.replace(target)
    return target


@contextmanager
def sole(path: Path) -> Iterator[None]:
    """Let one process of this machine at a time through; raises LocalError after 15 minutes of waiting.

    The lock is SQLite's on an empty file: the operating system frees it when its holder dies, whichever system it is,
    where a file with a process id in it would be left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        _lock(connection, path)
        yield
    finally:
        connection.close()


def _lock(connection: sqlite3.Connection, path: Path) -> None:
    deadline = time.monotonic() + _LOCK_WAIT_SECONDS
    told = False
    while True:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if time.monotonic() > deadline:
                raise LocalError(f"another process still holds {shown_path(path)}: end it, then start again") from error
        else:
            return
        if not told:
            print("waiting for another process that installs the same …", flush=True)
            told = True
        time.sleep(_LIVE_SECONDS)


def _wait_shown(doing: str, process: subprocess.Popen[bytes]) -> int:
    """Wait for the process, which ends when the waiting is interrupted; return its exit code."""
    live = sys.stdout.isatty()
    begun = time.monotonic()
    if not live:
        print(f"{doing} …", flush=True)
    try:
        while process.returncode is None:
            try:
                process.wait(_LIVE_SECONDS if live else _PLAIN_SECONDS)
            except subprocess.TimeoutExpired:
                line = f"{doing} … {time.monotonic() - begun:.0f} s"
                print(f"\r{line}" if live else line, end="" if live else "\n", flush=True)
    finally:
        if process.returncode is None:  # Ctrl-C: nothing may go on installing behind our back
            process.terminate()
            process.wait()
            print(flush=True)
    result = "done" if process.returncode == 0 else "failed"
    print(f"{chr(13) if live else ''}{doing}: {result} in {time.monotonic() - begun:.0f} s", flush=True)
    return process.returncode


def _telling_line(output: str) -> str:
    """What says best why it failed: trouble with the network or the disk, else the last line that tells of an error."""
    troubles = _TROUBLE.findall(output)
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    return next((found[-1] for found in (troubles, errors, lines) if found), "")


def shown_path(path: Path) -> str:
    """The path as a person sees it from the repository's folder."""
    return str(path.relative_to(REPO)) if path.is_relative_to(REPO) else str(path)
