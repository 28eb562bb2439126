"""A message that failed too often is kept with its reason, shown at its devices, and can be sent again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.details import status_of
from shared.failures import MAX_SHOWN, NotReplayableError, devices_in, failure_id, reason_of
from shared.messages import ChangesMessage, ChunkMessage, Pointer, to_text
from shared.model import ReportStatus, Verdict
from shared.ports import FailedChange
from tests.core.making import DEVICE, START
from tests.use_cases.house import House, blocked, compliant

BODY = to_text(ChangesMessage(v=1, changes=(blocked(2),)))


@pytest.fixture
def house() -> House:
    return House()


async def kept(house: House, queue: str, body: str) -> FailedChange:
    await house.failures.keep(queue, body)
    failed = await house.failed.get(failure_id(queue, body))
    assert failed is not None
    return failed


async def test_a_failed_message_is_kept_as_it_was_with_the_reason_that_was_noted(house: House) -> None:
    await house.failures.note("device-changes", BODY, RuntimeError("the table is away"))
    failed = await kept(house, "device-changes", BODY)
    assert (failed.body, failed.devices, failed.failed_at) == (BODY, (DEVICE,), house.clock())
    assert failed.reason == "RuntimeError: the table is away"


async def test_without_a_note_the_reason_says_that_there_is_none(house: House) -> None:
    failed = await kept(house, "device-changes", BODY)
    assert failed.reason.startswith("No reason was noted")


async def test_its_device_is_failed_with_the_reason_though_nothing_else_is_known_of_it(house: House) -> None:
    await house.failures.note("device-changes", BODY, RuntimeError("the table is away"))
    await house.failures.keep("device-changes", BODY)
    assert status_of(house.row) is ReportStatus.FAILED
    assert house.row.undelivered[0].message == "RuntimeError: the table is away"
    assert house.lines.entries[-1].summary == "A message could not be processed: RuntimeError: the table is away"


async def test_keeping_it_twice_shows_it_once(house: House) -> None:
    await house.failures.keep("device-changes", BODY)
    await house.failures.keep("device-changes", BODY)
    assert len(house.row.undelivered) == 1


async def test_a_device_with_very_many_failures_shows_the_newest_and_all_are_kept(house: House) -> None:
    bodies = [to_text(ChangesMessage(v=1, changes=(blocked(minute),))) for minute in range(MAX_SHOWN + 5)]
    for body in bodies:
        await house.failures.keep("device-changes", body)
    newest = [failure_id("device-changes", body) for body in bodies[-MAX_SHOWN:]]
    assert [failure.id for failure in house.row.undelivered] == newest
    assert len(house.failed.kept) == len(bodies)


async def test_a_replay_of_changes_folds_them_and_the_device_is_whole_again(house: House) -> None:
    await house.settled(compliant(1))
    failed = await kept(house, "device-changes", BODY)
    await house.failures.replay(failed)
    (message,) = house.queues.changes
    await house.folder.handle(message)
    await house.drain()
    assert (house.row.undelivered, house.row.decision.verdict) == ((), Verdict.NON_COMPLIANT)
    assert house.failed.kept[failed.id].replayed_at == house.clock()


async def test_a_change_that_came_in_later_does_not_hide_that_another_is_missing(house: House) -> None:
    await house.failures.keep("device-changes", BODY)
    await house.settled(compliant(3))
    assert status_of(house.row) is ReportStatus.FAILED


async def test_a_replay_that_fails_again_is_the_same_failure(house: House) -> None:
    failed = await kept(house, "device-changes", BODY)
    await house.failures.replay(failed)
    (message,) = house.queues.changes
    assert failure_id("device-changes", to_text(message)) == failed.id


async def test_replaying_twice_does_no_harm(house: House) -> None:
    failed = await kept(house, "device-changes", BODY)
    for _ in range(2):
        await house.failures.replay(failed)
    for message in house.queues.changes:
        await house.folder.handle(message)
    await house.drain()
    assert len(house.entra.calls) == 1


async def test_a_replayed_pointer_is_forced_and_its_success_clears_the_failure(house: House) -> None:
    await house.settled(compliant(1))
    failed = await kept(house, "device-reports", to_text(Pointer(devices=(DEVICE,))))
    assert status_of(house.row) is ReportStatus.FAILED
    await house.failures.replay(failed)
    await house.drain()
    assert len(house.entra.calls) == 2
    assert status_of(house.row) is ReportStatus.SUCCESSFUL


async def test_a_chunk_of_a_run_can_be_replayed(house: House) -> None:
    chunk = ChunkMessage(run_id="2026-W48", chunk=4, started_at=START)
    await house.failures.replay(await kept(house, "weekly-shards", to_text(chunk)))
    assert house.queues.chunks == [chunk]


@pytest.mark.parametrize("body", ["no JSON", "{}", '{"v":2,"changes":[]}'])
async def test_what_cannot_be_read_is_kept_and_not_replayed(house: House, body: str) -> None:
    failed = await kept(house, "device-changes", body)
    with pytest.raises(NotReplayableError, match="The message is not valid"):
        await house.failures.replay(failed)
    assert house.queues.changes == []
    assert house.failed.kept[failed.id].replayed_at is None


async def test_a_message_of_a_queue_that_is_not_known_is_not_replayed(house: House) -> None:
    failed = await kept(house, "other", BODY)
    with pytest.raises(NotReplayableError, match="No queue 'other'"):
        await house.failures.replay(failed)


def test_the_devices_of_a_message_are_found_though_the_rest_of_it_is_not_valid() -> None:
    change = {"deviceId": DEVICE.upper(), "data": {"violations": [{"actions": ["EXPLODE"]}]}}
    body = {"v": 99, "changes": [change, change, {"deviceId": "no guid"}, {"deviceId": 7}, "x"]}
    assert devices_in(json.dumps(body)) == (DEVICE,)
    assert devices_in(json.dumps({"devices": [DEVICE, None]})) == (DEVICE,)


@given(st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_a_message_that_is_anything_at_all_names_no_device_and_breaks_nothing(body: str) -> None:
    assert devices_in(body) == ()
    assert len(failure_id("device-changes", body)) == 32


def test_the_reason_does_not_repeat_what_was_in_the_message() -> None:
    with pytest.raises(ValidationError) as caught:
        ChangesMessage.model_validate_json('{"v":1,"changes":[{"deviceId":"secret"}]}')
    assert "secret" not in reason_of(caught.value)
    assert "changes/0/" in reason_of(caught.value)


def test_the_reason_is_one_short_line() -> None:
    assert reason_of(RuntimeError("one\ntwo")) == "RuntimeError: one"
    assert len(reason_of(RuntimeError("x" * 10_000))) <= 500
