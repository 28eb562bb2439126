"""Answers as JSON, and problems as RFC 9457 has them. Nothing of how the program works inside goes out."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from http import HTTPStatus
from json import dumps
from typing import Any

import azure.functions as func

from shared.ports import UnavailableError
from shared.settings import SettingsError
from shared.sources.parsed import Flaw

RETRY_AFTER_SECONDS = 5

log = logging.getLogger(__name__)

type Handler = Callable[[func.HttpRequest], Awaitable[func.HttpResponse]]


class ProblemError(Exception):
    """A request that is answered with a problem: status, what is wrong, and what to do about it."""

    def __init__(
        self, status: int, detail: str, *, flaws: Sequence[Flaw] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = HTTPStatus(status)
        self.detail = detail
        self.flaws = flaws
        self.headers = dict(headers or {})

    def answer(self) -> func.HttpResponse:
        """Return the problem as an answer."""
        problem = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            "errors": as_json(self.flaws),
        }
        return func.HttpResponse(
            dumps(problem),
            status_code=self.status,
            headers=self.headers,
            mimetype="application/problem+json",
        )


def json(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """Answer with a document as JSON."""
    return func.HttpResponse(
        dumps(document, ensure_ascii=False),
        status_code=status,
        headers={"Cache-Control": "no-store"} | dict(headers or {}),
        mimetype="application/json",
    )


def as_json(flaws: Sequence[Flaw]) -> list[dict[str, Any]]:
    """Return flaws as a problem and a receipt list them."""
    return [{"pointer": flaw.pointer, "detail": flaw.detail} for flaw in flaws]


def answering(handler: Handler) -> Handler:
    """Answer every failure of a handler with a problem; what went wrong inside goes to the log only."""

    @wraps(handler)
    async def answer(request: func.HttpRequest) -> func.HttpResponse:
        try:
            return await handler(request)
        except ProblemError as problem:
            return problem.answer()
        except UnavailableError as error:
            log.warning("%s", error)
            return _unavailable()
        except SettingsError as error:
            log.error("%s", error)  # noqa: TRY400 - the message says it all
            return ProblemError(500, str(error)).answer()
        except Exception:  # the edge: whatever it is, the caller gets a problem and no trace
            log.exception("a request to %s failed", handler.__name__)
            return ProblemError(500, "The request failed inside the service; its log says why.").answer()

    return answer


def _unavailable() -> func.HttpResponse:
    return ProblemError(
        503,
        f"Storage cannot be reached. Nothing is lost: send the same again in {RETRY_AFTER_SECONDS} seconds.",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    ).answer()
