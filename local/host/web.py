"""HTTP: routes, keys, and the way between aiohttp's messages and the runtime's."""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from aiohttp import web
from multidict import CIMultiDict, MultiMapping

from local.host.bindings import Function, HttpTrigger
from local.host.routes import path_parts
from local.host.runtime import Datum, invoke, text_datum

log = logging.getLogger("host.http")

# The real host's limit on a request's body, in bytes.
BODY_LIMIT = 100 * 1024 * 1024
# Headers that the server works out for itself; a function's own could only contradict the body.
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Level(IntEnum):
    """What a caller may do, and what a function asks for; each level includes those before it."""

    ANONYMOUS = 0
    FUNCTION = 1
    ADMIN = 2


@dataclass(frozen=True)
class Keys:
    """The host's two keys."""

    function: str
    master: str

    def level_of(self, request: web.Request) -> Level:
        """Return the level that the request's `x-functions-key` or `code` gives; the header goes first."""
        given = (request.headers.get("x-functions-key") or request.query.get("code") or "").encode()
        # Both are always compared, in constant time: how long it takes says nothing of either key.
        master = hmac.compare_digest(given, self.master.encode())
        function = hmac.compare_digest(given, self.function.encode())
        return Level.ADMIN if master else Level.FUNCTION if function else Level.ANONYMOUS


class Dispatcher:
    """Sends requests to the HTTP functions of an app."""

    def __init__(self, functions: Sequence[Function], keys: Keys) -> None:
        triggers = [(f, f.trigger) for f in functions if isinstance(f.trigger, HttpTrigger)]
        self._routes = sorted(triggers, key=lambda pair: pair[1].route.precedence)
        self._keys = keys

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request: 404, 401, 413, or what the function says; 500 with an empty body where it fails."""
        found = self._find(request)
        if found is None:
            return web.Response(status=404)
        function, trigger, parameters = found
        level = self._keys.level_of(request)
        if level < Level[trigger.auth_level.upper()]:
            return web.Response(status=401)
        if function.disabled and level < Level.ADMIN:
            return web.Response(status=404)
        if (request.content_length or 0) > BODY_LIMIT:
            return web.Response(status=413)
        return await _invoked(function, request, parameters)

    def _find(self, request: web.Request) -> tuple[Function, HttpTrigger, dict[str, str]] | None:
        # A route with other methods counts as no route: the real host answers 404, never 405
        # (https://github.com/Azure/azure-functions-host/issues/10098).
        parts = path_parts(request.rel_url.raw_path)
        for function, trigger in self._routes:
            if trigger.methods is not None and request.method not in trigger.methods:
                continue
            parameters = trigger.route.match(parts)
            if parameters is not None:
                return function, trigger, parameters
        return None


class HttpFunction:
    """An HTTP function beside its route: there is nothing to listen to, and it cannot be run without a request."""

    def __init__(self, function: Function) -> None:
        self._function = function

    async def run(self, stopping: asyncio.Event) -> None:
        """Wait for `stopping`: the server brings the requests."""
        await stopping.wait()

    async def run_now(self, text: str) -> None:
        """Fail as in the real host, which accepts the call and then finds no request to give to the function."""
        await invoke(self._function, text_datum(text))


class Server:
    """The listening socket on 127.0.0.1; the host's own routes go first, all else goes to the app."""

    def __init__(self, own: Sequence[web.RouteDef], app: Dispatcher) -> None:
        application = web.Application(client_max_size=BODY_LIMIT)
        application.add_routes([*own, web.route("*", "/{path:.*}", app.handle)])
        # The body goes to the function as it came, also where it is compressed.
        self._runner = web.AppRunner(application, access_log=None, auto_decompress=False)
        self._site: web.TCPSite | None = None

    async def start(self, port: int) -> int:
        """Listen, and return the port, which is a free one where `port` is 0.

        Raises:
            OSError: the port cannot be had.
        """
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", port)
        await self._site.start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until `stopping` is set, then take no more connections and let the requests under way finish."""
        try:
            await stopping.wait()
        finally:
            await self._runner.cleanup()


async def _invoked(function: Function, request: web.Request, parameters: dict[str, str]) -> web.Response:
    try:
        value = await _request_datum(request, parameters)
    except web.HTTPRequestEntityTooLarge:  # a chunked body shows its length only in the reading
        return web.Response(status=413)
    outcome = await invoke(function, value)
    if outcome.ok and outcome.value is not None:
        try:
            return _response(outcome.value)
        except ValueError as error:
            log.error("the answer of '%s' is not HTTP: %s", function.name, error)  # noqa: TRY400 - one line, no trace
    return web.Response(status=500)


async def _request_datum(request: web.Request, parameters: dict[str, str]) -> Datum:
    """Put a request as the real host does: lower-case headers, repeated values joined, empty query values dropped."""
    return Datum(
        {
            "method": text_datum(request.method),
            "url": text_datum(str(request.url)),
            "headers": {name.lower(): text_datum(value) for name, value in _joined(request.headers).items()},
            "query": {name: text_datum(value) for name, value in _joined(request.query).items() if value},
            "params": {name: text_datum(value) for name, value in parameters.items()},
            "body": Datum(await request.read(), "bytes"),
        },
        "http",
    )


def _joined(values: MultiMapping[str]) -> dict[str, str]:
    return {name: ",".join(values.getall(name)) for name in dict.fromkeys(values)}


def _response(value: Datum) -> web.Response:
    if value.type != "http":  # the function returned a string
        return web.Response(text=value.value)
    answer = value.value
    headers: CIMultiDict[str] = CIMultiDict(
        (name, datum.value) for name, datum in answer["headers"].items() if name.lower() not in _FRAMING
    )
    for cookie in answer["cookies"] or ():
        for morsel in cookie.values():
            headers.add("Set-Cookie", morsel.OutputString())
    status = int(answer["status_code"].value)
    if not 200 <= status <= 599:  # noqa: PLR2004 - what HTTP has for a final answer
        raise ValueError(f"{status} is no status of an answer")
    for name, text in headers.items():
        if "\r" in text or "\n" in text:
            raise ValueError(f"header {name!r} holds a line break")
    return web.Response(status=status, headers=headers, body=answer["body"].value)
