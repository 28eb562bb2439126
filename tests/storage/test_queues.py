"""``StorageQueues``: what was sent is there, is seen when it should be, and waits for ever."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from time import monotonic
from uuid import uuid4

import pytest
from azure.storage.queue import QueueMessage, TextBase64DecodePolicy
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from shared.messages import ChangesMessage, ChunkMessage, Pointer
from shared.model import ChangeType, DeviceChange
from shared.ports import UnavailableError
from shared.settings import ByConnectionString
from shared.storage.connection import queue_service, table_service
from shared.storage.devices import TableDeviceStore
from shared.storage.queues import StorageQueues
from tests.service import eventually

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
NOBODY = "http://127.0.0.1:9/account0"
UNREACHABLE = f"AccountName=account0;AccountKey=c2VjcmV0;QueueEndpoint={NOBODY};TableEndpoint={NOBODY};"


@pytest.fixture
async def account(blank_account: Callable[[], str]) -> AsyncIterator[QueueServiceClient]:
    """Queues of an account that has none yet."""
    async with queue_service(ByConnectionString(blank_account())) as service:
        yield service


@pytest.fixture
def queues(account: QueueServiceClient) -> StorageQueues:
    return StorageQueues(account)


def a_queue(account: QueueServiceClient, name: str) -> QueueClient:
    return account.get_queue_client(name, message_decode_policy=TextBase64DecodePolicy())


def pointer() -> Pointer:
    return Pointer(devices=(str(uuid4()),), forced=True)


async def one_of(queue: QueueClient) -> QueueMessage | None:
    return await queue.receive_message()


async def test_each_kind_of_message_goes_to_its_queue_which_is_made_if_it_is_missing(
    account: QueueServiceClient, queues: StorageQueues
) -> None:
    change = DeviceChange(source="urn:mdm:é", id="1", type=ChangeType.CHECKED_IN, device_id=str(uuid4()), time=NOW)
    sent: dict[str, ChangesMessage | Pointer | ChunkMessage] = {
        "device-changes": ChangesMessage(changes=(change,)),
        "device-reports": pointer(),
        "weekly-shards": ChunkMessage(run_id="run", started_at=NOW, after=("a", "b")),
    }
    assert [queue.name async for queue in account.list_queues()] == []
    await queues.send_changes([ChangesMessage(changes=(change,))])
    await queues.send_pointers([Pointer.model_validate(sent["device-reports"])])
    await queues.send_chunk(ChunkMessage.model_validate(sent["weekly-shards"]))

    assert {queue.name async for queue in account.list_queues()} == set(sent)
    for name, message in sent.items():
        found = await one_of(a_queue(account, name))
        assert found is not None
        assert type(message).model_validate_json(found.content) == message


async def test_many_messages_to_a_queue_that_is_missing_all_arrive(
    account: QueueServiceClient, queues: StorageQueues
) -> None:
    sent = [pointer() for _ in range(12)]
    await queues.send_pointers(sent)
    messages = a_queue(account, "device-reports").receive_messages(messages_per_page=32)
    found = [Pointer.model_validate_json(message.content).devices async for message in messages]
    assert sorted(found) == sorted(message.devices for message in sent)


async def test_a_message_never_expires(account: QueueServiceClient, queues: StorageQueues) -> None:
    await queues.send_pointers([pointer()])
    message = await one_of(a_queue(account, "device-reports"))
    assert message is not None
    assert message.expires_on is not None
    assert message.expires_on.year > 9000


async def test_a_delay_hides_a_message_until_it_is_over(account: QueueServiceClient, queues: StorageQueues) -> None:
    queue = a_queue(account, "device-reports")
    sent = monotonic()
    await queues.send_pointers([pointer()], 1)
    assert await one_of(queue) is None
    assert await eventually(lambda: one_of(queue)) is not None
    assert monotonic() - sent >= 0.9


async def test_no_delay_is_longer_than_storage_allows(account: QueueServiceClient, queues: StorageQueues) -> None:
    await queues.send_pointers([pointer()], 30 * 24 * 3600)
    queue = a_queue(account, "device-reports")
    assert (await queue.get_queue_properties()).approximate_message_count == 1
    assert await one_of(queue) is None


async def test_a_queue_that_cannot_be_reached_is_told_quickly_and_without_secrets() -> None:
    async with queue_service(ByConnectionString(UNREACHABLE)) as service:
        started = monotonic()
        with pytest.raises(UnavailableError) as caught:
            await StorageQueues(service).send_pointers([pointer()])
        assert monotonic() - started < 8
    says_no_secret(str(caught.value))
    assert "device-reports" in str(caught.value)


async def test_a_table_that_cannot_be_reached_is_told_without_secrets() -> None:
    async with table_service(ByConnectionString(UNREACHABLE)) as service:
        with pytest.raises(UnavailableError) as caught:
            await TableDeviceStore(service).read(str(uuid4()))
    says_no_secret(str(caught.value))
    assert "DeviceReports" in str(caught.value)


async def test_a_key_that_is_wrong_is_told_without_secrets(blank_account: Callable[[], str]) -> None:
    fields = dict(field.split("=", 1) for field in blank_account().strip(";").split(";"))
    wrong = ";".join(f"{name}={held}" for name, held in (fields | {"AccountKey": "c2VjcmV0"}).items())
    async with queue_service(ByConnectionString(wrong)) as service:
        with pytest.raises(UnavailableError) as caught:
            await StorageQueues(service).send_pointers([pointer()])
    says_no_secret(str(caught.value))


def says_no_secret(text: str) -> None:
    for secret in ("c2VjcmV0", "secret", "AccountKey", "SharedKey", "Signature"):
        assert secret not in text
