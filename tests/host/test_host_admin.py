"""The admin API."""

from typing import Any

import aiohttp
import pytest

from tests.host.running import RunningHost, eventually

KEY = {"x-functions-key": "opens-all"}


async def run_now(http: aiohttp.ClientSession, host: RunningHost, name: str, **options: Any) -> int:
    async with http.post(f"{host.url}/admin/functions/{name}", headers=KEY, **options) as response:
        return response.status


async def test_the_status_says_running(sample: RunningHost, http: aiohttp.ClientSession) -> None:
    async with http.get(sample.url + "/admin/host/status", headers=KEY) as response:
        assert (await response.json())["state"] == "Running"


async def test_functions_are_listed_with_bindings_and_whether_they_are_disabled(
    sample: RunningHost, http: aiohttp.ClientSession
) -> None:
    async with http.get(sample.url + "/admin/functions", headers=KEY) as response:
        functions = {function["name"]: function for function in await response.json()}
    assert functions["stopped"]["isDisabled"]
    assert not functions["tick"]["isDisabled"]
    assert functions["tick"]["config"]["bindings"][0]["schedule"] == "* * * * * *"
    assert functions["echo"]["invoke_url_template"] == sample.url + "/echo/{name}"


async def test_one_function_is_described_whatever_the_case_of_its_name(
    sample: RunningHost, http: aiohttp.ClientSession
) -> None:
    async with http.get(sample.url + "/admin/functions/TICK", headers=KEY) as response:
        assert (await response.json())["name"] == "tick"
    async with http.get(sample.url + "/admin/functions/nobody", headers=KEY) as response:
        assert response.status == 404


async def test_a_timer_runs_now(sample: RunningHost, http: aiohttp.ClientSession) -> None:
    assert await run_now(http, sample, "yearly", json={"input": ""}) == 202
    (run,) = await eventually(lambda: sample.records("yearly"))
    assert run["past_due"] is False


async def test_a_queue_function_runs_now_on_the_input_even_where_it_is_disabled(
    sample: RunningHost, http: aiohttp.ClientSession
) -> None:
    assert await run_now(http, sample, "note", json={"input": "by hand"}) == 202
    await eventually(lambda: [r for r in sample.records("note") if r["body"] == "by hand"])
    assert await run_now(http, sample, "asleep", json={"input": "x"}) == 202
    await eventually(lambda: sample.records("asleep"))


async def test_an_http_function_is_accepted_and_then_fails_for_want_of_a_request(
    sample: RunningHost, http: aiohttp.ClientSession
) -> None:
    assert await run_now(http, sample, "echo", json={"input": ""}) == 202
    await eventually(lambda: "Executed 'echo' (Failed" in sample.log())


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("nobody", {"json": {"input": ""}}, 404),
        ("yearly", {"data": b"{}"}, 415),
        ("yearly", {"data": b"{", "headers": {"Content-Type": "application/json"} | KEY}, 400),
        ("yearly", {"json": []}, 400),
        ("yearly", {"json": {"input": 1}}, 400),
    ],
)
async def test_a_wrong_call_is_refused(
    sample: RunningHost, http: aiohttp.ClientSession, name: str, options: dict[str, Any], expected: int
) -> None:
    options = {"headers": KEY} | options
    async with http.post(f"{sample.url}/admin/functions/{name}", **options) as response:
        assert response.status == expected
