"""Messages hold as many changes as fit, and come off the queue as they were put on."""

from base64 import b64encode

from hypothesis import given
from hypothesis import strategies as st

from shared.messages import (
    MAX_CHANGE_BYTES,
    MAX_POINTED_DEVICES,
    ChangesMessage,
    ChunkMessage,
    Pointer,
    RunSlots,
    pack,
    pointers,
    size_of,
    to_text,
)
from shared.model import DeviceChange, Violation
from tests.core.making import START, change, changes

QUEUE_LIMIT = 64 * 1024


def large(number: int) -> DeviceChange:
    """A change just below the largest there may be, in characters that take the most bytes."""
    reason = "\U0001f4f1" * 1024
    violations = (Violation(policy=str(number), reason=reason, actions=()),) * 5
    return change(number, violations=violations, user_principal_name="é" * 1000)


@given(st.lists(changes, max_size=30))
def test_what_is_packed_is_unpacked_the_same_left_out_fields_and_all(some: list[DeviceChange]) -> None:
    unpacked = [
        unpacked_change
        for message in pack(some)
        for unpacked_change in ChangesMessage.model_validate_json(to_text(message)).changes
    ]
    assert sorted(map(_comparable, unpacked)) == sorted(map(_comparable, some))


def _comparable(some: DeviceChange) -> str:
    return some.model_dump_json(exclude_unset=True)


def test_every_message_fits_the_queue_after_base64_even_of_the_largest_changes() -> None:
    some = [large(number) for number in range(40)]
    assert size_of(some[0]) > MAX_CHANGE_BYTES * 0.9
    messages = list(pack(some))
    assert all(len(b64encode(to_text(message).encode())) <= QUEUE_LIMIT for message in messages)
    assert sum(len(message.changes) for message in messages) == len(some)


def test_a_replay_of_a_full_message_still_fits_the_queue() -> None:
    for message in pack([large(number) for number in range(40)]):
        replay = message.model_copy(update={"replay_of": "f" * 32})
        assert len(b64encode(to_text(replay).encode())) <= QUEUE_LIMIT


def test_small_changes_share_messages() -> None:
    messages = list(pack([change(number, violations=()) for number in range(1000)]))
    assert len(messages) < 10


def test_changes_of_one_device_go_side_by_side() -> None:
    devices = [f"00000000-0000-0000-0000-{number % 3:012d}" for number in range(9)]
    mixed = [change(number).model_copy(update={"device_id": device}) for number, device in enumerate(devices)]
    (message,) = pack(mixed)
    assert [packed.device_id for packed in message.changes] == sorted(devices)


def test_no_change_makes_no_message() -> None:
    assert list(pack([])) == []


@given(st.integers(0, 95))
def test_every_device_is_pointed_to_once_and_no_pointer_names_too_many(count: int) -> None:
    devices = [f"00000000-0000-0000-0000-{number:012d}" for number in range(count)]
    pointed = list(pointers(devices, forced=True))
    assert [device for pointer in pointed for device in pointer.devices] == devices
    assert all(len(pointer.devices) <= MAX_POINTED_DEVICES and pointer.forced for pointer in pointed)


def test_pointers_and_chunks_come_off_the_queue_as_they_were_put_on() -> None:
    run = RunSlots(run_id="2026-W48", chunk=3, slots=(7,), dry_run=True)
    pointer = Pointer(devices=("1d71e131-0487-4d1d-9a0d-89f2bd1a888d",), forced=True, run=run, replay_of="a")
    assert Pointer.model_validate_json(to_text(pointer)) == pointer
    chunk = ChunkMessage(run_id="2026-W48", chunk=1, after=("ab", "cd"), offset=1000, started_at=START, dry_run=True)
    assert ChunkMessage.model_validate_json(to_text(chunk)) == chunk


def test_every_message_says_its_version() -> None:
    (changes_message,) = pack([change()])
    pointer = Pointer(devices=("1d71e131-0487-4d1d-9a0d-89f2bd1a888d",))
    for message in (changes_message, pointer, ChunkMessage(run_id="r", started_at=START)):
        assert '"v":1' in to_text(message)
