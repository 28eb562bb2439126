"""Faults on demand."""

import asyncio

import aiohttp
import pytest

from local.entra.client import EntraControl
from local.entra.contract import Fault, Settings
from local.entra.server import serving
from local.entra.tenant import Tenant
from tests.entra.entra_support import IDENTITY_HEADER, IPHONE, LAPTOP, Caller, Clock, attribute, by_key, item

CUT = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


async def written(control: EntraControl, device_id: str = IPHONE) -> dict[str, str | None]:
    device = await control.device(device_id)
    assert device
    return device.extension_attributes


async def test_applied_then_timeout_applies_and_holds_the_answer_until_the_client_gives_up(tenant: Tenant) -> None:
    gave_up = asyncio.Event()

    async def hold(_seconds: float) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            gave_up.set()

    async with (
        serving(tenant, identity_header=IDENTITY_HEADER, sleep=hold) as url,
        EntraControl(url) as control,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.2)) as session,
    ):
        graph = Caller(session, url)
        await graph.sign_in()
        await control.add_faults(Fault(kind="applied-then-timeout", device_id=IPHONE))
        with pytest.raises(asyncio.TimeoutError):
            await graph.patch(IPHONE, attribute("applied"))
        await asyncio.wait_for(gave_up.wait(), timeout=5)
        assert await written(control) == {"extensionAttribute15": "applied"}
        assert (await graph.patch(IPHONE, attribute("again"))).status == 204
        held, again = (await control.log())[-2:]
        assert (held.status, held.applied, again.status) == (None, True, 204)


async def test_applied_then_timeout_is_held_as_long_as_asked_and_never_answered(
    graph: Caller, control: EntraControl, slept: list[float]
) -> None:
    await control.add_faults(Fault(kind="applied-then-timeout"), Fault(kind="applied-then-timeout", seconds=7))
    for _ in range(2):
        with pytest.raises(CUT):
            await graph.patch(IPHONE, attribute("x"))
    assert slept == [300, 7]


async def test_applied_then_reset_applies_and_cuts_the_connection(graph: Caller, control: EntraControl) -> None:
    # A PATCH: aiohttp's client itself sends what is idempotent once more.
    await control.add_faults(Fault(kind="applied-then-reset"))
    with pytest.raises(CUT):
        await graph.patch(IPHONE, attribute("x"))
    assert await written(control) == {"extensionAttribute15": "x"}
    entry = (await control.log())[-1]
    assert (entry.status, entry.applied) == (None, True)


async def test_reset_cuts_the_connection_without_applying(graph: Caller, control: EntraControl) -> None:
    await control.add_faults(Fault(kind="reset", times=2))
    for _ in range(2):
        with pytest.raises(CUT):
            await graph.call("PATCH", by_key(IPHONE), attribute("x"))
    assert await written(control) == {}
    assert (await control.log())[-1].status is None
    assert (await graph.patch(IPHONE, attribute("x"))).status == 204


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (429, "TooManyRequests"),
        (503, "ServiceUnavailable"),
        (500, "InternalServerError"),
        (403, "Authorization_RequestDenied"),
    ],
)
async def test_a_status_fault_answers_as_graph_would_and_applies_nothing(
    graph: Caller, control: EntraControl, status: int, code: str
) -> None:
    await control.add_faults(Fault(kind="status", status=status, times=None, retry_after=17))
    for _ in range(3):
        answer = await graph.patch(IPHONE, attribute("x"))
        assert (answer.status, answer.code, answer.headers["Retry-After"]) == (status, code, "17")
    assert await written(control) == {}
    assert [fault.taken for fault in await control.faults()] == [3]
    await control.clear_faults()
    assert (await graph.patch(IPHONE, attribute("x"))).status == 204


async def test_a_status_fault_says_what_it_is_told_to_say(graph: Caller, control: EntraControl) -> None:
    await control.add_faults(Fault(kind="status", status=400, code="Odd", message="Odd indeed."))
    answer = await graph.get("/devices")
    assert (answer.status, answer.code, answer.message) == (400, "Odd", "Odd indeed.")
    assert "Retry-After" not in answer.headers


async def test_a_fault_meets_only_the_device_and_method_it_names(graph: Caller, control: EntraControl) -> None:
    await control.add_faults(Fault(kind="status", status=503, device_id=IPHONE, method="PATCH", times=None))
    object_id = (await graph.get(by_key(IPHONE))).body["id"]
    assert (await graph.patch(LAPTOP, attribute("x"))).status == 204
    assert (await graph.patch(IPHONE, attribute("x"))).status == 503
    assert (await graph.call("PATCH", f"/devices/{object_id}", attribute("x"))).status == 503


async def test_a_throttled_request_does_not_use_a_fault_up(graph: Caller, control: EntraControl, clock: Clock) -> None:
    await control.configure(Settings(write_limit=1))
    await graph.patch(IPHONE, attribute("x"))
    await control.add_faults(Fault(kind="status", status=503))
    assert (await graph.patch(IPHONE, attribute("x"))).status == 429
    clock.now += 150
    assert (await graph.patch(IPHONE, attribute("x"))).status == 503


async def test_slow_answers_late(graph: Caller, control: EntraControl, slept: list[float]) -> None:
    await control.add_faults(Fault(kind="slow", seconds=4.5))
    assert (await graph.patch(IPHONE, attribute("x"))).status == 204
    assert (await graph.patch(IPHONE, attribute("x"))).status == 204
    assert slept == [4.5]


async def test_the_token_endpoint_is_slow_or_fails_on_demand(
    graph: Caller, control: EntraControl, slept: list[float]
) -> None:
    await control.add_faults(Fault(kind="slow-token", seconds=3), Fault(kind="token-status", status=500, message="No."))
    assert (await graph.get("/devices")).status == 200
    assert (await graph.ask_token()).status == 200
    refused = await graph.ask_token()
    assert (refused.status, refused.body["message"], slept[0]) == (500, "No.", 3)
    assert (await graph.ask_token()).status == 200


async def test_a_fault_of_one_request_in_a_batch_fails_that_one(graph: Caller, control: EntraControl) -> None:
    await control.add_faults(Fault(kind="status", status=503, device_id=IPHONE, retry_after=5))
    found = await graph.responses(item("a", IPHONE, attribute("x")), item("b", LAPTOP, attribute("x")))
    assert (found["a"]["status"], found["a"]["headers"]["Retry-After"], found["b"]["status"]) == (503, "5", 204)


async def test_a_cut_request_in_a_batch_cuts_the_answer_of_all_though_the_others_are_applied(
    graph: Caller, control: EntraControl
) -> None:
    await control.add_faults(Fault(kind="reset", device_id=IPHONE))
    with pytest.raises(CUT):
        await graph.batch(item("a", IPHONE, attribute("x")), item("b", LAPTOP, attribute("x")))
    assert (await written(control), await written(control, LAPTOP)) == ({}, {"extensionAttribute15": "x"})
    assert (await control.log())[-1].status is None


async def test_a_slow_request_in_a_batch_makes_the_answer_of_all_slow(
    graph: Caller, control: EntraControl, slept: list[float]
) -> None:
    await control.add_faults(Fault(kind="slow", seconds=2), Fault(kind="slow", seconds=1))
    assert (await graph.batch(item("a", IPHONE), item("b", LAPTOP))).status == 200
    assert slept == [2]


async def test_a_fault_for_post_meets_the_batch_as_a_whole(graph: Caller, control: EntraControl) -> None:
    await control.add_faults(
        Fault(kind="status", status=503, method="POST"),
        Fault(kind="reset", method="POST"),
        Fault(kind="applied-then-reset", method="POST"),
    )
    assert (await graph.batch(item("a", IPHONE, attribute("x")))).status == 503
    with pytest.raises(CUT):
        await graph.batch(item("a", IPHONE, attribute("x")))
    assert await written(control) == {}
    with pytest.raises(CUT):
        await graph.batch(item("a", IPHONE, attribute("x")))
    assert await written(control) == {"extensionAttribute15": "x"}


async def test_a_connection_cut_on_purpose_leaves_the_server_in_order(
    graph: Caller, control: EntraControl, caplog: pytest.LogCaptureFixture
) -> None:
    await control.add_faults(Fault(kind="reset"))
    with pytest.raises(CUT):
        await graph.patch(IPHONE, attribute("x"))
    assert (await graph.get("/devices")).status == 200
    assert not caplog.records
