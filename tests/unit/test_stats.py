"""Counters."""

from __future__ import annotations

import re

import pytest

from langgraph.checkpoint.kusto._stats import Stats


def test_all_counters_start_at_zero() -> None:
    assert Stats().snapshot() == dict.fromkeys(Stats.NAMES, 0)


def test_counting() -> None:
    stats = Stats()
    stats.add("puts")
    stats.add("puts")
    stats.add("ingest_bytes", 512)

    counted = stats.snapshot()
    assert (counted["puts"], counted["ingest_bytes"], counted["errors"]) == (2, 512, 0)


def test_a_snapshot_is_a_copy() -> None:
    stats = Stats()
    before = stats.snapshot()
    stats.add("puts")
    before["puts"] = 99

    assert stats.snapshot()["puts"] == 1


def test_a_misspelt_counter_is_an_error() -> None:
    stats = Stats()
    with pytest.raises(KeyError, match="putz"):
        stats.add("putz")
    assert "putz" not in stats.snapshot()


def test_every_counter_is_documented() -> None:
    documented = set(re.findall(r"`(\w+)`", Stats.__doc__ or ""))

    assert documented == set(Stats.NAMES)
    assert len(set(Stats.NAMES)) == len(Stats.NAMES)
