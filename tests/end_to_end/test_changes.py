"""A change of an MDM, on its whole way to Entra ID and to what an administrator looks at."""

from datetime import UTC, datetime, timedelta

from local.entra.contract import Device as EntraDevice
from tests.service import BLOCKED, Device, Service, change, eventually


async def test_a_violation_blocks_the_device_in_entra_id_and_shows_in_its_details(service: Service) -> None:
    device = await service.enrolled()
    assert await service.attribute(device) == "Compliant"

    await service.api.send(
        change(
            device,
            violations=BLOCKED,
            azureClientStatusCode="Success",
            userPrincipalName="user@contoso.example",
            inventory={"displayName": "iPad", "osVersion": "18.1"},
        )
    )
    details = await service.shows(device, verdict="NonCompliant", azureDeviceComplianceStatus="Successful")

    assert await service.attribute(device) == "NonCompliant"
    held = await service.entra.device(device.azure_id)
    assert held is not None
    assert "osVersion=18.1" in (held.extension_attributes["extensionAttribute14"] or "")
    assert details["azureDeviceIdentifier"] == device.azure_id
    assert details["azureClientStatusCode"] == "Success"
    assert details["action"] == "QUARANTINE"
    assert [found["policy"] for found in details["violations"]] == ["Compromised devices"]
    assert details["userPrincipalName"] == "user@contoso.example"
    assert details["lastError"] is None
    assert details["attempts"] == 0
    assert details["reported"] == {
        "verdict": "NonCompliant",
        "at": details["azureDeviceComplianceReportTime"],
        "channel": "extensionAttributes",
    }
    at = datetime.fromisoformat(details["azureDeviceComplianceReportTime"])
    assert timedelta(0) <= datetime.now(UTC) - at < timedelta(minutes=1)


async def test_a_windows_device_is_told_by_is_compliant(service: Service) -> None:
    device = await service.enrolled(operating_system="Windows", platform="WINDOWS", violations=BLOCKED)
    held = await service.entra.device(device.azure_id)
    assert held is not None
    assert (held.is_compliant, held.is_managed) == (False, True)


async def test_an_older_change_that_arrives_later_never_unblocks(service: Service) -> None:
    device = await service.enrolled()
    await service.api.send(change(device, seconds_ago=60, violations=BLOCKED))
    await service.shows(device, verdict="NonCompliant", azureDeviceComplianceStatus="Successful")

    await service.api.send(change(device, seconds_ago=120, id_="late", violations=[]))
    entry = await service.remembers(device, changeId="late")
    await service.idle("device-reports")

    assert entry["facts"]["inForce"] is False
    assert entry["summary"] == "compliance_changed: Changes nothing: changes as new or newer are known"
    assert await service.attribute(device) == "NonCompliant"
    assert (await service.shows(device))["verdict"] == "NonCompliant"


async def test_a_late_compliance_change_does_not_lose_to_a_newer_inventory_change(service: Service) -> None:
    device = await service.enrolled()
    await service.api.send(
        change(device, "inventory_changed", seconds_ago=10, id_="newer", inventory={"osVersion": "18.2"})
    )
    await service.remembers(device, changeId="newer")
    await service.api.send(change(device, seconds_ago=60, violations=BLOCKED))
    await service.shows(device, verdict="NonCompliant", azureDeviceComplianceStatus="Successful")
    assert await service.attribute(device) == "NonCompliant"


async def test_a_retired_device_is_removed_and_stays_so_whatever_comes_late(service: Service) -> None:
    device = await service.enrolled()
    await service.api.send(change(device, "retired", seconds_ago=60))
    await service.shows(device, verdict="Removed", azureDeviceComplianceStatus="Successful")
    assert await service.entra.device(device.azure_id) is None

    await service.entra.put_devices([EntraDevice(device_id=device.azure_id, operating_system="iOS")])
    before = len(await service.writes(device))
    await service.api.send(
        change(device, seconds_ago=120, id_="late", violations=[]),
        change(device, "checked_in", id_="newer", violations=[], inventory={"registrationState": "ACTIVE"}),
    )
    await service.remembers(device, changeId="late")
    await service.remembers(device, changeId="newer")
    await service.idle("device-reports")

    assert (await service.shows(device))["verdict"] == "Removed"
    assert len(await service.writes(device)) == before


async def test_a_retired_device_that_is_enrolled_again_is_reported_again(service: Service) -> None:
    device = await service.enrolled()
    await service.api.send(change(device, "retired", seconds_ago=60))
    await service.shows(device, verdict="Removed", azureDeviceComplianceStatus="Successful")

    await service.entra.put_devices([EntraDevice(device_id=device.azure_id, operating_system="iOS")])
    await service.api.send(change(device, "enrolled", violations=[]))
    await service.shows(device, verdict="Compliant", azureDeviceComplianceStatus="Successful")
    assert await service.attribute(device) == "Compliant"


async def test_a_check_in_that_changes_nothing_told_calls_nobody(service: Service) -> None:
    device = await service.enrolled(inventory={"platform": "IOS", "osVersion": "18.1"})
    told = await service.writes(device)
    assert len(told) == 1

    await service.api.send(change(device, "checked_in", id_="again", violations=[], inventory={"osVersion": "18.1"}))
    entry = await service.remembers(device, changeId="again")
    await service.idle("device-reports")

    assert entry["facts"]["inForce"] is True
    assert await service.writes(device) == told
    assert (await service.shows(device))["azureDeviceComplianceStatus"] == "Successful"


async def test_the_same_change_sent_twice_is_told_once_and_remembered_once(service: Service) -> None:
    device = await service.enrolled()
    blocking = change(device, id_="twice", violations=BLOCKED)
    await service.api.send(blocking)
    await service.shows(device, verdict="NonCompliant", azureDeviceComplianceStatus="Successful")
    told = await service.writes(device)

    await service.api.send(blocking)
    await service.idle("device-changes")
    await service.idle("device-reports")

    assert await service.writes(device) == told
    entries = await service.api.history(device.guid)
    assert [entry["facts"].get("changeId") for entry in entries].count("twice") == 1


async def test_an_unknown_compliance_is_never_reported_as_compliant(service: Service) -> None:
    device = Device.new()
    await service.entra.put_devices([EntraDevice(device_id=device.azure_id, operating_system="iOS")])
    await service.api.send(change(device, id_="unknown", azureDeviceId=device.azure_id, violations=None))
    await service.remembers(device, changeId="unknown")
    await service.idle("device-reports")

    details = await service.shows(device)
    assert (details["verdict"], details["reported"]) == (None, None)
    assert await service.writes(device) == []


async def test_a_device_without_an_identifier_says_who_can_mend_it(service: Service) -> None:
    device = Device.new()
    await service.api.send(change(device, violations=BLOCKED, azureClientStatusCode="Workplace_Join_Required"))
    details = await service.shows(device, azureDeviceComplianceStatus="Failed")
    assert details["verdict"] == "NonCompliant"
    assert details["azureDeviceComplianceReportTime"] is None
    assert (details["lastError"]["class"], details["lastError"]["mendedBy"]) == ("NotRegistered", "user")


async def test_an_identifier_that_comes_later_gets_the_device_reported(service: Service) -> None:
    device = Device.new()
    await service.entra.put_devices([EntraDevice(device_id=device.azure_id, operating_system="iOS")])
    await service.api.send(change(device, seconds_ago=60, violations=BLOCKED))
    assert (await service.shows(device, verdict="NonCompliant"))["azureDeviceComplianceStatus"] is None

    await service.api.send(change(device, "registration_changed", azureDeviceId=device.azure_id.upper()))
    await service.settled(device)
    assert await service.attribute(device) == "NonCompliant"


async def test_the_object_under_an_identifier_that_the_device_had_before_does_not_stay_compliant(
    service: Service,
) -> None:
    device, renewed = await service.enrolled(), Device.new()
    await service.entra.put_devices([EntraDevice(device_id=renewed.azure_id, operating_system="iOS")])
    await service.api.send(change(device, "registration_changed", seconds_ago=60, azureDeviceId=renewed.azure_id))
    await service.shows(device, azureDeviceIdentifier=renewed.azure_id, azureDeviceComplianceStatus="Successful")
    old, new = [await service.entra.device(azure_id) for azure_id in (device.azure_id, renewed.azure_id)]
    assert old is not None
    assert new is not None
    assert old.extension_attributes["extensionAttribute15"] == "NonCompliant"
    assert new.extension_attributes["extensionAttribute15"] == "Compliant"


async def test_a_sign_in_error_keeps_the_device_blocked_and_its_report_time_blank(service: Service) -> None:
    device = await service.enrolled(violations=BLOCKED)
    await service.api.send(change(device, "registration_changed", azureClientStatusCode="User_Canceled"))
    details = await service.shows(
        device, azureClientStatusCode="User_Canceled", azureDeviceComplianceStatus="Successful"
    )
    assert details["azureDeviceComplianceReportTime"] is None
    assert await service.attribute(device) == "NonCompliant"


async def test_a_device_that_entra_id_does_not_have_fails_and_says_so(service: Service) -> None:
    device = Device.new()
    await service.api.send(change(device, azureDeviceId=device.azure_id, violations=[]))
    details = await service.shows(device, azureDeviceComplianceStatus="Failed")
    assert details["azureDeviceComplianceReportTime"] is None
    assert details["lastError"]["class"] == "NotFound"
    assert details["lastError"]["mendedBy"] == "administrator"


async def test_the_history_tells_what_came_in_and_what_was_answered(service: Service) -> None:
    device = await service.enrolled()
    await service.api.send(change(device, id_="blocking", violations=BLOCKED))
    came_in = await service.remembers(device, changeId="blocking")

    async def reported() -> list[dict[str, object]] | None:
        entries = await service.api.history(device.guid)
        return entries if [entry["kind"] for entry in entries].count("report") == 2 else None

    entries = await eventually(reported)
    assert came_in["summary"] == (
        "compliance_changed: NonCompliant: policy 'Compromised devices' (rooted) has the action QUARANTINE"
    )
    newest = entries[0]
    assert newest["summary"] == "Entra ID was told: NonCompliant, by extensionAttributes"
    (request_id,) = (await service.remembers(device, kind="report"))["facts"]["requestIds"]
    assert request_id == (await service.writes(device))[-1].request_id
