"""Tokens, roles and quota."""

import base64
import json
from typing import Any

import pytest

from local.entra.client import EntraControl
from local.entra.contract import Settings
from local.entra.tokens import SYSTEM_ASSIGNED_CLIENT_ID
from tests.entra.entra_support import GRAPH, IPHONE, LAPTOP, Caller, Clock, attribute, by_key


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded


async def test_a_token_is_answered_as_app_service_answers_it(graph: Caller, clock: Clock) -> None:
    answer = await graph.ask_token()
    token = answer.body.pop("access_token")
    expires_on = int(clock.now) + 86400
    assert answer.body == {
        "expires_on": str(expires_on),
        "resource": GRAPH,
        "token_type": "Bearer",
        "client_id": SYSTEM_ASSIGNED_CLIENT_ID,
    }
    read = claims(token)
    assert (read["aud"], read["exp"], read["appid"]) == (GRAPH, expires_on, SYSTEM_ASSIGNED_CLIENT_ID)
    assert read["roles"] == ["Device.ReadWrite.All"]


async def test_a_user_assigned_identity_is_named_by_its_client_id(graph: Caller) -> None:
    client_id = "0b1e9a1c-0c5e-4c59-9f0e-5f2c8d9b3e11"
    answer = await graph.ask_token(client_id=client_id)
    assert answer.body["client_id"] == claims(answer.body["access_token"])["appid"] == client_id


@pytest.mark.parametrize(("header", "status"), [(None, 401), ("another", 403)])
async def test_the_token_endpoint_wants_the_identity_header(graph: Caller, header: str | None, status: int) -> None:
    assert (await graph.ask_token(header=header)).status == status


async def test_tokens_are_for_graph_alone_in_any_cloud(graph: Caller) -> None:
    assert (await graph.ask_token(resource="https://vault.azure.net")).status == 400
    assert (await graph.ask_token(resource="https://graph.microsoft.us/")).status == 200
    assert (await graph.ask_token(resource="https://microsoftgraph.chinacloudapi.cn")).status == 200


async def test_another_version_of_the_token_protocol_is_refused(graph: Caller) -> None:
    assert (await graph.ask_token(api_version="2017-09-01")).status == 400


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Basic dTpw"])
async def test_without_a_bearer_token_graph_answers_401(graph: Caller, authorization: str) -> None:
    answer = await graph.call("GET", "/devices", Authorization=authorization)
    assert (answer.status, answer.code, answer.message) == (401, "InvalidAuthenticationToken", "Access token is empty.")
    assert (await graph.call("POST", "/$batch", {}, Authorization=authorization)).status == 401


async def test_a_token_that_was_not_issued_is_refused(graph: Caller) -> None:
    answer = await graph.call("GET", "/devices", Authorization="Bearer eyJhbGciOiJub25lIn0.e30.")
    assert (answer.status, answer.code) == (401, "InvalidAuthenticationToken")


async def test_a_token_is_refused_from_the_second_at_which_it_expires(
    graph: Caller, control: EntraControl, clock: Clock
) -> None:
    await control.configure(Settings(token_lifetime_seconds=600))
    await graph.sign_in()
    clock.now += 599
    assert (await graph.get("/devices")).status == 200
    clock.now += 1
    answer = await graph.get("/devices")
    assert (answer.status, answer.code) == (401, "InvalidAuthenticationToken")
    assert answer.message == "Lifetime validation failed, the token is expired."
    await graph.sign_in()
    assert (await graph.get("/devices")).status == 200


async def test_the_read_role_reads_and_does_not_write(graph: Caller, control: EntraControl) -> None:
    await control.configure(Settings(roles=["Device.Read.All"]))
    await graph.sign_in()
    assert (await graph.get("/devices")).status == 200
    for answer in (await graph.patch(IPHONE, attribute("x")), await graph.delete(IPHONE)):
        assert (answer.status, answer.code) == (403, "Authorization_RequestDenied")
    assert len(await control.devices()) == 2


async def test_without_a_role_nothing_is_allowed_and_a_token_keeps_the_roles_it_was_issued_with(
    graph: Caller, control: EntraControl
) -> None:
    await control.configure(Settings(roles=["User.Read.All"]))
    assert (await graph.get("/devices")).status == 200
    await graph.sign_in()
    assert (await graph.get("/devices")).status == 403


async def test_the_write_quota_is_3000_in_150_seconds(graph: Caller, clock: Clock, control: EntraControl) -> None:
    assert await control.settings() == Settings()
    await control.configure(Settings(tenant_size="M"))
    for _ in range(150):
        found = await graph.responses(
            *({"id": str(n), "method": "PATCH", "url": by_key(IPHONE), **_typed(attribute("x"))} for n in range(20))
        )
        assert {item["status"] for item in found.values()} == {204}
    clock.now += 149
    refused = await graph.patch(IPHONE, attribute("late"))
    assert (refused.status, refused.code) == (429, "TooManyRequests")
    assert (await graph.get(by_key(IPHONE))).status == 200
    clock.now += 1
    assert (await graph.patch(IPHONE, attribute("in time"))).status == 204


def _typed(body: dict[str, Any]) -> dict[str, Any]:
    return {"headers": {"Content-Type": "application/json"}, "body": body}


async def test_a_throttled_write_is_not_applied_and_says_when_to_come_back(
    graph: Caller, control: EntraControl, clock: Clock
) -> None:
    await control.configure(Settings(write_limit=2))
    await graph.patch(IPHONE, attribute("first"))
    clock.now += 9.5
    await graph.patch(IPHONE, attribute("second"))
    for answer in (await graph.patch(IPHONE, attribute("third")), await graph.delete(LAPTOP)):
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "141"
        assert answer.headers["x-ms-throttle-information"] == "WriteLimitExceeded"
        assert answer.body["error"]["innerError"]["code"] == "429"
        assert answer.body["error"]["innerError"]["request-id"] == answer.headers["request-id"]
    device = await control.device(IPHONE)
    assert device
    assert device.extension_attributes == {"extensionAttribute15": "second"}
    assert len(await control.devices()) == 2
    clock.now += 141
    assert (await graph.patch(IPHONE, attribute("third"))).status == 204
    assert (await graph.patch(IPHONE, attribute("fourth"))).status == 429


async def test_a_limit_lowered_meanwhile_waits_for_as_many_as_are_over_it(
    graph: Caller, control: EntraControl, clock: Clock
) -> None:
    for _ in range(3):
        await graph.patch(IPHONE, attribute("x"))
        clock.now += 10
    await control.configure(Settings(write_limit=1))
    assert (await graph.patch(IPHONE, attribute("y"))).headers["Retry-After"] == "140"


@pytest.mark.parametrize(("size", "units"), [("S", 3500), ("M", 5000), ("L", 8000)])
async def test_resource_units_in_10_seconds_go_by_the_size_of_the_tenant(
    graph: Caller, control: EntraControl, clock: Clock, size: Any, units: int
) -> None:
    await control.configure(Settings(tenant_size=size))
    for _ in range(units // 20):
        await graph.batch(*({"id": str(n), "method": "GET", "url": by_key(IPHONE)} for n in range(20)))
    refused = await graph.get(by_key(IPHONE))
    assert (refused.status, refused.headers["Retry-After"]) == (429, "10")
    assert refused.headers["x-ms-throttle-information"] == "ResourceUnitLimitExceeded"
    assert (await graph.patch(IPHONE, attribute("x"))).status == 429
    clock.now += 10
    assert (await graph.get(by_key(IPHONE))).status == 200


async def test_the_quota_is_each_applications_own(graph: Caller, control: EntraControl) -> None:
    await control.configure(Settings(write_limit=1))
    await graph.patch(IPHONE, attribute("x"))
    assert (await graph.patch(IPHONE, attribute("y"))).status == 429
    other = await graph.ask_token(client_id="0b1e9a1c-0c5e-4c59-9f0e-5f2c8d9b3e11")
    graph.token = other.body["access_token"]
    assert (await graph.patch(IPHONE, attribute("y"))).status == 204


async def test_above_four_fifths_of_the_quota_each_answer_says_how_near_it_is(
    graph: Caller, control: EntraControl
) -> None:
    await control.configure(Settings(resource_unit_limit=10))
    shares = [(await graph.get(by_key(IPHONE))).headers.get("x-ms-throttle-limit-percentage") for _ in range(11)]
    assert shares == [None] * 8 + ["0.90", "1.00", "1.00"]
