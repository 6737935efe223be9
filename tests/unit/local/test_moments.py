"""What one query may see of what is written meanwhile, with a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local import ingest
from langgraph.checkpoint.kusto.local.clock import (
    TICKS_PER_SECOND,
    IngestionClock,
    ServerClock,
)
from langgraph.checkpoint.kusto.local.moments import Moments

MakeBench = Callable[..., Any]


@pytest.fixture
def moments() -> Moments:
    clock = ServerClock()
    return Moments(IngestionClock(now=clock.now), clock.now, 1, 0.0)


def seen(moments: Moments, queries: int = 60) -> list[list[int]]:
    """The moments that the scans of some queries see, four scans each."""
    begun = [moments.begin(random.Random(seed)) for seed in range(queries)]
    return [[query.until("T") for _ in range(4)] for query in begun]


def streaming_table(bench: Any, name: str = "T") -> Any:
    bench.run(f".create table {name} (a:string)")
    bench.run(f".alter table {name} policy streamingingestion enable")
    return bench


def commit_unacknowledged(bench: Any, name: str, *rows: str) -> None:
    """Write rows whose sender has no answer yet."""
    cluster = bench.cluster
    table = cluster.catalog.database("Db").tables[name]
    job = ingest.insert_job(
        table, [(row,) for row in rows], cluster.catalog.clock, cluster._moments.stamp
    )
    cluster.storage.write(job)


def test_what_is_not_acknowledged_one_scan_sees_and_the_next_does_not(moments: Moments) -> None:
    tick = moments.stamp()
    queries = seen(moments)
    kinds = {(min(query) >= tick, max(query) >= tick) for query in queries}
    assert kinds == {(True, True), (False, True), (False, False)}


def test_what_is_acknowledged_every_scan_sees(moments: Moments) -> None:
    tick = moments.stamp()
    written: Future[int] = Future()
    answer = moments.acknowledge(written, lambda: tick)
    assert not answer.done()
    written.set_result(3)
    assert answer.result(10) == 3
    assert all(moment >= tick for query in seen(moments) for moment in query)


def test_an_acknowledgement_covers_what_came_before(moments: Moments) -> None:
    first, second = moments.stamp(), moments.stamp()
    written: Future[int] = Future()
    answer = moments.acknowledge(written, lambda: second)
    written.set_result(1)
    answer.result(10)
    assert second > first
    assert all(moment >= second for query in seen(moments) for moment in query)


def test_a_job_that_failed_tells_its_sender(moments: Moments) -> None:
    tick = moments.stamp()
    written: Future[int] = Future()
    answer = moments.acknowledge(written, lambda: tick)
    written.set_exception(OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        answer.result(10)
    assert not moments._pending


def test_no_scan_sees_less_than_a_finished_materialize(moments: Moments) -> None:
    for _ in range(5):
        moments.stamp()
    behind = 0
    for seed in range(200):
        query = moments.begin(random.Random(seed))
        earlier = query.until("T")
        with query.fixing():
            fixed = max(query.until("T"), query.until("U"))
        assert all(query.until("T") >= fixed for _ in range(4))
        behind += earlier < fixed
    assert behind > 20


@pytest.mark.parametrize("seed", range(1, 11))
def test_every_statement_sees_what_was_acknowledged(make_bench: MakeBench, seed: int) -> None:
    bench = streaming_table(make_bench(seed=seed))
    for number in range(1, 11):
        if number % 3:
            assert bench.ingest("T", '{"a":"x"}') == 1
        else:
            bench.run(".ingest inline into table T <| x")
        counts = "toscalar(T | count), toscalar(T | where a == 'x' | count)"
        assert bench.query(f"print {counts}") == [(number, number)]


def test_uses_of_one_table_see_different_moments(make_bench: MakeBench) -> None:
    bench = streaming_table(make_bench(seed=1))
    commit_unacknowledged(bench, "T", "x")
    twice = "print toscalar(T | count), toscalar(T | count)"
    found = {bench.query(twice)[0] for _ in range(80)}
    assert found == {(0, 0), (0, 1), (1, 0), (1, 1)}
    fixed = "let m = materialize(T); print toscalar(m | count), toscalar(T | count)"
    found = {bench.query(fixed)[0] for _ in range(80)}
    assert found == {(0, 0), (0, 1), (1, 1)}


def test_without_a_seed_a_query_sees_one_moment(make_bench: MakeBench) -> None:
    bench = streaming_table(make_bench())
    assert bench.cluster._moments is None
    assert bench.ingest("T", '{"a":"x"}') == 1
    assert bench.query("print toscalar(T | count), toscalar(T | count)") == [(1, 1)]


def test_tables_and_views_become_visible_at_different_times(make_bench: MakeBench) -> None:
    found = set()
    for seed in range(12):
        bench = make_bench(f"{seed}.db", seed=seed, visibility=3600.0)
        streaming_table(streaming_table(bench), "U")
        bench.run(".create materialized-view V on table T { T | summarize take_any(a) by a }")
        for name in ("T", "U"):
            bench.ingest(name, '{"a":"x"}')
        counts = "print toscalar(T | count), toscalar(U | count), toscalar(V | count)"
        found.add(bench.query(counts)[0])
        bench.cluster.advance(1 / 24)
        assert bench.query(counts) == [(1, 1, 1)]
    assert len(found) >= 4
    assert {row[:2] for row in found} >= {(0, 1), (1, 0)}
    assert any(row[0] < row[2] for row in found)
    assert all(row[0] <= row[2] for row in found)


def test_a_delay_is_bounded_and_the_same_for_a_table() -> None:
    clock = ServerClock()
    for seed in range(50):
        moments = Moments(IngestionClock(now=clock.now), lambda: 10**9, seed, 2.0)
        shown = moments.shown_until("T")
        assert shown is not None
        assert 10**9 - 2 * TICKS_PER_SECOND <= shown <= 10**9
        assert shown == moments.shown_until("T")
