"""Timer triggers: runs a function at its schedule's times, one run at a time."""

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local.host.bindings import Function, TimerTrigger
from local.host.runtime import invoke, json_datum

log = logging.getLogger("host.timers")

# The longest sleep at a stretch: event loops sleep by a clock that stands still while the machine is suspended.
_NAP = timedelta(seconds=30)


class TimerState:
    """When timers ran last, kept in a JSON file over restarts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._moments: dict[str, str] = {}
        try:
            self._moments = {str(name): str(text) for name, text in json.loads(path.read_bytes()).items()}
        except FileNotFoundError:
            pass
        except (ValueError, AttributeError):
            log.warning("%s is damaged; missed timers are not caught up", path)

    def last(self, name: str) -> datetime | None:
        """Return when the timer ran last, or when it was first seen; None if it never was."""
        try:
            moment = datetime.fromisoformat(self._moments[name])
        except (KeyError, ValueError):
            return None
        return moment if moment.tzinfo else None

    def record(self, name: str, moment: datetime) -> None:
        """Keep `moment` as the timer's last run."""
        self._moments[name] = moment.isoformat()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Written whole, then put in place: a host that is killed leaves the old file or the new one.
        scratch = self._path.with_suffix(".new")
        scratch.write_text(json.dumps(self._moments, indent=1))
        scratch.replace(self._path)


class Timer:
    """Runs `function` when its schedule says so."""

    def __init__(self, function: Function, trigger: TimerTrigger, state: TimerState) -> None:
        self._function = function
        self._trigger = trigger
        self._state = state
        self._one_at_a_time = asyncio.Lock()

    async def run(self, stopping: asyncio.Event) -> None:
        """Fire until `stopping` is set; a run that was missed while no host was there is caught up first."""
        missed = self._is_past_due(_now())
        if missed or self._trigger.run_on_startup:
            await self._fire(past_due=missed)
        while await self._is_time(self._trigger.schedule.next_after(_now()), stopping):
            await self._fire(past_due=False)

    async def run_now(self, _: str) -> None:
        """Run the function once, after the run that may be under way; what is passed in is for other triggers."""
        await self._fire(past_due=False)

    def _is_past_due(self, now: datetime) -> bool:
        if not self._trigger.use_monitor:
            return False
        last = self._state.last(self._function.name)
        if last is None:
            self._state.record(self._function.name, now)
            return False
        return self._trigger.schedule.next_after(last) <= now

    async def _is_time(self, moment: datetime, stopping: asyncio.Event) -> bool:
        """Wait for the moment; False if the host stops before."""
        while (left := moment - _now()) > timedelta(0):
            try:
                async with asyncio.timeout(min(left, _NAP).total_seconds()):
                    await stopping.wait()
            except TimeoutError:
                continue
            return False
        return not stopping.is_set()

    async def _fire(self, *, past_due: bool) -> None:
        async with self._one_at_a_time:
            now = _now()
            last = self._state.last(self._function.name) if self._trigger.use_monitor else None
            status = {
                "Last": (last or datetime.min.replace(tzinfo=UTC)).isoformat(),
                "Next": self._trigger.schedule.next_after(now).isoformat(),
                "LastUpdated": (last or now).isoformat(),
            }
            info = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": past_due}
            await invoke(self._function, json_datum(info))
            if self._trigger.use_monitor:
                self._state.record(self._function.name, now)


def _now() -> datetime:
    return datetime.now(UTC)
