"""``GET /api/health``."""

import pytest

from tests.service import Service


@pytest.mark.parametrize("key", [None, "wrong", "local"])
async def test_anyone_can_see_that_the_app_runs(service: Service, key: str | None) -> None:
    answer = await service.api.call("GET", "/api/health", key=key)
    assert answer.status == 200
    assert answer.json["status"] == "ok"
    assert answer.headers["Content-Type"].partition(";")[0] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_without_a_key_health_says_no_more_than_that(service: Service) -> None:
    assert (await service.api.call("GET", "/api/health", key=None)).json == {"status": "ok"}


async def test_a_path_that_is_no_route_is_404(service: Service) -> None:
    assert (await service.api.call("GET", "/api/nothing")).status == 404
