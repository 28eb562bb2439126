"""The table ``DeviceReports``: one row a device, in 256 partitions, so that no single one carries the fleet."""

import logging
from hashlib import sha256
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableEntity, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared import registers
from shared.details import status_of
from shared.fold import DeviceReport, Phase
from shared.model import Frozen, Guid, LastError, Reported, Time, Undelivered
from shared.ports import ConflictError, DeviceFilter, Page, Position, Stored
from shared.storage.tables import Table, is_missing_table

TABLE = "DeviceReports"
MAX_SCANNED = 5000
"""Rows that one page looks at when it searches: a page then comes back with fewer devices, and where to go on."""

_PAGE = 1000

log = logging.getLogger(__name__)


def partition_of(device_id: str) -> str:
    """Return the partition of a device: the first two hex digits of the SHA-256 of its id."""
    return sha256(device_id.encode()).hexdigest()[:2]


class _Progress(Frozen):
    """The part of a row that says how far Azure was told."""

    phase: Phase
    reported: Reported | None
    last_error: LastError | None
    attempts: int
    last_change_at: Time | None
    verified_at: Time | None
    undelivered: tuple[Undelivered, ...]
    former_ids: tuple[Guid, ...] = ()


class TableDeviceStore:
    """Implements ``DeviceStore`` on Table Storage."""

    def __init__(self, service: TableServiceClient) -> None:
        self._table = Table(service, TABLE)

    async def read(self, device_id: str) -> Stored | None:
        """Return a device's state with its version; ``None`` if it is not known."""

        async def get(client: TableClient) -> Stored | None:
            try:
                entity = await client.get_entity(partition_of(device_id), device_id)
            except ResourceNotFoundError:
                return None
            return Stored(_report_of(entity), str(entity.metadata["etag"]))

        return await self._table.run(get)

    async def write(self, report: DeviceReport, etag: str | None) -> None:
        """Write a device's state if its row is still of that version; raises ``ConflictError`` if not."""
        entity = _entity_of(report)

        async def put(client: TableClient) -> None:
            try:
                if etag is None:
                    await client.create_entity(entity)
                else:
                    await client.update_entity(
                        entity, mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
                    )
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as error:
                if is_missing_table(error):
                    raise
                raise ConflictError(f"the row of device {report.device_id} was written by another") from None

        await self._table.run(put)

    async def page(self, wanted: DeviceFilter, size: int, after: Position | None) -> Page[DeviceReport]:
        """Return at most ``size`` devices that are wanted, in the order of the table."""
        filters, parameters = _filter_of(wanted)
        needle = wanted.search.lower() if wanted.search else None
        found: list[DeviceReport] = []
        scanned = 0
        page_size = _PAGE if needle else min(size + 1, _PAGE)
        async for entity in self._table.query_on(filters, after, page_size, parameters):
            if len(found) == size or scanned == MAX_SCANNED:
                return Page(found, after)
            scanned += 1
            after = (entity["PartitionKey"], entity["RowKey"])
            if needle is None or needle in entity["search"]:
                found += _readable(entity)
        return Page(found)


def _filter_of(wanted: DeviceFilter) -> tuple[str, dict[str, str]]:
    filters, parameters = [], {}
    if wanted.status is not None or wanted.blank_status:
        filters.append("status eq @status")
        parameters["status"] = wanted.status or ""
    if wanted.verdict is not None:
        filters.append("verdict eq @verdict")
        parameters["verdict"] = wanted.verdict
    return " and ".join(filters), parameters


def _entity_of(report: DeviceReport) -> dict[str, Any]:
    progress = _Progress(
        phase=report.phase,
        reported=report.reported,
        last_error=report.last_error,
        attempts=report.attempts,
        last_change_at=report.last_change_at,
        verified_at=report.verified_at,
        undelivered=report.undelivered,
        former_ids=report.former_ids,
    )
    return {
        "PartitionKey": partition_of(report.device_id),
        "RowKey": report.device_id,
        "compliance": registers.to_json(report.compliance),
        "inventory": registers.to_json(report.inventory),
        "registration": registers.to_json(report.registration),
        "progress": progress.model_dump_json(by_alias=True),
        # What lists filter by; it follows from the columns above and is written for that only.
        "status": status_of(report) or "",
        "verdict": report.decision.verdict or "",
        "search": _search_text(report),
    }


def _search_text(report: DeviceReport) -> str:
    inventory = report.device_inventory
    names = (
        inventory.display_name,
        inventory.serial_number,
        report.user_principal_name,
        report.device_id,
        report.azure_device_id,
    )
    return "\n".join(filter(None, names)).lower()


def _readable(entity: TableEntity) -> list[DeviceReport]:
    """Read a row of a list; one that cannot be read is logged and left out, and holds up none of the others."""
    try:
        report = _report_of(entity)
        _ = report.decision
    except (ValueError, TypeError, KeyError) as error:
        log.error("the row of device %s cannot be read: %s", entity["RowKey"], type(error).__name__)  # noqa: TRY400
        return []
    return [report]


def _report_of(entity: TableEntity) -> DeviceReport:
    progress = _Progress.model_validate_json(entity["progress"])
    return DeviceReport(
        device_id=entity["RowKey"],
        compliance=registers.from_json(entity["compliance"]),
        inventory=registers.from_json(entity["inventory"]),
        registration=registers.from_json(entity["registration"]),
        last_change_at=progress.last_change_at,
        phase=progress.phase,
        reported=progress.reported,
        last_error=progress.last_error,
        attempts=progress.attempts,
        verified_at=progress.verified_at,
        undelivered=progress.undelivered,
        former_ids=progress.former_ids,
    )
