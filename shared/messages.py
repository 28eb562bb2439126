"""What goes over the queues, and how it is packed. Pure.

Messages carry a version, so that a newer program can still read what an older one left on a queue.
"""

from collections.abc import Iterable, Iterator
from itertools import batched
from typing import Annotated, Literal

from pydantic import Field

from shared.model import DeviceChange, Frozen, Guid, Time

CHANGES, REPORTS, CHUNKS = "device-changes", "device-reports", "weekly-shards"
"""The queues; each has a poison queue beside it, of the same name with ``POISON``."""

POISON = "-poison"

MAX_MESSAGE_BYTES = 48 * 1024
"""A queue message holds 64 KiB after base64, which makes four characters of three bytes."""

MAX_CHANGE_BYTES = 24 * 1024
"""So that a change fits a message, and its parts a string property of a table (32 Ki characters of UTF-16)."""

MAX_POINTED_DEVICES = 20
"""How many devices one pointer names at the most."""


class ChangesMessage(Frozen):
    """On ``device-changes``: changes to fold.

    ``replay_of``: the failure that this message is the replay of; when it is folded, the devices have nothing
    undelivered from that failure any more.
    """

    v: Literal[1] = 1
    changes: Annotated[tuple[DeviceChange, ...], Field(min_length=1)]
    replay_of: str | None = None


class RunSlots(Frozen):
    """Where the devices of a pointer are counted: chunk of the run, and the place in it of each device in turn."""

    run_id: str
    chunk: int
    slots: tuple[int, ...]
    dry_run: bool = False


class Pointer(Frozen):
    """On ``device-reports``: devices to report. It never says what to report: the row says it, when it is read.

    ``forced``: the call is made even if the row says that Azure was told already.
    """

    v: Literal[1] = 1
    devices: Annotated[tuple[Guid, ...], Field(min_length=1, max_length=MAX_POINTED_DEVICES)]
    forced: bool = False
    run: RunSlots | None = None
    replay_of: str | None = None


class ChunkMessage(Frozen):
    """On ``weekly-shards``: plan the next chunk of a run.

    ``after``: the last device that was planned (partition, row); ``offset``: how many were planned before.
    """

    v: Literal[1] = 1
    run_id: str
    chunk: int = 0
    after: tuple[str, str] | None = None
    offset: int = 0
    started_at: Time
    dry_run: bool = False


def to_text(message: ChangesMessage | Pointer | ChunkMessage) -> str:
    """Write a message as JSON; what a change leaves out stays left out."""
    return message.model_dump_json(by_alias=True, exclude_unset=isinstance(message, ChangesMessage))


def size_of(change: DeviceChange) -> int:
    """Return how many bytes a change takes in a message."""
    return len(change.model_dump_json(by_alias=True, exclude_unset=True).encode())


def pack(changes: Iterable[DeviceChange]) -> Iterator[ChangesMessage]:
    """Pack changes into as few messages as hold them, those of one device side by side.

    Every change must be within ``MAX_CHANGE_BYTES``.
    """
    packed: list[DeviceChange] = []
    size = _ENVELOPE
    for change in sorted(changes, key=lambda change: change.device_id):
        needed = size_of(change) + 1
        if packed and size + needed > MAX_MESSAGE_BYTES:
            yield ChangesMessage(v=1, changes=tuple(packed))
            packed, size = [], _ENVELOPE
        packed.append(change)
        size += needed
    if packed:
        yield ChangesMessage(v=1, changes=tuple(packed))


def pointers(devices: Iterable[str], *, forced: bool = False) -> Iterator[Pointer]:
    """Point to devices, as many to a message as it takes."""
    for some in batched(devices, MAX_POINTED_DEVICES, strict=False):
        yield Pointer(devices=some, forced=forced)


_ENVELOPE = len('{"v":1,"changes":[],"replayOf":""}') + 64
