"""HTTP functions behind the host: routes, keys, requests and answers."""

import asyncio
import gzip
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from yarl import URL

from tests.host.running import RunningHost

GUID = "1D71E131-0487-4d1d-9a0d-89f2bd1a888d"


async def ask(http: aiohttp.ClientSession, url: str | URL, method: str = "GET", **options: Any) -> dict[str, Any]:
    async with http.request(method, url, **options) as response:
        assert response.status == 200, response.status
        answer: dict[str, Any] = await response.json()
        return answer


async def status(http: aiohttp.ClientSession, url: str, method: str = "GET", **options: Any) -> int:
    async with http.request(method, url, **options) as response:
        assert await response.read() == b"" or response.status == 200
        return response.status


@pytest.mark.parametrize(
    ("path", "function", "route"),
    [
        ("/", "root", {}),
        ("/echo/a%20b%2Fc", "echo", {"name": "a b%2Fc"}),
        ("/echo/literal", "literal", {}),
        ("/ECHO/Literal/", "literal", {}),
        ("/echo/12", "numbered", {"number": "12"}),
        ("/echo/99999999999", "echo", {"name": "99999999999"}),
        (f"/devices/{GUID}", "device", {"id": GUID}),
        (f"/devices/{GUID}/history", "device", {"id": GUID, "part": "history"}),
    ],
)
async def test_a_path_reaches_its_function(
    sample: RunningHost, http: aiohttp.ClientSession, path: str, function: str, route: dict[str, str]
) -> None:
    answer = await ask(http, URL(sample.url + path, encoded=True))  # sent as it is written here
    assert (answer["function"], answer["route"]) == (function, route)


@pytest.mark.parametrize("path", ["/nowhere", "/echo", "/echo/a/b", "/devices/12", f"/devices/{GUID}/a/b", "//echo/a"])
async def test_an_unknown_path_is_not_found(sample: RunningHost, http: aiohttp.ClientSession, path: str) -> None:
    assert await status(http, sample.url + path) == 404


async def test_a_method_chooses_among_functions_of_one_route(sample: RunningHost, http: aiohttp.ClientSession) -> None:
    assert (await ask(http, sample.url + "/only"))["function"] == "only_get"
    assert (await ask(http, sample.url + "/only", "POST"))["function"] == "only_post"


async def test_a_known_route_with_another_method_is_not_found_as_in_the_real_host(
    sample: RunningHost, http: aiohttp.ClientSession
) -> None:
    assert await status(http, sample.url + "/only", "DELETE") == 404


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"])
async def test_a_function_without_methods_takes_every_method(
    sample: RunningHost, http: aiohttp.ClientSession, method: str
) -> None:
    assert (await ask(http, sample.url + "/echo/x", method))["method"] == method


async def test_head_answers_without_a_body(sample: RunningHost, http: aiohttp.ClientSession) -> None:
    async with http.head(sample.url + "/text") as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_a_request_arrives_as_the_real_host_passes_it(sample: RunningHost, http: aiohttp.ClientSession) -> None:
    url = sample.url + "/echo/x?a=1&a=2&empty=&b=%C3%A9"
    answer = await ask(http, url, "POST", data=b"\x00\xff", headers={"X-Mixed-Case": "Value"})
    assert answer["params"] == {"a": "1,2", "b": "é"}
    assert answer["headers"]["x-mixed-case"] == "Value"
    assert answer["body"] == "00ff"
    assert urlsplit(answer["url"])[:3] == ("http", urlsplit(sample.url).netloc, "/echo/x")


async def test_a_megabyte_of_any_bytes_goes_in_and_out_unchanged(
    sample: RunningHost, http: aiohttp.ClientSession
) -> None:
    body = bytes(range(256)) * 4096
    async with http.post(sample.url + "/mirror", data=body) as response:
        assert await response.read() == body
        assert response.content_type == "application/octet-stream"


async def test_a_compressed_body_is_not_unpacked(sample: RunningHost, http: aiohttp.ClientSession) -> None:
    packed = gzip.compress(b"inside")
    answer = await ask(http, sample.url + "/echo/x", "POST", data=packed, headers={"Content-Encoding": "gzip"})
    assert bytes.fromhex(answer["body"]) == packed


async def test_a_body_over_100_mebibytes_is_refused_before_it_is_sent(sample: RunningHost) -> None:
    address = urlsplit(sample.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"POST /mirror HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (100 * 1024**2 + 1))
    assert (await reader.readline()).split()[1] == b"413"
    writer.close()
    await writer.wait_closed()


async def test_status_headers_and_each_cookie_come_back(sample: RunningHost, http: aiohttp.ClientSession) -> None:
    async with http.get(sample.url + "/answer") as response:
        assert (response.status, await response.text()) == (418, "teapot")
        assert response.headers["X-Custom"] == "yes"
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert response.headers.getall("Set-Cookie") == ["a=1; HttpOnly; Path=/", "b=2; Secure"]


async def test_a_returned_string_is_plain_text(sample: RunningHost, http: aiohttp.ClientSession) -> None:
    async with http.get(sample.url + "/text") as response:
        assert (await response.text(), response.content_type) == ("plain", "text/plain")


async def test_a_failing_function_is_an_empty_500_and_one_line_in_the_log(
    sample: RunningHost, http: aiohttp.ClientSession
) -> None:
    async with http.get(sample.url + "/fails") as response:
        assert (response.status, await response.read()) == (500, b"")
    assert sum("the inner secret" in line for line in sample.log().splitlines()) == 1
    assert "Traceback" not in sample.log()


@pytest.mark.parametrize("path", ["/nothing", "/split"])
async def test_a_function_without_an_answer_that_is_http_is_a_500(
    sample: RunningHost, http: aiohttp.ClientSession, path: str
) -> None:
    assert await status(http, sample.url + path) == 500


async def test_async_functions_share_the_event_loop_and_others_get_a_thread(
    sample: RunningHost, http: aiohttp.ClientSession
) -> None:
    assert (await ask(http, sample.url + "/echo/x"))["thread"] == "MainThread"
    assert (await ask(http, sample.url + "/threaded"))["thread"] != "MainThread"


@pytest.mark.parametrize(
    ("path", "key", "expected"),
    [
        ("/secured", "", 401),
        ("/secured", "wrong", 401),
        ("/secured", "opens-functions", 200),
        ("/secured", "opens-all", 200),
        ("/administered", "", 401),
        ("/administered", "opens-functions", 401),
        ("/administered", "opens-all", 200),
        ("/closed", "", 404),
        ("/closed", "opens-all", 200),
        ("/admin/host/status", "", 401),
        ("/admin/host/status", "opens-functions", 401),
        ("/admin/functions", "opens-functions", 401),
        ("/admin/nothing", "opens-all", 404),
        ("/admin", "opens-all", 404),
    ],
)
async def test_a_key_opens_what_its_level_covers(
    sample: RunningHost, http: aiohttp.ClientSession, path: str, key: str, expected: int
) -> None:
    assert await status(http, sample.url + path, headers={"x-functions-key": key}) == expected
    if not path.startswith("/admin/functions"):
        async with http.get(sample.url + path, params={"code": key}) as response:
            assert response.status == expected
