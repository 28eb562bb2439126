"""``/api/failed-changes``: what failed too often is listed, and sent again only if that can help."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.service import Device, Service, eventually


def of_a_strange_version(device: Device) -> str:
    return json.dumps({"v": 2, "devices": [device.guid], "mark": str(uuid4())})


@pytest.mark.parametrize("queue", ["device-changes", "device-reports"])
async def test_a_message_that_cannot_be_read_is_kept_and_is_not_sent_again(service: Service, queue: str) -> None:
    device = Device.new()
    await service.queue(f"{queue}-poison").send_message(of_a_strange_version(device))
    failed = await service.lists_as_failed(device)
    assert failed["reason"].startswith("No reason was noted")
    assert failed.keys() == {"id", "queue", "reason", "devices", "failedAt", "replayedAt"}
    assert (failed["queue"], failed["devices"], failed["replayedAt"]) == (queue, [device.guid], None)

    for _ in range(2):
        problem = (await service.api.post(f"/api/failed-changes/{failed['id']}/replay")).problem(409)
        assert "It would only fail again." in problem["detail"]
    assert (await service.lists_as_failed(device))["replayedAt"] is None


async def test_a_chunk_of_a_run_that_failed_is_kept_and_can_be_sent_again(service: Service) -> None:
    chunk = {"v": 1, "runId": f"run-{uuid4()}", "after": ["~", "~"], "startedAt": "2025-11-23T09:30:00Z"}
    await service.queue("weekly-shards-poison").send_message(json.dumps(chunk))

    async def chunk_failed() -> dict[str, Any] | None:
        found = (await service.api.get("/api/failed-changes?pageSize=200"))["failedChanges"]
        return next((failed for failed in found if failed["queue"] == "weekly-shards"), None)

    failed = await eventually(chunk_failed)
    assert failed["devices"] == []
    answer = await service.api.post(f"/api/failed-changes/{failed['id']}/replay")
    assert answer.status == 202
    assert answer.json == {"id": failed["id"], "queue": "weekly-shards", "devices": []}


async def test_failed_messages_are_given_page_by_page(service: Service) -> None:
    devices = [Device.new() for _ in range(3)]
    for device in devices:
        await service.queue("device-changes-poison").send_message(of_a_strange_version(device))
    for device in devices:
        await service.lists_as_failed(device)
    pages = await service.api.pages("/api/failed-changes", "failedChanges", "pageSize=2")
    ids = [failed["id"] for page in pages for failed in page]
    assert len(pages) > 1
    assert all(len(page) == 2 for page in pages[:-1])
    assert len(set(ids)) == len(ids)
    found = {device for page in pages for failed in page for device in failed["devices"]}
    assert found >= {device.guid for device in devices}


@pytest.mark.parametrize("failure_id", ["0" * 32, "1", "..%2F..", "a%2Fb", "a%5Cb", "%23", "%3F", "%00", "%27"])
async def test_a_failed_message_that_is_not_known_is_404(service: Service, failure_id: str) -> None:
    (await service.api.post(f"/api/failed-changes/{failure_id}/replay")).problem(404)
