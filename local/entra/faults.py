"""Faults on demand: which of them a request meets, and the refusal that it stands for."""

from collections.abc import Callable, Iterator
from http import HTTPStatus

from local.entra.contract import TOKEN_KINDS, Fault
from local.entra.odata import GraphError, forbidden
from local.entra.throttle import too_many_requests

HOLD_SECONDS = 300.0
_CUTTING = frozenset({"applied-then-timeout", "applied-then-reset", "reset"})


class Faults:
    """Faults in the order in which they were added; the first that matches and is not used up counts."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def add(self, faults: list[Fault]) -> None:
        """Add faults behind those that are there."""
        self._faults += faults

    def clear(self) -> None:
        """Forget all."""
        self._faults.clear()

    def take_for_devices(self, method: str, device_id: str | None) -> Fault | None:
        """The fault that a request for a device meets, or one for the list (`device_id` None); counted as taken."""
        return self._take(
            lambda fault: (
                fault.kind not in TOKEN_KINDS
                and fault.method in {None, method}
                and fault.device_id in {None, device_id}
            )
        )

    def take_for_batch(self) -> Fault | None:
        """The fault that a $batch as a whole meets: it must name POST, or each batch would take its items' faults."""
        return self._take(lambda fault: fault.kind not in TOKEN_KINDS and fault.method == "POST")

    def take_for_token(self) -> Fault | None:
        """The fault that a request for a token meets."""
        return self._take(lambda fault: fault.kind in TOKEN_KINDS)

    def _take(self, matches: Callable[[Fault], bool]) -> Fault | None:
        for fault in self._faults:
            if (fault.times is None or fault.taken < fault.times) and matches(fault):
                fault.taken += 1
                return fault
        return None


def refusal(fault: Fault) -> GraphError:
    """The error that a fault with a `status` answers; what it leaves open is as Graph has it for that status."""
    status = HTTPStatus(fault.status or HTTPStatus.INTERNAL_SERVER_ERROR)
    if status is HTTPStatus.TOO_MANY_REQUESTS:
        error = too_many_requests()
    elif status is HTTPStatus.FORBIDDEN:
        error = forbidden()
    else:
        error = GraphError(status, status.phrase.title().replace(" ", ""), f"{status.phrase}.")
    error.code = fault.code or error.code
    error.message = fault.message or error.message
    if fault.retry_after is not None:
        error.headers["Retry-After"] = str(fault.retry_after)
    return error


def hold_seconds(fault: Fault) -> float:
    """How long the answer is held back, in seconds."""
    default = HOLD_SECONDS if fault.kind == "applied-then-timeout" else 0.0
    return default if fault.seconds is None else fault.seconds


def cuts(fault: Fault) -> bool:
    """Whether the connection is cut rather than answered."""
    return fault.kind in _CUTTING
