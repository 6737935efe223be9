"""A profile: what it samples, and what it makes of samples."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from benchmarks.profiled import report
from benchmarks.sampler import Sampler, read


def busy() -> int:
    """Take CPU until samples must have been taken."""
    end = time.process_time() + 0.1
    count = 0
    while time.process_time() < end:
        count += 1
    return count


def test_a_busy_function_is_sampled(tmp_path: Path) -> None:
    with Sampler() as sampler:
        busy()
    taken = sampler.stacks.total()
    busy()
    assert sampler.stacks.total() == taken >= 2

    sampler.write(tmp_path / "stacks.json")
    found = read(tmp_path / "stacks.json")

    assert found == sampler.stacks
    [(stack, _)] = found.most_common(1)
    assert any(place.endswith(" busy") for place in stack)
    assert any(place.endswith(" test_a_busy_function_is_sampled") for place in stack)


def test_a_report_adds_up_functions_and_lines() -> None:
    stacks = Counter(
        {
            ("a.py:1 main", "k/s.py:9 Saver.aput", "v.py:3 pack"): 6,
            ("a.py:1 main", "k/s.py:9 Saver.aput", "v.py:4 pack"): 3,
            ("a.py:1 main", "k/s.py:7 Saver.aget", "v.py:3 pack"): 1,
        }
    )

    assert report(stacks, "", 2.0, 3).splitlines() == [
        "",
        "us with what they call",
        "      us  where",
        "    20.0  a.py main",
        "    20.0  v.py pack",
        "    18.0  k/s.py Saver.aput",
        "",
        "us by themselves",
        "      us  where",
        "    14.0  v.py:3 pack",
        "     6.0  v.py:4 pack",
    ]
    assert report(stacks, "aput", 2.0, 1).splitlines() == [
        "",
        "us with what they call under aput",
        "      us  where",
        "    18.0  k/s.py Saver.aput",
        "",
        "us by themselves under aput",
        "      us  where",
        "    12.0  v.py:3 pack",
    ]
