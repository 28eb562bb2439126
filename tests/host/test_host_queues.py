"""Queue functions against a real storage queue: metadata, failure, poison, leases, shutdown."""

import asyncio
import base64
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from tests.host.running import RunningHost, eventually, running, write_app
from tests.host.sample import SETTINGS, SOURCE

PATIENCE = 30


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def poisoned(queues: QueueServiceClient, name: str, count: int = 1) -> list[QueueMessage]:
    """Wait for messages on a poison queue, and take them off it."""
    client, found = queues.get_queue_client(f"{name}-poison"), list[QueueMessage]()
    deadline = datetime.now(UTC) + timedelta(seconds=PATIENCE)
    while len(found) < count and datetime.now(UTC) < deadline:
        try:
            async for message in client.receive_messages(visibility_timeout=1):
                found.append(message)
                await client.delete_message(message)
        except ResourceNotFoundError:
            continue
    return found


async def emptied(queue: QueueClient) -> bool:
    """Wait until the queue has no message, visible or not."""
    deadline = datetime.now(UTC) + timedelta(seconds=PATIENCE)
    while datetime.now(UTC) < deadline:
        if (await queue.get_queue_properties()).approximate_message_count == 0:
            return True
    return False


async def test_a_message_reaches_the_function_with_all_its_metadata_and_is_deleted(
    sample: RunningHost, queues: QueueServiceClient
) -> None:
    queue = queues.get_queue_client("seen")
    await eventually(lambda: sample.records("tick"))  # the listeners made their queues
    sent = await queue.send_message(encoded("héllo"), time_to_live=-1)
    (seen,) = await eventually(lambda: [r for r in sample.records("note") if r["body"] == "héllo"])
    assert (seen["id"], seen["dequeue_count"]) == (sent.id, 1)
    assert datetime.fromisoformat(seen["inserted"]) == sent.inserted_on
    assert datetime.fromisoformat(seen["expires"]).year == 9999
    lease = datetime.fromisoformat(seen["next_visible"]) - datetime.now(UTC)
    assert timedelta(minutes=9) < lease <= timedelta(minutes=10)
    assert seen["pop_receipt"]
    assert await emptied(queue)


async def test_a_binary_binding_takes_bytes_that_are_no_text(sample: RunningHost, queues: QueueServiceClient) -> None:
    await queues.get_queue_client("binary").send_message(base64.b64encode(b"\xff\x00").decode())
    (seen,) = await eventually(lambda: sample.records("binary"))
    assert seen["body"] == "ff00"


async def test_a_message_that_fails_five_times_moves_to_the_poison_queue_unchanged_and_for_ever(
    sample: RunningHost, queues: QueueServiceClient
) -> None:
    queue = queues.get_queue_client("failing")
    await queue.send_message(encoded("bad"))
    (message,) = await poisoned(queues, "failing")
    assert message.content == encoded("bad")
    assert message.expires_on is not None
    assert message.expires_on.year == 9999
    assert [record["dequeue_count"] for record in sample.records("failing")] == [1, 2, 3, 4, 5]
    assert await emptied(queue)


@pytest.mark.parametrize("content", ["not base64!", base64.b64encode(b"\xff").decode()])
async def test_a_message_that_cannot_be_decoded_is_poison_too(
    sample: RunningHost, queues: QueueServiceClient, content: str
) -> None:
    before = len(sample.records("note"))
    await queues.get_queue_client("seen").send_message(content)
    assert [message.content for message in await poisoned(queues, "seen")] == [content]
    assert len(sample.records("note")) == before


async def test_a_poison_queue_has_no_poison_queue_of_its_own(sample: RunningHost, queues: QueueServiceClient) -> None:
    queue = queues.get_queue_client("buried-poison")
    await queue.send_message(encoded("bad"))
    await eventually(lambda: len(sample.records("buried")) > 6)
    await queue.clear_messages()
    assert [found.name async for found in queues.list_queues(name_starts_with="buried-poison-")] == []


@pytest.fixture(scope="module")
async def tuned(storage: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningHost]:
    """The sample on queues of its own, with a lease of 3 s and all that host.json can say said by the environment."""
    source = SOURCE
    for queue in ("failing", "slow", "binary", "asleep", "buried-poison"):
        source = source.replace(f'queue_name="{queue}"', f'queue_name="2-{queue}"')
    app = write_app(tmp_path_factory.mktemp("tuned"), source)
    queues = "AzureFunctionsJobHost__extensions__queues__"
    own = {
        "SEEN_QUEUE": "2-seen",
        f"{queues}visibilityTimeout": "00:00:02",
        f"{queues}maxDequeueCount": "2",
        f"{queues}messageEncoding": "none",
    }
    async with running(app, "--queue-lease", "3", AzureWebJobsStorage=storage, **{**SETTINGS, **own}) as host:
        await eventually(lambda: host.records("tick"))
        yield host


async def test_without_encoding_the_text_is_the_message(tuned: RunningHost, queues: QueueServiceClient) -> None:
    await queues.get_queue_client("2-seen").send_message("<plain & simple>")
    (seen,) = await eventually(lambda: tuned.records("note"))
    assert seen["body"] == "<plain & simple>"


async def test_a_failed_message_comes_back_after_the_visibility_timeout_of_the_environment(
    tuned: RunningHost, queues: QueueServiceClient
) -> None:
    await queues.get_queue_client("2-failing").send_message("bad")
    (message,) = await poisoned(queues, "2-failing")
    assert message.content == "bad"
    first, second = tuned.records("failing")
    assert 1.0 < second["at"] - first["at"] < 10  # storage counts in whole seconds


async def test_a_message_stays_hidden_while_its_function_runs_longer_than_a_lease(
    tuned: RunningHost, queues: QueueServiceClient
) -> None:
    queue = queues.get_queue_client("2-slow")
    await queue.send_message("4.5")
    await eventually(lambda: tuned.records("slow finished"))
    assert await emptied(queue)  # only the newest of the pop receipts deletes it
    assert len(tuned.records("slow started")) == 1


STUCK = "__import__('time').sleep(60)"
SHUTDOWN = """
import asyncio
import azure.functions as func
from helper import record

app = func.FunctionApp()


@app.queue_trigger(arg_name="message", queue_name="last", connection="AzureWebJobsStorage")
async def last(message: func.QueueMessage) -> None:
    record("started")
    await asyncio.sleep(1)
    record("finished")
"""


async def test_a_message_under_way_is_finished_before_the_host_stops(
    storage: str, queues: QueueServiceClient, tmp_path: Path
) -> None:
    queue = queues.get_queue_client("last")
    await queue.create_queue()
    await queue.send_message(encoded("x"))
    async with running(write_app(tmp_path, SHUTDOWN), AzureWebJobsStorage=storage) as host:
        await eventually(lambda: host.records("started"))
        host.process.terminate()
        await host.process.wait()
        assert host.process.returncode == 0
    assert len(host.records("finished")) == 1
    assert await emptied(queue)


async def test_functions_that_outlast_the_grace_are_abandoned_and_the_message_stays(
    storage: str, queues: QueueServiceClient, tmp_path: Path
) -> None:
    queue = queues.get_queue_client("stuck")
    await queue.create_queue()
    await queue.send_message(encoded("x"))
    source = SHUTDOWN.replace('"last"', '"stuck"').replace("async def", "def").replace("await asyncio.sleep(1)", STUCK)
    async with running(write_app(tmp_path, source), "--grace", "0.2", AzureWebJobsStorage=storage) as host:
        await eventually(lambda: host.records("started"))
        host.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(10):
            assert await host.process.wait() == 0
    assert "abandoned" in host.log()
    assert (await queue.get_queue_properties()).approximate_message_count == 1


async def test_storage_that_cannot_be_reached_is_one_line_and_the_host_goes_on(tmp_path: Path) -> None:
    nowhere = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;QueueEndpoint=http://127.0.0.1:9/a"
    quick = {"AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:00.1"}
    source = SHUTDOWN + (
        '\n\n@app.timer_trigger(arg_name="t", schedule="* * * * * *")\n'
        "async def tick(t: func.TimerRequest) -> None:\n"
        '    record("tick")\n'
    )
    async with running(write_app(tmp_path, source), AzureWebJobsStorage=nowhere, **quick) as host:
        await eventually(lambda: len(host.records("tick")) > 1)
        assert host.log().count("cannot be read") == 1
