"""Growth: what is measured at each point, and that a point holds what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from shared.places import Place, local_place

from benchmarks.bench import Bench
from benchmarks.growth import measure, text
from benchmarks.growth_axes import AXES, OPERATIONS, grown_values, new_values
from benchmarks.meter import Meter
from benchmarks.others import write_others
from benchmarks.places import Places
from benchmarks.plots import draw_growth
from benchmarks.savers import KUSTO, opened
from langgraph.checkpoint.kusto import AsyncKustoSaver


@pytest.fixture
def place() -> Iterator[Place]:
    with local_place() as found:
        yield found


async def test_other_threads_are_whole_threads(place: Place) -> None:
    await write_others(place.uri, place.database, 1_001)

    async with AsyncKustoSaver(place.uri, place.database) as saver:
        found = [
            await saver.aget_tuple({"configurable": {"thread_id": f"other {number}"}})
            for number in (0, 500, 1_000)
        ]
        assert await saver.aget_tuple({"configurable": {"thread_id": "other 1001"}}) is None
    assert all(each is not None and len(each.pending_writes or ()) == 3 for each in found)
    rows = place.server.requests.rows
    assert rows("ingest", "Checkpoints") == 1_001 + 1
    assert rows("ingest", "CheckpointWrites") == 3 * (1_001 + 1)


@pytest.mark.parametrize("name", AXES)
async def test_each_axis_at_a_small_point(name: str, place: Place) -> None:
    """It does as many operations as it was asked for, and reads what it put."""
    axis = AXES[name]
    at = 1_000 if name in ("state", "grown") else 7
    address = {"uri": place.uri, "database": place.database}
    async with opened(KUSTO, address) as bench, opened(KUSTO, address) as reader:
        subject = axis.make(bench, reader, at)
        await subject.prepare(bench.driver, axis.history(at))
        threads = len(subject.threads)
        assert bench.saver.stats()["puts"] == threads * axis.history(at)
        for operation in ("get", "put", "get"):
            for thread in subject.threads:
                thread.prepare(2)
            bench.meter = Meter()
            await subject.run(bench, operation, 2 * threads)
            assert bench.meter.report()[operation]["count"] == 2 * threads
        assert reader.saver.stats()["get_tuples"] == 5 * threads
    assert axis.others(at) == (at if name == "threads" else 0)
    assert threads == {"callers": 7, "history": 14}.get(name, 1)


async def test_another_value_is_noticed(place: Place) -> None:
    address = {"uri": place.uri, "database": place.database}
    async with opened(KUSTO, address) as bench, opened(KUSTO, address) as reader:
        subject = AXES["threads"].make(bench, reader, 1)
        await subject.prepare(bench.driver, 2)
        subject.threads[0]._last = b"other"
        with pytest.raises(ValueError, match="another value"):
            await subject.run(Bench(None, None), "get", 1)


def test_states_have_their_sizes() -> None:
    new, grown = new_values(1_000), grown_values(1_000)
    assert [len(next(new)) for _ in range(2)] == [1_000, 1_000]
    first, second = next(grown), next(grown)
    assert (len(first), len(second)) == (1_000, 1_500)
    assert second.startswith(first)


def test_a_point_is_measured_by_processes(tmp_path: Path) -> None:
    with Places() as places:
        results = list(measure(places, AXES["threads"], 3))

    assert [result["operation"] for result in results] == list(OPERATIONS)
    get, put = results
    assert (get["requests"], put["requests"]) == (1.0, 1.0)
    assert (get["statements"], put["statements"]) == (4.0, 1.0)
    assert (get["rows"], put["rows"]) == (2.0, 0.0)
    assert 100 < get["steps"] < 500
    assert all(result[name] > 0 for result in results for name in ("client_us", "server_us"))
    assert 1_000 < put["bytes"] < 4_000 < get["bytes"] < 20_000

    lines = text(results).splitlines()
    assert lines[0] == "threads: other threads in the database"
    assert lines[2].split()[:2] == ["3", "get"]
    drawn = draw_growth(results, tmp_path / "growth.svg")
    assert "other threads in the database" in drawn.read_text()
    assert ElementTree.parse(drawn).getroot().tag.endswith("svg")


def result(axis: str, at: int, **more: Any) -> dict[str, Any]:
    numbers = ("client_us", "server_us", "p50_ms", "requests", "bytes")
    work = ("statements", "steps", "rows")
    return {"axis": axis, "at": at, "operation": "get", **dict.fromkeys(numbers + work, 1), **more}


def test_a_table_for_each_axis() -> None:
    found = text([result("history", 1_000, client_us=1234.5), result("state", 10)])

    history, state = found.split("\n\n")
    assert history.splitlines()[-1].split()[:3] == ["1,000", "get", "1,234"]
    assert state.startswith("state: ")
