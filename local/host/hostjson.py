"""host.json: what of it this host honours, with the environment's overrides, validated."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from local.errors import LocalError

_OVERRIDE_PREFIX = "azurefunctionsjobhost__"
_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):([0-5]?\d):([0-5]?\d(?:\.\d{1,7})?)")
_WEEK = timedelta(days=7)

_LOG_LEVELS = {
    "trace": "DEBUG",
    "debug": "DEBUG",
    "information": "INFO",
    "info": "INFO",
    "warning": "WARNING",
    "error": "ERROR",
    "critical": "CRITICAL",
    "none": "CRITICAL",
}


@dataclass(frozen=True)
class QueueSettings:
    """`extensions.queues`; `visibility_timeout` is the delay after a *failure*, not the lease."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    max_polling_interval: timedelta = timedelta(minutes=1)
    visibility_timeout: timedelta = timedelta(0)
    base64: bool = True


@dataclass(frozen=True)
class HostJson:
    """The settings of a host; `route_prefix` has no slash at either end, `log_level` is a name of `logging`."""

    route_prefix: str
    queues: QueueSettings
    log_level: str


def load(folder: Path, environment: Mapping[str, str]) -> HostJson:
    """Read `folder`/host.json; `AzureFunctionsJobHost__a__b=value` in the environment replaces `a.b` of the file.

    Raises:
        LocalError: the file is missing or malformed, or a value is out of range.
    """
    settings = _read(folder / "host.json")
    if settings.get("version") != "2.0":
        raise LocalError('host.json: "version" must be "2.0"')
    for name, value in environment.items():
        if name.lower().startswith(_OVERRIDE_PREFIX):
            _override(settings, name.lower().removeprefix(_OVERRIDE_PREFIX).split("__"), value)
    level = environment.get("LOG_LEVEL") or _at(settings, "logging.loglevel").get("default", "Information")
    if not isinstance(level, str) or level.lower() not in _LOG_LEVELS:
        raise LocalError(f"log level {level!r} is none of {', '.join(_LOG_LEVELS)}")
    return HostJson(
        route_prefix=str(_at(settings, "extensions.http").get("routeprefix", "api")).strip("/"),
        queues=_queues(_at(settings, "extensions.queues")),
        log_level=_LOG_LEVELS[level.lower()],
    )


def time_span(text: object, name: str) -> timedelta:
    """Read a .NET TimeSpan, `hh:mm:ss` or `d.hh:mm:ss`; a bare number is refused, which .NET would take for days.

    Raises:
        LocalError: it is none; the text starts with `name`.
    """
    match = _TIME_SPAN.fullmatch(text) if isinstance(text, str) else None
    if match is None or int(match[2]) > 23:  # noqa: PLR2004 - hours of a day
        raise LocalError(f"{name} must be a time span such as 00:00:30, not {text!r}")
    return timedelta(days=int(match[1] or 0), hours=int(match[2]), minutes=int(match[3]), seconds=float(match[4]))


def _read(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise LocalError(f"{path} is missing") from None
    except ValueError as error:
        raise LocalError(f"{path} is not JSON: {error}") from None
    if not isinstance(settings, dict):
        raise LocalError(f"{path} must be a JSON object")
    lowered: dict[str, Any] = _lowered(settings)
    return lowered


def _lowered(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    # .NET configuration does not tell upper from lower case, in the file as in the environment.
    if isinstance(value, dict):
        return {key.lower(): _lowered(item) for key, item in value.items()}
    return value


def _override(settings: dict[str, Any], path: list[str], value: str) -> None:
    for key in path[:-1]:
        child = settings.get(key)
        if not isinstance(child, dict):
            child = settings[key] = {}
        settings = child
    settings[path[-1]] = value


def _at(settings: Any, path: str) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    for key in path.split("."):
        settings = settings.get(key) if isinstance(settings, dict) else None
    return settings if isinstance(settings, dict) else {}


def _queues(section: dict[str, Any]) -> QueueSettings:
    batch_size = _number(section, "batchSize", 16, at_least=1, at_most=32)
    encoding = section.get("messageencoding", "base64")
    if encoding not in {"base64", "none"}:
        raise LocalError(f'extensions.queues.messageEncoding must be "base64" or "none", not {encoding!r}')
    return QueueSettings(
        batch_size=batch_size,
        # The real default is this times the number of cores, which would make a run depend on the machine.
        new_batch_threshold=_number(section, "newBatchThreshold", batch_size // 2, at_least=0),
        max_dequeue_count=_number(section, "maxDequeueCount", 5, at_least=1),
        max_polling_interval=_span(section, "maxPollingInterval", "00:01:00", at_least=timedelta(milliseconds=100)),
        visibility_timeout=_span(section, "visibilityTimeout", "00:00:00", at_least=timedelta(0)),
        base64=encoding == "base64",
    )


def _number(section: dict[str, Any], key: str, default: int, *, at_least: int, at_most: int | None = None) -> int:
    value = section.get(key.lower(), default)
    span = f"at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"
    try:
        number = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else None
    except ValueError:
        number = None
    if number is None or number < at_least or (at_most is not None and number > at_most):
        raise LocalError(f"extensions.queues.{key} must be a number {span}, not {value!r}")
    return number


def _span(section: dict[str, Any], key: str, default: str, *, at_least: timedelta) -> timedelta:
    name = f"extensions.queues.{key}"
    span = time_span(section.get(key.lower(), default), name)
    if not at_least <= span <= _WEEK:
        raise LocalError(f"{name} must be from {at_least} to 7 days, not {span}")
    return span
