"""What Graph or the network answered, turned into one of the error classes."""

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError, ServiceResponseError

from shared.errors import ReportError
from shared.model import ErrorClass

_C = ErrorClass

# status of Graph's answer: class. Any other 5xx is Transient, any other 4xx Rejected.
_CLASS_OF_STATUS = {401: _C.FORBIDDEN, 403: _C.FORBIDDEN, 404: _C.NOT_FOUND, 429: _C.THROTTLED}

_REFUSED = {httpx.codes.BAD_REQUEST, httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}

_LONGEST_WAIT = 3600.0
"""Seconds; an answer that asks for more is not to hold up a whole fleet."""

_ONLY_ON_WINDOWS = "Properties other than"
"""How Graph begins to say that a property is open to this app on Windows devices only (400 Request_BadRequest)."""

_MAX_MESSAGE = 500


def from_response(response: httpx.Response, now: datetime) -> ReportError:
    """Classify an answer that is not a success. The body may be anything: gateways answer in HTML."""
    code, message, request_id = _said(response)
    return ReportError(
        _class_of(response.status_code, message),
        message,
        code=code,
        status=response.status_code,
        retry_after=_seconds(response.headers.get("Retry-After"), now),
        request_id=request_id,
    )


def from_exception(error: httpx.HTTPError | AzureError | TimeoutError) -> ReportError:
    """Classify a call that had no answer: the network, the time limit, or a token that could not be had."""
    kind = type(error).__name__
    if isinstance(error, ClientAuthenticationError) and _is_refusal(error):
        return ReportError(_C.FORBIDDEN, "The managed identity gives no token for Microsoft Graph.", code=kind)
    if isinstance(error, AzureError) and not isinstance(error, ServiceRequestError | ServiceResponseError):
        return ReportError(_C.TRANSIENT, "The managed identity could not give a token.", code=kind)
    return ReportError(_C.TRANSIENT, "Microsoft Graph did not answer; it may have done what it was asked.", code=kind)


def _is_refusal(error: ClientAuthenticationError) -> bool:
    """Say whether the token was refused, and not merely not had.

    azure-identity raises the same error for a token endpoint that is down; the answer is then among the causes.
    """
    cause: BaseException | None = error
    while cause is not None:
        response = getattr(cause, "response", None)
        if response is not None:
            return int(response.status_code) in _REFUSED
        cause = cause.__cause__ or cause.__context__
    return True


def _class_of(status: int, message: str) -> ErrorClass:
    if status == httpx.codes.BAD_REQUEST and message.startswith(_ONLY_ON_WINDOWS):
        return _C.UNSUPPORTED
    return _CLASS_OF_STATUS.get(status, _C.TRANSIENT if status >= httpx.codes.INTERNAL_SERVER_ERROR else _C.REJECTED)


def _said(response: httpx.Response) -> tuple[str | None, str, str | None]:
    """Return Graph's code, message and request id, as far as the body has them."""
    request_id = response.headers.get("request-id")
    try:
        error: dict[str, Any] = json.loads(response.content)["error"]
        code, message = error.get("code"), error.get("message")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        code, message = None, None
    text = message if isinstance(message, str) and message else f"Microsoft Graph answered {response.status_code}."
    return code if isinstance(code, str) else None, " ".join(text.split())[:_MAX_MESSAGE], request_id


def _seconds(retry_after: str | None, now: datetime) -> float | None:
    """Read ``Retry-After``: seconds, or a date (RFC 9110); an hour at the most."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after), _LONGEST_WAIT)
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return min(max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()), _LONGEST_WAIT)
