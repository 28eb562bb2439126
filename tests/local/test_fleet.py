"""The sample fleet: its stories cover what can happen, its changes are valid, and its checker sees what is wrong."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from local.entra.contract import Device, LogEntry
from local.fleet.checking import mismatches
from local.fleet.loading import Outcome, has_ended, requests_for
from local.fleet.sample import Sample, held
from local.fleet.showing import counts, table
from local.fleet.stories import FLEET
from shared.details import DeviceDetails
from shared.model import ClientStatusCode, ErrorClass, Platform, PolicyAction, ReportStatus, Verdict
from shared.sources import cloudevents

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


def story(part: str) -> Sample:
    """The one device whose name has this in it."""
    (found,) = [sample for sample in FLEET if part in sample.name]
    return found


def details_of(sample: Sample, **fields: Any) -> dict[str, Any]:
    """What the API answers of a device that has ended as it should, but for these fields."""
    expected = sample.expected
    inventory = sample.events[0].data.inventory.model_dump(mode="json", by_alias=True)
    error = expected.error and {"class": expected.error, "code": None, "message": "why", "mendedBy": expected.mended_by}
    return {
        "deviceGuid": sample.guid,
        "azureDeviceIdentifier": sample.azure_id,
        "azureDeviceComplianceStatus": expected.status,
        "azureClientStatusCode": sample.code,
        "azureDeviceComplianceReportTime": "2026-11-23T09:30:00Z" if expected.time_shown else None,
        "action": expected.action,
        "verdict": expected.verdict,
        "violations": [],
        "inventory": inventory,
        "userPrincipalName": f"{sample.user}@contoso.example",
        "reported": None,
        "lastError": error and error | {"permanent": False, "at": None},
        "attempts": 0,
        "lastChangeAt": None,
        "verifiedAt": None,
    } | fields


def outcome(sample: Sample, device: Device | None = None, history: Sequence[Any] = (), **fields: Any) -> Outcome:
    return Outcome(sample, DeviceDetails.model_validate(details_of(sample, **fields)), history, device)


def entra_device(sample: Sample, verdict: str | None = None, **fields: Any) -> Device:
    """The object of a device that Entra ID was told of by the attributes."""
    (device,) = sample.entra_devices()
    version = sample.hardware.os_version
    if verdict:
        attributes: dict[str, str | None] = {
            "extensionAttribute14": f"osVersion={version};",
            "extensionAttribute15": verdict,
        }
        device = replace(device, extension_attributes=attributes)
    return replace(device, operating_system_version=version, **fields)


def test_fleet_is_of_sixty_devices_each_of_its_own() -> None:
    assert len(FLEET) == len({sample.name for sample in FLEET}) == len({sample.user for sample in FLEET}) == 60
    assert len({sample.guid for sample in FLEET}) == 60


def test_stories_cover_all_that_can_happen() -> None:
    assert {sample.hardware.platform for sample in FLEET} == set(Platform)
    assert {sample.code for sample in FLEET if sample.registered} == set(ClientStatusCode)
    assert {sample.code for sample in FLEET if not sample.registered} == {*ClientStatusCode, None}
    assert {sample.expected.status for sample in FLEET} == {*ReportStatus, None}
    assert {sample.expected.verdict for sample in FLEET} == {*Verdict, None}
    ended_with = {sample.expected.error for sample in FLEET} | {c for s in FLEET for c in s.expected.answers}
    assert ended_with == {*ErrorClass, None} - {ErrorClass.UNDELIVERED}
    for action in PolicyAction:
        assert len({s.hardware.platform for s in FLEET if s.expected.action is action}) > 1, action


def test_every_change_is_valid_in_every_content_type() -> None:
    events = [sample.cloud_event(n, NOW) for sample in FLEET for n in range(len(sample.events))]
    requests = list(requests_for(events))
    assert [content_type for content_type, _ in requests] == [cloudevents.ONE, cloudevents.BATCH, cloudevents.LINES]
    parsed = [cloudevents.parse(body.encode(), content_type) for content_type, body in requests]
    assert [found.rejections for found in parsed] == [(), (), ()]
    assert sum(len(found.changes) for found in parsed) == len(events)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_changes_are_sent_once_each(count: int) -> None:
    sent = [sample.cloud_event(0, NOW) for sample in FLEET[:count]]
    bodies = "\n".join(body for _, body in requests_for(sent))
    assert all(bodies.count(json.dumps(event["id"])) == 1 for event in sent)


def test_copy_has_the_id_of_its_original_and_a_late_word_an_older_time() -> None:
    copied = story("told three times")
    assert copied.cloud_event(0, NOW) == copied.cloud_event(2, NOW)
    late = story("late older word")
    assert len({late.change_id(n) for n in range(3)}) == 3
    assert str(late.cloud_event(2, NOW)["time"]) < str(late.cloud_event(1, NOW)["time"])


def test_device_that_is_enrolled_again_gets_another_identifier() -> None:
    again = story("enrolled again")
    first, second = again.azure_ids
    data = [again.cloud_event(n, NOW)["data"] for n in range(3)]
    assert [isinstance(d, dict) and d.get("azureDeviceId") for d in data] == [first, None, second]
    assert again.azure_id == second


QUARANTINED = story("Olga, quarantined")


def test_device_that_ended_as_it_should_is_not_named() -> None:
    assert mismatches(outcome(QUARANTINED, entra_device(QUARANTINED, "NonCompliant"))) == []
    surface = story("David, compliant")
    assert mismatches(outcome(surface, entra_device(surface, is_compliant=True))) == []
    assert mismatches(outcome(story("Ravi"))) == []
    throttled = story("slow down")
    answers = [{"kind": "report", "facts": {"class": "Throttled"}}, {"kind": "change", "facts": {}}]
    assert mismatches(outcome(throttled, entra_device(throttled, "Compliant"), answers)) == []


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"azureDeviceComplianceStatus": "Failed"}, "status is Failed, should be Successful"),
        ({"azureDeviceIdentifier": None}, "Azure identifier is blank, should be "),
        ({"azureClientStatusCode": "User_Canceled"}, "client code is User_Canceled, should be Success"),
        ({"azureDeviceComplianceReportTime": None}, "report time is blank, should be shown"),
        ({"action": "WAIT"}, "action is WAIT, should be QUARANTINE"),
        ({"verdict": "Compliant"}, "verdict is Compliant, should be NonCompliant"),
        (
            {"lastError": {**details_of(story("Zane"))["lastError"]}},
            "error class is Forbidden, should be blank",
        ),
    ],
)
def test_details_that_are_wrong_are_named(fields: dict[str, Any], line: str) -> None:
    first, *_ = mismatches(outcome(QUARANTINED, entra_device(QUARANTINED, "NonCompliant"), **fields))
    assert first.startswith(f"iPad of Olga, quarantined: {line}")


def test_entra_id_that_holds_something_else_is_named() -> None:
    def lines(device: Device | None) -> list[str]:
        return [line.partition(": ")[2] for line in mismatches(outcome(QUARANTINED, device))]

    should = "should be attribute15 NonCompliant"
    assert lines(entra_device(QUARANTINED, "Compliant")) == [f"what Entra ID holds is attribute15 Compliant, {should}"]
    assert lines(None) == [f"what Entra ID holds is no object, {should}"]
    assert lines(QUARANTINED.entra_devices()[0])[0] == f"what Entra ID holds is not told, {should}"
    other_system = replace(QUARANTINED, hardware=replace(QUARANTINED.hardware, os_version="17.0"))
    assert lines(entra_device(other_system, "NonCompliant")) == ["Entra ID does not hold its OS version 18.1"]


def test_what_is_missing_or_left_over_is_named() -> None:
    assert mismatches(Outcome(QUARANTINED, None)) == ["iPad of Olga, quarantined: the API does not know the device"]
    throttled = story("slow down")
    assert mismatches(outcome(throttled, entra_device(throttled, "Compliant"))) == [
        "Galaxy of Bruno, told to slow down: its history shows no Throttled answer"
    ]
    again = story("enrolled again")
    left, _ = again.entra_devices()
    left.extension_attributes["extensionAttribute15"] = "Compliant"
    found = mismatches(replace(outcome(again), former=(left,)))
    assert any(f"former Azure identifier {left.device_id} still says compliant" in line for line in found)


def test_device_has_ended_when_nothing_more_is_to_be_expected() -> None:
    def ended(part: str, status: str, attempts: int = 0) -> bool:
        found = outcome(story(part), azureDeviceComplianceStatus=status, attempts=attempts)
        assert found.details is not None
        return has_ended(found.sample, found.details) and found.has_ended

    assert ended("Olga, quarantined", "Successful")
    assert ended("Olga, quarantined", "Failed")
    assert not ended("Olga, quarantined", "InProgress", attempts=9)
    assert ended("not assessed", "InProgress")
    assert not ended("never works", "InProgress", attempts=2)
    assert ended("never works", "InProgress", attempts=3)
    assert not Outcome(QUARANTINED, None).has_ended


def test_held_says_all_channels() -> None:
    device = entra_device(QUARANTINED, "Compliant", is_compliant=False)
    assert held(device) == "isCompliant false + attribute15 Compliant"


def test_table_has_every_device_and_fits_the_terminal() -> None:
    lines = table([outcome(sample) for sample in FLEET])
    assert max(map(len, lines)) <= 120
    for sample in FLEET:
        assert sum(line.startswith(f"{sample.name} ") for line in lines) == 1
    assert "Failed (11): Entra ID could not be told; someone has to mend the cause" in lines
    (at,) = [n for n, line in enumerate(lines) if line.startswith("iPad of Ravi")]
    assert lines[at + 1].strip() == "client code Workplace_Join_Required; NotRegistered, to be mended by the user"


def test_counts_are_of_devices_and_of_calls_to_graph() -> None:
    log = [
        LogEntry(sequence=1, time=0, method="GET", path="/msi/token", status=200),
        LogEntry(sequence=2, time=0, method="PATCH", path="/v1.0/devices(deviceId='a')", status=204),
        LogEntry(sequence=3, time=0, method="PATCH", path="/v1.0/devices(deviceId='b')"),
    ]
    text = "\n".join(counts([outcome(story("Ravi")), outcome(QUARANTINED)], log))
    assert "by status        Failed 1, Successful 1" in text
    assert "by verdict       NonCompliant 2" in text
    assert "by error class   NotRegistered (to be mended by the user) 1" in text
    assert "Graph calls      PATCH 2" in text
    assert "Graph answers    204 1, lost 1" in text
