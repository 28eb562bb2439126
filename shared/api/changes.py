"""``POST /api/device-changes``: changes in canonical form."""

import azure.functions as func

from shared import wiring
from shared.api.answers import ProblemError, answering, as_json, json
from shared.ingest import Receipt, accept
from shared.sources import cloudevents
from shared.sources.parsed import Flaw, Parsed, Rejection, UnreadableError


@answering
async def post(request: func.HttpRequest) -> func.HttpResponse:
    """Put changes on the queue; 202 with what was accepted and what was not, 4xx if nothing was acceptable."""
    parsed = _parsed(request)
    receipt = await accept(parsed, wiring.queues(), wiring.now())
    if not receipt.accepted:
        raise _nothing_acceptable(receipt.rejections)
    return json(_receipt(receipt), 202)


def _parsed(request: func.HttpRequest) -> Parsed:
    try:
        return cloudevents.parse(request.get_body(), request.headers.get("content-type") or "")
    except UnreadableError as error:
        raise ProblemError(error.status, error.detail) from None


def _receipt(receipt: Receipt) -> dict[str, object]:
    rejected = [{"index": rejection.index, "errors": as_json(rejection.flaws)} for rejection in receipt.rejections]
    return {"accepted": receipt.accepted, "rejected": rejected}


def _nothing_acceptable(rejections: tuple[Rejection, ...]) -> ProblemError:
    """Say what is wrong with each change; where there are several, the pointer begins with the change's place."""
    several = len(rejections) > 1
    flaws = [
        Flaw(f"/{rejection.index}{flaw.pointer}" if several else flaw.pointer, flaw.detail)
        for rejection in rejections
        for flaw in rejection.flaws
    ]
    if rejections and not any(rejection.is_json for rejection in rejections):
        return ProblemError(400, "No line of the body is JSON.", flaws=flaws)
    return ProblemError(422, "The body holds no valid change; see errors for what to mend.", flaws=flaws)
