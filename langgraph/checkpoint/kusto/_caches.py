"""What this process remembers of checkpoints: epochs, and where and what their values are (pure).

All bounded, least recently used out first; forgetting costs a query or a second copy of a value,
never correctness.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ._frames import Base
from ._rows import CheckpointKey
from ._values import BlobRef

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_EPOCHS_OF_A_THREAD = 4  # remembered, of those this process uses
_SETS_COUNTED = 256
_REF_BYTES = 400  # what a reference or a version takes, with what holds it
_ENTRY_BYTES = 300  # what an entry takes beside its value


class LruMap(Generic[K, V]):
    """A mapping that forgets what was used longest ago."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._items: dict[K, V] = {}  # of an OrderedDict, threads at once make a crash

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def get(self, key: K) -> V | None:
        """Return the value and count it as used."""
        value = self._items.get(key)
        # Put in again, as the last one, unless another thread has pushed it out meanwhile.
        if value is not None and self._items.pop(key, None) is not None:
            self._items[key] = value
        return value

    def put(self, key: K, value: V) -> None:
        """Set a value, forgetting the oldest when there are too many."""
        self._items.pop(key, None)
        self._items[key] = value
        while len(self._items) > self._bound:
            self._items.pop(next(iter(self._items), key), None)

    def pop(self, key: K) -> None:
        """Forget a value."""
        self._items.pop(key, None)

    def keys(self) -> list[K]:
        """The keys, that used longest ago first."""
        return list(self._items)


class ByteLru(Generic[K, V]):
    """A mapping that forgets what was used longest ago, bounded by bytes.

    Threads may use it at once: its size is then right but for a moment.

    Args:
        bound: Bytes of all values; a value larger than this is not kept.
        size_of: Bytes of one value.
    """

    def __init__(self, bound: int, size_of: Callable[[V], int]) -> None:
        self._bound = bound
        self._size_of = size_of
        self._items: dict[K, V] = {}  # of an OrderedDict, threads at once make a crash
        self._sets = 0
        self.size = 0

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: K) -> V | None:
        """Return the value and count it as used."""
        value = self._items.get(key)
        # Put in again, as the last one, unless another thread has pushed it out meanwhile.
        if value is not None and self._items.pop(key, None) is not None:
            self._items[key] = value
        return value

    def put(self, key: K, value: V) -> None:
        """Set a value, forgetting the oldest when they are too large."""
        self.pop(key)
        if self._weight(value) > self._bound:
            return
        self._items[key] = value
        self.size += self._weight(value)
        self._sets += 1
        # Threads that set at once may have miscounted, or change the items under one another.
        with suppress(RuntimeError, KeyError):
            if self._sets % _SETS_COUNTED == 0:
                self.size = sum(map(self._weight, list(self._items.values())))
            while self.size > self._bound and self._items:
                self.pop(next(iter(self._items), key))

    def pop(self, key: K) -> None:
        """Forget a value."""
        old = self._items.pop(key, None)
        if old is not None:
            self.size -= self._weight(old)

    def _weight(self, value: V) -> int:
        return self._size_of(value) + _ENTRY_BYTES


class Epochs:
    """Epochs of checkpoints, and which epochs are known to be dead.

    Rules: a parentless checkpoint of the root namespace starts an epoch; every other row inherits
    one. A row of a dead epoch stays dead, whoever sends it.
    """

    def __init__(self, bound: int = 65_536) -> None:
        self._by_key: LruMap[CheckpointKey, str] = LruMap(bound)
        self._used: LruMap[str, tuple[str, ...]] = LruMap(bound)
        self._newest: LruMap[tuple[str, str], str] = LruMap(bound)
        self._killed: LruMap[str, bool] = LruMap(bound)

    def of(self, key: CheckpointKey) -> str | None:
        """The epoch this process last saw or gave a checkpoint."""
        return self._by_key.get(key)

    def remember(self, key: CheckpointKey, epoch: str) -> None:
        """Note the epoch of a checkpoint that was read or written."""
        self._by_key.put(key, epoch)
        others = [other for other in self.used(key.thread_id) if other != epoch]
        self._used.put(key.thread_id, (epoch, *others[: _EPOCHS_OF_A_THREAD - 1]))
        place = (key.thread_id, key.checkpoint_ns)
        self._newest.put(place, max(key.checkpoint_id, self._newest.get(place) or ""))

    def latest(self, thread_id: str) -> str | None:
        """The epoch this process last used in a thread, if it is not known to be dead."""
        used = self.used(thread_id)
        return None if not used or self.is_killed(used[0]) else used[0]

    def used(self, thread_id: str) -> tuple[str, ...]:
        """The epochs this process used in a thread, the last one first; not all of very many."""
        return self._used.get(thread_id) or ()

    def is_ahead(self, key: CheckpointKey) -> bool:
        """Whether a checkpoint's id is greater than all this process knows in its namespace."""
        return key.checkpoint_id > (self._newest.get((key.thread_id, key.checkpoint_ns)) or "")

    def kill(self, epochs: Iterable[str]) -> None:
        """Note that epochs are dead."""
        for epoch in epochs:
            self._killed.put(epoch, True)

    def revive(self, epochs: Iterable[str]) -> None:
        """Undo `kill`: the tombstone was not written."""
        for epoch in epochs:
            self._killed.pop(epoch)

    def is_killed(self, epoch: str) -> bool:
        """Whether an epoch is known to be dead."""
        return epoch in self._killed


class Runs:
    """Runs of threads: those that are known to be deleted, or those this process wrote for."""

    def __init__(self, bound: int = 65_536) -> None:
        self._items: LruMap[tuple[str, str], bool] = LruMap(bound)

    def __contains__(self, run: tuple[str, str]) -> bool:
        return run in self._items

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._items.keys())

    def add(self, runs: Iterable[tuple[str, str]]) -> None:
        """Note (thread id, run id) pairs."""
        for run in runs:
            self._items.put(run, True)

    def discard(self, runs: Iterable[tuple[str, str]]) -> None:
        """Undo `add`: the tombstone was not written."""
        for run in runs:
            self._items.pop(run)


@dataclass(frozen=True)
class Manifest:
    """Where the large values of one checkpoint are."""

    blobs: Mapping[str, BlobRef]
    versions: Mapping[str, Any]
    bases: Mapping[str, Base]
    """What the next values of channels may be stored against."""
    epoch: str
    """Of the copy that it describes: a copy of a thread has the same ids in another life."""

    @property
    def size_bytes(self) -> int:
        """About what it takes."""
        refs = [*self.blobs.values(), *(base.ref for base in self.bases.values() if base.ref)]
        parts = sum(1 + ref.depth for ref in refs) + len(self.versions)
        return parts * _REF_BYTES


class Manifests:
    """Manifests of recent checkpoints, to refer to unchanged values instead of writing them.

    Args:
        bound: Bytes of all of them, about.
        times: How many times of ingestion are remembered.
    """

    def __init__(self, bound: int = 32 * 1024 * 1024, times: int = 65_536) -> None:
        self._items: ByteLru[CheckpointKey, Manifest] = ByteLru(
            bound, lambda manifest: manifest.size_bytes
        )
        self._ingested: LruMap[str, int] = LruMap(times)

    def remember(
        self,
        key: CheckpointKey,
        blobs: Mapping[str, BlobRef],
        versions: Mapping[str, Any],
        bases: Mapping[str, Base] | None = None,
        epoch: str = "",
    ) -> None:
        """Note where the values of a checkpoint are; without large values nothing is kept."""
        bases = bases or {}
        if blobs or bases:
            kept = {channel: versions.get(channel) for channel in {**blobs, **bases}}
            self._items.put(key, Manifest(dict(blobs), kept, dict(bases), epoch))
        else:
            self._items.pop(key)

    def forget(self, key: CheckpointKey) -> None:
        """Drop a checkpoint whose write failed."""
        self._items.pop(key)

    def note_ingested(self, moments: Mapping[str, int]) -> None:
        """Note when copies were ingested, by Kusto's own clock."""
        for blob_id, moment in moments.items():
            self._ingested.put(blob_id, moment)

    def stored_at(self, ref: BlobRef) -> int:
        """When a copy was ingested, or the oldest of what it was stored against.

        As long as no read has told, when its writer says it was.
        """
        moments = ((part, self._ingested.get(part.blob_id)) for part in ref.chain())
        return min(part.written_at if known is None else known for part, known in moments)

    def of(self, key: CheckpointKey, epoch: str | None) -> Manifest | None:
        """The manifest of a checkpoint, if it is that of the copy with an epoch."""
        manifest = self._items.get(key)
        return manifest if manifest is not None and manifest.epoch == epoch else None

    def base(self, parent: CheckpointKey, channel: str, epoch: str | None = "") -> Base | None:
        """What the value that follows a checkpoint's may be stored against."""
        manifest = self.of(parent, epoch)
        return None if manifest is None else manifest.bases.get(channel)

    def unchanged(
        self, parent: CheckpointKey, channel: str, version: Any, epoch: str | None = ""
    ) -> BlobRef | None:
        """The stored copy of a channel that did not change since the parent.

        It may be about to expire: `stored_at` tells.

        Args:
            parent: The checkpoint the new one follows.
            channel: A channel that is not among the new versions.
            version: Its version in the new checkpoint; another one, or one of another type, means
                another value.
            epoch: Of the parent.
        """
        manifest = self.of(parent, epoch)
        ref = None if manifest is None else manifest.blobs.get(channel)
        return ref if self.is_same(parent, channel, version, epoch) else None

    def is_same(
        self, parent: CheckpointKey, channel: str, version: Any, epoch: str | None = ""
    ) -> bool:
        """Whether a channel that is not among the new versions has its parent's value."""
        manifest = self.of(parent, epoch)
        known = None if manifest is None else manifest.versions.get(channel)
        return known is not None and type(known) is type(version) and known == version
