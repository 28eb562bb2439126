"""Graph's manners: error bodies, $top, $select, $filter and $skiptoken."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from local.entra.contract import guid

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None

DEFAULT_TOP = 100
MAXIMUM_TOP = 999
_BY_DEVICE_ID = re.compile(r"deviceId eq '([^']*)'")
_LIST_OPTIONS = frozenset({"$top", "$select", "$filter", "$skiptoken"})


class GraphError(Exception):
    """A refusal, with what its reply carries: status, code and message, headers and additions to innerError."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        inner: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.inner = dict(inner or {})

    def body(self, now: float, request_id: str, client_request_id: str) -> dict[str, Json]:
        """The ODataError body; `now` is in seconds since the epoch."""
        date = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        inner = {**self.inner, "date": date, "request-id": request_id, "client-request-id": client_request_id}
        return {"error": {"code": self.code, "message": self.message, "innerError": inner}}


def bad_request(message: str, code: str = "Request_BadRequest") -> GraphError:
    """A 400, by default with the code that the directory gives."""
    return GraphError(400, code, message)


def forbidden() -> GraphError:
    """The 403 for an application without the permission."""
    return GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def not_found(key: str) -> GraphError:
    """The 404 for a device that is not there."""
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{key}' does not exist or one of its queried reference-property objects are not present.",
    )


@dataclass(slots=True, frozen=True)
class ListQuery:
    """A checked query of the device list; `after` is the object id of the last device of the page before."""

    top: int
    device_id: str | None
    after: str


def read_list_query(query: Mapping[str, str]) -> ListQuery:
    """Check the options of `GET /devices`; GraphError 400 for what Graph or this emulator does not take."""
    if unsupported := sorted(name for name in query if name.startswith("$") and name not in _LIST_OPTIONS):
        raise bad_request(f"The query option '{unsupported[0]}' is not supported.", "Request_UnsupportedQuery")
    return ListQuery(_top(query.get("$top")), _filter(query.get("$filter")), _after(query.get("$skiptoken")))


def _top(text: str | None) -> int:
    if text is None:
        return DEFAULT_TOP
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MAXIMUM_TOP):
        raise bad_request(
            f"Invalid page size specified: '{text}'. Must be between 1 and {MAXIMUM_TOP} inclusive.",
            "Request_UnsupportedQuery",
        )
    return int(text)


def _filter(text: str | None) -> str | None:
    if text is None:
        return None
    match = _BY_DEVICE_ID.fullmatch(text.strip())
    if match is None:
        raise bad_request("Unsupported or invalid query filter clause specified.", "Request_UnsupportedQuery")
    try:
        return guid(match[1])
    except ValueError:
        raise bad_request("Invalid value specified for property 'deviceId' of resource 'Device'.") from None


def skip_token(object_id: str) -> str:
    """The opaque token for the page after the device `object_id`."""
    return base64.urlsafe_b64encode(object_id.encode()).decode()


def _after(token: str | None) -> str:
    if token is None:
        return ""
    try:
        return guid(base64.b64decode(token, altchars=b"-_", validate=True).decode())
    except ValueError:  # binascii.Error and UnicodeDecodeError are such, too
        message = "The specified page token value is not valid or has expired."
        raise bad_request(message, "Directory_ExpiredPageToken") from None


def selected(query: Mapping[str, str], known: Mapping[str, str]) -> list[str]:
    """The properties that $select names, or all that are `known`; GraphError 400 for one that is not."""
    text = query.get("$select")
    if not text:
        return list(known)
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise bad_request(
                "Parsing OData Select and Expand failed: "
                f"Could not find a property named '{name}' on type 'microsoft.graph.device'.",
                "BadRequest",
            )
    return names
