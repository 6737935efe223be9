"""The walk over ancestors that LangGraph's delta channels need (pure).

A delta channel has a value only in some checkpoints; in between, its state is what the writes of
the ancestors make of the nearest value. The walk follows parents, never the order of ids: a fork
must not replay the writes of the branch it left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Link:
    """One checkpoint of a chain: its parent, and the channels it may have a value for."""

    parent_id: str
    holds: frozenset[str] = frozenset()
    begins: frozenset[str] = frozenset()
    """Channels that had never been written when it was put: of these, only writes to it and to its
    descendants can count."""


@dataclass
class Walk:
    """What a walk found."""

    spans: dict[str, list[str]] = field(default_factory=dict)
    """For each channel the checkpoints whose writes count, newest first, seed included."""
    seeds: dict[str, str] = field(default_factory=dict)
    """For each channel the nearest checkpoint with a value; none when the walk came to the root."""
    missing: str = ""
    """An ancestor that was needed and is not there."""

    @property
    def path(self) -> set[str]:
        """Every checkpoint that some channel needs."""
        return {checkpoint_id for span in self.spans.values() for checkpoint_id in span}


def walk(start: str, links: Mapping[str, Link], channels: Iterable[str]) -> Walk:
    """Follow parents from `start` (the target's parent, "" for none) until each channel has a seed.

    A chain that comes back to itself ends there: nothing older than its first round can count.
    """
    found = Walk(spans={channel: [] for channel in channels})
    remaining = set(found.spans)
    visited: set[str] = set()
    cursor = start
    while cursor and remaining and cursor not in visited:
        link = links.get(cursor)
        if link is None:
            found.missing = cursor
            break
        visited.add(cursor)
        for channel in remaining:
            found.spans[channel].append(cursor)
        for channel in remaining & link.holds:
            found.seeds[channel] = cursor
        remaining -= link.holds | link.begins
        cursor = link.parent_id
    return found


def delta_counters(metadata: Any) -> frozenset[str]:
    """Channels that LangGraph counts updates of, since their last value."""
    counters = metadata.get("counters_since_delta_snapshot") if metadata else None
    if not isinstance(counters, Mapping):  # a caller's metadata may hold anything there
        return frozenset()
    return frozenset(name for name in counters if isinstance(name, str))
