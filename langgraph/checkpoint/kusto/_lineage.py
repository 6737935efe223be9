"""Lineages: how old the ancestors are that delta channels of a child would need (pure).

A delta channel without a value in a checkpoint is rebuilt from the nearest ancestor that has one
and the writes since. A put has to know whether the oldest of those ancestors may expire before its
own row. What is remembered spares it the question; forgetting costs a query, never correctness.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from sys import getsizeof

from ._clock import TICKS_PER_SECOND, ticks_of_id
from ._lru import LruMap
from ._rows import CheckpointKey

_BOUND = 16_384
_BOUND_BYTES = 16 * 1024 * 1024
_CHANNEL_BYTES = 100  # what a time takes beside the name of its channel
_SLACK_TICKS = 3_600 * TICKS_PER_SECOND  # clocks
UNKNOWN_AGE = 0
"""As old as can be: whoever relies on it has to ask Kusto."""


@dataclass(frozen=True)
class Lineage:
    """What is known of one checkpoint: for each channel the time its children depend on."""

    since: Mapping[str, int]
    """Channel -> when the oldest was ingested of this checkpoint and the ancestors that a child
    without a value of the channel needs: down to a value, to where the channel was first written,
    or to the root."""

    @property
    def size_bytes(self) -> int:
        """About what it takes."""
        return sum(getsizeof(channel) + _CHANNEL_BYTES for channel in self.since)

    def lacks(self, channels: Collection[str]) -> list[str]:
        """Channels it knows nothing of."""
        return [channel for channel in channels if channel not in self.since]

    def oldest(self, channels: Collection[str]) -> int | None:
        """The earliest time some channels depend on; None when they depend on nothing."""
        return min((self.since[channel] for channel in channels), default=None)

    def learned(self, since: Mapping[str, int]) -> Lineage:
        """The same with later knowledge of some channels."""
        return Lineage({**self.since, **since})


NOTHING = Lineage({})


class Lineages:
    """Lineages of recent checkpoints; least recently used out first."""

    def __init__(self, bound: int = _BOUND, bound_bytes: int = _BOUND_BYTES) -> None:
        self._items: LruMap[CheckpointKey, Lineage] = LruMap(
            bound_bytes, bound=bound, size_of=lambda lineage: lineage.size_bytes
        )

    def of(self, key: CheckpointKey) -> Lineage | None:
        """What is known of a checkpoint."""
        return self._items.get(key)

    def learn(self, key: CheckpointKey, since: Mapping[str, int]) -> Lineage:
        """Add what was read or written of a checkpoint."""
        lineage = (self._items.get(key) or NOTHING).learned(since)
        self._items.put(key, lineage)
        return lineage


def born_at(checkpoint_id: str, now: int) -> int:
    """The earliest time at which anything can have been stored under an id that is put now.

    A put need not be the first of its id: writes of months ago may lie there (an import run twice).
    Nothing was stored under an id before it was made; one that does not tell when, or a time to
    come, may have any age.
    """
    made = ticks_of_id(checkpoint_id)
    return UNKNOWN_AGE if made is None or made > now + _SLACK_TICKS else min(made, now)


@dataclass(frozen=True)
class Step:
    """One put, as far as its delta channels go."""

    counted: Collection[str]
    """Channels that LangGraph counts updates of since their last value."""
    held: Collection[str]
    """Channels the checkpoint has a value of."""
    versions: Collection[str]
    """Channels that were ever written; none means that this is not known."""

    def channels(self, parent: Lineage | None) -> list[str]:
        """The delta channels of the checkpoint.

        Some heads of `update_state` have no counters (LangGraph before 1.2.22); the channels of
        the parent count then.
        """
        counted = self.counted or (() if parent is None else parent.since)
        return sorted({*counted} - {*self.held})

    def needed(self, parent: Lineage | None) -> list[str]:
        """Those that are rebuilt from ancestors: a channel that was never written needs none."""
        return [
            channel
            for channel in self.channels(parent)
            if not self.versions or channel in self.versions
        ]

    def since(self, parent: Lineage | None, born: int) -> dict[str, int]:
        """What children of the checkpoint depend on; the parent is known for what is needed.

        `born` is how old the checkpoint itself may be at most, with the writes to it.
        """
        known = NOTHING if parent is None else parent
        needed = self.needed(parent)
        found = dict.fromkeys(self.channels(parent), born)
        found |= {channel: born for channel in known.since if channel in self.held}
        found |= {channel: min(born, known.since.get(channel, born)) for channel in needed}
        return found
