"""Ingest: changes that came over HTTP are put on the queue, durable before the sender is told so."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.messages import pack
from shared.ports import ChangeQueue
from shared.sources.parsed import Flaw, Parsed, Rejection

MAX_AHEAD = timedelta(minutes=5)
"""A time further in the future is refused: last writer wins, so it would make all that follows it lose."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """How many changes are on the queue, and which are not, with the reason, in the order of the body."""

    accepted: int
    rejections: tuple[Rejection, ...]


async def accept(parsed: Parsed, queue: ChangeQueue, now: datetime) -> Receipt:
    """Put the valid changes of a body on the queue.

    Raises:
        UnavailableError: the queue did not take all of them. Some may be on it; sending all again does no harm.
    """
    ahead = [Rejection(index, (_AHEAD,)) for index, change in parsed.changes if change.time > now + MAX_AHEAD]
    refused = {rejection.index for rejection in ahead}
    changes = [change for index, change in parsed.changes if index not in refused]
    if changes:
        await queue.send_changes(list(pack(changes)))
    rejections = sorted((*parsed.rejections, *ahead), key=lambda rejection: rejection.index)
    return Receipt(len(changes), tuple(rejections))


_AHEAD = Flaw("/time", "is more than 5 minutes in the future; set the clock of the sender")
