"""What `dev.py` does: makes the environment that the other local tools run in, and hands over to them.

It runs before there is an environment, so it is limited to the standard library and to Python 3.9.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, NoReturn

from local.errors import LocalError
from local.installing import LOG, REPO, WORK, CommandError, install_packages, output_of, run_shown, shown_path, sole
from local.pythons import VERSION, find_python

if TYPE_CHECKING:
    from collections.abc import MutableMapping

COMMANDS = {
    "up": ("local.up", "run it all here: storage, Entra ID emulator, Functions host, a sample fleet; until Ctrl-C"),
    "test": ("local.test", "all that CI runs; with arguments, pytest alone with these"),
    "bench": ("bench", "measure how fast it is"),
}
VENV = REPO / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
_READY = VENV / "dev-ready"  # holds the digest of what is installed
_UNFINISHED = WORK / "environment.unfinished"  # there while the environment is being made or changed

_HARMLESS = ("PYTHONDONTWRITEBYTECODE", "PYTHONFAULTHANDLER", "PYTHONIOENCODING", "PYTHONUNBUFFERED", "PYTHONUTF8")
_STRAY = (
    *("VIRTUAL_ENV", "__PYVENV_LAUNCHER__", "PIP_PREFIX", "PIP_PYTHON", "PIP_ROOT", "PIP_TARGET", "PIP_USER"),
    *("UV_PYTHON", "UV_SYSTEM_PYTHON"),
)


def main() -> int:
    """Make the environment ready and become the command that was asked for; return 1 if that cannot be done."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, _end)
    os.chdir(REPO)
    drop_strays(os.environ)
    try:
        make_ready()
    except LocalError as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return 1
    return _become([str(PYTHON), "-m", COMMANDS[options.command][0], *options.arguments])


def drop_strays(environment: MutableMapping[str, str]) -> None:
    """Take out what belongs to another Python: it would change which modules are found, or where packages go."""
    for name in list(environment):
        if name in _STRAY or (name.startswith("PYTHON") and name not in _HARMLESS):
            del environment[name]


def make_ready() -> None:
    """Make `.venv` what the requirements files say; takes no time if it is that already. Raises LocalError."""
    wanted = _digest()
    if _installed() == wanted:
        return
    with sole(WORK / "environment.lock"):
        if _installed() == wanted:  # another process did it while this one waited
            return
        LOG.unlink(missing_ok=True)
        if _UNFINISHED.exists() or not _is_sound():
            python = find_python()
            _UNFINISHED.touch()
            _remove(VENV)
            _make(python)
        _UNFINISHED.touch()
        _READY.unlink(missing_ok=True)
        _install()
        _READY.write_text(wanted)
        _UNFINISHED.unlink()


def _parser() -> argparse.ArgumentParser:
    lines = (f"  {name:<7}{what}" for name, (_module, what) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="dev.py",
        usage="python3 dev.py [-h] {up,test,bench} …",
        description="Runs, tests and measures the service on this machine.\n\n"
        f"The first start makes an environment (.venv, Python {VERSION}); what else is needed goes to .local.\n"
        "Both may be deleted at any time.",
        epilog="commands:\n" + "\n".join(lines) + "\n\n`python3 dev.py <command> -h` tells more; "
        "paths are relative to this folder.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _digest() -> str:
    digest = hashlib.sha256(VERSION.encode())
    for path in sorted([*REPO.glob("requirements*.txt"), REPO / "constraints.txt"]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _installed() -> str:
    """The digest of what is installed, or nothing if the environment does not work."""
    return _READY.read_text() if _READY.is_file() and _is_sound() else ""


def _is_sound() -> bool:
    """Whether `.venv` has the right Python, which still runs and takes itself for the environment's."""
    told = output_of([PYTHON, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2], sys.prefix)"])
    version, _, prefix = told.partition(" ")
    return version == VERSION and Path(prefix).resolve() == VENV.resolve()


def _make(python: Path) -> None:
    try:  # pip takes seconds to put in, and is not needed where there is uv
        run_shown(f"making .venv with {python}", [python, "-m", "venv", "--without-pip", VENV])
    except CommandError as error:
        raise LocalError(f"could not make .venv: {error}; the whole output is in {shown_path(LOG)}") from error


def _install() -> None:
    try:
        install_packages("installing the packages", PYTHON, ["-r", REPO / "requirements-dev.txt"])
    except CommandError as error:
        _UNFINISHED.unlink()  # it ended by itself, and so in order
        raise LocalError(
            f"could not install the packages: {error}; check the network or the proxy settings of pip "
            f"(the whole output is in {shown_path(LOG)})"
        ) from error


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        rmtree(path)


def _become(command: list[str]) -> int:
    if os.name != "nt":  # there, exec returns to the shell while the program goes on
        os.execv(command[0], command)  # noqa: S606 - our own module
    return subprocess.call(command)  # noqa: S603 - the same


def _end(_signal: int, _frame: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)
