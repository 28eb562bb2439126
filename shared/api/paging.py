"""What lists have in common: the size of a page, and an opaque token for where the next one begins."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from json import dumps, loads

import azure.functions as func

from shared.api.answers import ProblemError
from shared.ports import Position
from shared.sources.parsed import Flaw

DEFAULT_PAGE = 50
MAX_PAGE = 200

_LONGEST_KEYS = 200


def page_size(request: func.HttpRequest) -> int:
    """Read ``pageSize``; raises ``ProblemError`` if it is not a number from 1 to 200."""
    text = request.params.get("pageSize", str(DEFAULT_PAGE))
    if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_PAGE)) and 1 <= int(text) <= MAX_PAGE:
        return int(text)
    raise bad_parameter("pageSize", f"is not a number from 1 to {MAX_PAGE}")


def position(request: func.HttpRequest) -> Position | None:
    """Read ``continuation``; raises ``ProblemError`` if it is not one that a page gave."""
    token = request.params.get("continuation")
    if not token:
        return None
    try:
        keys = loads(urlsafe_b64decode(token))
    except (binascii.Error, ValueError, RecursionError):
        keys = None
    match keys:
        case [str(partition), str(row)] if _may_be_keys(partition + row):
            return partition, row
        case _:
            raise bad_parameter("continuation", "is not a continuation that this list gave; begin without one")


def _may_be_keys(text: str) -> bool:
    """Storage answers a key that it does not allow with an error of its own; ours are short and plain."""
    return len(text) <= _LONGEST_KEYS and text.isascii() and text.isprintable()


def token(place: Position | None) -> str | None:
    """Write where the next page begins; ``None`` at the end."""
    return None if place is None else urlsafe_b64encode(dumps(place).encode()).decode()


def bad_parameter(name: str, detail: str) -> ProblemError:
    """Say that a query parameter is not valid."""
    return ProblemError(400, f"The query parameter {name} {detail}.", flaws=[Flaw(f"/{name}", detail)])
