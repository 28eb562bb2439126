"""The queues: what is sent is durable when the call returns, never expires, and may be seen only later."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from math import ceil

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue.aio import QueueServiceClient

from shared.messages import CHANGES, CHUNKS, REPORTS, ChangesMessage, ChunkMessage, Pointer, to_text
from shared.ports import UnavailableError
from shared.storage.connection import ENCODE, reaching

MAX_DELAY = 7 * 24 * 3600
"""Queue Storage hides a message for seven days at the most."""

NEVER = -1

ANSWER_SECONDS = 4
"""How long changes may take to become durable: a sender such as Jamf Pro gives up on the answer after 5 seconds."""


class StorageQueues:
    """All three queues of the program; implements ``ChangeQueue``, ``ReportQueue`` and ``ChunkQueue``."""

    def __init__(self, service: QueueServiceClient) -> None:
        self._clients = {
            name: service.get_queue_client(name, message_encode_policy=ENCODE) for name in (CHANGES, REPORTS, CHUNKS)
        }

    async def send_changes(self, messages: Sequence[ChangesMessage]) -> None:
        """Put messages on ``device-changes``; raises ``UnavailableError`` if not every one is durable."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._send(CHANGES, messages, 0)
        except TimeoutError:
            raise UnavailableError(f"Storage did not serve the queue {CHANGES} within {ANSWER_SECONDS} s") from None

    async def send_pointers(self, pointers: Sequence[Pointer], delay: float = 0) -> None:
        """Put pointers on ``device-reports``, to be seen after ``delay`` seconds."""
        await self._send(REPORTS, pointers, delay)

    async def send_chunk(self, message: ChunkMessage) -> None:
        """Put a chunk of a run on ``weekly-shards``."""
        await self._send(CHUNKS, [message], 0)

    async def _send(
        self, queue: str, messages: Sequence[ChangesMessage] | Sequence[Pointer] | Sequence[ChunkMessage], delay: float
    ) -> None:
        async with reaching(f"the queue {queue}"):
            await asyncio.gather(*(self._send_one(queue, to_text(message), delay) for message in messages))

    async def _send_one(self, queue: str, text: str, delay: float) -> None:
        client = self._clients[queue]
        hidden = min(ceil(delay), MAX_DELAY)  # rounded up: never seen before its time
        try:
            await client.send_message(text, visibility_timeout=hidden, time_to_live=NEVER)
        except ResourceNotFoundError:
            with suppress(ResourceExistsError):
                await client.create_queue()
            await client.send_message(text, visibility_timeout=hidden, time_to_live=NEVER)
