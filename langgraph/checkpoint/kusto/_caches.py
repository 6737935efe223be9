"""What this process remembers of checkpoints: epochs, and where and what their values are (pure).

All bounded, least recently used out first; forgetting costs a query or a second copy of a value,
never correctness.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from sys import getsizeof
from typing import Any

from ._frames import Base
from ._lru import LruMap
from ._rows import CheckpointKey
from ._values import BlobRef

_ENTRIES = 65_536
_BYTES = 40 * 1024 * 1024  # room for all of them with ids as LangGraph makes them
_EPOCHS_OF_A_THREAD = 4  # remembered, of those this process uses
_REF_BYTES = 400  # what a reference or a version takes, with what holds it


class Epochs:
    """Epochs of checkpoints, and which epochs are known to be dead.

    Rules: a parentless checkpoint of the root namespace starts an epoch; every other row inherits
    one. A row of a dead epoch stays dead, whoever sends it.
    """

    def __init__(self, bound: int = _ENTRIES, bound_bytes: int = _BYTES) -> None:
        self._by_key: LruMap[CheckpointKey, str] = LruMap(bound_bytes, bound=bound)
        self._used: LruMap[str, tuple[str, ...]] = LruMap(
            bound_bytes, bound=bound, size_of=_texts_bytes
        )
        self._killed: LruMap[str, bool] = LruMap(bound_bytes, bound=bound)

    def of(self, key: CheckpointKey) -> str | None:
        """The epoch this process last saw or gave a checkpoint."""
        return self._by_key.get(key)

    def remember(self, key: CheckpointKey, epoch: str) -> None:
        """Note the epoch of a checkpoint that was read or written."""
        self._by_key.put(key, epoch)
        known = self.used(key.thread_id)
        if not known or known[0] != epoch:  # mostly it is the same one, and counted as used by now
            others = [other for other in known if other != epoch]
            self._used.put(key.thread_id, (epoch, *others[: _EPOCHS_OF_A_THREAD - 1]))

    def latest(self, thread_id: str) -> str | None:
        """The epoch this process last used in a thread, if it is not known to be dead."""
        used = self.used(thread_id)
        return None if not used or self.is_killed(used[0]) else used[0]

    def used(self, thread_id: str) -> tuple[str, ...]:
        """The epochs this process used in a thread, the last one first; not all of very many."""
        return self._used.get(thread_id) or ()

    def only(self, thread_id: str) -> str | None:
        """The same as `latest`, if this process uses no other: two runs may be at work in two."""
        others = [epoch for epoch in self.used(thread_id)[1:] if not self.is_killed(epoch)]
        return None if others else self.latest(thread_id)

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

    def __init__(self, bound: int = _ENTRIES, bound_bytes: int = _BYTES) -> None:
        self._items: LruMap[tuple[str, str], bool] = LruMap(bound_bytes, bound=bound)

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
        texts = [*self.versions, *self.versions.values()]  # the names of all its channels
        for base in self.bases.values():
            texts += [base.identity, base.frame, base.value_type]
        return parts * _REF_BYTES + _texts_bytes(texts)


class Manifests:
    """Manifests of recent checkpoints, to refer to unchanged values instead of writing them.

    Args:
        bound: Bytes of all of them, about.
        times: How many times of ingestion are remembered.
    """

    def __init__(self, bound: int = 32 * 1024 * 1024, times: int = _ENTRIES) -> None:
        self._items: LruMap[CheckpointKey, Manifest] = LruMap(
            bound, size_of=lambda manifest: manifest.size_bytes
        )
        self._ingested: LruMap[str, int] = LruMap(_BYTES, bound=times)

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


def _texts_bytes(texts: Iterable[object]) -> int:
    return sum(map(getsizeof, texts))
