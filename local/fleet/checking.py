"""Compares what came of a device of the sample fleet with what is expected of it. Pure."""

from collections.abc import Iterator

from local.entra.contract import Device
from local.fleet.loading import Outcome
from local.fleet.sample import held
from shared.details import DeviceDetails
from shared.model import Platform, ReportStatus, Verdict


def mismatches(outcome: Outcome) -> list[str]:
    """Return a line for each thing that is not as it should be."""
    return [f"{outcome.sample.name}: {what}" for what in _mismatches(outcome)]


def _mismatches(outcome: Outcome) -> Iterator[str]:
    details, expected = outcome.details, outcome.sample.expected
    if details is None:
        yield "the API does not know the device"
        return
    for what, found, wanted in _compared(outcome, details):
        if found != wanted:
            yield f"{what} is {_shown(found)}, should be {_shown(wanted)}"
    answered = {entry["facts"].get("class") for entry in outcome.history if entry["kind"] == "report"}
    for missing in set(expected.answers) - answered:
        yield f"its history shows no {missing} answer"
    for former in outcome.former:
        if held(former) in {"isCompliant true", f"attribute15 {Verdict.COMPLIANT}"}:
            yield f"the object under its former Azure identifier {former.device_id} still says compliant"
    if expected.status is ReportStatus.SUCCESSFUL and outcome.device and not _holds_os(outcome.device, details):
        yield f"Entra ID does not hold its OS version {details.inventory.os_version}"


def _compared(outcome: Outcome, details: DeviceDetails) -> list[tuple[str, object, object]]:
    sample, expected, error = outcome.sample, outcome.sample.expected, details.last_error
    return [
        ("status", details.azure_device_compliance_status, expected.status),
        ("Azure identifier", details.azure_device_identifier, sample.azure_id),
        ("client code", details.azure_client_status_code, sample.code),
        ("report time", _presence(details.azure_device_compliance_report_time), _presence(expected.time_shown or None)),
        ("action", details.action, expected.action),
        ("verdict", details.verdict, expected.verdict),
        ("error class", error and error.error_class, expected.error),
        ("mended by", error and error.mended_by, expected.mended_by),
        ("what Entra ID holds", sample.azure_id and held(outcome.device), sample.holds),
    ]


def _presence(value: object) -> str | None:
    return None if value is None else "shown"


def _shown(value: object) -> str:
    return "blank" if value is None else str(value)


def _holds_os(device: Device, details: DeviceDetails) -> bool:
    version = details.inventory.os_version
    if details.inventory.platform is Platform.WINDOWS:
        return device.operating_system_version == version
    return f"osVersion={version};" in (device.extension_attributes.get("extensionAttribute14") or "")
