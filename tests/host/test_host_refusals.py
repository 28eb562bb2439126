"""Apps that the host does not start: one line says why, exit code 1."""

import asyncio
import socket
from pathlib import Path

import pytest

from tests.host.running import refusal, write_app

HEAD = "import azure.functions as func\napp = func.FunctionApp()\n"
TIMER = '@app.timer_trigger(arg_name="t", schedule="0 0 0 * * *")\n'

APPS = {
    "unbound parameter": (TIMER + "def lonely(t: func.TimerRequest, extra: str): ...", ["lonely", "extra"]),
    "wrong annotation": (TIMER + "def mistyped(t: func.HttpRequest): ...", ["mistyped", "HttpRequest"]),
    "same name twice": ((TIMER + "def twin(t: func.TimerRequest): ...\n") * 2, ["twin", "unique"]),
    "bad schedule": (
        TIMER.replace("0 0 0", "0 0") + "def late(t: func.TimerRequest): ...",
        ["function 'late'", "6 fields"],
    ),
}


@pytest.fixture(scope="session")
async def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """What the host says of each app; two at a time, for each takes a second of processor."""
    turn = asyncio.Semaphore(2)

    async def one(source: str) -> tuple[int, str]:
        async with turn:
            return await refusal(write_app(tmp_path_factory.mktemp("refused"), HEAD + source))

    return dict(zip(APPS, await asyncio.gather(*(one(source) for source, _ in APPS.values())), strict=True))


@pytest.mark.parametrize("app", APPS)
def test_a_broken_app_is_refused_in_one_line(refused: dict[str, tuple[int, str]], app: str) -> None:
    code, said = refused[app]
    error = said.splitlines()[-1]
    assert (code, error[:7]) == (1, "error: ")
    assert "Traceback" not in said
    for word in APPS[app][1]:
        assert word in error


async def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    app = write_app(tmp_path, HEAD + TIMER + "def fine(t: func.TimerRequest): ...")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = await refusal(app, "--port", str(port))
    assert (code, said.splitlines()[-1]) == (1, f"error: port {port} is in use; choose another with --port")
