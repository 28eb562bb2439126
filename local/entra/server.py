"""The emulator over HTTP: Graph under `/v1.0`, tokens at `/msi/token`, control under `/emulator`, a page at `/`."""

import asyncio
import json
import socket
import struct
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from local.entra.batch import answer_batch
from local.entra.contract import LogEntry
from local.entra.control import control_routes
from local.entra.faults import hold_seconds, refusal
from local.entra.graph import Reply, Request, answer_devices
from local.entra.page import render_page
from local.entra.tenant import Tenant
from local.entra.tokens import SYSTEM_ASSIGNED_CLIENT_ID, TokenRefusedError, check_token_request

HOST = "127.0.0.1"
DEFAULT_IDENTITY_HEADER = "local"
MAXIMUM_BODY = 64 * 1024 * 1024
_CUT_AT_ONCE = struct.pack("ii", 1, 0)

type Sleep = Callable[[float], Awaitable[object]]


def make_app(
    tenant: Tenant, *, identity_header: str = DEFAULT_IDENTITY_HEADER, sleep: Sleep = asyncio.sleep
) -> web.Application:
    """The application for a tenant; `sleep` (seconds) is how faults hold an answer back."""

    async def graph(http: web.Request) -> web.StreamResponse:
        request = await _read(http)
        answer = answer_batch if request.path == "/$batch" else answer_devices
        reply = answer(tenant, request)
        if reply.hold:
            await sleep(reply.hold)
        return _cut(http) if reply.cut else _send(reply)

    async def token(http: web.Request) -> web.StreamResponse:
        fault = tenant.faults.take_for_token()
        if fault is not None:
            await sleep(hold_seconds(fault))
        if fault is not None and fault.kind == "token-status":
            error = refusal(fault)
            return _log_token(tenant, http, _token_refused(error.status, error.message, error.headers))
        return _log_token(tenant, http, _issue(tenant, http, identity_header))

    async def page(_http: web.Request) -> web.StreamResponse:
        return web.Response(text=render_page(tenant), content_type="text/html")

    app = web.Application(client_max_size=MAXIMUM_BODY)
    app.router.add_route("*", "/v1.0/{path:.*}", graph)
    app.router.add_get("/msi/token", token)
    app.router.add_get("/", page)
    app.add_routes(control_routes(tenant))
    return app


@asynccontextmanager
async def serving(
    tenant: Tenant | None = None,
    *,
    port: int = 0,
    identity_header: str = DEFAULT_IDENTITY_HEADER,
    sleep: Sleep = asyncio.sleep,
) -> AsyncGenerator[str]:
    """Serve on loopback and yield the base URL, such as `http://127.0.0.1:1234`; OSError if the port is in use."""
    app = make_app(tenant or Tenant(), identity_header=identity_header, sleep=sleep)
    # Without cancellation a held answer would outlive the client that gave up on it, and keep the server from ending.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _read(http: web.Request) -> Request:
    headers = http.headers
    return Request(
        method=http.method,
        path="/" + http.match_info["path"],
        query=http.query if http.query_string else {},
        query_string=http.query_string,
        content_type=headers.get("Content-Type", ""),
        body=await http.read(),
        authorization=headers.get("Authorization"),
        client_request_id=headers.get("client-request-id"),
        origin=f"{http.scheme}://{http.host}",
    )


def _send(reply: Reply) -> web.Response:
    if reply.body is None:
        return web.Response(status=reply.status, headers=reply.headers)
    return web.json_response(reply.body, status=reply.status, headers=reply.headers)


def _cut(http: web.Request) -> web.Response:
    """Reset the connection, as a lost server or a proxy does, so that the client learns nothing."""
    transport = http.transport
    if transport is not None:
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CUT_AT_ONCE)
        transport.abort()
    return web.Response()


def _issue(tenant: Tenant, http: web.Request, identity_header: str) -> web.Response:
    query = http.query
    try:
        check_token_request(http.headers.get("X-IDENTITY-HEADER"), identity_header, query)
        body = tenant.tokens.issue(
            query.get("resource", ""),
            query.get("client_id") or SYSTEM_ASSIGNED_CLIENT_ID,
            tenant.settings,
            tenant.clock(),
        )
    except TokenRefusedError as error:
        return _token_refused(error.status, str(error), {})
    return web.json_response(body)


def _token_refused(status: int, message: str, headers: dict[str, str]) -> web.Response:
    body = {"statusCode": status, "message": message, "correlationId": str(uuid.uuid4())}
    return web.Response(status=status, text=json.dumps(body), content_type="application/json", headers=headers)


def _log_token(tenant: Tenant, http: web.Request, response: web.Response) -> web.Response:
    tenant.log.add(
        LogEntry(
            sequence=tenant.log.next_sequence(),
            time=tenant.clock(),
            method=http.method,
            path=http.path,
            query=http.query_string,
            status=response.status,
            client_id=http.query.get("client_id"),
        ),
        tenant.settings.log_capacity,
    )
    return response
