"""The only module that touches Microsoft's worker runtime (`azure-functions-runtime`), which is untyped.

The runtime keeps its functions in module globals, so a process can run one app. Its messages are protobuf in the cloud;
indexing needs only records with attributes, which stand in for them here, and invocation goes through the runtime's own
protobuf-free entry.
"""

import json
import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from azure_functions_runtime import (
    functions_metadata_request,
    start_threadpool_executor,
    worker_init_request,
)
from azure_functions_runtime.bindings.datumdef import Datum
from azure_functions_runtime.native_invocation import invocation_request_native

from local.errors import LocalError

__all__ = ["Datum", "IndexedFunction", "Invocable", "Outcome", "index", "invoke", "json_datum", "text_datum"]

log = logging.getLogger("host.functions")


class _StatusResult(SimpleNamespace):
    Success = "success"
    Failure = "failure"


class _BindingInfo(SimpleNamespace):
    # The numbers of BindingDirection and DataType in azure.functions, which the runtime compares with these.
    undefined = 0
    out = 1
    inout = 2


# RpcRetryOptions is left plain: an app with a retry policy is refused by `bindings` after it was indexed.
_MESSAGES = SimpleNamespace(
    BindingInfo=_BindingInfo,
    StatusResult=_StatusResult,
    FunctionMetadataResponse=SimpleNamespace,
    RpcException=SimpleNamespace,
    RpcFunctionMetadata=SimpleNamespace,
    RpcRetryOptions=SimpleNamespace,
    WorkerInitResponse=SimpleNamespace,
    WorkerMetadata=SimpleNamespace,
)


@dataclass(frozen=True)
class IndexedFunction:
    """A function as the runtime indexed it; `bindings` are the dictionaries of a function.json."""

    name: str
    id: str
    bindings: tuple[dict[str, Any], ...]
    has_retry_policy: bool


class Invocable(Protocol):
    """What has to be known of a function to run it."""

    @property
    def name(self) -> str:
        """Its name, for the log."""
        ...

    @property
    def id(self) -> str:
        """The id that the runtime gave it."""
        ...

    @property
    def parameter(self) -> str:
        """The name of the trigger's parameter."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What an invocation came to; `value` is the `$return` value, None without one."""

    ok: bool
    value: Datum | None


async def index(folder: Path) -> list[IndexedFunction]:
    """Import the app in `folder`, which must be on `sys.path`, and start the thread pool of its sync functions.

    Raises:
        LocalError: the runtime rejects the app, or there is none.
    """
    start_threadpool_executor()
    init = SimpleNamespace(function_app_directory=str(folder), capabilities={})
    request = SimpleNamespace(
        request=SimpleNamespace(worker_init_request=init), properties={"host": "127.0.0.1", "protos": _MESSAGES}
    )
    response = await worker_init_request(request)
    if response.result.status == _StatusResult.Failure:
        raise LocalError(f"the app is rejected: {' '.join(response.result.exception.message.split())}")
    if "HttpUri" in response.capabilities:
        raise LocalError("the app is rejected: HTTP streaming (azurefunctions-extensions-http-*) is not supported here")
    metadata = (await functions_metadata_request(None)).function_metadata_results
    if not metadata:
        raise LocalError(f"{folder} has no functions: is there a function_app.py with a FunctionApp?")
    return [
        IndexedFunction(
            name=item.name,
            id=item.function_id,
            bindings=tuple(json.loads(binding) for binding in item.raw_bindings),
            has_retry_policy=item.retry_options is not None,
        )
        for item in metadata
    ]


async def invoke(function: Invocable, value: Datum, metadata: Mapping[str, Datum] | None = None) -> Outcome:
    """Run a function once on its trigger's `value` and log how it went; a failure is an outcome, not an exception.

    `metadata` is the trigger's, under the real host's names, such as `DequeueCount`.
    """
    name = function.name
    invocation_id = str(uuid.uuid4())
    started = time.perf_counter()
    log.info("Executing '%s' (Id=%s)", name, invocation_id)
    ok, result, _, error, trace = await invocation_request_native(
        invocation_id, function.id, [(function.parameter, value)], dict(metadata or {})
    )
    milliseconds = (time.perf_counter() - started) * 1000
    if ok:
        log.info("Executed '%s' (Succeeded, Id=%s, Duration=%.0fms)", name, invocation_id, milliseconds)
    else:
        # One line: the trace has many, and stands in the log only where someone asked for it.
        reason = " ".join(error.split())
        log.error("Executed '%s' (Failed, Id=%s, Duration=%.0fms): %s", name, invocation_id, milliseconds, reason)
        log.debug("%s", trace)
    return Outcome(ok, result)


def text_datum(text: str) -> Datum:
    """Wrap a string the way that the real host sends strings."""
    return Datum(text, "string")


def json_datum(value: object) -> Datum:
    """Wrap a value the way that the real host sends all that is neither string, bytes nor integer."""
    return Datum(json.dumps(value), "json")
