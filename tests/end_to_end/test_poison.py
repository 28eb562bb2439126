"""Messages that fail too often: nobody loses them, their devices show it, and they can be sent again."""

import json

import pytest

from local.entra.contract import Device as EntraDevice
from shared.messages import ChangesMessage, to_text
from shared.model import DeviceChange
from tests.service import BLOCKED, Device, Service, change, eventually


def message_of(*changes: dict[str, object]) -> str:
    """Write changes as ingest puts them on the queue."""
    names = {"subject": "device_id", "source": "source", "id": "id", "type": "type", "time": "time", "data": "data"}
    held = [{name: change[given] for given, name in names.items()} for change in changes]
    return to_text(ChangesMessage(v=1, changes=tuple(map(DeviceChange.model_validate, held))))


async def test_a_message_that_is_not_valid_is_tried_five_times_then_kept_with_its_reason(service: Service) -> None:
    device = await service.enrolled()
    broken = {"v": 1, "changes": [{"deviceId": device.guid, "type": "mdm.device.exploded"}]}
    sent = await service.queue("device-changes").send_message(json.dumps(broken))

    failed = await service.lists_as_failed(device)
    assert failed["queue"] == "device-changes"
    assert failed["devices"] == [device.guid]
    assert failed["reason"].startswith("The message is not valid: changes/0/")
    assert failed["replayedAt"] is None
    assert f"message {sent.id} failed 5 times and moves to 'device-changes-poison'" in service.log()

    details = await service.shows(device, azureDeviceComplianceStatus="Failed")
    assert details["lastError"]["class"] == "Undelivered"
    assert details["lastError"]["code"] == failed["id"]
    assert details["lastError"]["mendedBy"] == "administrator"
    assert failed["reason"] in details["lastError"]["message"]
    assert details["azureDeviceComplianceReportTime"] is None
    entry = await service.remembers(device, kind="failure")
    assert entry["facts"]["failedChangeId"] == failed["id"]
    problem = (await service.api.post(f"/api/failed-changes/{failed['id']}/replay")).problem(409)
    assert "changes/0/" in problem["detail"]


@pytest.mark.parametrize("body", ["", "{broken", "[]", "null", '{"v":1,"changes":[]}', '{"changes":[[]]}', "\u0000"])
async def test_a_message_that_is_nothing_is_kept_all_the_same(service: Service, body: str) -> None:
    async def count() -> int:
        pages = await service.api.pages("/api/failed-changes", "failedChanges", "pageSize=200")
        return sum(map(len, pages))

    before = await count()
    await service.queue("device-changes-poison").send_message(body)

    async def is_kept() -> bool:
        return await count() > before

    await eventually(is_kept)
    await service.idle("device-changes-poison")


async def test_a_replay_delivers_what_was_not_and_is_safe_to_repeat(service: Service) -> None:
    device = Device.new()
    await service.entra.put_devices([EntraDevice(device_id=device.azure_id, operating_system="iOS")])
    blocking = change(device, id_="lost", seconds_ago=60, azureDeviceId=device.azure_id, violations=BLOCKED)
    await service.queue("device-changes-poison").send_message(message_of(blocking))
    failed = await service.lists_as_failed(device)
    details = await service.shows(device, azureDeviceComplianceStatus="Failed")
    assert (details["verdict"], details["lastError"]["class"]) == (None, "Undelivered")

    answer = await service.api.post(f"/api/failed-changes/{failed['id']}/replay")
    assert answer.status == 202
    assert answer.json == {"id": failed["id"], "queue": "device-changes", "devices": [device.guid]}
    details = await service.settled(device)
    assert (details["verdict"], details["lastError"]) == ("NonCompliant", None)
    assert await service.attribute(device) == "NonCompliant"
    assert (await service.lists_as_failed(device))["replayedAt"] is not None

    await service.api.send(change(device, id_="mended", violations=[]))
    await service.shows(device, verdict="Compliant", azureDeviceComplianceStatus="Successful")
    assert (await service.api.post(f"/api/failed-changes/{failed['id']}/replay")).status == 202
    await service.idle("device-changes")
    await service.idle("device-reports")
    await service.shows(device, verdict="Compliant", azureDeviceComplianceStatus="Successful")
    assert await service.attribute(device) == "Compliant"


async def test_a_pointer_that_was_lost_is_made_up_for_by_its_replay(service: Service) -> None:
    device = await service.enrolled()
    told = len(await service.writes(device))
    pointer = {"v": 1, "devices": [device.guid]}
    await service.queue("device-reports-poison").send_message(json.dumps(pointer))
    failed = await service.lists_as_failed(device)
    await service.shows(device, azureDeviceComplianceStatus="Failed")

    assert (await service.api.post(f"/api/failed-changes/{failed['id']}/replay")).status == 202
    assert (await service.settled(device))["lastError"] is None
    assert len(await service.writes(device)) == told + 1


async def test_a_device_that_was_named_in_a_failure_still_follows_newer_changes(service: Service) -> None:
    device = await service.enrolled()
    await service.queue("device-changes-poison").send_message(message_of(change(device, seconds_ago=1800)))
    await service.shows(device, azureDeviceComplianceStatus="Failed")

    await service.api.send(change(device, violations=BLOCKED))
    details = await service.shows(device, verdict="NonCompliant", azureDeviceComplianceStatus="Failed")
    assert details["lastError"]["class"] == "Undelivered"

    async def blocked() -> bool:
        return await service.attribute(device) == "NonCompliant"

    await eventually(blocked)
