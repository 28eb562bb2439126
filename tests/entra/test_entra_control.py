"""Seeding, settings, the log and the page."""

import pytest

from local.entra.client import ControlError, EntraControl
from local.entra.contract import Device, Fault, Settings
from local.entra.tenant import Tenant
from tests.entra.entra_support import IDENTITY_HEADER, IPHONE, LAPTOP, NOBODY, Caller, Clock, attribute, by_key, item


async def test_devices_are_added_replaced_and_read_back_whole(control: EntraControl) -> None:
    replaced = Device(
        device_id=IPHONE,
        operating_system="Android",
        trust_type="AzureAd",
        extension_attributes={"extensionAttribute1": "a"},
    )
    added = Device(device_id=NOBODY, manufacturer="Apple Inc.", is_compliant=True)
    await control.put_devices([replaced, added])
    held = {device.device_id: device for device in await control.devices()}
    assert held.keys() == {IPHONE, LAPTOP, NOBODY}
    assert (held[IPHONE], held[NOBODY]) == (replaced, added)


async def test_the_object_id_is_the_same_each_time_unless_given() -> None:
    assert Device(device_id=IPHONE).id == Device(device_id=IPHONE).id != Device(device_id=LAPTOP).id
    assert Device(device_id=IPHONE, id=NOBODY).id == NOBODY


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "devices", '[{"deviceId":"x"}]'),
        ("PUT", "devices", '[{"deviceId":"ffffffff-9489-4074-9b35-345b16f0a72f","colour":"red"}]'),
        ("PUT", "devices", f'[{{"deviceId":"{IPHONE}","extensionAttributes":{{"extensionAttribute16":"x"}}}}]'),
        ("PUT", "devices", "{"),
        ("POST", "faults", '[{"kind":"earthquake"}]'),
        ("POST", "faults", '[{"kind":"status"}]'),
        ("POST", "faults", '[{"kind":"status","status":200}]'),
        ("POST", "faults", '[{"kind":"slow"}]'),
        ("POST", "faults", '[{"kind":"reset","times":0}]'),
        ("POST", "settings", '{"writeLimit":0}'),
        ("POST", "settings", '{"colour":"red"}'),
        ("POST", "settings", "[]"),
        ("GET", "log?since=x", None),
        ("GET", "log?limit=0", None),
        ("DELETE", "devices/x", None),
    ],
)
async def test_a_wrong_control_request_is_refused_with_a_reason(
    graph: Caller, base_url: str, method: str, path: str, body: str | None
) -> None:
    async with graph.session.request(method, f"{base_url}/emulator/{path}", data=body) as response:
        assert response.status == 400
        assert (await response.json())["error"]


async def test_an_administrator_deletes_a_device(control: EntraControl, graph: Caller) -> None:
    await control.delete_device(IPHONE)
    assert (await graph.patch(IPHONE, attribute("x"))).status == 404
    with pytest.raises(ControlError, match="404"):
        await control.delete_device(IPHONE)


async def test_a_reset_empties_the_tenant_and_leaves_tokens_and_log(control: EntraControl, graph: Caller) -> None:
    await control.configure(Settings(write_limit=1))
    await control.add_faults(Fault(kind="reset", device_id=NOBODY))
    await graph.patch(IPHONE, attribute("x"))
    await control.reset()
    assert (await control.devices(), await control.faults(), await control.settings()) == ([], [], Settings())
    assert (await graph.patch(IPHONE, attribute("x"))).status == 404
    assert len(await control.log()) == 3


async def test_settings_that_are_not_named_stay(control: EntraControl, graph: Caller, base_url: str) -> None:
    await control.configure(Settings(write_limit=7))
    async with graph.session.post(f"{base_url}/emulator/settings", json={"tenantSize": "L"}) as response:
        assert (await response.json())["writeLimit"] == 7
    assert await control.settings() == Settings(write_limit=7, tenant_size="L")


async def test_the_log_tells_what_came_and_what_became_of_it(
    graph: Caller, control: EntraControl, clock: Clock
) -> None:
    answer = await graph.patch(IPHONE, attribute("x"))
    await graph.get("/devices?$top=1")
    token, patch, listing = await control.log()
    assert (token.path, token.method, token.status) == ("/msi/token", "GET", 200)
    assert (patch.sequence, patch.time, patch.method, patch.path) == (2, clock.now, "PATCH", f"/v1.0{by_key(IPHONE)}")
    assert (patch.device_id, patch.status, patch.applied) == (IPHONE, 204, True)
    assert patch.body == '{"extensionAttributes": {"extensionAttribute15": "x"}}'
    assert patch.request_id == answer.headers["request-id"]
    assert patch.client_id == "c0ffee00-5f9e-4a6b-8e0d-3b1f6a2d9c47"
    assert (listing.query, listing.applied, listing.device_id) == ("$top=1", False, None)
    assert await control.log(since=2) == [listing]


async def test_the_log_holds_a_batch_and_each_of_its_requests(graph: Caller, control: EntraControl) -> None:
    answer = await graph.batch(item("a", IPHONE, attribute("x")), item("b", NOBODY, attribute("y")))
    first, second, whole = (await control.log())[-3:]
    assert (whole.path, whole.status, whole.body) == ("/v1.0/$batch", 200, "")
    assert whole.request_id == answer.headers["request-id"] == first.batch_request_id == second.batch_request_id
    assert (first.device_id, first.status, first.applied) == (IPHONE, 204, True)
    assert (second.device_id, second.status, second.applied) == (NOBODY, 404, False)


async def test_the_log_holds_no_token_and_no_identity_header(
    graph: Caller, control: EntraControl, base_url: str
) -> None:
    await graph.patch(IPHONE, attribute("x"))
    assert len(await control.log()) == 2
    async with graph.session.get(f"{base_url}/emulator/log") as response:
        text = await response.text()
    assert graph.token not in text
    assert IDENTITY_HEADER not in text


async def test_the_log_keeps_the_newest_and_counts_the_rest(graph: Caller, control: EntraControl) -> None:
    await control.configure(Settings(log_capacity=3))
    for n in range(5):
        await graph.patch(IPHONE, attribute(str(n)))
    page = await control.log_page()
    assert ([entry.sequence for entry in page.entries], page.last, page.dropped) == ([4, 5, 6], 6, 3)
    await control.clear_log()
    await graph.get("/devices")
    assert [entry.sequence for entry in await control.log()] == [7]


async def test_a_long_log_is_read_in_pages(tenant: Tenant, graph: Caller, control: EntraControl) -> None:
    for _ in range(3):
        await graph.get("/devices")
    assert [entry.sequence for entry in tenant.log.page(since=1, limit=2).entries] == [2, 3]
    assert [entry.sequence for entry in await control.log(since=1)] == [2, 3, 4]


async def test_the_page_shows_devices_and_requests_with_everything_escaped(
    graph: Caller, control: EntraControl, base_url: str
) -> None:
    await control.put_devices(
        [Device(device_id=NOBODY, display_name="<script>alert('x')</script>", is_compliant=False)]
    )
    await graph.patch(IPHONE, attribute("<b>NonCompliant</b>"))
    async with graph.session.get(base_url) as response:
        assert response.content_type == "text/html"
        text = await response.text()
    assert "3 devices: isCompliant true on 0, false on 1, not set on 2." in text
    assert "&lt;script&gt;" in text
    assert "&lt;b&gt;NonCompliant&lt;/b&gt;" in text
    assert "<script" not in text
    assert "<b>" not in text
    assert "2027-01-15T08:00:00.000+00:00" in text
    assert "<td>PATCH</td>" in text


async def test_the_page_of_a_large_tenant_says_how_many_it_leaves_out(
    graph: Caller, tenant: Tenant, base_url: str
) -> None:
    for n in range(600):
        tenant.directory.put(Device(device_id=f"00000000-0000-0000-0000-{n:012d}"))
    async with graph.session.get(base_url) as response:
        text = await response.text()
    assert "102 more are not shown." in text
