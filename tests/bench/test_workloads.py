"""Every benchmark workload at its smallest: it does what it says, and counts what it did."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from shared.places import Place, local_place

from benchmarks import cold
from benchmarks.bench import SIZES, TINY, Bench
from benchmarks.driver import run_here
from benchmarks.savers import KUSTO, MEMORY, opened, opened_sync
from benchmarks.workloads import WORKLOADS

CHATS = ["chat_100", "chats_100", "chats_500", "chat_500"]
OTHERS = {
    "graph_sync": {"invoke": 2},
    "graph_async": {"invoke": 2},
    "graph_exit": {"invoke": 2},
    "fan_out": {"invoke": 1},
    "large_1mb": {"put": 1, "get_tuple": 1},
    "growing_1mb": {"put": 2, "get_tuple": 1},
    "list": {"all": 1, "few": 1, "first of all": 1, "first of few": 1},
    "delta_history": {"history": 1},
}


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with local_place() as found:
        yield found


@asynccontextmanager
async def saver(name: str, place: Place) -> AsyncIterator[Bench]:
    async with opened(name, {"uri": place.uri, "database": place.database}) as bench:
        bench.prefix = f"{uuid.uuid4()} "
        yield bench


async def measured(bench: Bench, name: str) -> dict[str, int]:
    """Run a workload and give how often it did what."""
    workload = WORKLOADS[name]
    prepared = await workload.prepare(bench, **workload.sizes[TINY])
    bench.meter = type(bench.meter)()
    await workload.run(bench, prepared)
    return {what: int(taken["count"]) for what, taken in bench.meter.report().items()}


def chat_counts(name: str) -> dict[str, int]:
    size = WORKLOADS[name].sizes[TINY]
    calls = size["chats"] * size["steps"]
    return {"put": calls, "put_writes": calls, "get_tuple": size["chats"] * (size["steps"] // 5)}


def expected(name: str) -> dict[str, int]:
    return chat_counts(name) if name in CHATS else OTHERS[name]


def test_every_kind_of_workload_is_tested() -> None:
    """Those of other sizes are the same at the smallest."""
    tested = {WORKLOADS[name].run for name in [*CHATS, *OTHERS, "cold_start"]}

    assert tested == {workload.run for workload in WORKLOADS.values()}
    assert all(sorted(workload.sizes) == sorted(SIZES) for workload in WORKLOADS.values())


@pytest.mark.parametrize("name", [*CHATS, *OTHERS])
async def test_over_memory(name: str) -> None:
    async with opened(MEMORY, {}) as bench:
        assert await measured(bench, name) == expected(name)


@pytest.mark.parametrize("name", [*CHATS, *OTHERS])
async def test_over_kusto(name: str, place: Place) -> None:
    async with saver(KUSTO, place) as bench:
        assert await measured(bench, name) == expected(name)
        stats = bench.saver.stats()

    assert stats["errors"] == 0
    if name in CHATS:
        counts = chat_counts(name)
        assert stats["puts"] == counts["put"]
        assert stats["queries"] == stats["get_tuples"] == counts["get_tuple"]
        assert stats["ingest_rows"] == counts["put"] + 3 * counts["put_writes"]
        alone = counts["put"] + counts["put_writes"]
        requests = stats["ingest_requests"]
        assert requests == alone if name.startswith("chat_") else requests < alone


@pytest.mark.parametrize("name", ["chats_100", "graph_sync", "list"])
def test_over_the_sync_saver(name: str, place: Place) -> None:
    bench = opened_sync("kusto-sync", {"uri": place.uri, "database": place.database}, create=False)
    bench.prefix = "sync "
    with bench.checkpointer:
        counts = run_here(measured(bench, name))

    assert counts == expected(name)


async def test_a_value_that_grows_tells_what_each_step_ingested(place: Place) -> None:
    async with saver(KUSTO, place) as bench:
        before = bench.ingested_bytes() or 0
        await measured(bench, "growing_1mb")
        ingested = (bench.ingested_bytes() or 0) - before

    per_step = bench.notes["ingested_bytes_per_step"]
    assert 0 < 2 * per_step < ingested


async def test_a_list_tells_what_it_asked_before_the_first(place: Place) -> None:
    async with saver(KUSTO, place) as bench:
        await measured(bench, "list")
        assert bench.notes["queries_before_first"] == 2
        assert bench.meter.units == 25 + 2


async def test_a_chat_notices_what_was_not_kept() -> None:
    async with opened(MEMORY, {}) as bench:
        keep = bench.saver.aput_writes

        async def forget(config: Any, writes: Any, *rest: Any) -> None:
            await keep(config, writes[1:], *rest)

        bench.saver.aput_writes = forget
        with pytest.raises(ValueError, match="2 writes at step 4, not 3"):
            await measured(bench, "chat_100")


@pytest.mark.parametrize("name", ["kusto", "kusto-sync"])
def test_a_cold_start_reads_what_was_prepared(name: str, place: Place) -> None:
    address = {"uri": place.uri, "database": place.database}
    bench = opened_sync("kusto-sync", address, create=False)
    with bench.checkpointer:
        run_here(cold.prepare(bench, steps=5))
    assert bench.meter.report()["put"]["count"] == 5

    found = cold.measure({"saver": name, "address": address, "spawned": time.monotonic()})

    marks = found["notes"]
    assert 0 <= marks["ms_until_python"] <= marks["ms_until_opened"] <= marks["ms_until_read"]
    assert found["operations"]["start"]["p50"] == marks["ms_until_read"]
    assert found["units"] == 1


def test_a_cold_start_without_the_thread_is_an_error() -> None:
    with pytest.raises(ValueError, match="not there"):
        cold.measure({"saver": MEMORY, "address": {}, "spawned": time.monotonic()})
