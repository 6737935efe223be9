"""Time that passes for a local server and every saver of this process. No test stands here."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from langgraph.checkpoint.base import id as langgraph_ids

from langgraph.checkpoint.kusto import _core
from langgraph.checkpoint.kusto._clock import TICKS_PER_DAY

from .places import Place, command, query

Advance = Callable[[float], None]


def passing_days(place: Place, monkeypatch: pytest.MonkeyPatch) -> Advance:
    """Give what sets forward the clocks of the server, every saver and LangGraph, by days."""
    ahead = 0.0
    real = _core.now_ticks
    monkeypatch.setattr(_core, "now_ticks", lambda: real() + int(ahead * TICKS_PER_DAY))
    # The ids of checkpoints tell when they were made.
    present = SimpleNamespace(time_ns=lambda: time.time_ns() + int(ahead * 86_400 * 10**9))
    monkeypatch.setattr(langgraph_ids, "time", present)
    monkeypatch.setattr(langgraph_ids, "_last_v6_timestamp", None)

    def advance(days: float) -> None:
        nonlocal ahead
        ahead += days
        place.server.advance(days)

    return advance


def row_count(place: Place, text: str) -> int:
    """How many rows a table, a view or a function has."""
    return int(query(place, f"{text} | count")[0]["Count"])


def retain(place: Place, entity: str, days: float) -> None:
    """Set how long a table or view keeps its rows."""
    hours = round(days * 24)
    command(place, f".alter-merge {entity} policy retention softdelete = {hours}h")


def retain_all(place: Place, view: float, rows: float, blobs: float) -> None:
    """Set how long the view, the checkpoints, and the blobs and writes are kept."""
    retain(place, "materialized-view LatestCheckpoints", view)
    retain(place, "table Checkpoints", rows)
    retain(place, "table CheckpointWrites", blobs)
    retain(place, "table CheckpointBlobs", blobs)
