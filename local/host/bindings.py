"""Bindings: from the dictionaries of a function.json to typed triggers, checked, with %SETTING% resolved."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from local.errors import LocalError
from local.host.routes import Route
from local.host.runtime import IndexedFunction
from local.host.schedule import Schedule, parse_schedule

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,127}")
_QUEUE_NAME = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*")
_SETTING = re.compile(r"%([^%]+)%")
_LEVELS = ("anonymous", "function", "admin")
_DIRECTIONS = {"httpTrigger": "in", "http": "out", "queueTrigger": "in", "timerTrigger": "in"}
_IDENTITY_SUFFIXES = ("accountName", "serviceUri", "queueServiceUri")


@dataclass(frozen=True)
class HttpTrigger:
    """An HTTP function's address and who may call it; `methods` None means every method."""

    route: Route
    methods: frozenset[str] | None
    auth_level: str


@dataclass(frozen=True)
class QueueTrigger:
    """The queue of a queue function; `binary` hands the body over as bytes, not as text."""

    queue_name: str
    connection_string: str
    binary: bool


@dataclass(frozen=True)
class TimerTrigger:
    """When a timer function runs; `use_monitor` catches up a run that was missed while the host was down."""

    schedule: Schedule
    run_on_startup: bool
    use_monitor: bool


type Trigger = HttpTrigger | QueueTrigger | TimerTrigger


@dataclass(frozen=True)
class Function:
    """A function ready to be triggered; `parameter` is the name under which it takes the trigger's value."""

    name: str
    id: str
    parameter: str
    trigger: Trigger
    bindings: tuple[dict[str, Any], ...]
    disabled: bool


def bind(indexed: Iterable[IndexedFunction], route_prefix: str, environment: Mapping[str, str]) -> list[Function]:
    """Check the functions and resolve what their bindings refer to.

    Raises:
        LocalError: a binding is of a kind that this host lacks or refers to a missing setting, or two functions clash.
    """
    functions = [_Binder(function, route_prefix, environment).bind() for function in indexed]
    seen: dict[str, str] = {}
    for function in functions:
        for claim in _claims(function):
            if claim in seen:
                raise LocalError(f"function {function.name!r}: {claim} is taken by function {seen[claim]!r}")
            seen[claim] = function.name
    return functions


def _claims(function: Function) -> list[str]:
    name = f"the name {function.name.lower()!r}"
    if not isinstance(function.trigger, HttpTrigger):
        return [name]
    # "Every method" is spelt out, so that it clashes with any of them.
    methods = function.trigger.methods or {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "QUERY"}
    return [name, *(f"the route {method} /{function.trigger.route.shape}" for method in sorted(methods))]


class _Binder:
    def __init__(self, function: IndexedFunction, route_prefix: str, environment: Mapping[str, str]) -> None:
        self._function = function
        self._route_prefix = route_prefix
        self._environment = environment

    def bind(self) -> Function:
        name = self._function.name
        if not _NAME.fullmatch(name):
            raise self._refusal("the name must start with a letter and hold only letters, digits, _ and -")
        if self._function.has_retry_policy:
            raise self._refusal("retry policies are not supported by this host")
        for binding in self._function.bindings:
            self._check(binding)
        binding = next(b for b in self._function.bindings if b["type"].endswith("Trigger"))
        read: dict[str, Callable[[dict[str, Any]], Trigger]] = {
            "httpTrigger": self._http,
            "queueTrigger": self._queue,
            "timerTrigger": self._timer,
        }
        return Function(
            name=name,
            id=self._function.id,
            parameter=binding["name"],
            trigger=read[binding["type"]](binding),
            bindings=self._function.bindings,
            disabled=self._is_disabled(),
        )

    def _refusal(self, reason: str) -> LocalError:
        return LocalError(f"function {self._function.name!r}: {reason}")

    def _check(self, binding: dict[str, Any]) -> None:
        kind, direction = binding["type"], str(binding["direction"]).lower()
        if kind not in _DIRECTIONS:
            raise self._refusal(f"binding {kind!r} is not supported by this host; it has {', '.join(_DIRECTIONS)}")
        if direction != _DIRECTIONS[kind]:
            raise self._refusal(f"binding {kind!r} must have the direction {_DIRECTIONS[kind]!r}, not {direction!r}")
        if kind == "http" and binding["name"] != "$return":
            raise self._refusal("an HTTP answer must be the return value ($return), not an Out parameter")

    def _http(self, binding: dict[str, Any]) -> HttpTrigger:
        route = self._resolved(binding, "route").strip("/")
        level = str(binding.get("authLevel") or "function").lower()
        if level not in _LEVELS:
            raise self._refusal(f"authLevel {level!r} is none of {', '.join(_LEVELS)}")
        methods = frozenset(str(method).upper() for method in binding.get("methods") or ())
        template = "/".join(part for part in (self._route_prefix, route) if part)
        try:
            return HttpTrigger(Route.parse(template), methods or None, level)
        except ValueError as error:
            raise self._refusal(str(error)) from None

    def _queue(self, binding: dict[str, Any]) -> QueueTrigger:
        queue = self._resolved(binding, "queueName").lower()
        if not _QUEUE_NAME.fullmatch(queue):
            raise self._refusal(f"queueName {queue!r} is not a queue's name (3-63 of a-z, 0-9 and single -)")
        binary = str(binding.get("dataType") or "").lower() == "binary"
        return QueueTrigger(queue, self._connection(binding.get("connection") or "Storage"), binary)

    def _timer(self, binding: dict[str, Any]) -> TimerTrigger:
        text = self._resolved(binding, "schedule")
        try:
            schedule = parse_schedule(text)
        except ValueError as error:
            raise self._refusal(f"schedule {text!r}: {error}") from None
        # As in the real host: a timer that comes round within a minute is not worth catching up.
        monitor = binding.get("useMonitor") is not False and not schedule.is_frequent()
        return TimerTrigger(schedule, binding.get("runOnStartup") is True, monitor)

    def _resolved(self, binding: dict[str, Any], field: str) -> str:
        def setting(match: re.Match[str]) -> str:
            value = self._environment.get(match[1])
            if value is None:
                raise self._refusal(f"{field} needs the setting {match[1]}, which is missing from the environment")
            return value

        return _SETTING.sub(setting, str(binding.get(field) or ""))

    def _connection(self, prefix: str) -> str:
        # The order of the real host: a connection is looked for under its prefixed name first.
        for name in (f"AzureWebJobs{prefix}", prefix):
            if self._environment.get(name):
                return self._environment[name]
            if any(self._environment.get(f"{name}__{suffix}") for suffix in _IDENTITY_SUFFIXES):
                raise self._refusal(f"connection {prefix!r} is identity-based; this host takes only connection strings")
        raise self._refusal(f"connection needs the setting {prefix}, which is missing from the environment")

    def _is_disabled(self) -> bool:
        names = {f"azurewebjobs{mark}{self._function.name}{mark}disabled".lower() for mark in (".", "__")}
        values = (value for name, value in self._environment.items() if name.lower() in names)
        return any(value.strip().lower() in {"true", "1"} for value in values)
