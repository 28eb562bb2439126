"""The control side: seeding the tenant, faults, settings and the log. No token; the server listens on loopback only."""

import json
from collections.abc import Awaitable, Callable

from aiohttp import web
from pydantic import ValidationError

from local.entra.contract import DEVICES, FAULTS, LOG_PAGE, SETTINGS, guid
from local.entra.tenant import Tenant

LOG_PAGE_SIZE = 10_000

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def control_routes(tenant: Tenant) -> list[web.RouteDef]:
    """The routes under `/emulator`; what is wrong with a body is answered 400 with `{"error"}`."""
    routes = [*_device_routes(tenant), *_fault_routes(tenant), *_settings_routes(tenant), *_log_routes(tenant)]
    return [web.route(method, f"/emulator/{path}", _refusing(handler)) for method, path, handler in routes]


def _device_routes(tenant: Tenant) -> list[tuple[str, str, Handler]]:
    async def put(http: web.Request) -> web.StreamResponse:
        for device in DEVICES.validate_json(await http.read()):
            tenant.directory.put(device)
        return web.json_response({"count": len(tenant.directory)})

    async def get(_http: web.Request) -> web.StreamResponse:
        return _json(DEVICES.dump_json(list(tenant.directory), by_alias=True))

    async def reset(_http: web.Request) -> web.StreamResponse:
        tenant.reset()
        return web.Response(status=204)

    async def delete(http: web.Request) -> web.StreamResponse:
        removed = tenant.directory.remove(guid(http.match_info["device_id"]))
        return web.Response(status=204 if removed else 404)

    return [
        ("PUT", "devices", put),
        ("GET", "devices", get),
        ("DELETE", "devices", reset),
        ("DELETE", "devices/{device_id}", delete),
    ]


def _fault_routes(tenant: Tenant) -> list[tuple[str, str, Handler]]:
    async def add(http: web.Request) -> web.StreamResponse:
        tenant.faults.add(FAULTS.validate_json(await http.read()))
        return await get(http)

    async def get(_http: web.Request) -> web.StreamResponse:
        return _json(FAULTS.dump_json(list(tenant.faults), by_alias=True))

    async def clear(_http: web.Request) -> web.StreamResponse:
        tenant.faults.clear()
        return web.Response(status=204)

    return [("POST", "faults", add), ("GET", "faults", get), ("DELETE", "faults", clear)]


def _settings_routes(tenant: Tenant) -> list[tuple[str, str, Handler]]:
    async def change(http: web.Request) -> web.StreamResponse:
        changes = json.loads(await http.read())
        if not isinstance(changes, dict):
            raise ValueError("settings must be an object")  # noqa: TRY004 - answered like every other wrong body
        held = SETTINGS.dump_python(tenant.settings, by_alias=True)
        tenant.settings = SETTINGS.validate_json(json.dumps({**held, **changes}))
        return await get(http)

    async def get(_http: web.Request) -> web.StreamResponse:
        return _json(SETTINGS.dump_json(tenant.settings, by_alias=True))

    return [("POST", "settings", change), ("GET", "settings", get)]


def _log_routes(tenant: Tenant) -> list[tuple[str, str, Handler]]:
    async def get(http: web.Request) -> web.StreamResponse:
        since = int(http.query.get("since", "0"))
        limit = int(http.query.get("limit", str(LOG_PAGE_SIZE)))
        if since < 0 or limit < 1:
            raise ValueError("since must be 0 or more, limit 1 or more")
        return _json(LOG_PAGE.dump_json(tenant.log.page(since, limit), by_alias=True))

    async def clear(_http: web.Request) -> web.StreamResponse:
        tenant.log.clear()
        return web.Response(status=204)

    return [("GET", "log", get), ("DELETE", "log", clear)]


def _refusing(handler: Handler) -> Handler:
    async def guarded(http: web.Request) -> web.StreamResponse:
        try:
            return await handler(http)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = "/".join(str(part) for part in first["loc"])
            return web.json_response({"error": f"{where}: {first['msg']}"}, status=400)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)

    return guarded


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")
