"""Servers are started, known to be ready, watched and ended."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from local import processes
from local.errors import LocalError
from local.processes import python_module, running

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")

READY = "print('Toy listening on http://127.0.0.1:4711', flush=True)\n"
WAIT = "import signal; signal.pause()\n"


def toy(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and whose parent has not asked about it does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - another process's state has no event
            await asyncio.sleep(0.02)


async def test_is_ready_at_the_address_it_announces_and_gone_afterwards(tmp_path: Path) -> None:
    async with running("Toy", toy(READY + WAIT), log=tmp_path / "toy.log") as server:
        assert server.url == "http://127.0.0.1:4711"
        assert is_alive(server.process.pid)
    assert server.process.returncode == -signal.SIGTERM
    assert "listening" in (tmp_path / "toy.log").read_text()


async def test_waits_for_as_many_addresses_as_are_asked_for(tmp_path: Path) -> None:
    program = "for port in (1, 2, 3): print(f'Toy is successfully listening at http://127.0.0.1:{port}')\n" + WAIT
    async with running("Toy", toy(program), log=tmp_path / "toy.log", addresses=3) as server:
        assert server.urls == ("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")


async def test_death_before_ready_is_told_with_the_last_fifty_lines(tmp_path: Path) -> None:
    program = "for n in range(1, 100): print('line', n)\nraise SystemExit('no such tenant')"
    with pytest.raises(LocalError) as caught:
        async with running("Toy", toy(program), log=tmp_path / "toy.log"):
            pytest.fail("it never was ready")
    text = str(caught.value)
    assert text.startswith("Toy ended with exit code 1 before it was ready")
    assert text.endswith("no such tenant")
    assert "line 51\n" in text
    assert "line 50\n" not in text


async def test_silence_past_the_deadline_is_told_and_ends_the_server(tmp_path: Path) -> None:
    program = "import os; print('pid', os.getpid())\n" + WAIT
    with pytest.raises(LocalError, match=r"Toy was not ready after 0\.5 s"):
        async with running("Toy", toy(program), log=tmp_path / "toy.log", ready_seconds=0.5):
            pytest.fail("it never was ready")
    assert not is_alive(int((tmp_path / "toy.log").read_text().split()[1]))


async def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="Toy could not be started: /no/such/program: No such file or directory"):
        async with running("Toy", ["/no/such/program"], log=tmp_path / "toy.log"):
            pytest.fail("it never was there")


async def test_death_after_ready_is_told_to_who_watches(tmp_path: Path) -> None:
    async with running("Toy", toy(READY + "print('last words')\n" + WAIT), log=tmp_path / "toy.log") as server:
        await until(lambda: "last words" in server.log.read_text())
        server.process.kill()
        with pytest.raises(LocalError, match=r"(?s)Toy ended unexpectedly with exit code -9.*last words"):
            await server.failed()


async def test_one_that_does_not_heed_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.2)
    program = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY + "while True: signal.pause()"
    async with running("Toy", toy(program), log=tmp_path / "toy.log") as server:
        pass
    assert server.process.returncode == -signal.SIGKILL


async def test_one_that_is_cancelled_while_it_stops_leaves_nothing(tmp_path: Path) -> None:
    program = "import signal; signal.signal(signal.SIGTERM, lambda *_: print('asked to end'))\n" + READY
    program += "while True: signal.pause()"
    log = tmp_path / "toy.log"
    started: list[int] = []

    async def start_and_stop() -> None:
        async with running("Toy", toy(program), log=log) as server:
            started.append(server.process.pid)

    task = asyncio.create_task(start_and_stop())
    await until(lambda: log.exists() and "asked to end" in log.read_text())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_alive(started[0])


async def test_a_module_of_ours_gets_its_arguments_and_ends_with_its_parent(tmp_path: Path) -> None:
    """Also a parent that is killed, and so can end nothing itself, leaves no server behind."""
    (tmp_path / "toy_server.py").write_text(
        f"import os, sys\nprint(__name__, sys.argv[1:], os.getpid())\n{READY}{WAIT}",
    )
    (tmp_path / "parent.py").write_text(
        "import asyncio, pathlib\nfrom local.processes import python_module, running\n"
        "async def main():\n"
        "    async with running('Toy', python_module('toy_server', '--x'), log=pathlib.Path('toy.log')):\n"
        "        print('Parent listening on http://127.0.0.1:1', flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    path = os.pathsep.join([str(tmp_path), str(Path(processes.__file__).parent.parent)])
    parent = [sys.executable, str(tmp_path / "parent.py")]
    log = tmp_path / "parent.log"
    async with running("Parent", parent, log=log, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}) as server:
        words = (tmp_path / "toy.log").read_text().split()
        assert words[:2] == ["__main__", "['--x']"]
        assert is_alive(int(words[2]))
        server.process.kill()
        await until(lambda: not is_alive(int(words[2])))


def test_a_module_of_ours_runs_with_this_python() -> None:
    assert python_module("local.host", "--port", "0") == [
        *(sys.executable, "-m", "local.tethered", "local.host", "--port", "0")
    ]
