"""The table ``FailedChanges``: messages that failed too often, and why."""

from datetime import datetime
from json import dumps, loads
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableEntity, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.model import rfc3339
from shared.ports import FailedChange, Page, Position
from shared.storage.tables import Table

TABLE = "FailedChanges"

_PIECE = 30_000
"""Characters to a property: a text property holds 32 Ki of UTF-16, so a body is kept in pieces."""


class TableFailureStore:
    """Implements ``FailureStore`` on Table Storage.

    A row without a body is the reason noted for a message that is still tried.
    """

    def __init__(self, service: TableServiceClient) -> None:
        self._table = Table(service, TABLE)

    async def note_reason(self, failure_id: str, reason: str) -> None:
        """Keep why a message failed just now, beside what is known of it already."""
        await self._merge({**_keys(failure_id), "reason": reason})

    async def keep(self, failure: FailedChange) -> FailedChange:
        """Keep a failed message, and return it with the reason that was noted for it, if any."""
        noted = await self._entity(failure.id)
        reason = failure.reason if noted is None else str(noted["reason"])
        pieces = [failure.body[start : start + _PIECE] for start in range(0, len(failure.body), _PIECE)]
        await self._merge(
            {
                **_keys(failure.id),
                "queue": failure.queue,
                "reason": reason,
                "devices": dumps(failure.devices),
                "failedAt": rfc3339(failure.failed_at),
                "replayedAt": "",
                "pieces": len(pieces),
            }
            | {f"body{number}": piece for number, piece in enumerate(pieces)}
        )
        return FailedChange(failure.id, failure.queue, failure.body, reason, failure.devices, failure.failed_at)

    async def get(self, failure_id: str) -> FailedChange | None:
        """Return a failed message; ``None`` if it is not known."""
        entity = await self._entity(failure_id)
        return None if entity is None or "pieces" not in entity else _failure_of(entity)

    async def page(self, size: int, after: Position | None) -> Page[FailedChange]:
        """Return at most ``size`` failed messages."""
        found: list[FailedChange] = []
        async for entity in self._table.query_on("pieces ge 0", after, size + 1, {}):
            if len(found) == size:
                return Page(found, after)
            after = (entity["PartitionKey"], entity["RowKey"])
            found.append(_failure_of(entity))
        return Page(found)

    async def replayed(self, failure_id: str, at: datetime) -> None:
        """Say that a message was put back on its queue."""
        await self._merge({**_keys(failure_id), "replayedAt": rfc3339(at)})

    async def _merge(self, row: dict[str, Any]) -> None:
        async def put(client: TableClient) -> None:
            await client.upsert_entity(row, mode=UpdateMode.MERGE)

        await self._table.run(put)

    async def _entity(self, failure_id: str) -> TableEntity | None:
        async def get(client: TableClient) -> TableEntity | None:
            try:
                return await client.get_entity(failure_id[:2], failure_id)
            except ResourceNotFoundError:
                return None

        return await self._table.run(get)


def _keys(failure_id: str) -> dict[str, Any]:
    return {"PartitionKey": failure_id[:2], "RowKey": failure_id}


def _failure_of(entity: TableEntity) -> FailedChange:
    replayed_at = entity["replayedAt"]
    return FailedChange(
        id=entity["RowKey"],
        queue=entity["queue"],
        body="".join(entity[f"body{number}"] for number in range(entity["pieces"])),
        reason=entity["reason"],
        devices=tuple(loads(entity["devices"])),
        failed_at=datetime.fromisoformat(entity["failedAt"]),
        replayed_at=datetime.fromisoformat(replayed_at) if replayed_at else None,
    )
