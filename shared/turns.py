"""Turns: within this process, one at a time for each key. Pure.

Nothing relies on it to be right: between processes compare-and-set decides. It only saves the calls that the loser of a
race would make in vain.
"""

import asyncio
from weakref import WeakValueDictionary


class Turns:
    """A lock for each key, kept as long as someone holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, key: str) -> asyncio.Lock:
        """Return the lock of a key."""
        return self._locks.setdefault(key, asyncio.Lock())
