"""Graph's quota for directory objects: two sliding windows for each application in the tenant.

From "Microsoft Graph service-specific throttling limits", identity and access: 3,000 writes in 150 s, and 3,500, 5,000
or 8,000 resource units in 10 s by the tenant's size. Every device request costs one unit, PATCH and DELETE a write too.

Simpler than Graph: what is refused is not counted, so that a caller which waits for `Retry-After` always gets through.
"""

import math
from collections import deque
from dataclasses import dataclass, field

from local.entra.contract import Settings
from local.entra.odata import GraphError

TENANT_ID = "7a1e9a1c-0c5e-4c59-9f0e-5f2c8d9b3e10"
RESOURCE_UNITS = {"S": 3500, "M": 5000, "L": 8000}
WARN_ABOVE = 0.8


class SlidingWindow:
    """Times (seconds since the epoch) at which something was spent, as far back as the window reaches."""

    def __init__(self) -> None:
        self._spent: deque[float] = deque()

    def used(self, now: float, seconds: float) -> int:
        """How much was spent in the last `seconds`."""
        while self._spent and self._spent[0] <= now - seconds:
            self._spent.popleft()
        return len(self._spent)

    def spend(self, now: float) -> None:
        """Count one."""
        self._spent.append(now)

    def wait(self, now: float, seconds: float, limit: int) -> int:
        """Whole seconds, at least 1, until fewer than `limit` are left in a window that is full."""
        # Not simply the oldest: a limit that was lowered meanwhile leaves more in the window than may go.
        frees = self._spent[len(self._spent) - limit] + seconds
        return max(1, math.ceil(frees - now))


@dataclass(slots=True)
class _Windows:
    units: SlidingWindow = field(default_factory=SlidingWindow)
    writes: SlidingWindow = field(default_factory=SlidingWindow)


class Quota:
    """What each application has left."""

    def __init__(self) -> None:
        self._apps: dict[str, _Windows] = {}

    def admit(self, app_id: str, settings: Settings, now: float, *, write: bool) -> dict[str, str]:
        """Spend one request and give the headers that go with it; GraphError 429, nothing spent, if over the limit."""
        windows = self._apps.setdefault(app_id, _Windows())
        unit_limit = settings.resource_unit_limit or RESOURCE_UNITS[settings.tenant_size]
        spend = [("ReadWrite", windows.units, settings.resource_unit_window_seconds, unit_limit)]
        if write:
            spend.append(("Write", windows.writes, settings.write_window_seconds, settings.write_limit))
        share = 0.0
        for scope, window, seconds, limit in spend:
            used = window.used(now, seconds)
            if used >= limit:
                raise _too_many(f"Tenant_Application/{scope}/{app_id}/{TENANT_ID}", window.wait(now, seconds, limit))
            share = max(share, (used + 1) / limit)
        for _, window, _, _ in spend:
            window.spend(now)
        headers = {"x-ms-resource-unit": "1"}
        if share > WARN_ABOVE:
            headers["x-ms-throttle-limit-percentage"] = f"{share:.2f}"
        return headers


def _too_many(scope: str, retry_after: int) -> GraphError:
    reason = "WriteLimitExceeded" if "/Write/" in scope else "ResourceUnitLimitExceeded"
    error = too_many_requests()
    error.headers = {
        "Retry-After": str(retry_after),
        "x-ms-throttle-scope": scope,
        "x-ms-throttle-information": reason,
        "x-ms-throttle-limit-percentage": "1.00",
    }
    return error


def too_many_requests() -> GraphError:
    """The 429 of "Microsoft Graph throttling guidance", as yet without headers."""
    inner = {"code": "429", "message": "Please retry after", "status": "429"}
    return GraphError(429, "TooManyRequests", "Please retry again later.", inner={**inner})
