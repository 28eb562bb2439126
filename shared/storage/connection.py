"""Clients of Table and Queue Storage, by connection string or by identity, with patience in keeping with their use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueServiceClient

from shared.ports import UnavailableError
from shared.settings import ByConnectionString, ByIdentity, StorageAccount

if TYPE_CHECKING:
    from azure.data.tables.aio import TableServiceClient

# A sender waits for the answer, and a message comes back by itself: so few retries, and quick ones.
_CONNECT_SECONDS = 5
_READ_SECONDS = 15
_RETRIES = 2

_PROXIED = bool(getproxies())
"""Whether the environment names a proxy. Where none is named, looking again at each request is wasted work."""

ENCODE = TextBase64EncodePolicy()
"""What the Functions host expects on a queue unless host.json says otherwise."""


def table_service(account: StorageAccount) -> "TableServiceClient":
    """Return a client of Table Storage."""
    from azure.data.tables.aio import TableServiceClient  # noqa: PLC0415 - taking in changes needs queues only

    patience: dict[str, Any] = {
        "connection_timeout": _CONNECT_SECONDS,
        "read_timeout": _READ_SECONDS,
        "retry_total": _RETRIES,
        "retry_backoff_factor": 0.3,
        "use_env_settings": _PROXIED,
    }
    match account:
        case ByConnectionString(text):
            return TableServiceClient.from_connection_string(text, **patience)
        case ByIdentity(endpoint, client_id):
            return TableServiceClient(endpoint, credential=_identity(client_id), **patience)


def queue_service(account: StorageAccount) -> QueueServiceClient:
    """Return a client of Queue Storage."""
    patience: dict[str, Any] = {
        "connection_timeout": _CONNECT_SECONDS,
        "read_timeout": _READ_SECONDS,
        "retry_total": _RETRIES,
        "initial_backoff": 0,
        "increment_base": 2,
        "random_jitter_range": 1,
        "use_env_settings": _PROXIED,
    }
    match account:
        case ByConnectionString(text):
            return QueueServiceClient.from_connection_string(text, **patience)
        case ByIdentity(endpoint, client_id):
            return QueueServiceClient(endpoint, credential=_identity(client_id), **patience)


@asynccontextmanager
async def reaching(what: str) -> AsyncIterator[None]:
    """Turn what the Azure SDK raises into ``UnavailableError``, naming the table or queue and Storage's error code."""
    try:
        yield
    except AzureError as error:
        code = getattr(error, "error_code", None) or type(error).__name__
        raise UnavailableError(f"Storage could not serve {what}: {getattr(code, 'value', code)}") from error


def _identity(client_id: str | None) -> AsyncTokenCredential:
    from azure.identity.aio import ManagedIdentityCredential  # noqa: PLC0415 - slow to import; locally not needed

    return ManagedIdentityCredential(client_id=client_id)
