"""`python3 dev.py up`, run as a person runs it."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen
from uuid import uuid4

import pytest
from aiohttp import ClientConnectionError

from local.errors import LocalError
from local.installing import REPO
from local.processes import Server, running
from local.up import main, unless_one_dies, why_no_sample
from shared.settings import SettingsError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses signals")

_SETTINGS = ("AzureWebJobsStorage", "STATE_STORAGE", "GRAPH_BASE_URL", "IDENTITY_ENDPOINT", "DRY_RUN")
_IDLE = [sys.executable, "-c", "import time; print('listening on http://127.0.0.1:1', flush=True); time.sleep(60)"]
_MARK = "UP_TEST"  # in the environment of all that a test starts, so that what is left of it is found


@contextmanager
def up(*arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Start it away from the terminal and without this machine's settings; it has to leave nothing behind."""
    mark = str(uuid4())
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
    with subprocess.Popen(
        [sys.executable, "-m", "local.up", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**kept, **variables, _MARK: mark, "PYTHONUNBUFFERED": "1"},
        cwd=REPO,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
    assert left_with(mark) == []


def left_with(mark: str) -> list[str]:
    """The command lines of the processes that still have the mark; none where there is no /proc."""
    left = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{_MARK}={mark}".encode() in (process / "environ").read_bytes():
                left.append((process / "cmdline").read_text())
        except OSError:  # another user's, or it has just ended
            continue
    return left


def lines_until(process: subprocess.Popen[str], pattern: str) -> str:
    """What it prints, up to the first line that the pattern is found in."""
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if re.search(pattern, line):
            return printed
    pytest.fail(f"ended without {pattern!r}:\n{printed}{process.stderr and process.stderr.read()}")


def is_open(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):  # noqa: S310 - on loopback
            return True
    except URLError:
        return False


def test_once_reports_the_sample_fleet_and_checks_every_device() -> None:
    with up("--once", "--port", "0") as process:
        out, err = process.communicate(timeout=150)
    assert (process.returncode, err) == (0, ""), out
    assert out.splitlines()[-1] == "60 of 60 devices ended as they should"
    first = re.search(r"^first device reported after (\d+\.\d) s$", out, re.MULTILINE)
    all_ended = re.search(r"^all devices have ended after (\d+\.\d) s$", out, re.MULTILINE)
    assert first
    assert all_ended
    assert 0 < float(first[1]) < float(all_ended[1])
    assert max(map(len, out.splitlines())) <= 120
    assert "Successful 45, Failed 11, InProgress 2, Blank 2" in out


def test_serves_until_ctrl_c() -> None:
    with up("--no-sample", "--port", "0") as process:
        printed = lines_until(process, "logs")
        assert re.search(r"^  Functions host is ready +\d+\.\d s$", printed, re.MULTILINE)
        host = re.findall(r"Serving on (\S+) until", printed)[0]
        emulator = re.findall(r"Entra ID emulator +(http\S+)", printed)[0]
        with urlopen(f"{host}/api/health", timeout=10) as answer:  # noqa: S310 - on loopback
            assert answer.status == 200
        assert is_open(emulator)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "stopping" in out
    assert not is_open(emulator)


def test_interrupted_while_it_starts_it_ends_in_order() -> None:
    with up("--port", "0") as process:
        lines_until(process, "starting the servers")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")


def test_sample_stays_away_from_a_tenant_that_is_not_the_emulator() -> None:
    elsewhere = {"GRAPH_BASE_URL": "http://127.0.0.1:9/v1.0", "IDENTITY_ENDPOINT": "http://127.0.0.1:9/msi/token"}
    with up("--port", "0", **elsewhere) as process:
        printed = lines_until(process, "logs")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert "no sample fleet: GRAPH_BASE_URL is set" in printed
    assert "Entra ID emulator" not in printed


def test_port_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with up("--port", str(port)) as process:
            out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert err == f"error: port {port} is in use; choose another with --port\n"


@pytest.mark.parametrize(
    ("arguments", "variables", "ends"),
    [
        (["--once", "--no-sample"], {}, (2, "--once checks the sample fleet; it cannot do without")),
        (["--port", "70000"], {}, (2, "--port must be from 0 to 65535, not 70000")),
        (["--once", "--port", "0"], {"DRY_RUN": "true"}, (1, "error: --once has nothing to check: DRY_RUN")),
        (["--port", "0"], {"DRY_RUN": "perhaps"}, (1, "error: The settings are not valid. DRY_RUN: ")),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str],
    variables: dict[str, str],
    ends: tuple[int, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # it ends before there is anything to interrupt
    for name in _SETTINGS:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    try:
        ended_with: object = main(arguments)
    except SystemExit as exit_:
        ended_with = exit_.code
    out, err = capsys.readouterr()
    assert (ended_with, out) == (ends[0], "")
    assert ends[1] in err


def test_sample_is_loaded_unless_the_environment_forbids_it() -> None:
    assert why_no_sample({}) is None
    assert why_no_sample({"GRAPH_BASE_URL": "", "DRY_RUN": "false"}) is None
    assert "IDENTITY_ENDPOINT is set" in (why_no_sample({"IDENTITY_ENDPOINT": "http://127.0.0.1:9"}) or "")
    assert "REPORTING_ENABLED" in (why_no_sample({"REPORTING_ENABLED": "false"}) or "")
    with pytest.raises(SettingsError, match="REPORT_CHANNELS"):
        why_no_sample({"REPORT_CHANNELS": "smoke"})


async def test_server_that_dies_ends_the_work_with_its_last_words(tmp_path: Path) -> None:
    async def unreachable(server: Server) -> None:
        server.process.kill()
        raise ClientConnectionError("connection refused")

    async def forever(server: Server) -> None:
        server.process.kill()
        await asyncio.Event().wait()

    for work in (unreachable, forever):
        async with running("Server", _IDLE, log=tmp_path / "log") as server:
            with pytest.raises(LocalError, match=r"(?s)Server ended unexpectedly with exit code -9.*listening"):
                await unless_one_dies([server], work(server))


async def test_work_that_ends_gives_its_result_or_says_that_nobody_answers(tmp_path: Path) -> None:
    async def answer() -> int:
        return 42

    async def unreachable() -> None:
        raise ClientConnectionError("connection refused")

    async with running("Server", _IDLE, log=tmp_path / "log") as server:
        assert await unless_one_dies([server], answer()) == 42
        with pytest.raises(LocalError, match="does not answer: connection refused"):
            await unless_one_dies([server], unreachable())
