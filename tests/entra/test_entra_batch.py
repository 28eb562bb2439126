"""`$batch`: many requests in one."""

import pytest

from local.entra.client import EntraControl
from local.entra.contract import Settings
from tests.entra.entra_support import IPHONE, LAPTOP, NOBODY, Caller, attribute, by_key, item


async def test_each_request_of_a_batch_has_a_fate_of_its_own(graph: Caller, control: EntraControl) -> None:
    found = await graph.responses(
        item("a", IPHONE, attribute("NonCompliant")),
        item("b", NOBODY, attribute("NonCompliant")),
        item("c", IPHONE, {"isCompliant": False}),
        item("d", LAPTOP, {"isCompliant": False}),
    )
    assert {name: reply["status"] for name, reply in found.items()} == {"a": 204, "b": 404, "c": 400, "d": 204}
    assert found["a"]["body"] is None
    assert found["b"]["body"]["error"]["code"] == "Request_ResourceNotFound"
    assert found["b"]["headers"]["Content-Type"] == "application/json"
    assert found["c"]["body"]["error"]["innerError"]["request-id"] == found["c"]["headers"]["request-id"]
    laptop = await control.device(LAPTOP)
    assert laptop
    assert laptop.is_compliant is False


async def test_the_replies_are_never_in_the_order_of_the_requests(graph: Caller) -> None:
    for _ in range(20):
        answer = await graph.batch(item("1", IPHONE), item("2", LAPTOP))
        assert [reply["id"] for reply in answer.body["responses"]] == ["2", "1"]


async def test_a_single_request_is_a_batch_too(graph: Caller) -> None:
    assert (await graph.responses(item("1", IPHONE)))["1"]["body"]["deviceId"] == IPHONE


async def test_a_batch_takes_twenty_requests(graph: Caller, control: EntraControl) -> None:
    twenty = [item(str(n), IPHONE, attribute("x")) for n in range(20)]
    assert (await graph.batch(*twenty)).status == 200
    await control.clear_log()
    assert (await graph.batch(*twenty, item("20", IPHONE, attribute("x")))).status == 400
    assert (await graph.batch()).status == 400
    assert not any(entry.applied for entry in await control.log())


@pytest.mark.parametrize(
    "requests",
    [
        [item("a", IPHONE), item("A", LAPTOP)],
        [item("a", IPHONE, dependsOn=["b"]), item("b", LAPTOP)],
        [{"id": "a", "method": "GET"}],
        [{"id": 1, "method": "GET", "url": "/devices"}],
        ["a"],
    ],
)
async def test_a_malformed_batch_is_refused_as_a_whole(graph: Caller, requests: list[dict[str, object]]) -> None:
    assert (await graph.batch(*requests)).status == 400


async def test_a_body_without_its_own_content_type_fails_that_request_alone(graph: Caller) -> None:
    bare = {"id": "bare", "method": "PATCH", "url": by_key(IPHONE), "body": attribute("x")}
    found = await graph.responses(bare, item("typed", IPHONE, attribute("x")))
    assert {name: reply["status"] for name, reply in found.items()} == {"bare": 400, "typed": 204}
    message = "Write request id : bare does not contain Content-Type header or body."
    assert found["bare"]["body"]["error"]["message"] == message


async def test_urls_are_relative_with_or_without_a_leading_slash(graph: Caller, base_url: str) -> None:
    found = await graph.responses(
        {"id": "slash", "method": "GET", "url": "/devices?$top=1&$select=id"},
        {"id": "bare", "method": "GET", "url": f"devices(deviceId=%27{IPHONE}%27)"},
        {"id": "absolute", "method": "GET", "url": f"{base_url}/v1.0/devices"},
        {
            "id": "nested",
            "method": "POST",
            "url": "/$batch",
            "headers": {"Content-Type": "application/json"},
            "body": {},
        },
    )
    statuses = {name: reply["status"] for name, reply in found.items()}
    assert statuses == {"slash": 200, "bare": 200, "absolute": 400, "nested": 400}
    assert len(found["slash"]["body"]["value"]) == 1


async def test_each_request_of_a_batch_is_throttled_on_its_own(graph: Caller, control: EntraControl) -> None:
    await control.configure(Settings(write_limit=2))
    found = await graph.responses(*(item(str(n), IPHONE, attribute(str(n))) for n in range(3)), item("read", IPHONE))
    assert [found[name]["status"] for name in ("0", "1", "2", "read")] == [204, 204, 429, 200]
    assert found["2"]["headers"]["Retry-After"] == "150"
    assert found["2"]["body"]["error"]["code"] == "TooManyRequests"


async def test_what_depends_on_a_failed_request_fails_with_it(graph: Caller, control: EntraControl) -> None:
    found = await graph.responses(
        item("first", NOBODY, attribute("x")),
        item("second", IPHONE, attribute("x"), dependsOn=["first"]),
        item("third", LAPTOP, attribute("x"), dependsOn=["SECOND"]),
        item("fourth", LAPTOP),
        item("fifth", LAPTOP, dependsOn=["fourth"]),
    )
    statuses = {name: reply["status"] for name, reply in found.items()}
    assert statuses == {"first": 404, "second": 424, "third": 424, "fourth": 200, "fifth": 200}
    assert not any(entry.applied for entry in await control.log())
