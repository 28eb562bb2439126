"""Every trigger, as a table of contents: bindings and one call each.

What a trigger needs is imported when it runs for the first time, so that starting the app loads next to nothing.
"""

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

STORAGE = "AzureWebJobsStorage"


@app.route("api/device-changes", methods=["POST"])
async def ingest(req: func.HttpRequest) -> func.HttpResponse:
    """Take changes of devices from an MDM, in canonical form."""
    from shared.api import changes

    return await changes.post(req)


@app.queue_trigger("msg", "device-changes", STORAGE)
async def fold(msg: func.QueueMessage) -> None:
    """Merge changes into the devices' rows."""
    from shared import consuming

    await consuming.fold_changes(msg)


@app.queue_trigger("msg", "device-reports", STORAGE)
async def report(msg: func.QueueMessage) -> None:
    """Tell Entra ID what the rows say now."""
    from shared import consuming

    await consuming.report_devices(msg)


@app.timer_trigger("timer", "%WEEKLY_REPORT_SCHEDULE%", use_monitor=True)
async def weekly(timer: func.TimerRequest) -> None:
    """Start the weekly report of every device."""
    from shared import consuming

    await consuming.start_weekly_run()


@app.queue_trigger("msg", "weekly-shards", STORAGE)
async def plan_weekly(msg: func.QueueMessage) -> None:
    """Put the next chunk of a run on the queue."""
    from shared import consuming

    await consuming.plan_chunk(msg)


@app.queue_trigger("msg", "device-changes-poison", STORAGE)
async def keep_failed_changes(msg: func.QueueMessage) -> None:
    """Keep changes that failed too often."""
    from shared import consuming

    await consuming.keep_failed("device-changes-poison", msg)


@app.queue_trigger("msg", "device-reports-poison", STORAGE)
async def keep_failed_reports(msg: func.QueueMessage) -> None:
    """Keep pointers that failed too often."""
    from shared import consuming

    await consuming.keep_failed("device-reports-poison", msg)


@app.queue_trigger("msg", "weekly-shards-poison", STORAGE)
async def keep_failed_chunks(msg: func.QueueMessage) -> None:
    """Keep chunks of runs that failed too often."""
    from shared import consuming

    await consuming.keep_failed("weekly-shards-poison", msg)


@app.route("api/devices", methods=["GET"])
async def devices(req: func.HttpRequest) -> func.HttpResponse:
    """List device details."""
    from shared.api import devices as api

    return await api.list_devices(req)


@app.route("api/devices/{deviceGuid}", methods=["GET"])
async def device(req: func.HttpRequest) -> func.HttpResponse:
    """Show the details of a device."""
    from shared.api import devices as api

    return await api.get_device(req)


@app.route("api/devices/{deviceGuid}/history", methods=["GET"])
async def device_history(req: func.HttpRequest) -> func.HttpResponse:
    """Show what happened to a device."""
    from shared.api import devices as api

    return await api.get_history(req)


@app.route("api/devices/{deviceGuid}/report", methods=["POST"])
async def report_device(req: func.HttpRequest) -> func.HttpResponse:
    """Report a device now."""
    from shared.api import devices as api

    return await api.report_now(req)


@app.route("api/report-runs", methods=["POST"])
async def start_run(req: func.HttpRequest) -> func.HttpResponse:
    """Report every device now."""
    from shared.api import runs

    return await runs.start_run(req)


@app.route("api/report-runs", methods=["GET"])
async def report_runs(req: func.HttpRequest) -> func.HttpResponse:
    """List runs."""
    from shared.api import runs

    return await runs.list_runs(req)


@app.route("api/report-runs/{id}", methods=["GET"])
async def report_run(req: func.HttpRequest) -> func.HttpResponse:
    """Show how far a run is."""
    from shared.api import runs

    return await runs.get_run(req)


@app.route("api/failed-changes", methods=["GET"])
async def failed_changes(req: func.HttpRequest) -> func.HttpResponse:
    """List messages that failed too often."""
    from shared.api import failed_changes as api

    return await api.list_failed_changes(req)


@app.route("api/failed-changes/{id}/replay", methods=["POST"])
async def replay(req: func.HttpRequest) -> func.HttpResponse:
    """Send a failed message again."""
    from shared.api import failed_changes as api

    return await api.replay(req)


@app.route("api/health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """Say that the app runs."""
    return func.HttpResponse('{"status":"ok"}', mimetype="application/json", headers={"Cache-Control": "no-store"})
