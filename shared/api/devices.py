"""``/api/devices``: the Azure device details, a device's history, and reporting one device now."""

from enum import StrEnum
from uuid import UUID

import azure.functions as func

from shared import wiring
from shared.api.answers import ProblemError, answering, json
from shared.api.paging import bad_parameter, page_size, position, token
from shared.details import details_of
from shared.fold import DeviceReport
from shared.messages import Pointer
from shared.model import ReportStatus, Verdict, rfc3339
from shared.ports import DeviceFilter, HistoryEntry

BLANK = "blank"
"""How ``status`` asks for the devices whose status is blank."""


@answering
async def list_devices(request: func.HttpRequest) -> func.HttpResponse:
    """List device details, page by page; see ``ports.DeviceFilter`` for what can be asked for."""
    page = await wiring.devices().page(_filter(request), page_size(request), position(request))
    return json({"devices": [_details(report) for report in page.items], "continuation": token(page.after)})


@answering
async def get_device(request: func.HttpRequest) -> func.HttpResponse:
    """Answer with the details of one device."""
    return json(_details(await _known(request)))


@answering
async def get_history(request: func.HttpRequest) -> func.HttpResponse:
    """Answer with what happened to a device, newest first."""
    report = await _known(request)
    page = await wiring.history().page(report.device_id, page_size(request), position(request))
    return json({"entries": [_entry(entry) for entry in page.items], "continuation": token(page.after)})


@answering
async def report_now(request: func.HttpRequest) -> func.HttpResponse:
    """Put a device on the queue to be reported now, whatever its row says."""
    report = await _known(request)
    if not wiring.settings().REPORTING_ENABLED:
        raise ProblemError(409, "Reporting is switched off. Set REPORTING_ENABLED to true, then ask again.")
    if not report.has_something_to_tell:
        raise ProblemError(409, f"There is nothing to report: {_why_not(report)}.")
    await wiring.queues().send_pointers([Pointer(devices=(report.device_id,), forced=True)])
    location = f"/api/devices/{report.device_id}"
    return json({"deviceGuid": report.device_id, "status": location}, 202, {"Location": location})


async def _known(request: func.HttpRequest) -> DeviceReport:
    wanted = request.route_params["deviceGuid"]
    try:
        device_id = str(UUID(wanted))
    except ValueError:
        raise ProblemError(404, "A device is known by its GUID in the MDM, and this is no GUID.") from None
    stored = await wiring.devices().read(device_id)
    if stored is None:
        raise ProblemError(404, f"No change of the device {device_id} has ever come in.")
    return stored.report


def _why_not(report: DeviceReport) -> str:
    if report.azure_device_id is None:
        return "the device has no Azure identifier"
    return "the MDM has not said whether the device is compliant"


def _details(report: DeviceReport) -> object:
    enabled = wiring.settings().REPORTING_ENABLED
    return details_of(report, reporting_enabled=enabled).model_dump(mode="json", by_alias=True)


def _entry(entry: HistoryEntry) -> dict[str, object]:
    return {"at": rfc3339(entry.at), "kind": entry.kind, "summary": entry.summary, "facts": entry.facts}


def _filter(request: func.HttpRequest) -> DeviceFilter:
    status = request.params.get("status")
    return DeviceFilter(
        search=request.params.get("search"),
        status=None if status == BLANK else _choice(ReportStatus, "status", status, also=BLANK),
        blank_status=status == BLANK,
        verdict=_choice(Verdict, "verdict", request.params.get("verdict")),
    )


def _choice[E: StrEnum](kind: type[E], name: str, text: str | None, also: str = "") -> E | None:
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        choices = ", ".join(filter(None, [*kind, also]))
        raise bad_parameter(name, f"is none of {choices}") from None
