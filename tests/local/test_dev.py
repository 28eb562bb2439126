"""`python3 dev.py`, run as a person runs it, in a copy of the repository in which a command only tells what it sees."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from local.installing import REPO, output_of
from local.pythons import find_python

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses signals and links")

TELL = """import json, os, sys
print(json.dumps({"arguments": sys.argv[1:], "prefix": sys.prefix, "version": list(sys.version_info[:2]),
                  "folder": os.getcwd(), "variables": sorted(os.environ)}))
sys.exit(7)
"""
# No settings of this machine, and a package index where nothing answers.
NOWHERE = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_NO_CACHE_DIR": "1",
    "PIP_RETRIES": "1",
    "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple",
    "UV_NO_CONFIG": "1",
    "UV_NO_CACHE": "1",
    "UV_HTTP_RETRIES": "0",
    "PYENV_ROOT": "",
}


def copy_to(folder: Path) -> Path:
    """A repository that installs nothing and whose `up` tells what it sees."""
    shutil.copytree(REPO / "local", folder / "local", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPO / "dev.py", folder)
    (folder / "local" / "up.py").write_text(TELL)
    for name in ("requirements.txt", "requirements-dev.txt", "constraints.txt"):
        (folder / name).write_text("# nothing\n")
    return folder


def start(
    folder: Path, *arguments: str, python: Path | str = sys.executable, **variables: str
) -> subprocess.Popen[str]:
    """Start dev.py with these variables on top of the environment, away from the terminal."""
    return subprocess.Popen(
        [python, str(folder / "dev.py"), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **variables},
        cwd=folder.parent,
        start_new_session=True,
        text=True,
    )


def dev(folder: Path, *arguments: str, python: Path | str = sys.executable, **variables: str) -> tuple[int, str, str]:
    """Run dev.py to its end; its exit code and what it wrote to standard output and standard error."""
    with start(folder, *arguments, python=python, **variables) as process:
        out, err = process.communicate(timeout=50)
        return process.returncode, out, err


class Seen(NamedTuple):
    """What a command sees that dev.py became."""

    arguments: list[str]
    prefix: str
    version: list[int]
    folder: str
    variables: list[str]


def seen_in(out: str) -> Seen:
    return Seen(**json.loads(out.splitlines()[-1]))


def path_with(folder: Path, **programs: str) -> str:
    """A PATH on which these shell scripts come before the machine's own programs."""
    folder.mkdir()
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


@pytest.fixture
def installs_nothing(tmp_path: Path) -> str:
    """A PATH with a uv that has everything installed at once."""
    return path_with(tmp_path / "programs", uv='test "$1" != --version || echo uv 1.0')


@pytest.fixture(scope="module")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[int, str, str]]:
    folder = copy_to(tmp_path_factory.mktemp("dev") / "repo")
    return folder, dev(folder, "up", "--port", "80")


@pytest.fixture
def made(tmp_path: Path, first_start: tuple[Path, tuple[int, str, str]]) -> Path:
    """A repository of one's own whose environment is made."""
    return shutil.copytree(first_start[0], tmp_path / "made", symlinks=True)


def test_first_start_makes_the_environment_and_becomes_the_command(
    first_start: tuple[Path, tuple[int, str, str]],
) -> None:
    folder, (code, out, err) = first_start
    assert (code, err) == (7, "")
    assert re.search(r"^making \.venv .*: done in \d+ s$", out, re.MULTILINE)
    assert re.search(r"^installing the packages .*: done in \d+ s$", out, re.MULTILINE)
    seen = seen_in(out)
    assert seen.arguments == ["--port", "80"]
    assert seen.version == [3, 13]
    assert (seen.prefix, seen.folder) == (str(folder / ".venv"), str(folder))


def test_second_start_installs_nothing(made: Path) -> None:
    code, out, err = dev(made, "up", **NOWHERE)
    assert (code, err, len(out.splitlines())) == (7, "", 1)


def test_changed_requirements_are_installed(made: Path, installs_nothing: str) -> None:
    (made / "constraints.txt").write_text("# something else\n")
    _, out, _ = dev(made, "up", PATH=installs_nothing)
    assert "installing the packages" in out
    assert "making .venv" not in out


def test_variables_of_another_python_do_not_leak(made: Path, tmp_path: Path) -> None:
    stray = {
        "VIRTUAL_ENV": "/elsewhere",
        "PYTHONPATH": str(tmp_path),
        "PYTHONOPTIMIZE": "1",
        "PIP_TARGET": "/elsewhere",
    }
    _, out, _ = dev(made, "up", **stray, PYTHONDONTWRITEBYTECODE="1", MINE="1")
    seen = seen_in(out).variables
    assert not stray.keys() & set(seen)
    assert {"MINE", "PYTHONDONTWRITEBYTECODE"} <= set(seen)


@pytest.mark.parametrize("fault", ["python gone", "another version", "interrupted"])
def test_a_faulty_environment_is_made_again(made: Path, fault: str, installs_nothing: str) -> None:
    """The Python under it was removed; somebody made it with another; the last start was killed half-way."""
    (made / ".venv" / "leftover").touch()
    python = made / ".venv" / "bin" / "python"
    if fault == "interrupted":
        (made / ".venv" / "dev-ready").unlink()
        (made / ".local" / "environment.unfinished").touch()
    else:
        python.unlink()
    if fault == "another version":
        python.write_text("#!/bin/sh\necho 3.12 /\n")
        python.chmod(0o755)
    code, out, err = dev(made, "up", PATH=installs_nothing)
    assert (code, err) == (7, "")
    assert "making .venv" in out
    assert not (made / ".venv" / "leftover").exists()


def test_no_network_is_one_clear_line(made: Path) -> None:
    (made / "requirements-dev.txt").write_text("no-such-thing==1\n")
    code, out, err = dev(made, "up", **NOWHERE)
    assert code == 1
    assert re.fullmatch(
        r"dev\.py: could not install the packages: Connection refused; check the network or the proxy settings of pip "
        r"\(the whole output is in \.local/install\.log\)\n",
        err,
    )
    assert "Traceback" not in out
    assert "no-such-thing" in (made / ".local" / "install.log").read_text()
    (made / "requirements-dev.txt").write_text("# nothing\n")
    assert dev(made, "up", **NOWHERE)[0] == 7


@pytest.fixture
def deaf_index() -> Iterator[socket.socket]:
    """A package index that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(40)
        yield server


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_can_be_stopped_while_it_installs(made: Path, deaf_index: socket.socket, number: int, code: int) -> None:
    (made / "requirements-dev.txt").write_text("no-such-thing==1\n")
    index = f"http://127.0.0.1:{deaf_index.getsockname()[1]}/simple"
    with start(made, "up", **{**NOWHERE, "PIP_INDEX_URL": index, "UV_DEFAULT_INDEX": index}) as process:
        deaf_index.accept()[0].close()
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (code, "")
    assert "Traceback" not in out


def other_python(versions: str) -> str:
    """A Python of this machine whose version matches the pattern; the test is skipped if there is none."""
    found = [Path(folder, "python3") for folder in os.get_exec_path()]
    for root in (os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv"):
        found += sorted(Path(root or os.devnull, "versions").glob("*/bin/python"))
    for python in filter(Path.is_file, found):
        told = output_of([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"])
        version, _, itself = told.partition(" ")  # what is on PATH may only stand in for it
        if re.fullmatch(versions, version):
            return itself
    pytest.skip(f"no Python {versions} on this machine")


@pytest.mark.parametrize("version", [r"3\.9", r"3\.10", r"3\.1[12]"])
def test_older_pythons_start_it(made: Path, version: str, installs_nothing: str) -> None:
    python = other_python(version)
    code, out, err = dev(made, "-h", python=python)
    assert (code, err) == (0, "")
    assert "commands:" in out
    (made / "constraints.txt").write_text("# something else\n")
    code, out, err = dev(made, "up", python=python, PATH=installs_nothing)
    assert (code, err) == (7, "")
    assert seen_in(out).version == [3, 13]


def test_a_python_that_is_too_old_is_told(tmp_path: Path) -> None:
    code, out, err = dev(copy_to(tmp_path / "repo"), "up", python=other_python(r"3\.[5-8]|2\.7"))
    assert (code, out) == (1, "")
    assert re.fullmatch(r"dev\.py needs Python 3\.9 or later to start, and this is \d\.\d+: try python3 dev\.py\n", err)


def test_no_python_3_13_is_one_clear_line(tmp_path: Path) -> None:
    python = other_python(r"3\.(?:9|1[0-2])")
    code, out, err = dev(
        copy_to(tmp_path / "repo"), "up", python=python, **{**NOWHERE, "PATH": str(tmp_path), "HOME": str(tmp_path)}
    )
    assert code == 1
    assert err.count("\n") == 1
    assert err.startswith(
        "dev.py: this needs Python 3.13, which is not on PATH nor under pyenv, and uv could not get it ("
    )
    assert "install Python 3.13, then start again" in err
    assert "Traceback" not in out


def test_python_is_got_by_uv_where_there_is_none(tmp_path: Path) -> None:
    """One that pyenv lists on PATH but does not run is passed over."""
    uv = f"""
        case "$*" in
          --version) echo uv 1.0 ;;
          "python install 3.13") : > {tmp_path}/installed ;;
          "python find "*) test -f {tmp_path}/installed && echo {find_python()} ;;
          "pip install "*) ;;
          *) echo "unexpected: $*"; exit 2 ;;
        esac"""
    path = path_with(tmp_path / "programs", uv=uv, **{"python3.13": "echo command not found >&2; exit 127"})
    folder = copy_to(tmp_path / "repo")
    variables = {**NOWHERE, "PATH": path, "HOME": str(tmp_path)}
    code, out, err = dev(folder, "up", python=other_python(r"3\.(?:9|1[0-2])"), **variables)
    assert (code, err) == (7, "")
    assert "getting Python 3.13 with uv: done" in out
    assert seen_in(out).version == [3, 13]


def test_help_tells_of_every_command(tmp_path: Path) -> None:
    code, out, _ = dev(copy_to(tmp_path / "repo"), "--help")
    assert code == 0
    assert not (tmp_path / "repo" / ".venv").exists()
    for command in ("up", "test", "bench"):
        assert re.search(rf"^  {command} +\w", out, re.MULTILINE)
    code, _, err = dev(tmp_path / "repo", "dance")
    assert code == 2
    assert "invalid choice: 'dance'" in err
