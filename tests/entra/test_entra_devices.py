"""Reading, writing and deleting devices, and what Graph refuses."""

import re
from typing import Any

import pytest

from local.entra.client import EntraControl
from local.entra.contract import Device, Settings
from local.entra.tenant import Tenant
from tests.entra.entra_support import IPHONE, LAPTOP, NOBODY, Caller, Clock, attribute, by_key

NON_WINDOWS = "Properties other than ExtendedAttribute1..15 can be modified only on windows devices."


async def test_a_patch_answers_204_without_a_body_and_is_applied(
    graph: Caller, control: EntraControl, clock: Clock
) -> None:
    answer = await graph.patch(IPHONE, attribute("NonCompliant"))
    assert (answer.status, answer.body) == (204, None)
    clock.now += 60
    await graph.patch(IPHONE, attribute("inventory", 14))
    device = await control.device(IPHONE)
    assert device
    assert device.extension_attributes == {"extensionAttribute15": "NonCompliant", "extensionAttribute14": "inventory"}
    assert device.last_written == "2027-01-15T08:01:00.000+00:00"


async def test_null_takes_an_extension_attribute_away(graph: Caller, control: EntraControl) -> None:
    await graph.patch(IPHONE, attribute("NonCompliant"))
    assert (await graph.patch(IPHONE, attribute(None))).status == 204
    device = await control.device(IPHONE)
    assert device
    assert device.extension_attributes == {}


async def test_every_property_of_ours_is_written_on_windows(graph: Caller) -> None:
    changes: dict[str, Any] = {
        "accountEnabled": False,
        "operatingSystem": "Windows",
        "operatingSystemVersion": "10.0.26100",
        "displayName": "Renamed",
        "isCompliant": True,
        "isManaged": True,
    }
    assert (await graph.patch(LAPTOP, changes)).status == 204
    body = (await graph.get(by_key(LAPTOP))).body
    assert {name: body[name] for name in changes} == changes


async def test_a_device_is_found_by_alternate_key_percent_encoded_or_in_capitals_and_by_object_id(
    graph: Caller,
) -> None:
    plain = await graph.get(by_key(IPHONE))
    encoded = await graph.get(f"/devices(deviceId=%27{IPHONE}%27)")
    capitals = await graph.get(by_key(IPHONE.upper()))
    by_id = await graph.get(f"/devices/{plain.body['id']}")
    assert plain.body["deviceId"] == IPHONE
    assert plain.body == encoded.body == capitals.body == by_id.body


async def test_a_device_is_read_with_its_context_and_all_fifteen_attributes(graph: Caller, base_url: str) -> None:
    await graph.patch(IPHONE, attribute("Compliant"))
    answer = await graph.get(by_key(IPHONE))
    assert answer.status == 200
    assert answer.body["@odata.context"] == f"{base_url}/v1.0/$metadata#devices/$entity"
    assert answer.body["displayName"] == "iPhone of Ada"
    assert len(answer.body["extensionAttributes"]) == 15
    assert answer.body["extensionAttributes"]["extensionAttribute15"] == "Compliant"
    assert answer.body["extensionAttributes"]["extensionAttribute1"] is None
    assert "lastWritten" not in answer.body


async def test_select_leaves_only_what_was_asked_for(graph: Caller) -> None:
    body = (await graph.get(by_key(IPHONE) + "?$select=deviceId,isCompliant")).body
    del body["@odata.context"]
    assert body == {"deviceId": IPHONE, "isCompliant": None}


@pytest.mark.parametrize("name", ["extensionAttribute15", "colour"])
async def test_select_of_what_is_no_property_is_refused(graph: Caller, name: str) -> None:
    answer = await graph.get(by_key(IPHONE) + f"?$select={name}")
    assert answer.status == 400
    assert f"'{name}'" in answer.message


async def test_a_deleted_device_is_gone_for_good(graph: Caller, control: EntraControl) -> None:
    answer = await graph.delete(LAPTOP)
    assert (answer.status, answer.body) == (204, None)
    again = await graph.delete(LAPTOP)
    assert (again.status, again.code) == (404, "Request_ResourceNotFound")
    assert [device.device_id for device in await control.devices()] == [IPHONE]


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_unknown_device_is_not_found(graph: Caller, method: str) -> None:
    answer = await graph.call(method, by_key(NOBODY), {} if method == "PATCH" else None)
    assert (answer.status, answer.code) == (404, "Request_ResourceNotFound")
    assert answer.message == (
        f"Resource '{NOBODY}' does not exist or one of its queried reference-property objects are not present."
    )
    assert (await graph.get(f"/devices/{NOBODY}")).status == 404


async def test_a_key_that_is_no_guid_is_a_bad_request(graph: Caller) -> None:
    answer = await graph.get(by_key("iphone"))
    assert (answer.status, answer.code) == (400, "Request_BadRequest")


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": "red"},
        {"extension_attributes": {"extensionAttribute15": "x"}},
        {"extensionAttributes": {"extensionAttribute16": "x"}},
        {"extensionAttributes": {"extensionAttribute15": 1}},
        {"extensionAttributes": {"extensionAttribute15": "x" * 1025}},
        {"extensionAttributes": None},
        {"extensionAttributes": "x"},
        {"isCompliant": "true"},
        {"isCompliant": None},
        {"isManaged": 1},
        {"accountEnabled": "no"},
        {"displayName": 7},
        {"operatingSystem": None},
        {"operatingSystemVersion": 18.1},
        {"mdmAppId": "54b943f8-d761-4f8d-951e-9cea1846db5a"},
        {"managementType": "mdm"},
        {"deviceOwnership": "company"},
        {"complianceExpirationDateTime": "2027-01-01T00:00:00Z"},
        {"deviceId": NOBODY},
    ],
)
async def test_what_may_not_be_written_is_refused_and_nothing_else_of_the_request_applied(
    graph: Caller, control: EntraControl, changes: dict[str, Any]
) -> None:
    answer = await graph.patch(LAPTOP, {"displayName": "Renamed"} | changes)
    assert (answer.status, answer.code) == (400, "Request_BadRequest")
    device = await control.device(LAPTOP)
    assert device
    assert (device.display_name, device.last_written) == ("Laptop of Ada", None)


async def test_an_attribute_may_be_1024_characters_long(graph: Caller) -> None:
    assert (await graph.patch(IPHONE, attribute("x" * 1024))).status == 204


@pytest.mark.parametrize(
    "changes",
    [{"isCompliant": True}, {"accountEnabled": False}, {"displayName": "x"}, {"operatingSystem": "Windows"}],
)
async def test_off_windows_an_application_writes_extension_attributes_alone(
    graph: Caller, control: EntraControl, changes: dict[str, Any]
) -> None:
    answer = await graph.patch(IPHONE, changes | attribute("Compliant"))
    assert (answer.status, answer.code, answer.message) == (400, "Request_BadRequest", NON_WINDOWS)
    device = await control.device(IPHONE)
    assert device
    assert device.extension_attributes == {}


async def test_off_windows_a_device_is_disabled_where_the_tenant_allows_it(
    graph: Caller, control: EntraControl
) -> None:
    await control.configure(Settings(app_only_disable=True))
    assert (await graph.patch(IPHONE, {"accountEnabled": False})).status == 204
    answer = await graph.patch(IPHONE, {"isCompliant": True})
    assert answer.message == (
        "Properties other than AccountEnabled and ExtensionAttribute1..15 can be modified only on windows devices."
    )


@pytest.mark.parametrize("name", ["isCompliant", "isManaged"])
async def test_compliance_on_windows_takes_an_approved_mdm_application(
    graph: Caller, control: EntraControl, name: str
) -> None:
    await control.configure(Settings(approved_mdm_app=False))
    answer = await graph.patch(LAPTOP, {name: True})
    assert (answer.status, answer.code) == (403, "Authorization_RequestDenied")
    assert answer.message == "Insufficient privileges to complete the operation."
    assert (await graph.patch(LAPTOP, {"displayName": "Renamed"})).status == 204


@pytest.mark.parametrize("body", [b"{", b"[]", b"7", b"\xff", b""])
async def test_a_body_that_is_no_json_object_is_refused(graph: Caller, body: bytes) -> None:
    answer = await graph.call("PATCH", by_key(IPHONE), body)
    assert answer.status == 400


async def test_a_body_of_another_content_type_is_refused(graph: Caller) -> None:
    answer = await graph.call("PATCH", by_key(IPHONE), attribute("x"), Content_Type="text/plain")
    assert answer.status == 400
    with_charset = "application/json; charset=utf-8"
    assert (await graph.call("PATCH", by_key(IPHONE), attribute("x"), Content_Type=with_charset)).status == 204


async def test_other_paths_and_methods_are_refused(graph: Caller) -> None:
    assert (await graph.get("/users")).status == 400
    assert (await graph.get(by_key(IPHONE) + "/registeredOwners")).status == 400
    assert (await graph.call("POST", "/devices", {})).status == 405
    assert (await graph.call("PUT", by_key(IPHONE), {})).status == 405
    assert (await graph.get("/$batch")).status == 405


async def test_every_error_is_an_odata_error_and_every_answer_names_the_request(graph: Caller) -> None:
    refused = await graph.call("PATCH", by_key(NOBODY), {}, client_request_id="mine-1")
    inner = refused.body["error"]["innerError"]
    assert inner["date"] == "2027-01-15T08:00:00"
    assert inner["client-request-id"] == refused.headers["client-request-id"] == "mine-1"
    assert inner["request-id"] == refused.headers["request-id"]
    done = await graph.patch(IPHONE, attribute("x"))
    assert re.fullmatch(r"[0-9a-f-]{36}", done.headers["request-id"])
    assert done.headers["client-request-id"] == done.headers["request-id"] != refused.headers["request-id"]
    assert "Date" in done.headers
    assert "ETag" not in done.headers


def many(tenant: Tenant, count: int) -> set[str]:
    ids = {f"00000000-0000-0000-0000-{n:012d}" for n in range(count)}
    for device_id in ids:
        tenant.directory.put(Device(device_id=device_id))
    return ids | {IPHONE, LAPTOP}


async def test_a_list_is_read_page_by_page_each_device_once(graph: Caller, tenant: Tenant, base_url: str) -> None:
    expected = many(tenant, 250)
    seen: list[str] = []
    url, pages = "/devices?$top=100&$select=deviceId", 0
    while url:
        body = (await graph.get(url)).body
        assert all(list(device) == ["deviceId"] for device in body["value"])
        seen += [device["deviceId"] for device in body["value"]]
        url, pages = body.get("@odata.nextLink", ""), pages + 1
        assert not url or url.startswith(f"{base_url}/v1.0/devices?")
    assert (pages, len(seen), set(seen)) == (3, 252, expected)


async def test_paging_goes_on_where_it_was_though_devices_are_deleted_meanwhile(graph: Caller, tenant: Tenant) -> None:
    many(tenant, 20)
    first = (await graph.get("/devices?$top=11")).body
    rest = (await graph.get(first["@odata.nextLink"])).body["value"]
    for device in [*first["value"], rest[3]]:
        tenant.directory.remove(device["deviceId"])
    second = (await graph.get(first["@odata.nextLink"])).body
    assert second["value"] == rest[:3] + rest[4:]
    assert "@odata.nextLink" not in second


async def test_a_device_added_between_two_lists_is_in_the_second(graph: Caller, tenant: Tenant) -> None:
    assert len((await graph.get("/devices")).body["value"]) == 2
    tenant.directory.put(Device(device_id=NOBODY))
    assert len((await graph.get("/devices")).body["value"]) == 3


async def test_a_page_holds_100_devices_unless_asked_and_999_at_most(graph: Caller, tenant: Tenant) -> None:
    many(tenant, 1100)
    assert len((await graph.get("/devices")).body["value"]) == 100
    assert len((await graph.get("/devices?$top=999")).body["value"]) == 999


@pytest.mark.parametrize("top", ["0", "1000", "-1", "ten", ""])
async def test_a_page_size_out_of_bounds_is_refused(graph: Caller, top: str) -> None:
    answer = await graph.get(f"/devices?$top={top}")
    assert (answer.status, answer.code) == (400, "Request_UnsupportedQuery")


async def test_the_list_is_filtered_by_device_id_only(graph: Caller) -> None:
    found = (await graph.get(f"/devices?$filter=deviceId eq '{IPHONE}'")).body["value"]
    assert [device["deviceId"] for device in found] == [IPHONE]
    assert (await graph.get(f"/devices?$filter=deviceId eq '{NOBODY}'")).body["value"] == []
    assert (await graph.get("/devices?$filter=deviceId eq 'iphone'")).status == 400
    assert (await graph.get("/devices?$filter=isCompliant eq true")).status == 400


@pytest.mark.parametrize("query", ["$orderby=id", "$count=true", "$skiptoken=bm8=", "$skiptoken=%25"])
async def test_list_options_that_are_not_understood_are_refused(graph: Caller, query: str) -> None:
    assert (await graph.get(f"/devices?{query}")).status == 400
