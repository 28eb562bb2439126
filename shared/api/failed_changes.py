"""``/api/failed-changes``: messages that failed too often, and sending them again."""

import azure.functions as func

from shared import wiring
from shared.api.answers import ProblemError, answering, json
from shared.api.paging import page_size, position, token
from shared.failures import NotReplayableError, is_failure_id
from shared.model import rfc3339
from shared.ports import FailedChange


@answering
async def list_failed_changes(request: func.HttpRequest) -> func.HttpResponse:
    """List messages that failed too often."""
    page = await wiring.failed_changes().page(page_size(request), position(request))
    return json({"failedChanges": [_failed(failed) for failed in page.items], "continuation": token(page.after)})


@answering
async def replay(request: func.HttpRequest) -> func.HttpResponse:
    """Put a failed message back on its queue."""
    wanted = request.route_params["id"]
    failed = await wiring.failed_changes().get(wanted) if is_failure_id(wanted) else None
    if failed is None:
        raise ProblemError(404, "There is no failed change of this id; GET /api/failed-changes lists those there are.")
    try:
        await wiring.failures().replay(failed)
    except NotReplayableError as error:
        raise ProblemError(409, f"It would only fail again. {error}") from None
    return json({"id": failed.id, "queue": failed.queue, "devices": failed.devices}, 202)


def _failed(failed: FailedChange) -> dict[str, object]:
    return {
        "id": failed.id,
        "queue": failed.queue,
        "reason": failed.reason,
        "devices": failed.devices,
        "failedAt": rfc3339(failed.failed_at),
        "replayedAt": failed.replayed_at and rfc3339(failed.replayed_at),
    }
