"""Last-writer-wins registers: the same end state whatever the order or the number of copies. Pure.

A register is a set of fields that belong together (compliance, inventory, registration). Each field is stamped on its
own, because a change does not touch what it leaves out: a newer change of the OS version must not make an older
change of the name lose.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from json import dumps
from typing import Self

from pydantic import BaseModel, JsonValue

from shared.model import Time


@dataclass(frozen=True, order=True, slots=True)
class Stamp:
    """When the source says that it happened (UTC); source and change id break ties."""

    time: datetime
    source: str
    change_id: str


type Rank = Callable[[JsonValue], float]
"""Says which of two values from the same time is to win: the higher one."""


@dataclass(frozen=True, slots=True)
class Field:
    """A value and the stamp of the change that wrote it."""

    value: JsonValue
    stamp: Stamp

    def beats(self, other: Self, rank: Rank) -> bool:
        """Say whether this field wins over the other.

        At the same time the value of the higher rank wins, then source and change id decide, and last the value: a
        sender that uses an id twice with different content still gets one outcome in every order.
        """
        return self._order(rank) > other._order(rank)

    def _order(self, rank: Rank) -> tuple[datetime, float, Stamp, str]:
        return self.stamp.time, rank(self.value), self.stamp, _canonical(self.value)


type Register = Mapping[str, Field]


def merge(register: Register, fields: Register, rank: Rank = lambda _: 0) -> Register:
    """Return the register after the fields were written to it: for each one the newer stamp stays."""
    newer = {name: field for name, field in fields.items() if name not in register or field.beats(register[name], rank)}
    return {**register, **newer}


def value(register: Register, name: str) -> JsonValue:
    """Return what a field holds; ``None`` if nothing was ever written to it."""
    field = register.get(name)
    return None if field is None else field.value


class _Stored(BaseModel):
    """A register as JSON, with each stamp once: most fields share theirs."""

    stamps: tuple[tuple[Time, str, str], ...] = ()
    fields: dict[str, tuple[int, JsonValue]] = {}


def to_json(register: Register) -> str:
    """Write a register as JSON; the same register is always the same text."""
    stamps = sorted({field.stamp for field in register.values()})
    number = {stamp: index for index, stamp in enumerate(stamps)}
    return _Stored(
        stamps=tuple((stamp.time, stamp.source, stamp.change_id) for stamp in stamps),
        fields={name: (number[field.stamp], field.value) for name, field in sorted(register.items())},
    ).model_dump_json()


def from_json(text: str) -> Register:
    """Read what ``to_json`` wrote; raises ``pydantic.ValidationError`` for anything else."""
    stored = _Stored.model_validate_json(text)
    stamps = [Stamp(*stamp) for stamp in stored.stamps]
    return {name: Field(held, stamps[index]) for name, (index, held) in stored.fields.items()}


def _canonical(json: JsonValue) -> str:
    return dumps(json, sort_keys=True)
