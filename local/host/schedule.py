"""Schedules of timers: NCRONTAB with six fields, in UTC, or a TimeSpan between runs. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from croniter import CroniterError, croniter

from local.errors import LocalError
from local.host.hostjson import time_span

_FIELDS = ("second", "minute", "hour", "day", "month", "day of week")
# What NCRONTAB knows. croniter takes far more (L, ?, #, W, H, R, @daily), which Azure would refuse.
_VALUE = r"(?:\d{1,2}|[A-Za-z]{3,9})"
_FIELD = re.compile(rf"(?:\*|{_VALUE}(?:-{_VALUE})?)(?:/\d{{1,2}})?(?:,(?:\*|{_VALUE}(?:-{_VALUE})?)(?:/\d{{1,2}})?)*")


@dataclass(frozen=True)
class Schedule:
    """When a timer runs: an NCRONTAB `expression`, or every `interval`."""

    expression: str = ""
    interval: timedelta | None = None

    def next_after(self, moment: datetime) -> datetime:
        """Return the first time of this schedule that is later than `moment`; both are in UTC."""
        if self.interval is not None:
            return moment + self.interval
        following: datetime = _iterator(self.expression, moment).get_next(datetime)
        return following

    def is_frequent(self) -> bool:
        """Whether some two runs that follow each other are less than a minute apart."""
        first = self.next_after(datetime(2026, 1, 1, tzinfo=UTC))
        return self.next_after(first) - first < timedelta(minutes=1)


def parse_schedule(text: str) -> Schedule:
    """Read a schedule.

    Raises:
        ValueError: it is none that Azure takes, or never comes; says why.
    """
    text = text.strip()
    if ":" in text:
        try:
            interval = time_span(text, "a TimeSpan schedule")
        except LocalError as error:
            raise ValueError(str(error)) from None
        if interval <= timedelta(0):
            raise ValueError("a TimeSpan schedule must be longer than 0")
        return Schedule(interval=interval)
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"an NCRONTAB expression has 6 fields, with the seconds first, not {len(fields)}")
    for name, field in zip(_FIELDS, fields, strict=True):
        if not _FIELD.fullmatch(field):
            raise ValueError(f"{field!r} for the {name} is not NCRONTAB")
    if "7" in re.split(r"[,/-]", re.sub(r"/\d+", "", fields[5])):
        raise ValueError("7 for the day of week is not NCRONTAB; Sunday is 0")
    schedule = Schedule(expression=" ".join(fields))
    try:
        schedule.next_after(datetime(2026, 1, 1, tzinfo=UTC))
    except CroniterError as error:
        raise ValueError(str(error)) from None
    return schedule


def _iterator(expression: str, moment: datetime) -> croniter:
    # day_or=False: NCRONTAB runs where day *and* weekday fit, other crons where either does.
    return croniter(expression, moment, second_at_beginning=True, day_or=False)
