"""What this process remembers of checkpoints: their epochs and where their large values are (pure).

All bounded, least recently used out first; forgetting costs a query or a second copy of a value,
never correctness.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ._rows import BlobRef, CheckpointKey

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LruMap(Generic[K, V]):
    """A mapping that forgets what was used longest ago."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._items: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: K) -> bool:
        return key in self._items

    def get(self, key: K) -> V | None:
        """Return the value and count it as used."""
        value = self._items.get(key)
        if value is not None:
            with suppress(KeyError):  # another thread may have pushed it out meanwhile
                self._items.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        """Set a value, forgetting the oldest when there are too many."""
        self._items.pop(key, None)  # and not `move_to_end`: another thread may push it out between
        self._items[key] = value
        while len(self._items) > self._bound:
            self._items.popitem(last=False)

    def pop(self, key: K) -> None:
        """Forget a value."""
        self._items.pop(key, None)

    def keys(self) -> list[K]:
        """The keys, that used longest ago first."""
        return list(self._items)


class Epochs:
    """Epochs of checkpoints, and which epochs are known to be dead.

    Rules: a parentless checkpoint of the root namespace starts an epoch; every other row inherits
    one. A row of a dead epoch stays dead, whoever sends it.
    """

    def __init__(self, bound: int = 65_536) -> None:
        self._by_key: LruMap[CheckpointKey, str] = LruMap(bound)
        self._latest: LruMap[str, str] = LruMap(bound)
        self._killed: LruMap[str, bool] = LruMap(bound)

    def of(self, key: CheckpointKey) -> str | None:
        """The epoch this process last saw or gave a checkpoint."""
        return self._by_key.get(key)

    def remember(self, key: CheckpointKey, epoch: str) -> None:
        """Note the epoch of a checkpoint that was read or written."""
        self._by_key.put(key, epoch)
        self._latest.put(key.thread_id, epoch)

    def latest(self, thread_id: str) -> str | None:
        """The epoch this process last used in a thread, if it is not known to be dead."""
        epoch = self._latest.get(thread_id)
        return None if epoch is None or self.is_killed(epoch) else epoch

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


class Manifests:
    """Manifests of recent checkpoints, to refer to unchanged values instead of writing them."""

    def __init__(self, bound: int = 4_096) -> None:
        self._items: LruMap[CheckpointKey, Manifest] = LruMap(bound)
        self._ingested: LruMap[str, int] = LruMap(16 * bound)

    def remember(
        self, key: CheckpointKey, blobs: Mapping[str, BlobRef], versions: Mapping[str, Any]
    ) -> None:
        """Note where the values of a checkpoint are; without large values nothing is kept."""
        if blobs:
            kept = {channel: versions.get(channel) for channel in blobs}
            self._items.put(key, Manifest(dict(blobs), kept))
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
        """When a copy was ingested; as long as no read has told, when its writer says it was."""
        known = self._ingested.get(ref.blob_id)
        return ref.written_at if known is None else known

    def unchanged(self, parent: CheckpointKey, channel: str, version: Any) -> BlobRef | None:
        """The stored copy of a channel that did not change since the parent.

        It may be about to expire: `stored_at` tells.

        Args:
            parent: The checkpoint the new one follows.
            channel: A channel that is not among the new versions.
            version: Its version in the new checkpoint; another one, or one of another type, means
                another value.
        """
        manifest = self._items.get(parent)
        if manifest is None:
            return None
        known = manifest.versions.get(channel)
        same = known is not None and type(known) is type(version) and known == version
        return manifest.blobs.get(channel) if same else None
