"""Finds the Python that the environment is made with, or has uv get it.

`dev.py` uses this before there is an environment, so it is limited to the standard library and to Python 3.9.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local.errors import LocalError
from local.installing import LOG, WORK, CommandError, find_uv, install_once, output_of, run_shown, shown_path

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "3.13"
UV = "uv==0.13.9"
_SCRIPTS = "Scripts" if os.name == "nt" else "bin"

# Asked of each candidate: some that stand in PATH do not run, and some lack what a new environment takes.
_PROBE = "import sys, venv; print('%d.%d' % sys.version_info[:2], getattr(sys, '_base_executable', ''))"


def find_python() -> Path:
    """Return the path of a Python 3.13 that can make an environment; raises LocalError if none can be had."""
    for candidate in _candidates():
        python = _base_of(candidate)
        if python is not None:
            return python
    return _python_by_uv()


def _candidates() -> Iterator[Path]:
    yield Path(sys.executable)
    name = f"python{VERSION}"
    for folder in os.get_exec_path():
        yield Path(folder, f"{name}.exe" if os.name == "nt" else name)
    for root in (os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv"):
        if root:
            yield from sorted(Path(root, "versions").glob(f"{VERSION}*/bin/python"), reverse=True)


def _base_of(python: Path) -> Path | None:
    """The Python itself where `python` is one of an environment; nothing if it is not fit."""
    version, _, base = output_of([python, "-I", "-c", _PROBE]).partition(" ")
    return Path(base or python) if version == VERSION else None


def _python_by_uv() -> Path:
    try:
        uv = find_uv() or str(install_once(WORK / UV.replace("==", "-"), _install_uv) / _SCRIPTS / "uv")
        find = [uv, "python", "find", "--no-project", "--system", VERSION]
        if not output_of(find):
            run_shown(f"getting Python {VERSION} with uv", [uv, "python", "install", VERSION])
        python = _base_of(Path(output_of(find)))
    except CommandError as error:
        raise LocalError(
            f"this needs Python {VERSION}, which is not on PATH nor under pyenv, and uv could not get it ({error}): "
            f"install Python {VERSION}, then start again (the whole output is in {shown_path(LOG)})"
        ) from error
    if python is None:
        raise LocalError(f"the Python {VERSION} that uv got does not work: install Python {VERSION}, then start again")
    return python


def _install_uv(folder: Path) -> None:
    run_shown("making room for uv", [sys.executable, "-m", "venv", folder])
    run_shown("getting uv", [folder / _SCRIPTS / "python", "-m", "pip", "install", UV])
