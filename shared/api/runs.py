"""``/api/report-runs``: runs that report every device."""

from typing import Literal
from uuid import uuid4

import azure.functions as func
from pydantic import ConfigDict, ValidationError

from shared import wiring
from shared.api.answers import ProblemError, answering, json
from shared.model import Strict, rfc3339
from shared.ports import Run, RunTotals
from shared.sources.parsed import flaws_of
from shared.sources.strict_json import NotJsonError, loads
from shared.weekly import is_run_id, manual_run_id

NEWEST = 50


class RunRequest(Strict):
    """What is asked for: nothing need be said."""

    model_config = ConfigDict(strict=True)

    dry_run: bool = False
    mode: Literal["reconcile", "full"] | None = None


@answering
async def start_run(request: func.HttpRequest) -> func.HttpResponse:
    """Start a run; 202 with where to follow it."""
    wanted = _wanted(request)
    run = await wiring.weekly().start(
        manual_run_id(wiring.now(), uuid4()),
        requested_mode=wanted.mode or wiring.settings().WEEKLY_REPORT_MODE,
        dry_run=wanted.dry_run,
    )
    return json(_run(run, RunTotals()), 202, {"Location": f"/api/report-runs/{run.id}"})


@answering
async def list_runs(_: func.HttpRequest) -> func.HttpResponse:
    """List the newest runs, newest first."""
    return json({"runs": [_run(*found) for found in await wiring.runs().newest(NEWEST)]})


@answering
async def get_run(request: func.HttpRequest) -> func.HttpResponse:
    """Answer with the progress and totals of a run."""
    run_id = request.route_params["id"]
    found = await wiring.runs().get(run_id) if is_run_id(run_id) else None
    if found is None:
        raise ProblemError(404, "There is no run of this id; GET /api/report-runs lists those there are.")
    return json(_run(*found))


def _wanted(request: func.HttpRequest) -> RunRequest:
    body = request.get_body()
    if not body.strip():
        return RunRequest()
    try:
        return RunRequest.model_validate(loads(body))
    except NotJsonError as error:
        raise ProblemError(400, f"The body {error}.") from None
    except ValidationError as error:
        raise ProblemError(422, "The run cannot be started as asked.", flaws=flaws_of(error)) from None


def _run(run: Run, totals: RunTotals) -> dict[str, object]:
    ended = run.planned_at is not None and totals.open == 0
    ended_at = max(filter(None, [run.planned_at, totals.last_outcome_at])) if ended else None
    return {
        "id": run.id,
        "mode": run.mode,
        "requestedMode": run.requested_mode,
        "dryRun": run.dry_run,
        "startedAt": rfc3339(run.started_at),
        "plannedAt": run.planned_at and rfc3339(run.planned_at),
        "endedAt": ended_at and rfc3339(ended_at),
        "planned": totals.planned,
        "done": totals.done,
        "failed": totals.failed,
        "skipped": totals.skipped,
        "open": totals.open,
    }
