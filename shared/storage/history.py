"""The table ``DeviceHistory``: the lines of a device stand side by side, newest first."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import batched
from json import dumps, loads
from typing import Any

from azure.data.tables import TableEntity, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.model import rfc3339
from shared.ports import HistoryEntry, Page, Position
from shared.storage.devices import partition_of
from shared.storage.tables import MAX_OPERATIONS, Table

TABLE = "DeviceHistory"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COUNT_DOWN_FROM = 10**18
_AFTER_ALL_KEYS = "~"


class TableHistory:
    """Implements ``History`` on Table Storage."""

    def __init__(self, service: TableServiceClient) -> None:
        self._table = Table(service, TABLE)

    async def append(self, entries: Sequence[HistoryEntry]) -> None:
        """Keep entries, those of one partition in one transaction; one that is there already is written over."""
        partitions: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        for entry in entries:
            entity = _entity_of(entry)
            partitions[entity["PartitionKey"]][entity["RowKey"]] = entity
        await asyncio.gather(
            *(
                self._upsert(some)
                for rows in partitions.values()
                for some in batched(rows.values(), MAX_OPERATIONS, strict=False)
            )
        )

    async def _upsert(self, rows: Sequence[dict[str, Any]]) -> None:
        async def put(client: TableClient) -> None:
            if len(rows) == 1:  # most are: a transaction costs the client several times as much
                await client.upsert_entity(rows[0], mode=UpdateMode.REPLACE)
                return
            await client.submit_transaction([("upsert", row, {"mode": UpdateMode.REPLACE}) for row in rows])

        await self._table.run(put)

    async def page(self, device_id: str, size: int, after: Position | None) -> Page[HistoryEntry]:
        """Return at most ``size`` entries of a device, newest first."""
        partition, before_all = partition_of(device_id), f"{device_id}|"
        # A place in another device's history is none in this one's: it is held within this one's keys.
        place = (partition, before_all if after is None else max(after[1], before_all))
        found: list[HistoryEntry] = []
        parameters = {"partition": partition, "first": place[1], "last": f"{device_id}|{_AFTER_ALL_KEYS}"}
        keys = "PartitionKey eq @partition and RowKey gt @first and RowKey lt @last"
        async for entity in self._table.query(keys, size + 1, parameters):
            if len(found) == size:
                return Page(found, place)
            place = (entity["PartitionKey"], entity["RowKey"])
            found.append(_entry_of(device_id, entity))
        return Page(found)


def _row_key(entry: HistoryEntry) -> str:
    microseconds = (entry.at - _EPOCH) // (datetime.resolution)
    digest = sha256(f"{entry.kind}\n{entry.key}".encode()).hexdigest()[:16]
    return f"{entry.device_id}|{_COUNT_DOWN_FROM - microseconds:019d}|{digest}"


def _entity_of(entry: HistoryEntry) -> dict[str, Any]:
    return {
        "PartitionKey": partition_of(entry.device_id),
        "RowKey": _row_key(entry),
        "at": rfc3339(entry.at),  # as text: a date of a table begins in 1601, that of a sender perhaps not
        "key": entry.key,
        "kind": entry.kind,
        "summary": entry.summary,
        "facts": dumps(entry.facts, ensure_ascii=False),
    }


def _entry_of(device_id: str, entity: TableEntity) -> HistoryEntry:
    return HistoryEntry(
        device_id=device_id,
        at=datetime.fromisoformat(entity["at"]),
        key=entity["key"],
        kind=entity["kind"],
        summary=entity["summary"],
        facts=loads(entity["facts"]),
    )
