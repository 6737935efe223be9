"""A server for the faults of one module, cleared for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from shared.places import Place, local_place
from shared.savers import of_kind

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, _retry
from langgraph.checkpoint.kusto.local import Faults

FAST: dict[str, Any] = {"retry_backoff": 0.001}


@pytest.fixture(scope="module")
def faulty_place() -> Iterator[Place]:
    with local_place() as place:
        yield place


@pytest.fixture
def place(faulty_place: Place) -> Iterator[Place]:
    faulty_place.server.requests.reset()
    yield faulty_place
    faulty_place.server.faults.clear()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Throttled requests wait at least half a second, which no test needs."""
    monkeypatch.setattr(_retry, "_LEAST_THROTTLED_BACKOFF", 0.001)


@pytest.fixture
def faults(place: Place) -> Faults:
    return place.server.faults


@pytest.fixture(params=["async", "sync"])
def make_saver(
    request: pytest.FixtureRequest,
    async_saver: Callable[..., AsyncKustoSaver],
    sync_saver: Callable[..., KustoSaver],
) -> Callable[..., Any]:
    """Make savers of both kinds that do not wait long between attempts."""
    return of_kind(request.param, async_saver, sync_saver, FAST)
