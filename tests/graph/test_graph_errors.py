"""Whatever Graph or the network answers becomes one of the six error classes."""

from datetime import UTC, datetime

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ServiceRequestError
from azure.identity import CredentialUnavailableError
from hypothesis import given
from hypothesis import strategies as st

from shared.graph.errors import from_exception, from_response
from shared.model import ErrorClass

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
_C = ErrorClass


def odata(code: str, message: str) -> dict[str, object]:
    return {"error": {"code": code, "message": message, "innerError": {"request-id": "r-1"}}}


@pytest.mark.parametrize(
    ("status", "message", "error_class"),
    [
        (400, "Properties other than ExtendedAttribute1..15 can be modified only on windows devices.", _C.UNSUPPORTED),
        (400, "Properties other than AccountEnabled and ExtensionAttribute1..15 can be modified ...", _C.UNSUPPORTED),
        (400, "Invalid value specified for property 'isCompliant'.", _C.REJECTED),
        (401, "Lifetime validation failed, the token is expired.", _C.FORBIDDEN),
        (403, "Insufficient privileges to complete the operation.", _C.FORBIDDEN),
        (404, "Resource does not exist.", _C.NOT_FOUND),
        (409, "Conflict.", _C.REJECTED),
        (429, "Too many requests.", _C.THROTTLED),
        (500, "Internal error.", _C.TRANSIENT),
        (502, "Bad gateway.", _C.TRANSIENT),
        (503, "Service unavailable.", _C.TRANSIENT),
        (504, "Gateway timeout.", _C.TRANSIENT),
    ],
)
def test_each_status_has_its_class(status: int, message: str, error_class: ErrorClass) -> None:
    response = httpx.Response(status, json=odata("Some_Code", message), headers={"request-id": "r-1"})
    error = from_response(response, NOW)
    assert (error.error_class, error.code, error.message) == (error_class, "Some_Code", message)
    assert (error.status, error.request_id) == (status, "r-1")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("17", 17.0),
        ("7201", 3600.0),
        ("9" * 400, 3600.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
        ("0", 0.0),
        ("Mon, 23 Nov 2026 09:30:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 09:29:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("²", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str, seconds: float | None) -> None:
    response = httpx.Response(429, headers=[(b"Retry-After", header.encode("latin-1"))])
    assert from_response(response, NOW).retry_after == seconds


@given(st.binary() | st.sampled_from([b"[]", b'"x"', b'{"error":null}', b'{"error":{"code":7}}', b"[" * 100_000]))
def test_a_body_that_is_not_what_graph_sends_is_classified_by_its_status(body: bytes) -> None:
    error = from_response(httpx.Response(503, content=body), NOW)
    assert (error.error_class, error.code, error.message) == (_C.TRANSIENT, None, "Microsoft Graph answered 503.")


def test_a_long_message_of_several_lines_becomes_one_short_line() -> None:
    error = from_response(httpx.Response(400, json=odata("c", "one\r\n  two " + "x" * 1000)), NOW)
    assert error.message.startswith("one two x")
    assert len(error.message) == 500


@pytest.mark.parametrize(
    ("exception", "error_class"),
    [
        (httpx.ReadTimeout("read timed out"), _C.TRANSIENT),
        (httpx.ConnectError("refused"), _C.TRANSIENT),
        (httpx.RemoteProtocolError("cut"), _C.TRANSIENT),
        (TimeoutError(), _C.TRANSIENT),
        (ServiceRequestError("no identity endpoint"), _C.TRANSIENT),
        (HttpResponseError("the identity endpoint failed"), _C.TRANSIENT),
        (ClientAuthenticationError("no such identity"), _C.FORBIDDEN),
        (CredentialUnavailableError("no managed identity"), _C.FORBIDDEN),
    ],
)
def test_a_call_without_an_answer_is_transient_unless_the_identity_is_refused(
    exception: httpx.HTTPError, error_class: ErrorClass
) -> None:
    error = from_exception(exception)
    assert (error.error_class, error.code) == (error_class, type(exception).__name__)
