"""Schedules of timers."""

from datetime import UTC, datetime, timedelta

import pytest

from local.host.schedule import parse_schedule

START = datetime(2026, 1, 1, tzinfo=UTC)  # a Thursday


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 0 3 * * 0", ["2026-01-04 03:00:00", "2026-01-11 03:00:00"]),
        ("0 0 3 * * Sun", ["2026-01-04 03:00:00", "2026-01-11 03:00:00"]),
        ("*/20 * * * * *", ["2026-01-01 00:00:20", "2026-01-01 00:00:40"]),
        ("0 */5 * * * *", ["2026-01-01 00:05:00", "2026-01-01 00:10:00"]),
        ("5,8,10 * * * * *", ["2026-01-01 00:00:05", "2026-01-01 00:00:08"]),
        ("0 30 9 * Jan-Feb Mon-Fri", ["2026-01-01 09:30:00", "2026-01-02 09:30:00", "2026-01-05 09:30:00"]),
        ("0 0 0 29 2 *", ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
        ("00:01:30", ["2026-01-01 00:01:30", "2026-01-01 00:03:00"]),
    ],
)
def test_a_schedule_comes_at_these_times(text: str, expected: list[str]) -> None:
    moment, schedule = START, parse_schedule(text)
    for time in expected:
        moment = schedule.next_after(moment)
        assert moment == datetime.fromisoformat(time + "+00:00")


def test_day_and_weekday_must_both_fit() -> None:
    friday_the_13th = parse_schedule("0 0 0 13 * 5")
    assert friday_the_13th.next_after(START) == datetime(2026, 2, 13, tzinfo=UTC)


def test_a_time_of_the_schedule_is_not_after_itself() -> None:
    schedule = parse_schedule("0 0 0 * * *")
    assert schedule.next_after(START) == START + timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0 3 * * 0", "has 6 fields, with the seconds first, not 5"),
        ("", "not 0"),
        ("0 0 0 L * *", "'L' for the day is not NCRONTAB"),
        ("0 0 0 ? * *", r"'\?' for the day is not NCRONTAB"),
        ("0 0 0 * * 5#2", "'5#2' for the day of week"),
        ("0 0 0 15W * *", "'15W' for the day"),
        ("H * * * * *", "'H' for the second"),
        ("@daily", "not 1"),
        ("0 0 0 * * 7", "Sunday is 0"),
        ("0 60 * * * *", "out of range"),
        ("0 0 0 31 2 *", "next date"),
        ("00:00:00", "longer than 0"),
        ("24:00:00", "must be a time span"),
    ],
)
def test_what_azure_would_not_run_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_schedule(text)
