"""LangGraph's own conformance suite, all of its capabilities, three ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.report import CapabilityReport, ProgressCallbacks
from shared.places import Place, local_place, seed_options, seed_settings
from shared.savers import SyncMethodsSaver

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver

pytestmark = pytest.mark.local_only  # its thread ids are its own

BASE = {"put", "put_writes", "get_tuple", "list", "delete_thread"}
EXTENDED = {"delete_for_runs", "copy_thread", "prune"}
ALL = BASE | EXTENDED
ALL_TESTS = 81

MakeSaver = Callable[[Place], Any]


@pytest.fixture
def place() -> Iterator[Place]:
    """An empty database: the suite lists all threads."""
    with local_place(**seed_settings(visibility=0.2)) as place:
        yield place


async def report_of(place: Place, make: MakeSaver) -> CapabilityReport:
    """Run the suite; it makes a new saver for each capability."""

    async def factory() -> AsyncIterator[Any]:
        async with make(place) as saver:
            yield saver

    registered = checkpointer_test(name="kusto")(factory)
    return await validate(registered, capabilities=ALL, progress=ProgressCallbacks.quiet())


def assert_all_passed(report: CapabilityReport) -> None:
    results = [report.results[name] for name in sorted(ALL)]
    assert [failure for result in results for failure in result.failures] == []
    assert [result.detected for result in results] == [True] * len(ALL)
    assert sum(result.tests_failed for result in results) == 0
    assert sum(result.tests_passed for result in results) == ALL_TESTS
    assert report.passed_all()


async def test_the_async_saver(place: Place) -> None:
    assert_all_passed(
        await report_of(place, lambda at: AsyncKustoSaver(at.uri, at.database, **seed_options()))
    )


async def test_the_sync_methods_of_the_sync_saver(place: Place) -> None:
    assert_all_passed(
        await report_of(
            place, lambda at: SyncMethodsSaver(KustoSaver(at.uri, at.database, **seed_options()))
        )
    )


async def test_the_async_methods_of_the_sync_saver(place: Place) -> None:
    assert_all_passed(
        await report_of(place, lambda at: KustoSaver(at.uri, at.database, **seed_options()))
    )


async def test_the_async_saver_that_buffers(place: Place) -> None:
    """What it reads is what it accepted, visible or not."""

    def make(at: Place) -> AsyncKustoSaver:
        return AsyncKustoSaver(
            at.uri, at.database, write_mode="buffered", flush_interval=3_600.0, **seed_options()
        )

    assert_all_passed(await report_of(place, make))


async def test_the_async_saver_that_sends_inline(place: Place) -> None:
    def make(at: Place) -> AsyncKustoSaver:
        return AsyncKustoSaver(at.uri, at.database, ingestion="inline", **seed_options())

    assert_all_passed(await report_of(place, make))


async def test_a_failure_is_counted(place: Place) -> None:
    """The suite bites: a saver that loses pending writes does not pass."""

    class Forgetful(AsyncKustoSaver):
        async def aput_writes(self, *args: Any, **kwargs: Any) -> None:
            await asyncio.sleep(0)

    report = await report_of(place, lambda at: Forgetful(at.uri, at.database))
    assert report.results["put_writes"].tests_failed > 0
    assert not report.passed_all_base()
