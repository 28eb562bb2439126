"""``TableHistory``: newest first, each entry once, and nobody else's."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from azure.data.tables.aio import TableServiceClient

from shared.ports import HistoryEntry, Position
from shared.storage.devices import partition_of
from shared.storage.history import TableHistory

START = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


@pytest.fixture
def history(tables: TableServiceClient) -> TableHistory:
    return TableHistory(tables)


def entry(device_id: str, seconds: float = 0, key: str | None = None, kind: str = "change") -> HistoryEntry:
    return HistoryEntry(
        device_id=device_id,
        at=START + timedelta(seconds=seconds),
        key=key or f"key-{seconds}",
        kind=kind,
        summary=f"é\U0001f4f1 at {seconds}",
        facts={"seconds": seconds, "violations": [{"policy": "é", "since": None}], "inForce": True},
    )


async def pages_of(history: TableHistory, device_id: str, size: int = 100) -> list[list[HistoryEntry]]:
    pages: list[list[HistoryEntry]] = []
    after: Position | None = None
    while not pages or after is not None:
        page = await history.page(device_id, size, after)
        pages.append(list(page.items))
        after = page.after
        assert len(pages) < 50, "the history has no end"
    return pages


async def test_entries_come_back_as_they_were_newest_first(history: TableHistory) -> None:
    device = str(uuid4())
    seconds = [5, 0, 3, 0.000001, 86400, -86400]
    await history.append([entry(device, at) for at in seconds])
    assert await pages_of(history, device) == [[entry(device, at) for at in sorted(seconds, reverse=True)]]


async def test_times_of_any_year_are_in_order(history: TableHistory) -> None:
    device = str(uuid4())
    years = (1, 1601, 1969, 1970, 2026, 9999)
    entries = [replace(entry(device), at=datetime(year, 1, 1, tzinfo=UTC)) for year in years]
    await history.append(entries)
    assert await pages_of(history, device) == [entries[::-1]]


async def test_an_entry_that_is_written_twice_is_there_once(history: TableHistory) -> None:
    device = str(uuid4())
    await history.append([entry(device, key="same"), entry(device, key="same")])
    await history.append([replace(entry(device, key="same"), summary="the later one")])
    (page,) = await pages_of(history, device)
    assert [found.summary for found in page] == ["the later one"]


async def test_entries_of_one_time_are_kept_apart_by_kind_and_key(history: TableHistory) -> None:
    device = str(uuid4())
    await history.append([entry(device, key="a"), entry(device, key="b"), entry(device, key="a", kind="report")])
    (page,) = await pages_of(history, device)
    assert {(found.kind, found.key) for found in page} == {("change", "a"), ("change", "b"), ("report", "a")}


async def test_a_history_is_read_page_by_page(history: TableHistory) -> None:
    device = str(uuid4())
    await history.append([entry(device, at) for at in range(20)])
    pages = await pages_of(history, device, size=8)
    assert [len(page) for page in pages] == [8, 8, 4]
    assert [found.facts["seconds"] for page in pages for found in page] == list(range(19, -1, -1))


async def test_a_last_page_that_is_full_says_that_it_is_the_last(history: TableHistory) -> None:
    device = str(uuid4())
    await history.append([entry(device, at) for at in range(4)])
    page = await history.page(device, 4, None)
    assert (len(page.items), page.after) == (4, None)


async def test_the_histories_of_two_devices_do_not_mix_even_in_one_partition(history: TableHistory) -> None:
    one, two = two_devices_of_one_partition()
    await history.append([entry(device, at) for at in range(3) for device in (one, two)])
    for device in (one, two):
        (page,) = await pages_of(history, device)
        assert [found.device_id for found in page] == [device] * 3
        assert [len(page) for page in await pages_of(history, device, size=2)] == [2, 1]


def two_devices_of_one_partition() -> tuple[str, str]:
    seen: dict[str, str] = {}
    while True:
        device = str(uuid4())
        if (partition := partition_of(device)) in seen:
            return seen[partition], device
        seen[partition] = device


async def test_the_place_in_one_history_opens_no_other(history: TableHistory) -> None:
    one, two = sorted(two_devices_of_one_partition())
    await history.append([entry(device, at, f"{device} {at}") for at in range(4) for device in (one, two)])
    place = (await history.page(one, 2, None)).after
    assert [found.key for found in (await history.page(one, 9, place)).items] == [f"{one} 1", f"{one} 0"]
    found = (await history.page(two, 9, place)).items
    assert [entry.key for entry in found if not entry.key.startswith(two)] == []


async def test_150_entries_are_kept_at_once(history: TableHistory) -> None:
    device, other = str(uuid4()), str(uuid4())
    await history.append([*(entry(device, at) for at in range(150)), entry(other)])
    assert [len(page) for page in await pages_of(history, device, size=200)] == [150]
    assert [len(page) for page in await pages_of(history, other)] == [1]


async def test_nothing_to_keep_is_kept(history: TableHistory) -> None:
    await history.append([])


async def test_the_table_is_made_when_it_is_first_written_to(
    blank_tables: Callable[[], TableServiceClient],
) -> None:
    history = TableHistory(blank_tables())
    device = str(uuid4())
    assert (await history.page(device, 10, None)).items == []
    await history.append([entry(device)])
    assert len((await history.page(device, 10, None)).items) == 1
