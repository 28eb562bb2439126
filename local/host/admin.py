"""The part of the real host's admin API that a developer uses: its state, its functions, and running one now."""

import time
from collections.abc import Callable, Sequence

from aiohttp import web

from local.host.bindings import Function, HttpTrigger
from local.host.web import Handler, Keys, Level


class Admin:
    """Answers under /admin; every request needs the master key.

    `start` begins to run the function of that name on an input, and does not wait for it.
    """

    def __init__(self, functions: Sequence[Function], keys: Keys, start: Callable[[str, str], object]) -> None:
        self._functions = {function.name.lower(): function for function in functions}
        self._keys = keys
        self._start = start
        self._started = time.monotonic()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; what else is under /admin is 404 rather than the app's."""
        return [
            web.get("/admin/host/status", self._guarded(self._status)),
            web.get("/admin/functions", self._guarded(self._list)),
            web.get("/admin/functions/{name}", self._guarded(self._describe)),
            web.post("/admin/functions/{name}", self._guarded(self._run)),
            web.route("*", "/admin{rest:(/.*)?}", self._guarded(self._unknown)),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if self._keys.level_of(request) < Level.ADMIN:
                return web.Response(status=401)
            return await handler(request)

        return guarded

    async def _status(self, _: web.Request) -> web.Response:
        uptime = round((time.monotonic() - self._started) * 1000)
        return web.json_response({"id": "local", "state": "Running", "version": "local", "processUptime": uptime})

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response([_description(function, request) for function in self._functions.values()])

    async def _describe(self, request: web.Request) -> web.Response:
        function = self._function(request)
        return web.Response(status=404) if function is None else web.json_response(_description(function, request))

    async def _run(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            return web.Response(status=415)
        try:
            body = await request.json()
        except ValueError:
            return web.Response(status=400)
        if not isinstance(body, dict) or not isinstance(body.get("input") or "", str):
            return web.Response(status=400)
        function = self._function(request)
        if function is None:
            return web.Response(status=404)
        self._start(function.name, body.get("input") or "")
        return web.Response(status=202)

    def _function(self, request: web.Request) -> Function | None:
        return self._functions.get(request.match_info["name"].lower())

    async def _unknown(self, _: web.Request) -> web.Response:
        return web.Response(status=404)


def _description(function: Function, request: web.Request) -> dict[str, object]:
    trigger = function.trigger
    url = f"{request.url.origin()}/{trigger.route.template}" if isinstance(trigger, HttpTrigger) else None
    return {
        "name": function.name,
        "href": f"{request.url.origin()}/admin/functions/{function.name}",
        "config": {"bindings": function.bindings},
        "isDisabled": function.disabled,
        "language": "python",
        "invoke_url_template": url,
    }
