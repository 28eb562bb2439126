"""`POST /$batch`: up to twenty requests in one, each with a fate of its own.

From "Combine multiple HTTP requests using JSON batching". There is no atomicity, and the replies are in any order: here
never in the order of the requests, so that a client which relies on it fails.
"""

import json
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from local.entra.faults import refusal
from local.entra.graph import Reply, Request, Trace, exchange, read_json, serve_devices
from local.entra.odata import GraphError, Json, bad_request
from local.entra.tenant import Tenant
from local.entra.tokens import Caller

MAXIMUM_ITEMS = 20
_SHUFFLE = secrets.SystemRandom().shuffle


@with_config(ConfigDict(strict=True))
@dataclass(slots=True, frozen=True)
class _Item:
    id: str
    method: str
    url: str
    headers: dict[str, str] | None = None
    body: object = None
    dependsOn: tuple[str, ...] = ()  # noqa: N815 - as on the wire


_ITEMS = TypeAdapter(tuple[_Item, ...])


def answer_batch(tenant: Tenant, request: Request) -> Reply:
    """Answer a $batch; a cut or held item cuts or holds the whole answer, for it has but one connection."""
    return exchange(tenant, request, lambda _caller, trace: _serve(tenant, request, trace), log_body=False)


def _serve(tenant: Tenant, request: Request, trace: Trace) -> Reply:
    if request.method != "POST":
        raise GraphError(405, "BadRequest", "Specified HTTP method is not allowed for the request target.")
    items = _read_items(request)
    trace.fault = tenant.faults.take_for_batch()
    if trace.fault is not None and trace.fault.kind == "status":
        raise refusal(trace.fault)
    if trace.fault is not None and trace.fault.kind == "reset":
        return Reply(0)
    replies: dict[str, Reply] = {}
    for item in items:
        replies[item.id.lower()] = _answer_item(tenant, request, item, replies, trace.request_id)
    responses: list[Json] = [
        {"id": item.id, "status": reply.status, "headers": {**reply.headers}, "body": reply.body}
        for item, reply in _out_of_order(list(zip(items, replies.values(), strict=True)))
    ]
    return Reply(
        200,
        {"responses": responses},
        hold=max(reply.hold for reply in replies.values()),
        cut=any(reply.cut for reply in replies.values()),
    )


def _read_items(request: Request) -> tuple[_Item, ...]:
    payload = read_json(request)
    try:
        items = _ITEMS.validate_json(json.dumps(payload.get("requests")))
    except ValidationError:
        raise bad_request("Invalid batch payload format.", "BadRequest") from None
    if not 1 <= len(items) <= MAXIMUM_ITEMS:
        raise bad_request(f"Number of batch request steps must be from 1 to {MAXIMUM_ITEMS}.", "BadRequest")
    seen: set[str] = set()
    for item in items:
        if item.id.lower() in seen:
            raise bad_request(f"Request Id {item.id} has to be unique in a batch.", "BadRequest")
        if unknown := [name for name in item.dependsOn if name.lower() not in seen]:
            raise bad_request(f"Request {item.id} depends on {unknown[0]}, which does not precede it.", "BadRequest")
        seen.add(item.id.lower())
    return items


def _answer_item(tenant: Tenant, batch: Request, item: _Item, done: dict[str, Reply], batch_request_id: str) -> Reply:
    path, _, query_string = item.url.partition("?")
    headers = {name.lower(): value for name, value in (item.headers or {}).items()}
    request = Request(
        method=item.method.upper(),
        path="/" + unquote(path).strip("/"),
        query=dict(parse_qsl(query_string)),
        query_string=query_string,
        content_type=headers.get("content-type", ""),
        body=b"" if item.body is None else json.dumps(item.body).encode(),
        authorization=batch.authorization,
        client_request_id=headers.get("client-request-id", batch.client_request_id),
        origin=batch.origin,
        batch_request_id=batch_request_id,
    )

    def work(caller: Caller, trace: Trace) -> Reply:
        _check_item(item, request, done)
        return serve_devices(tenant, request, caller, trace)

    reply = exchange(tenant, request, work)
    if reply.body is not None:
        reply.headers["Content-Type"] = "application/json"
    return reply


def _check_item(item: _Item, request: Request, done: dict[str, Reply]) -> None:
    if not all(HTTPStatus(done[name.lower()].status or HTTPStatus.BAD_GATEWAY).is_success for name in item.dependsOn):
        raise GraphError(424, "FailedDependency", "A request that this one depends on has failed.")
    if request.body and not request.content_type:
        raise bad_request(f"Write request id : {item.id} does not contain Content-Type header or body.", "BadRequest")


def _out_of_order(answered: list[tuple[_Item, Reply]]) -> list[tuple[_Item, Reply]]:
    shuffled = answered.copy()
    while len(answered) > 1 and shuffled == answered:
        _SHUFFLE(shuffled)
    return shuffled
