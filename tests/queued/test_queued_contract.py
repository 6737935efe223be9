"""LangGraph's conformance suite over queued ingestion: what it reads is what it accepted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.report import ProgressCallbacks
from shared.azurite import QUEUED, queued_place, wait_until_empty
from shared.places import Place, provision
from shared.savers import SyncMethodsSaver

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver

BASE = {"put", "put_writes", "get_tuple", "list", "delete_thread"}
ALL = BASE | {"delete_for_runs", "copy_thread", "prune"}
ALL_TESTS = 81


@pytest.fixture
def place(storage: str) -> Iterator[Place]:
    """An empty database: the suite lists all threads."""
    with queued_place(storage) as place:
        provision(place)
        yield place
        wait_until_empty(storage)  # the next server knows no such database


def async_kind(place: Place) -> Any:
    return AsyncKustoSaver(place.uri, place.database, **QUEUED)


def sync_kind(place: Place) -> Any:
    return SyncMethodsSaver(KustoSaver(place.uri, place.database, **QUEUED))


@pytest.mark.parametrize("make", [async_kind, sync_kind])
async def test_the_suite_passes(place: Place, make: Any) -> None:
    async def factory() -> AsyncIterator[Any]:
        async with make(place) as saver:
            yield saver

    registered = checkpointer_test(name="kusto")(factory)
    report = await validate(registered, capabilities=ALL, progress=ProgressCallbacks.quiet())

    results = [report.results[name] for name in sorted(ALL)]
    assert [failure for result in results for failure in result.failures] == []
    assert sum(result.tests_passed for result in results) == ALL_TESTS
    assert place.server.requests.count("ingest") == 0
    assert place.server.queue.failures == []
