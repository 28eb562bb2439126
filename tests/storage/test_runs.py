"""``TableRunStore``: a run exists once, and every outcome counts once, whoever says it and how often."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from azure.data.tables.aio import TableServiceClient

from shared.ports import Run, RunTotals
from shared.storage.runs import TableRunStore

NOW = datetime(2026, 11, 23, 9, 30, 0, 123456, tzinfo=UTC)


@pytest.fixture
def runs(tables: TableServiceClient) -> TableRunStore:
    return TableRunStore(tables)


async def started(runs: TableRunStore, devices: int = 0) -> str:
    """Start a run with a chunk of so many devices; return its id."""
    run = a_run()
    assert await runs.create(run)
    if devices:
        await runs.plan(run.id, 0, devices)
    return run.id


def a_run() -> Run:
    return Run(f"run-{uuid4()}", "full", "reconcile", dry_run=True, started_at=NOW)


async def totals_of(runs: TableRunStore, run_id: str) -> RunTotals:
    found = await runs.get(run_id)
    assert found is not None
    return found[1]


async def test_a_run_comes_back_as_it_was_started(runs: TableRunStore) -> None:
    run = a_run()
    assert await runs.create(run) is True
    assert await runs.get(run.id) == (run, RunTotals())
    await runs.planned(run.id, NOW + timedelta(seconds=1))
    assert await runs.get(run.id) == (replace(run, planned_at=NOW + timedelta(seconds=1)), RunTotals())


async def test_a_run_is_started_only_once(runs: TableRunStore) -> None:
    run = a_run()
    assert await runs.create(run) is True
    assert await runs.create(replace(run, dry_run=False)) is False
    found = await runs.get(run.id)
    assert found is not None
    assert found[0] == run


async def test_of_many_that_start_a_run_at_once_one_does(runs: TableRunStore) -> None:
    run = a_run()
    assert sorted(await asyncio.gather(*(runs.create(run) for _ in range(10)))) == [False] * 9 + [True]


async def test_a_run_that_was_never_started_is_not_known(runs: TableRunStore) -> None:
    assert await runs.get(f"run-{uuid4()}") is None


async def test_outcomes_are_counted_by_kind_over_all_chunks(runs: TableRunStore) -> None:
    run_id = await started(runs, devices=4)
    await runs.plan(run_id, 1, 3)
    await runs.record(run_id, 0, {0: "d", 1: "f"}, NOW)
    await runs.record(run_id, 1, {0: "d", 1: "d", 2: "s"}, NOW + timedelta(seconds=9))
    await runs.record(run_id, 0, {3: "d"}, NOW + timedelta(seconds=4))
    totals = await totals_of(runs, run_id)
    assert totals == RunTotals(planned=7, done=4, failed=1, skipped=1, last_outcome_at=NOW + timedelta(seconds=9))
    assert totals.open == 1


async def test_an_outcome_that_is_told_twice_counts_once(runs: TableRunStore) -> None:
    run_id = await started(runs, devices=2)
    for _ in range(3):
        await runs.record(run_id, 0, {0: "d"}, NOW)
    totals = await totals_of(runs, run_id)
    assert (totals.done, totals.open) == (1, 1)


async def test_a_later_outcome_of_a_device_takes_the_place_of_the_first(runs: TableRunStore) -> None:
    run_id = await started(runs, devices=1)
    await runs.record(run_id, 0, {0: "f"}, NOW)
    await runs.record(run_id, 0, {0: "d"}, NOW)
    totals = await totals_of(runs, run_id)
    assert (totals.done, totals.failed) == (1, 0)


async def test_a_chunk_that_is_planned_again_keeps_its_outcomes(runs: TableRunStore) -> None:
    run_id = await started(runs, devices=3)
    await runs.record(run_id, 0, {1: "d"}, NOW)
    await runs.plan(run_id, 0, 3)
    totals = await totals_of(runs, run_id)
    assert (totals.planned, totals.done, totals.last_outcome_at) == (3, 1, NOW)


async def test_twenty_that_count_in_one_chunk_at_once_lose_nothing(runs: TableRunStore) -> None:
    run_id = await started(runs, devices=20)
    await asyncio.gather(*(runs.record(run_id, 0, {slot: "d"}, NOW) for slot in range(20)))
    totals = await totals_of(runs, run_id)
    assert (totals.done, totals.open) == (20, 0)


async def test_the_newest_runs_are_listed_first_with_their_totals(
    blank_tables: Callable[[], TableServiceClient],
) -> None:
    runs = TableRunStore(blank_tables())
    assert await runs.newest(10) == []
    all_runs = [replace(a_run(), started_at=NOW + timedelta(hours=hour)) for hour in (1, 3, 0, 2)]
    for run in all_runs:
        await runs.create(run)
    await runs.plan(all_runs[1].id, 0, 5)
    newest = await runs.newest(3)
    assert [run.started_at.hour - NOW.hour for run, _ in newest] == [3, 2, 1]
    assert [totals.planned for _, totals in newest] == [5, 0, 0]


async def test_the_table_is_made_when_it_is_first_written_to(
    blank_tables: Callable[[], TableServiceClient],
) -> None:
    runs = TableRunStore(blank_tables())
    assert await runs.get("run") is None
    assert await runs.create(a_run()) is True
