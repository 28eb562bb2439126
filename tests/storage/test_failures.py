"""``TableFailureStore``: a message that failed comes back byte for byte, with the reason that was noted for it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from azure.data.tables.aio import TableServiceClient

from shared.ports import FailedChange, Position
from shared.storage.failures import TableFailureStore

NOW = datetime(2026, 11, 23, 9, 30, 0, 123456, tzinfo=UTC)
KIB = 1024


@pytest.fixture
def failures(tables: TableServiceClient) -> TableFailureStore:
    return TableFailureStore(tables)


def failure(body: str = "{}") -> FailedChange:
    return FailedChange(
        id=uuid4().hex,
        queue="device-changes",
        body=body,
        reason="not known",
        devices=(str(uuid4()), str(uuid4())),
        failed_at=NOW,
    )


async def kept(failures: TableFailureStore, failure_id: str) -> FailedChange:
    found = await failures.get(failure_id)
    assert found is not None
    return found


BODIES = {
    "nothing": "",
    "64 KiB of ASCII": "x" * (64 * KIB),
    "64 KiB of two bytes a character": "é" * (32 * KIB),
    "64 KiB of three bytes a character": "€" * (64 * KIB // 3),
    "64 KiB beyond the basic plane": "\U0001f4f1" * (16 * KIB),
    "what XML and tables dislike": "\u0000\u0001\ufffe\uffff<&'\"\r\n",
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_comes_back_as_it_was(failures: TableFailureStore, name: str) -> None:
    failed = failure(BODIES[name])
    assert await failures.keep(failed) == failed
    assert await failures.get(failed.id) == failed


async def test_the_reason_that_was_noted_last_is_kept_with_the_message(failures: TableFailureStore) -> None:
    failed = failure()
    await failures.note_reason(failed.id, "ValueError: first")
    await failures.note_reason(failed.id, "ValueError: last")
    assert (await failures.keep(failed)).reason == "ValueError: last"
    assert (await kept(failures, failed.id)).reason == "ValueError: last"


async def test_a_message_for_which_only_a_reason_was_noted_has_not_failed_yet(failures: TableFailureStore) -> None:
    failed = failure()
    await failures.note_reason(failed.id, "ValueError: once")
    assert await failures.get(failed.id) is None


async def test_a_message_that_never_failed_is_not_known(failures: TableFailureStore) -> None:
    assert await failures.get(uuid4().hex) is None


async def test_a_message_that_was_sent_again_says_when(failures: TableFailureStore) -> None:
    failed = failure("é")
    await failures.keep(failed)
    await failures.replayed(failed.id, NOW + timedelta(hours=1))
    assert await kept(failures, failed.id) == replace(failed, replayed_at=NOW + timedelta(hours=1))


async def test_a_message_that_fails_again_after_a_replay_is_there_once_and_waits_again(
    failures: TableFailureStore,
) -> None:
    failed = failure("x" * 70_000)
    await failures.keep(failed)
    await failures.replayed(failed.id, NOW)
    again = replace(failed, body="shorter", failed_at=NOW + timedelta(hours=2))
    await failures.keep(again)
    assert await kept(failures, failed.id) == again


async def test_paging_finds_each_message_once_and_passes_over_mere_reasons(
    blank_tables: Callable[[], TableServiceClient],
) -> None:
    failures = TableFailureStore(blank_tables())
    assert (await failures.page(10, None)).items == []
    all_failed = [failure(str(number)) for number in range(12)]
    for failed in all_failed:
        await failures.keep(failed)
        await failures.note_reason(uuid4().hex, "ValueError: only noted")
    found: list[FailedChange] = []
    sizes: list[int] = []
    after: Position | None = None
    while not sizes or after is not None:
        page = await failures.page(5, after)
        found += page.items
        sizes.append(len(page.items))
        after = page.after
    assert sizes == [5, 5, 2]
    assert sorted(found, key=lambda failed: failed.id) == sorted(all_failed, key=lambda failed: failed.id)
