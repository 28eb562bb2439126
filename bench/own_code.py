"""What our own code costs: the use cases and the storage adapters, over clients that only keep things in memory.

Nothing of the Azure SDKs, of Graph's, of the host or of the network runs; what is left is parsing, folding, packing,
and the rows to and from text. Measured is the CPU time of this process (process_time), the event loop's included.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median
from time import process_time
from typing import Any, cast

from azure.core.exceptions import ResourceNotFoundError

from shared.fold import Desired
from shared.folding import Folder
from shared.graph.channels import writes_for
from shared.ingest import accept
from shared.messages import CHANGES, REPORTS, ChangesMessage, Pointer
from shared.ports import Told
from shared.reporting import Delivery, Reporter
from shared.settings import ByConnectionString, Settings
from shared.sources.cloudevents import BATCH, parse
from shared.storage.devices import TableDeviceStore
from shared.storage.history import TableHistory
from shared.storage.queues import StorageQueues
from shared.storage.runs import TableRunStore

ROUNDS = 5
STAGES = ("ingest", "fold", "report")


async def cpu_seconds(bodies: Sequence[bytes]) -> dict[str, float]:
    """Return the CPU seconds that all the changes in these bodies take, by stage: medians of rounds from nothing."""
    await _round(bodies)  # warms up
    rounds = [await _round(bodies) for _ in range(ROUNDS)]
    return dict(zip(STAGES, map(median, zip(*rounds, strict=True)), strict=True))


async def _round(bodies: Sequence[bytes]) -> list[float]:
    service = cast("Any", _Service())
    queues, devices, history = StorageQueues(service), TableDeviceStore(service), TableHistory(service)
    folder = Folder(devices, history, queues, queues, _now)
    reporter = Reporter(devices, history, queues, _Directory(), TableRunStore(service), _now)
    times = [process_time()]
    for body in bodies:
        await accept(parse(body, BATCH), queues, _now())
    times.append(process_time())
    for text in service.clients[CHANGES].messages:
        await folder.handle(ChangesMessage.model_validate_json(text))
    times.append(process_time())
    for text in service.clients[REPORTS].messages:
        await reporter.handle(Pointer.model_validate_json(text), Delivery(1, _now() + timedelta(minutes=10)))
    times.append(process_time())
    return [end - start for start, end in pairwise(times)]


def _now() -> datetime:
    return datetime.now(UTC)


class _Directory:
    """Implements ``Directory``: makes up what is to be written, and writes it nowhere."""

    writes = True
    _nowhere = ByConnectionString("")
    _settings = Settings(queues=_nowhere, tables=_nowhere)

    async def tell(self, desired: Desired) -> Told:
        return Told("+".join(write.channel for write in writes_for(desired, self._settings)), "told", ("request-1",))


class _Client:
    """Stands for the SDK's client of a table or a queue, as far as it is used here."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self._rows: dict[tuple[str, str], _Entity] = {}

    async def send_message(self, text: str, **_: object) -> None:
        await asyncio.sleep(0)
        self.messages.append(text)

    async def get_entity(self, *key: str) -> "_Entity":
        await asyncio.sleep(0)
        if (row := self._rows.get((key[0], key[1]))) is None:
            raise ResourceNotFoundError
        return row

    async def upsert_entity(self, entity: dict[str, Any], **_: object) -> None:
        await asyncio.sleep(0)
        self._rows[entity["PartitionKey"], entity["RowKey"]] = _Entity(entity)

    create_entity = update_entity = upsert_entity

    async def submit_transaction(self, _: object) -> None:
        await asyncio.sleep(0)


class _Entity(dict[str, Any]):
    metadata = {"etag": "1"}  # noqa: RUF012 - never changed


class _Service:
    """Stands for the SDK's clients of the services."""

    def __init__(self) -> None:
        self.clients: dict[str, _Client] = defaultdict(_Client)

    def get_table_client(self, name: str, **_: object) -> _Client:
        return self.clients[name]

    get_queue_client = get_table_client
