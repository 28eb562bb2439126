"""Requests to Graph, apart from HTTP: who may, what the quota and the faults say, and the answer."""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from local.entra.contract import Device, Fault, LogEntry, guid
from local.entra.faults import cuts, hold_seconds, refusal
from local.entra.odata import (
    GraphError,
    Json,
    bad_request,
    not_found,
    read_list_query,
    selected,
    skip_token,
)
from local.entra.tenant import PROPERTIES, Tenant, apply_update, check_update, render
from local.entra.tokens import Caller

_DEVICE = re.compile(r"/devices(?:\(deviceId='(?P<device_id>[^']*)'\)|/(?P<object_id>[^/()]+))")
_UNREADABLE = (
    "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format."
)


@dataclass(slots=True, frozen=True)
class Request:
    """One request: `path` decoded and after `/v1.0`, `query` decoded, `origin` like `http://127.0.0.1:1234`."""

    method: str
    path: str
    query: Mapping[str, str]
    query_string: str
    content_type: str
    body: bytes
    authorization: str | None
    client_request_id: str | None
    origin: str
    batch_request_id: str | None = None


@dataclass(slots=True)
class Reply:
    """One answer, to be held back for `hold` seconds, and then withheld by a cut connection if `cut`."""

    status: int
    body: dict[str, Json] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hold: float = 0.0
    cut: bool = False


@dataclass(slots=True)
class Trace:
    """What is learnt of a request on the way, for its answer and for the log."""

    request_id: str
    caller: Caller | None = None
    device_id: str | None = None
    applied: bool = False
    fault: Fault | None = None
    headers: dict[str, str] = field(default_factory=dict)


def exchange(
    tenant: Tenant, request: Request, work: Callable[[Caller, Trace], Reply], *, log_body: bool = True
) -> Reply:
    """Authenticate, do the work, and turn what comes of it into an answer and an entry in the log."""
    trace = Trace(str(uuid.uuid4()))
    client_request_id = request.client_request_id or trace.request_id
    now = tenant.clock()
    try:
        trace.caller = tenant.tokens.caller(request.authorization, now)
        reply = work(trace.caller, trace)
    except GraphError as error:
        reply = Reply(error.status, error.body(now, trace.request_id, client_request_id), error.headers)
    reply.headers = {
        "request-id": trace.request_id,
        "client-request-id": client_request_id,
        **trace.headers,
        **reply.headers,
    }
    if trace.fault is not None:
        reply.hold += hold_seconds(trace.fault)
        reply.cut = reply.cut or cuts(trace.fault)
    tenant.log.add(
        LogEntry(
            sequence=tenant.log.next_sequence(),
            time=now,
            method=request.method,
            path=f"/v1.0{request.path}",
            query=request.query_string,
            device_id=trace.device_id,
            body=request.body.decode(errors="replace") if log_body else "",
            status=None if reply.cut else reply.status,
            applied=trace.applied,
            request_id=trace.request_id,
            client_id=trace.caller.app_id if trace.caller else None,
            batch_request_id=request.batch_request_id,
        ),
        tenant.settings.log_capacity,
    )
    return reply


def answer_devices(tenant: Tenant, request: Request) -> Reply:
    """Answer a request for the device list or for one device."""
    return exchange(tenant, request, lambda caller, trace: serve_devices(tenant, request, caller, trace))


def serve_devices(tenant: Tenant, request: Request, caller: Caller, trace: Trace) -> Reply:
    """Do what an authenticated caller asks of the device list or of one device; GraphError for a refusal."""
    listing = request.path == "/devices"
    match = _DEVICE.fullmatch(request.path)
    if not listing and match is None:
        raise bad_request(f"Resource not found for the segment '{request.path.strip('/')}'.", "BadRequest")
    if request.method not in ({"GET"} if listing else {"GET", "PATCH", "DELETE"}):
        raise GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
    write = request.method != "GET"
    caller.require(write=write)
    trace.headers = tenant.quota.admit(caller.app_id, tenant.settings, tenant.clock(), write=write)
    key, device = ("", None) if match is None else _find(tenant, match, trace)
    # After the quota, so that a throttled request does not use a fault up.
    trace.fault = tenant.faults.take_for_devices(request.method, trace.device_id)
    if trace.fault is not None and trace.fault.kind == "status":
        raise refusal(trace.fault)
    if trace.fault is not None and trace.fault.kind == "reset":
        return Reply(0)
    if match is None:
        return _list(tenant, request)
    if device is None:
        raise not_found(key)
    return _METHODS[request.method](tenant, request, device, trace)


def _find(tenant: Tenant, match: re.Match[str], trace: Trace) -> tuple[str, Device | None]:
    by_device_id = match["device_id"] is not None
    key = match["device_id"] if by_device_id else match["object_id"]
    try:
        normal = guid(key)
    except ValueError:
        raise bad_request(f"Invalid object identifier '{key}'.") from None
    if by_device_id:
        device = tenant.directory.with_device_id(normal)
        trace.device_id = normal
    else:
        device = tenant.directory.with_object_id(normal)
    if device is not None:
        trace.device_id = device.device_id  # the very string of the directory: the log may hold a million of them
    return key, device


def _list(tenant: Tenant, request: Request) -> Reply:
    query = read_list_query(request.query)
    properties = selected(request.query, PROPERTIES)
    if query.device_id is None:
        devices, more = tenant.directory.page(query.after, query.top)
    else:
        found = tenant.directory.with_device_id(query.device_id)
        devices, more = ([found] if found else []), False
    body: dict[str, Json] = {"@odata.context": f"{request.origin}/v1.0/$metadata#devices"}
    if more:
        options = {**request.query, "$skiptoken": skip_token(devices[-1].id)}
        body["@odata.nextLink"] = f"{request.origin}/v1.0/devices?{urlencode(options, safe='$,', quote_via=quote)}"
    body["value"] = [render(device, properties) for device in devices]
    return Reply(200, body)


def _get(_tenant: Tenant, request: Request, device: Device, _trace: Trace) -> Reply:
    properties = selected(request.query, PROPERTIES)
    context: dict[str, Json] = {"@odata.context": f"{request.origin}/v1.0/$metadata#devices/$entity"}
    return Reply(200, context | render(device, properties))


def _patch(tenant: Tenant, request: Request, device: Device, trace: Trace) -> Reply:
    changes = read_json(request)
    changes.pop("@odata.type", None)  # the SDK's models always send it
    check_update(device, changes, tenant.settings)
    apply_update(device, changes, tenant.clock())
    trace.applied = True
    return Reply(204)


def _delete(tenant: Tenant, _request: Request, device: Device, trace: Trace) -> Reply:
    trace.applied = tenant.directory.remove(device.device_id)
    return Reply(204)


_METHODS = {"GET": _get, "PATCH": _patch, "DELETE": _delete}


def read_json(request: Request) -> dict[str, Json]:
    """The JSON object that was sent; GraphError 400 if it is none or its type is not `application/json`."""
    if not request.body:
        raise bad_request("Empty Payload. JSON content expected.", "BadRequest")
    if request.content_type.partition(";")[0].strip().lower() != "application/json":
        raise bad_request(_UNREADABLE, "BadRequest")
    try:
        value = json.loads(request.body)
    except ValueError:
        raise bad_request(_UNREADABLE, "BadRequest") from None
    if not isinstance(value, dict):
        raise bad_request(_UNREADABLE, "BadRequest")
    return value
