"""Timer functions as they fire."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.host.timers import TimerState
from tests.host.running import RunningHost, eventually, running, write_app


async def test_a_timer_of_every_second_fires_again_and_again_and_is_not_past_due(sample: RunningHost) -> None:
    runs = (await eventually(lambda: sample.records("tick")[2:] and sample.records("tick")))[:3]
    assert 1 < runs[2]["at"] - runs[0]["at"] < 10
    assert not any(run["past_due"] for run in runs)
    assert {"Last", "Next", "LastUpdated"} == set(runs[0]["status"])


async def test_a_disabled_timer_does_not_fire(sample: RunningHost) -> None:
    await eventually(lambda: len(sample.records("tick")) > 2)
    assert sample.records("stopped") == []


YEARLY = """
import azure.functions as func
from helper import record

app = func.FunctionApp()


@app.timer_trigger(arg_name="t", schedule="0 0 0 1 1 *")
async def missed(t: func.TimerRequest) -> None:
    record("missed", past_due=t.past_due)


@app.timer_trigger(arg_name="t", schedule="0 0 0 1 1 *", use_monitor=False)
async def unmonitored(t: func.TimerRequest) -> None:
    record("unmonitored")


@app.timer_trigger(arg_name="t", schedule="0 0 0 1 1 *")
async def unseen(t: func.TimerRequest) -> None:
    record("unseen")


@app.timer_trigger(arg_name="t", schedule="0 0 0 1 1 *", run_on_startup=True)
async def startup(t: func.TimerRequest) -> None:
    record("startup", past_due=t.past_due)
"""


async def test_a_missed_run_is_caught_up_once_and_says_that_it_is_past_due(tmp_path: Path) -> None:
    app, state = write_app(tmp_path / "app", YEARLY), tmp_path / "state"
    state.mkdir()
    long_ago = "2020-06-01T00:00:00+00:00"
    (state / "timers.json").write_text(json.dumps({"missed": long_ago, "unmonitored": long_ago}))
    for start in (1, 2):
        async with running(app, "--state", str(state)) as host:
            await eventually(lambda: len(host.records("startup")) == start)  # noqa: B023 - used within the loop
    assert [run["past_due"] for run in host.records("missed")] == [True]
    assert [run["past_due"] for run in host.records("startup")] == [False, False]
    assert host.records("unmonitored") == host.records("unseen") == []


def test_a_damaged_state_is_said_and_started_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "timers.json"
    path.write_text("[")
    state = TimerState(path)
    assert "timers.json is damaged" in caplog.text
    assert state.last("weekly") is None
    state.record("weekly", datetime(2026, 1, 4, 3, tzinfo=UTC))
    assert TimerState(path).last("weekly") == datetime(2026, 1, 4, 3, tzinfo=UTC)
