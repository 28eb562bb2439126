"""``/api/devices``: details, history, lists, and reporting a device now."""

from base64 import urlsafe_b64encode
from json import dumps
from uuid import uuid4

import pytest

from local.entra.contract import Device as EntraDevice
from local.entra.contract import Fault
from tests.api.conftest import Fleet
from tests.service import BLOCKED, Device, Service, change, eventually

# Details

FIELDS = {
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
}


async def test_the_details_of_a_device_have_every_field_of_the_contract(service: Service) -> None:
    device = await service.enrolled(violations=BLOCKED)
    details = await service.api.get(f"/api/devices/{device.guid}")
    assert details.keys() >= FIELDS
    assert details["deviceGuid"] == device.guid
    assert details["lastChangeAt"].endswith("Z")


@pytest.mark.parametrize("form", ["{}", "{{{}}}"], ids=["plain", "in braces"])
async def test_a_device_is_found_by_its_guid_in_any_case(service: Service, form: str) -> None:
    device = Device.new()
    await service.api.send(change(device, id_="first"))
    await service.remembers(device, changeId="first")
    guid = form.format(device.guid.upper()).replace("{", "%7B").replace("}", "%7D")
    assert (await service.api.get(f"/api/devices/{guid}"))["deviceGuid"] == device.guid


NOBODY = "00000000-0000-0000-0000-000000000000"
UNKNOWN = [NOBODY, "device-1", "%00", "a%2Fb", "..%2F..", "%27", "%F0%9F%93%B1"]


@pytest.mark.parametrize("guid", UNKNOWN)
@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("GET", "/history"), ("POST", "/report")])
async def test_a_device_that_is_not_known_is_404(service: Service, guid: str, method: str, rest: str) -> None:
    (await service.api.call(method, f"/api/devices/{guid}{rest}")).problem(404)


ROUTES = [
    ("GET", "/api/devices"),
    ("GET", f"/api/devices/{NOBODY}"),
    ("GET", f"/api/devices/{NOBODY}/history"),
    ("POST", f"/api/devices/{NOBODY}/report"),
    ("POST", "/api/report-runs"),
    ("GET", "/api/report-runs"),
    ("GET", "/api/report-runs/1"),
    ("GET", "/api/failed-changes"),
    ("POST", "/api/failed-changes/1/replay"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_nothing_is_told_or_done_without_the_key(service: Service, method: str, path: str) -> None:
    for key in (None, "wrong"):
        answer = await service.api.call(method, path, key=key)
        assert (answer.status, answer.body) == (401, b"")


@pytest.mark.parametrize("path", ["/api/devices", f"/api/devices/{NOBODY}"])
async def test_other_methods_are_404_as_on_the_real_host(service: Service, path: str) -> None:
    assert (await service.api.call("DELETE", path)).status == 404


# History


async def test_a_history_is_given_newest_first_page_by_page(service: Service) -> None:
    device = Device.new()
    await service.api.send(*(change(device, "checked_in", seconds_ago=60 - at, id_=f"{at}") for at in range(7)))
    await service.remembers(device, changeId="6")
    pages = await service.api.pages(f"/api/devices/{device.guid}/history", "entries", "pageSize=3")
    assert [len(page) for page in pages] == [3, 3, 1]
    entries = [entry for page in pages for entry in page]
    assert [entry["facts"]["changeId"] for entry in entries] == ["6", "5", "4", "3", "2", "1", "0"]
    assert entries[0].keys() == {"at", "kind", "summary", "facts"}


async def test_the_place_in_one_history_gives_out_no_other(service: Service) -> None:
    one, two = Device.new(), Device.new()
    if one.guid > two.guid:
        one, two = two, one
    for device in (one, two):
        await service.api.send(*(change(device, seconds_ago=60 - at, id_=f"{device.guid} {at}") for at in range(3)))
        await service.remembers(device, changeId=f"{device.guid} 2")
    place = (await service.api.get(f"/api/devices/{one.guid}/history?pageSize=1"))["continuation"]
    answer = await service.api.call("GET", f"/api/devices/{two.guid}/history?continuation={place}")
    assert answer.status in {200, 400}
    assert one.guid.encode() not in answer.body


# Lists


async def test_paging_finds_each_device_once_and_in_the_same_order(fleet: Fleet) -> None:
    pages = await fleet.service.api.pages("/api/devices", "devices", "pageSize=10")
    found = [device["deviceGuid"] for page in pages for device in page]
    assert [len(page) for page in pages] == [10, 10, 5]
    assert sorted(found) == sorted(device.guid for device in fleet.everyone)
    (at_once,) = await fleet.service.api.pages("/api/devices", "devices", "pageSize=200")
    assert [device["deviceGuid"] for device in at_once] == found


async def test_a_list_shows_the_details_of_each_device(fleet: Fleet) -> None:
    (found,) = (await fleet.service.api.get(f"/api/devices?search={fleet.blocked.guid}"))["devices"]
    assert found == await fleet.service.api.details(fleet.blocked.guid)


async def test_lists_can_be_narrowed(fleet: Fleet) -> None:
    async def listed(query: str) -> set[str]:
        pages = await fleet.service.api.pages("/api/devices", "devices", query)
        return {device["deviceGuid"] for page in pages for device in page}

    compliant = {device.guid for device in fleet.compliant}
    assert await listed("status=Failed") == {fleet.refused.guid}
    assert await listed("status=blank") == {fleet.unknown.guid}
    assert await listed("status=InProgress") == set()
    assert await listed("status=Successful") == compliant | {fleet.blocked.guid}
    assert await listed("verdict=NonCompliant") == {fleet.blocked.guid}
    assert await listed("verdict=Compliant") == compliant | {fleet.refused.guid, fleet.unknown.guid}
    assert await listed("verdict=Removed") == set()
    assert await listed("search=ADA%27S+ipad&status=Failed") == {fleet.refused.guid}
    assert await listed(f"search={fleet.blocked.azure_id.upper()}") == {fleet.blocked.guid}
    assert await listed("search=nobody") == set()
    assert await listed("status=&verdict=&search=") == {device.guid for device in fleet.everyone}


def place(*keys: object) -> str:
    return urlsafe_b64encode(dumps(keys).encode()).decode().replace("=", "%3D")


BAD_PARAMETERS = {
    "pageSize=0": "pageSize",
    "pageSize=201": "pageSize",
    "pageSize=-1": "pageSize",
    "pageSize=1.5": "pageSize",
    "pageSize=ten": "pageSize",
    "pageSize=%D9%A1": "pageSize",
    "pageSize=5&pageSize=6": "pageSize",
    "continuation=nonsense": "continuation",
    "continuation=%C3%A9": "continuation",
    f"continuation={place()}": "continuation",
    f"continuation={place(1, 2)}": "continuation",
    f"continuation={place('a', 'b', 'c')}": "continuation",
    f"continuation={place(chr(0xD800), 'b')}": "continuation",
    "continuation=" + "W" * 4000: "continuation",
}
BAD_FILTERS = {
    "status=Sucessful": "status",
    "status=successful": "status",
    "status=Failed&status=Successful": "status",
    "verdict=Blocked": "verdict",
    "verdict=blank": "verdict",
}


@pytest.mark.parametrize("query", BAD_PARAMETERS | BAD_FILTERS)
async def test_a_query_that_is_not_valid_is_400_and_names_the_parameter(service: Service, query: str) -> None:
    name = (BAD_PARAMETERS | BAD_FILTERS)[query]
    problem = (await service.api.call("GET", f"/api/devices?{query}")).problem(400)
    assert name in problem["detail"]
    assert [flaw["pointer"] for flaw in problem["errors"]] == [f"/{name}"]


@pytest.mark.parametrize("query", BAD_PARAMETERS)
async def test_the_other_lists_refuse_the_same(service: Service, query: str) -> None:
    device = Device.new()
    await service.api.send(change(device, id_="first"))
    await service.remembers(device, changeId="first")
    for path in (f"/api/devices/{device.guid}/history", "/api/failed-changes"):
        problem = (await service.api.call("GET", f"{path}?{query}")).problem(400)
        assert [flaw["pointer"] for flaw in problem["errors"]] == [f"/{BAD_PARAMETERS[query]}"]


@pytest.mark.parametrize("keys", [("", ""), ("zz", "zz"), ("'", "' or 1 eq 1"), ("a\u0000", "\n"), ("00", "x" * 2000)])
async def test_a_continuation_that_was_made_up_is_no_failure(service: Service, keys: tuple[str, str]) -> None:
    answer = await service.api.call("GET", f"/api/devices?continuation={place(*keys)}")
    assert answer.status in {200, 400}, answer


@pytest.mark.parametrize("search", ["%27", "%00", "%", "%F0%9F%93%B1", "x" * 4000])
async def test_any_text_can_be_searched_for(service: Service, search: str) -> None:
    assert (await service.api.get(f"/api/devices?search={search}nobody-{uuid4()}"))["devices"] == []


# Reporting a device now


async def test_a_device_that_was_reported_is_reported_again_when_asked_for(service: Service) -> None:
    device = await service.enrolled()
    (told,) = await service.writes(device)

    answer = await service.api.post(f"/api/devices/{device.guid.upper()}/report")
    assert answer.status == 202
    assert answer.headers["Location"] == f"/api/devices/{device.guid}"

    async def told_twice() -> bool:
        return len(await service.writes(device)) == 2

    await eventually(told_twice)
    assert (await service.writes(device))[1].body == told.body


async def test_a_device_that_failed_is_mended_by_reporting_it_again(service: Service) -> None:
    device = Device.new()
    await service.entra.put_devices([EntraDevice(device_id=device.azure_id, operating_system="iOS")])
    await service.entra.add_faults(Fault(kind="status", device_id=device.azure_id, status=403))
    await service.api.send(change(device, azureDeviceId=device.azure_id, violations=BLOCKED))
    failed = await service.shows(device, azureDeviceComplianceStatus="Failed")
    assert (failed["lastError"]["class"], failed["attempts"]) == ("Forbidden", 1)
    assert failed["azureDeviceComplianceReportTime"] is None

    assert (await service.api.post(f"/api/devices/{device.guid}/report")).status == 202
    mended = await service.settled(device)
    assert (mended["lastError"], mended["attempts"]) == (None, 0)
    assert await service.attribute(device) == "NonCompliant"


async def test_a_device_without_an_identifier_cannot_be_reported(service: Service) -> None:
    device = Device.new()
    await service.api.send(change(device, violations=[]))
    await service.shows(device, verdict="Compliant")
    problem = (await service.api.post(f"/api/devices/{device.guid}/report")).problem(409)
    assert "no Azure identifier" in problem["detail"]


async def test_a_device_without_a_verdict_cannot_be_reported(service: Service) -> None:
    device = Device.new()
    await service.api.send(change(device, "registration_changed", azureDeviceId=device.azure_id))
    await service.shows(device, azureDeviceIdentifier=device.azure_id)
    problem = (await service.api.post(f"/api/devices/{device.guid}/report")).problem(409)
    assert "not said whether the device is compliant" in problem["detail"]
