"""The table ``ReportRuns``: a row for each run, and one for each chunk of it that counts what came of its devices.

A chunk counts in a text with one letter a device, so that saying an outcome twice counts it once.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableEntity, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.model import rfc3339
from shared.ports import ConflictError, Run, RunTotals
from shared.reporting import Outcome
from shared.storage.tables import Table

TABLE = "ReportRuns"
MAX_RACES = 50

_RUNS = "runs"
_OPEN = "."
_PAGE = 1000


class TableRunStore:
    """Implements ``RunStore`` on Table Storage."""

    def __init__(self, service: TableServiceClient) -> None:
        self._table = Table(service, TABLE)

    async def create(self, run: Run) -> bool:
        """Keep a new run; ``False`` if there is one of that id already."""

        async def put(client: TableClient) -> bool:
            try:
                await client.create_entity(_entity_of(run))
            except ResourceExistsError:
                return False
            return True

        return await self._table.run(put)

    async def get(self, run_id: str) -> tuple[Run, RunTotals] | None:
        """Return a run with its totals; ``None`` if it is not known."""
        entity = await self._read(_RUNS, run_id)
        return None if entity is None else (_run_of(entity), await self._totals(run_id))

    async def newest(self, count: int) -> Sequence[tuple[Run, RunTotals]]:
        """Return the newest runs with their totals, newest first."""
        rows = self._table.query("PartitionKey eq @runs", _PAGE, {"runs": _RUNS})
        runs = sorted([_run_of(entity) async for entity in rows], key=lambda run: run.started_at, reverse=True)
        return [(run, await self._totals(run.id)) for run in runs[:count]]

    async def plan(self, run_id: str, chunk: int, devices: int) -> None:
        """Say that a chunk has so many devices; outcomes that are known already stay."""
        await self._change_chunk(run_id, chunk, lambda slots: slots[:devices].ljust(devices, _OPEN), None)

    async def planned(self, run_id: str, at: datetime) -> None:
        """Say that every chunk was planned."""

        async def put(client: TableClient) -> None:
            patch = {"PartitionKey": _RUNS, "RowKey": run_id, "plannedAt": rfc3339(at)}
            await client.update_entity(patch, mode=UpdateMode.MERGE)

        await self._table.run(put)

    async def record(self, run_id: str, chunk: int, outcomes: dict[int, str], at: datetime) -> None:
        """Record outcomes by slot."""

        def with_outcomes(slots: str) -> str:
            letters = list(slots)
            for slot, letter in outcomes.items():
                if slot < len(letters):
                    letters[slot] = letter
            return "".join(letters)

        await self._change_chunk(run_id, chunk, with_outcomes, at)

    async def _change_chunk(
        self, run_id: str, chunk: int, change: Callable[[str], str], outcome_at: datetime | None
    ) -> None:
        """Change the letters of a chunk by compare-and-set; many workers count in it at once."""
        key = f"{chunk:06d}"
        for _ in range(MAX_RACES):
            entity = await self._read(run_id, key)
            before = None if entity is None else str(entity["slots"])
            after = change(before or "")
            if after == before:
                return
            row = {"PartitionKey": run_id, "RowKey": key, "slots": after}
            if outcome_at is not None:
                row["outcomeAt"] = rfc3339(outcome_at)
            if await self._write(row, None if entity is None else entity.metadata["etag"]):
                return
        raise ConflictError(f"chunk {chunk} of run {run_id} was written by others {MAX_RACES} times in a row")

    async def _write(self, row: dict[str, Any], etag: str | None) -> bool:
        async def put(client: TableClient) -> bool:
            try:
                if etag is None:
                    await client.create_entity(row)
                else:
                    await client.update_entity(
                        row, mode=UpdateMode.MERGE, etag=etag, match_condition=MatchConditions.IfNotModified
                    )
            except (ResourceExistsError, ResourceModifiedError):
                return False
            return True

        return await self._table.run(put)

    async def _read(self, partition: str, row: str) -> TableEntity | None:
        async def get(client: TableClient) -> TableEntity | None:
            try:
                return await client.get_entity(partition, row)
            except ResourceNotFoundError:
                return None

        return await self._table.run(get)

    async def _totals(self, run_id: str) -> RunTotals:
        count: Counter[str] = Counter()
        newest: datetime | None = None
        async for entity in self._table.query("PartitionKey eq @run", _PAGE, {"run": run_id}):
            count.update(entity["slots"])
            if "outcomeAt" in entity:
                at = datetime.fromisoformat(entity["outcomeAt"])
                newest = max(newest or at, at)
        return RunTotals(
            planned=count.total(),
            done=count[Outcome.DONE],
            failed=count[Outcome.FAILED],
            skipped=count[Outcome.SKIPPED],
            last_outcome_at=newest,
        )


def _entity_of(run: Run) -> dict[str, Any]:
    return {
        "PartitionKey": _RUNS,
        "RowKey": run.id,
        "mode": run.mode,
        "requestedMode": run.requested_mode,
        "dryRun": run.dry_run,
        "startedAt": rfc3339(run.started_at),
    }


def _run_of(entity: TableEntity) -> Run:
    planned_at = entity.get("plannedAt")
    return Run(
        id=entity["RowKey"],
        mode=entity["mode"],
        requested_mode=entity["requestedMode"],
        dry_run=entity["dryRun"],
        started_at=datetime.fromisoformat(entity["startedAt"]),
        planned_at=None if planned_at is None else datetime.fromisoformat(planned_at),
    )
