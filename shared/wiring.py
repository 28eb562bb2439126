"""Puts the adapters behind the use cases: the one place that knows both. Everything is made once, when first needed.

What is slow to import is imported in the function that needs it, so that a cold start pays only for its own work:
taking in changes never loads Graph's SDK.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.data.tables.aio import TableServiceClient

    from shared.failures import Failures
    from shared.folding import Folder
    from shared.ports import Directory
    from shared.reporting import Reporter
    from shared.settings import Settings
    from shared.storage.devices import TableDeviceStore
    from shared.storage.failures import TableFailureStore
    from shared.storage.history import TableHistory
    from shared.storage.queues import StorageQueues
    from shared.storage.runs import TableRunStore
    from shared.weekly import Weekly


def now() -> datetime:
    """Return the time of this machine, in UTC."""
    return datetime.now(UTC)


@cache
def settings() -> Settings:
    """Return the settings of the environment. Raises ``SettingsError``."""
    from shared.settings import from_environment

    for chatty in ("azure", "httpx"):  # a line or more for each request; the history has what matters of them
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return from_environment()


@cache
def queues() -> StorageQueues:
    """Return the queues."""
    from shared.storage.connection import queue_service
    from shared.storage.queues import StorageQueues

    return StorageQueues(queue_service(settings().queues))


@cache
def _tables() -> TableServiceClient:
    from shared.storage.connection import table_service

    return table_service(settings().tables)


@cache
def devices() -> TableDeviceStore:
    """Return the devices' state."""
    from shared.storage.devices import TableDeviceStore

    return TableDeviceStore(_tables())


@cache
def history() -> TableHistory:
    """Return the devices' history."""
    from shared.storage.history import TableHistory

    return TableHistory(_tables())


@cache
def runs() -> TableRunStore:
    """Return the runs that report every device."""
    from shared.storage.runs import TableRunStore

    return TableRunStore(_tables())


@cache
def failed_changes() -> TableFailureStore:
    """Return the messages that failed too often."""
    from shared.storage.failures import TableFailureStore

    return TableFailureStore(_tables())


@cache
def folder() -> Folder:
    """Return what folds changes into state."""
    from shared.folding import Folder

    return Folder(devices(), history(), queues(), queues(), now)


@cache
def reporter() -> Reporter:
    """Return what tells Entra ID."""
    from shared.graph.dry_run import DryRunDirectory
    from shared.model import Verdict
    from shared.reporting import Reporter

    return Reporter(
        devices(),
        history(),
        queues(),
        _directory(),
        runs(),
        now,
        reporting_enabled=settings().REPORTING_ENABLED,
        dry_directory=DryRunDirectory(settings()),
        former_verdict=Verdict.REMOVED if settings().OLD_IDENTIFIER == "remove" else Verdict.NON_COMPLIANT,
    )


def _directory() -> Directory:
    """Return Entra ID; in a dry run what stands for it, so that nothing that can write is even made."""
    if settings().DRY_RUN:
        from shared.graph.dry_run import DryRunDirectory

        return DryRunDirectory(settings())
    from azure.identity.aio import ManagedIdentityCredential

    from shared.graph.entra import EntraDirectory

    return EntraDirectory(settings(), ManagedIdentityCredential(client_id=settings().AZURE_CLIENT_ID), now)


@cache
def weekly() -> Weekly:
    """Return what plans runs."""
    from shared.weekly import Weekly

    return Weekly(devices(), runs(), queues(), queues(), now, settings().GRAPH_WRITES_PER_SECOND)


@cache
def failures() -> Failures:
    """Return what keeps and replays failed messages."""
    from shared.failures import Failures

    return Failures(devices(), history(), failed_changes(), queues(), queues(), queues(), now)
