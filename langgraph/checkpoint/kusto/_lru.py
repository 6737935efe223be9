"""A mapping that forgets what was used longest ago (pure, but for a lock).

The sync methods of a saver look into it from the threads of their callers while its event loop
sets. Under the lock nothing waits, and no code of a caller runs: keys are plain text or tuples of
it, sizes are taken before, and what was forgotten is freed after.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from sys import getsizeof, maxsize
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_ENTRY_BYTES = 250  # what an entry takes beside the text of its key and its value: measured


class LruMap(Generic[K, V]):
    """A mapping bounded by bytes and by entries; threads may use it at once.

    Args:
        bound_bytes: Bytes of all entries with their keys, about; one that takes more is not kept.
        bound: How many entries.
        size_of: Bytes of one value.
    """

    def __init__(
        self,
        bound_bytes: int,
        *,
        bound: int = maxsize,
        size_of: Callable[[V], int] = getsizeof,
    ) -> None:
        self._bound = bound
        self.bound_bytes = bound_bytes
        self._size_of = size_of
        # In the order of use. Of a plain dict the first entry takes long to find when many before
        # it are gone (40 us in one of 65,536).
        self._items: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = Lock()  # threads at once would crash the interpreter in an OrderedDict
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: object) -> bool:
        with self._lock:
            return key in self._items

    def get(self, key: K) -> V | None:
        """Return the value and count it as used."""
        with self._lock:
            found = self._items.get(key)
            if found is None:
                return None
            self._items.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V) -> None:
        """Set a value, forgetting the oldest when there are too many, or they are too large."""
        size = _ENTRY_BYTES + _key_bytes(key) + self._size_of(value)
        fits = size <= self.bound_bytes
        entry, gone = (value, size), []
        with self._lock:
            old = self._items.pop(key, None)
            if old is not None:
                self.size_bytes -= old[1]
            if fits:
                self._items[key] = entry
                self.size_bytes += size
            while len(self._items) > self._bound or self.size_bytes > self.bound_bytes:
                gone.append(self._items.popitem(last=False))
                self.size_bytes -= gone[-1][1][1]

    def pop(self, key: K) -> None:
        """Forget a value."""
        with self._lock:
            old = self._items.pop(key, None)
            if old is not None:
                self.size_bytes -= old[1]

    def keys(self) -> list[K]:
        """The keys, that used longest ago first."""
        with self._lock:
            return list(self._items)


def _key_bytes(key: Hashable) -> int:
    """What the text of a key takes; ids may have 65,536 bytes each."""
    return sum(map(getsizeof, key)) if isinstance(key, tuple) else getsizeof(key)
