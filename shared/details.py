"""The Azure device details: what an administrator looks at. Pure.

The rules for blank fields stand here and nowhere else.
"""

from typing import Annotated

from pydantic import Field

from shared.errors import HANDLING, not_registered, sentences
from shared.fold import DeviceReport, Phase
from shared.model import (
    ClientStatusCode,
    ErrorClass,
    Frozen,
    Guid,
    Inventory,
    LastError,
    PolicyAction,
    ReportStatus,
    Time,
    Verdict,
    Violation,
)

_STATUS = {
    Phase.PENDING: ReportStatus.IN_PROGRESS,
    Phase.NOTHING_TO_TELL: ReportStatus.IN_PROGRESS,
    Phase.REPORTED: ReportStatus.SUCCESSFUL,
    Phase.FAILED: ReportStatus.FAILED,
}


class ReportedDetails(Frozen):
    """What Azure was last told with success."""

    verdict: Verdict
    at: Time
    channel: str


class DeviceDetails(Frozen):
    """Everything that is known of one device. The first four Azure fields are the Azure device details."""

    device_guid: Guid
    azure_device_identifier: Guid | None
    azure_device_compliance_status: ReportStatus | None
    azure_client_status_code: ClientStatusCode | None
    azure_device_compliance_report_time: Time | None
    action: PolicyAction | None
    verdict: Verdict | None
    violations: Annotated[tuple[Violation, ...], Field(description="All that apply, not only the one that counted.")]
    inventory: Inventory
    user_principal_name: str | None
    reported: ReportedDetails | None
    last_error: LastError | None
    attempts: int
    last_change_at: Time | None
    verified_at: Time | None


def details_of(report: DeviceReport, *, reporting_enabled: bool) -> DeviceDetails:
    """Return the details of a device as an administrator sees them now."""
    decision = report.decision
    reported = report.reported
    return DeviceDetails(
        device_guid=report.device_id,
        azure_device_identifier=report.azure_device_id,
        azure_device_compliance_status=status_of(report),
        azure_client_status_code=report.client_status_code,
        azure_device_compliance_report_time=_report_time(report) if reporting_enabled else None,
        action=decision.action,
        verdict=decision.verdict,
        violations=report.violations or (),
        inventory=report.device_inventory,
        user_principal_name=report.user_principal_name,
        reported=None
        if reported is None
        else ReportedDetails(verdict=reported.verdict, at=reported.at, channel=reported.channel),
        last_error=_last_error(report),
        attempts=report.attempts,
        last_change_at=report.last_change_at,
        verified_at=report.verified_at,
    )


def status_of(report: DeviceReport) -> ReportStatus | None:
    """Return the Azure device compliance status; ``None`` where it is blank.

    A device with an identifier but without a verdict is in progress: nothing was told, and nothing has failed.
    """
    if report.undelivered:
        return ReportStatus.FAILED
    if report.azure_device_id is None:
        return ReportStatus.FAILED if _registration_error(report) else None
    return _STATUS[report.phase]


def _report_time(report: DeviceReport) -> Time | None:
    """Return when compliance was last reported, if Azure still holds just that and the sign-in has no error."""
    if status_of(report) is not ReportStatus.SUCCESSFUL or report.reported is None:
        return None
    return report.reported.at if report.client_status_code in {None, ClientStatusCode.SUCCESS} else None


def _registration_error(report: DeviceReport) -> ClientStatusCode | None:
    code = report.client_status_code
    return None if code is ClientStatusCode.SUCCESS else code


def _last_error(report: DeviceReport) -> LastError | None:
    if report.undelivered:
        message = report.undelivered[-1]
        handling = HANDLING[ErrorClass.UNDELIVERED]
        return LastError(
            error_class=ErrorClass.UNDELIVERED,
            code=message.id,
            message=sentences(message.message, handling.advice),
            mended_by=handling.mended_by,
            permanent=handling.permanent,
            at=message.at,
        )
    code = _registration_error(report)
    if report.azure_device_id is None and code is not None:
        return not_registered(code, report.last_change_at)
    return report.last_error
