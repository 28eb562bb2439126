"""What every dialect parses a body into, and how it says what is wrong with it."""

from dataclasses import dataclass

from pydantic import ValidationError

from shared.model import DeviceChange

MAX_ERRORS_OF_A_CHANGE = 20


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong, and where: a JSON pointer (RFC 6901) into the change; empty for the whole of it."""

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """A change that was not accepted: its place in the body, from 0, and why."""

    index: int
    flaws: tuple[Flaw, ...]
    is_json: bool = True


@dataclass(frozen=True, slots=True)
class Parsed:
    """The changes of a body, with their places, and those that are none."""

    changes: tuple[tuple[int, DeviceChange], ...] = ()
    rejections: tuple[Rejection, ...] = ()


class UnreadableError(Exception):
    """The body as a whole cannot be taken.

    Attributes:
        status: the HTTP status that says so: 400 not JSON, 413 too large, 415 of an unknown type.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def flaws_of(error: ValidationError) -> tuple[Flaw, ...]:
    """Say what is wrong in words that name the place and what belongs there, without repeating what was sent."""
    return tuple(
        Flaw(pointer(found["loc"]), found["msg"].removeprefix("Value error, "))
        for found in error.errors(include_url=False, include_input=False, include_context=False)[
            :MAX_ERRORS_OF_A_CHANGE
        ]
    )


def pointer(location: tuple[int | str, ...]) -> str:
    """Write a place in a JSON document as RFC 6901 has it."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in location)
