"""A real Azurite: started, used through the SDKs, ended, killed; and what is told where it cannot be had."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue.aio import QueueClient

from local import azurite, installing
from local.azurite import Azurite
from local.errors import LocalError
from local.installing import REPO
from local.node import find_node
from local.processes import running


def port_of(endpoint: str) -> int:
    return int(endpoint.split(":")[2].split("/", maxsplit=1)[0])


async def is_open(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


async def test_takes_messages_and_entities_and_leaves_no_process() -> None:
    async with (
        Azurite.start(None) as storage,
        QueueClient.from_connection_string(storage.connection_string, "changes") as queue,
        TableServiceClient.from_connection_string(storage.connection_string) as tables,
    ):
        await queue.create_queue()
        await queue.send_message("hello")
        assert [message.content async for message in queue.receive_messages()] == ["hello"]
        table = await tables.create_table("Reports")
        await table.upsert_entity({"PartitionKey": "a", "RowKey": "b", "Verdict": "Compliant"})
        assert (await table.get_entity("a", "b"))["Verdict"] == "Compliant"
    assert storage.server.process.returncode == 0  # in order: neither killed nor cut short
    assert not storage.server.log.exists()  # what it kept in memory leaves nothing on the disk either


async def test_keeps_in_its_folder_what_it_was_told_last(tmp_path: Path) -> None:
    async with Azurite.start(tmp_path / "data") as storage:
        async with TableServiceClient.from_connection_string(storage.connection_string) as tables:
            table = await tables.create_table("Reports")
            await table.upsert_entity({"PartitionKey": "a", "RowKey": "b"})
        ports = (port_of(storage.blob_endpoint), port_of(storage.queue_endpoint), port_of(storage.table_endpoint))
    assert "Table service successfully closed" in storage.server.log.read_text()
    async with (
        Azurite.start(tmp_path / "data", ports=ports) as again,
        TableServiceClient.from_connection_string(again.connection_string) as tables,
    ):
        assert again.table_endpoint == storage.table_endpoint
        assert await tables.get_table_client("Reports").get_entity("a", "b")


async def test_one_that_is_killed_is_told() -> None:
    async with Azurite.start(None) as storage:
        storage.server.process.kill()
        with pytest.raises(LocalError, match=r"(?s)Azurite ended unexpectedly with exit code -9.*Table service"):
            await storage.failed()


async def test_a_port_that_is_taken_is_told() -> None:
    async with Azurite.start(None) as first:
        with pytest.raises(LocalError, match=r"(?s)Azurite ended with exit code 1.*EADDRINUSE"):
            async with Azurite.start(None, ports=(0, port_of(first.queue_endpoint), 0)):
                pytest.fail("it never was ready")


async def test_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = (
        "import asyncio\nfrom local.azurite import Azurite\n"
        "async def main():\n"
        "    async with Azurite.start(None) as storage:\n"
        "        print('The parent of what is listening on', storage.queue_endpoint)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    env = {**os.environ, "PYTHONPATH": str(REPO)}
    async with running("Parent", [sys.executable, "-c", program], log=tmp_path / "log", env=env) as parent:
        assert await is_open(port_of(parent.url))
        parent.process.kill()
        async with asyncio.timeout(10):
            while await is_open(port_of(parent.url)):  # noqa: ASYNC110 - another process's state has no event
                await asyncio.sleep(0.05)


def test_says_what_to_do_where_there_is_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    azurite.install()  # and with it a Node.js
    node = find_node()
    monkeypatch.setattr(azurite, "find_node", lambda: node)
    monkeypatch.setattr(azurite, "WORK", tmp_path)
    monkeypatch.setattr(installing, "LOG", tmp_path / "install.log")
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(LocalError, match=r"could not get Azurite \(ECONNREFUSED\): check the network or the proxy"):
        azurite.install()
    assert not (tmp_path / f"azurite-{azurite.VERSION}").exists()
    assert f"getting Azurite {azurite.VERSION}: failed" in capsys.readouterr().out
