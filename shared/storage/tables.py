"""What every table adapter shares: a table that makes itself, queries in the store's order, reading on from a place."""

from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus

from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableEntity, TableErrorCode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.ports import Position
from shared.storage.connection import reaching

MAX_OPERATIONS = 100
"""Operations in one transaction; Table Storage refuses more."""


class Table:
    """One table."""

    def __init__(self, service: TableServiceClient, name: str) -> None:
        self.name = name
        self.client: TableClient = service.get_table_client(name)
        self._service = service

    async def run[T](self, operation: Callable[[TableClient], Awaitable[T]]) -> T:
        """Do something with the table, which is made first if it is not there.

        Raises:
            UnavailableError: Storage could not do it. Conflicts are for the operation to handle.
        """
        async with reaching(f"the table {self.name}"):
            try:
                return await operation(self.client)
            except HttpResponseError as error:
                if not is_missing_table(error):
                    raise
                await self._service.create_table_if_not_exists(self.name)
                return await operation(self.client)

    async def query(self, filters: str, page_size: int, parameters: dict[str, str]) -> AsyncIterator[TableEntity]:
        """Yield the entities that pass the filter, in the order of their keys; none if the table is not there."""
        async with reaching(f"the table {self.name}"):
            try:
                async for entity in self.client.query_entities(
                    filters, parameters=parameters, results_per_page=page_size
                ):
                    yield entity
            except HttpResponseError as error:
                if not is_missing_table(error):
                    raise

    async def query_on(
        self, filters: str, after: Position | None, page_size: int, parameters: dict[str, str]
    ) -> AsyncIterator[TableEntity]:
        """Yield the entities of all partitions that pass the filter, from behind a place on.

        The rest of the partition is one query and what follows it another: an ``or`` of the two would
        make Table Storage read the whole table.
        """
        ranges = ["PartitionKey ge ''"]
        if after is not None:
            parameters = parameters | {"after_partition": after[0], "after_row": after[1]}
            ranges = ["PartitionKey eq @after_partition and RowKey gt @after_row", "PartitionKey gt @after_partition"]
        for keys in ranges:
            async for entity in self.query(" and ".join(filter(None, [keys, filters])), page_size, parameters):
                yield entity


def is_missing_table(error: HttpResponseError) -> bool:
    """Say whether the table itself is not there.

    The SDK gives the error code of Storage for most calls, and for an insert only in the message.
    """
    code = TableErrorCode.table_not_found.value
    return error.status_code == HTTPStatus.NOT_FOUND and (
        getattr(error, "error_code", None) == code or code in str(error)
    )
