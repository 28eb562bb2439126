"""`python -m local.entra`, as a process."""

import asyncio
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process

from aiohttp import ClientSession

from local.entra.client import EntraControl
from tests.entra.entra_support import Caller


async def start(*arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "local.entra", *arguments, stdout=PIPE, stderr=PIPE
    )


async def test_it_says_where_it_listens_serves_and_ends_on_a_signal() -> None:
    process = await start("--identity-header", "sesame")
    assert process.stdout
    line = (await process.stdout.readline()).decode()
    match = re.fullmatch(r"Entra ID emulator listening on (http://127\.0\.0\.1:\d+)\n", line)
    assert match
    async with EntraControl(match[1]) as control, ClientSession() as session:
        assert await control.devices() == []
        assert control.graph_base_url == f"{match[1]}/v1.0"
        assert (await Caller(session, match[1]).ask_token(header="sesame")).status == 200
        assert (await Caller(session, match[1]).ask_token(header="local")).status == 403
    process.send_signal(signal.SIGTERM)
    rest, errors = await process.communicate()
    assert (process.returncode, rest, errors) == (0, b"", b"")


async def test_a_port_in_use_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await start("--port", str(port))
        output, errors = await process.communicate()
    assert process.returncode == 1
    assert (output, errors.decode()) == (b"", f"error: port {port} is in use; choose another with --port\n")
