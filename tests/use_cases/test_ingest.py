"""What comes in is on the queue before the sender is told so, and a time in the future is refused."""

from datetime import timedelta

import pytest

from shared.ingest import MAX_AHEAD, Receipt, accept
from shared.model import DeviceChange
from shared.sources.parsed import Flaw, Parsed, Rejection
from tests.core.making import START, change
from tests.use_cases.memory import Queues


def at(ahead: timedelta) -> DeviceChange:
    return change(0).model_copy(update={"time": START + ahead})


async def accepted(*changes: DeviceChange, rejections: tuple[Rejection, ...] = ()) -> tuple[Queues, Receipt]:
    queues = Queues()
    receipt = await accept(Parsed(tuple(enumerate(changes)), rejections), queues, START)
    return queues, receipt


@pytest.mark.parametrize("ahead", [MAX_AHEAD, timedelta(0), -timedelta(days=365)])
async def test_rule_9_a_time_up_to_five_minutes_ahead_is_taken(ahead: timedelta) -> None:
    queues, _ = await accepted(at(ahead))
    assert [message.changes for message in queues.changes] == [(at(ahead),)]


async def test_rule_9_a_time_further_ahead_is_refused_for_it_would_win_over_all_that_follows() -> None:
    late = at(MAX_AHEAD + timedelta(microseconds=1))
    queues, receipt = await accepted(at(timedelta(0)), late)
    assert [message.changes for message in queues.changes] == [(at(timedelta(0)),)]
    flaw = Flaw("/time", "is more than 5 minutes in the future; set the clock of the sender")
    assert receipt.rejections == (Rejection(1, (flaw,)),)


async def test_without_anything_acceptable_nothing_is_put_on_the_queue() -> None:
    rejected = Rejection(0, (Flaw("", "no"),))
    queues, receipt = await accepted(rejections=(rejected,))
    assert queues.changes == []
    assert (receipt.accepted, receipt.rejections) == (0, (rejected,))
