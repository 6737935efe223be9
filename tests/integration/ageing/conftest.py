"""Fixtures of tests that set clocks forward: a local server of their own, and what ages it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from shared.ageing import Advance, passing_days
from shared.places import Place, local_place


@pytest.fixture
def place() -> Iterator[Place]:
    with local_place() as place:
        yield place


@pytest.fixture
def advance(place: Place, monkeypatch: pytest.MonkeyPatch) -> Advance:
    return passing_days(place, monkeypatch)
