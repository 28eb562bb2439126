"""The Azure device details, row by row: what each field shows, and when it is blank."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.details import DeviceDetails, details_of
from shared.errors import MENDED_BY_USER, ReportError
from shared.fold import DeviceReport, Phase
from shared.model import (
    ClientStatusCode,
    ErrorClass,
    Reported,
    ReportStatus,
    Undelivered,
    Verdict,
)
from tests.core.making import AZURE_ID, BLOCKED, DEVICE, START, change, folded

REPORTED_AT = START + timedelta(minutes=1)
IN_PROGRESS, SUCCESSFUL, FAILED = ReportStatus
CODES: list[ClientStatusCode | None] = [None, *ClientStatusCode]
NO_ERROR = (None, ClientStatusCode.SUCCESS)


def device(code: ClientStatusCode | None, azure_id: str | None) -> DeviceReport:
    """A device whose change came in, and which Azure was not told of yet."""
    return folded(change(0, azure_device_id=azure_id, azure_client_status_code=code, violations=BLOCKED, inventory={}))


def told(report: DeviceReport) -> DeviceReport:
    desired = report.desired
    assert desired is not None
    by = Reported(
        verdict=desired.verdict, at=REPORTED_AT, channel="isCompliant", azure_device_id=AZURE_ID, digest=desired.digest
    )
    return replace(report, phase=Phase.REPORTED, reported=by)


def refused(report: DeviceReport) -> DeviceReport:
    error = ReportError(ErrorClass.NOT_FOUND, "No such device.", code="Request_ResourceNotFound", status=404)
    return replace(report, phase=Phase.FAILED, last_error=error.as_last_error(REPORTED_AT), attempts=1)


def four_fields(details: DeviceDetails) -> tuple[object, ...]:
    return (
        details.azure_device_identifier,
        details.azure_device_compliance_status,
        details.azure_client_status_code,
        details.azure_device_compliance_report_time,
    )


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("enabled", [True, False], ids=["reporting on", "reporting off"])
class TestWithAnIdentifier:
    def test_before_the_call_it_is_in_progress_without_a_report_time(
        self, code: ClientStatusCode | None, enabled: bool
    ) -> None:
        details = details_of(device(code, AZURE_ID), reporting_enabled=enabled)
        assert four_fields(details) == (AZURE_ID, IN_PROGRESS, code, None)

    def test_after_the_call_it_is_successful_and_the_time_shows_unless_off_or_the_code_is_an_error(
        self, code: ClientStatusCode | None, enabled: bool
    ) -> None:
        details = details_of(told(device(code, AZURE_ID)), reporting_enabled=enabled)
        time = REPORTED_AT if enabled and code in NO_ERROR else None
        assert four_fields(details) == (AZURE_ID, SUCCESSFUL, code, time)

    def test_after_a_call_that_failed_it_is_failed_without_a_report_time(
        self, code: ClientStatusCode | None, enabled: bool
    ) -> None:
        details = details_of(refused(told(device(code, AZURE_ID))), reporting_enabled=enabled)
        assert four_fields(details) == (AZURE_ID, FAILED, code, None)

    def test_the_verdict_is_shown_whatever_the_code(self, code: ClientStatusCode | None, enabled: bool) -> None:
        assert details_of(device(code, AZURE_ID), reporting_enabled=enabled).verdict is Verdict.NON_COMPLIANT


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("enabled", [True, False], ids=["reporting on", "reporting off"])
class TestWithoutAnIdentifier:
    def test_it_is_failed_if_the_code_is_an_error_and_else_blank(
        self, code: ClientStatusCode | None, enabled: bool
    ) -> None:
        details = details_of(device(code, None), reporting_enabled=enabled)
        assert four_fields(details) == (None, None if code in NO_ERROR else FAILED, code, None)

    def test_the_error_says_not_registered_and_who_can_mend_it(
        self, code: ClientStatusCode | None, enabled: bool
    ) -> None:
        error = details_of(device(code, None), reporting_enabled=enabled).last_error
        if code in NO_ERROR:
            assert error is None
            return
        assert error is not None
        assert (error.error_class, error.code) == (ErrorClass.NOT_REGISTERED, code)
        assert error.mended_by == ("user" if code in MENDED_BY_USER else "administrator")
        assert f"ended with {code}" in error.message

    def test_the_verdict_is_shown_though_azure_cannot_be_told(
        self, code: ClientStatusCode | None, enabled: bool
    ) -> None:
        assert details_of(device(code, None), reporting_enabled=enabled).verdict is Verdict.NON_COMPLIANT

    def test_it_stays_so_after_azure_was_told_under_an_identifier_that_is_gone(
        self, code: ClientStatusCode | None, enabled: bool
    ) -> None:
        gone = folded(change(1, azure_device_id=None, azure_client_status_code=code), onto=told(device(None, AZURE_ID)))
        details = details_of(gone, reporting_enabled=enabled)
        assert four_fields(details) == (None, None if code in NO_ERROR else FAILED, code, None)


def test_the_codes_that_the_user_mends_are_these_four() -> None:
    assert set(MENDED_BY_USER) == {
        ClientStatusCode.WORKPLACE_JOIN_REQUIRED,
        ClientStatusCode.INTERACTION_REQUIRED,
        ClientStatusCode.USER_CANCELED,
        ClientStatusCode.ACCOUNT_LOGGED_OUT,
    }


def test_a_device_that_is_known_by_a_check_in_only_is_blank_throughout() -> None:
    details = details_of(folded(change(1)), reporting_enabled=True)
    assert four_fields(details) == (None, None, None, None)
    assert (details.verdict, details.action, details.last_error, details.reported) == (None, None, None, None)


def test_a_device_with_an_identifier_but_unknown_compliance_is_in_progress() -> None:
    details = details_of(folded(change(1, azure_device_id=AZURE_ID, violations=None)), reporting_enabled=True)
    assert (details.azure_device_compliance_status, details.verdict) == (IN_PROGRESS, None)


def test_a_new_verdict_blanks_the_time_of_the_old_one() -> None:
    report = folded(change(1, violations=()), onto=told(device(None, AZURE_ID)))
    details = details_of(report, reporting_enabled=True)
    assert four_fields(details) == (AZURE_ID, IN_PROGRESS, None, None)
    assert details.reported is not None
    assert (details.reported.verdict, details.reported.at) == (Verdict.NON_COMPLIANT, REPORTED_AT)


@pytest.mark.parametrize("azure_id", [AZURE_ID, None])
def test_a_message_that_could_not_be_processed_shows_as_failed_whatever_else_is_known(azure_id: str | None) -> None:
    lost = Undelivered(id="abc", queue="device-changes", message="The message is not valid", at=START)
    details = details_of(replace(device(None, azure_id), undelivered=(lost,)), reporting_enabled=True)
    assert details.azure_device_compliance_status is FAILED
    assert details.last_error is not None
    assert (details.last_error.error_class, details.last_error.code) == (ErrorClass.UNDELIVERED, "abc")
    assert details.last_error.message == (
        "The message is not valid. A message about this device could not be processed. Mend the cause, then replay it."
    )


def test_the_json_has_the_names_and_the_blanks_that_others_rely_on() -> None:
    document = details_of(refused(device(ClientStatusCode.SUCCESS, AZURE_ID)), reporting_enabled=True).model_dump(
        mode="json", by_alias=True
    )
    assert list(document) == [
        "deviceGuid",
        "azureDeviceIdentifier",
        "azureDeviceComplianceStatus",
        "azureClientStatusCode",
        "azureDeviceComplianceReportTime",
        "action",
        "verdict",
        "violations",
        "inventory",
        "userPrincipalName",
        "reported",
        "lastError",
        "attempts",
        "lastChangeAt",
        "verifiedAt",
    ]
    assert document["deviceGuid"] == DEVICE
    assert document["lastChangeAt"] == "2026-11-23T09:30:00Z"
    assert document["reported"] is None
    assert document["lastError"] == {
        "class": "NotFound",
        "code": "Request_ResourceNotFound",
        "message": "No such device. Entra ID has no device with this identifier: it was deleted there, or the "
        "identifier is of another tenant. Have the user register the device again.",
        "mendedBy": "administrator",
        "permanent": False,
        "at": "2026-11-23T09:31:00Z",
    }
    assert list(document["violations"][0]) == ["policy", "reason", "since", "actions"]
