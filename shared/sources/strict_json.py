"""JSON as RFC 8259 has it; NaN, duplicate names and text that is not UTF-8 are refused."""

import json
from typing import NoReturn

from pydantic import JsonValue


class NotJsonError(ValueError):
    """The text is not JSON, or is JSON that two readers would understand differently. The message says how."""


def loads(text: bytes) -> JsonValue:
    """Read JSON; raises ``NotJsonError``."""
    try:
        document: JsonValue = json.loads(
            text.decode("utf-8-sig"), parse_constant=_refuse_constant, object_pairs_hook=_without_duplicates
        )
    except json.JSONDecodeError as error:
        raise NotJsonError(f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except UnicodeDecodeError:
        raise NotJsonError("is not UTF-8") from None
    except RecursionError:
        raise NotJsonError("is nested too deeply") from None
    except NotJsonError:
        raise
    except ValueError:
        raise NotJsonError("has a number that is too long") from None
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise NotJsonError(f"is not JSON: {name} is no JSON number")


def _without_duplicates(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotJsonError("names a member of an object twice")
    return members
