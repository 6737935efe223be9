"""Faults of the store under the saver: duplicates, full disks, hidden rows, restarts, cuts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from shared.places import Place, query
from shared.savers import MakeSaver
from shared.threads import Chain, config_of, listed, noise

from langgraph.checkpoint.kusto import errors
from langgraph.checkpoint.kusto.local import Faults

pytestmark = pytest.mark.local_only

WRITES = [("a", 1), ("b", noise(30_000))]


async def live(saver: Any, thread_id: str) -> None:
    chain = Chain(saver, thread_id)
    for number in range(2):
        stored = await chain.step(number=number, large=noise(50_000, number))
        await saver.aput_writes(stored, WRITES, "task")


async def assert_lived(reader: Any, thread_id: str) -> None:
    items = await listed(reader, config_of(thread_id))
    assert [item.checkpoint["channel_values"] for item in items] == [
        {"number": number, "large": noise(50_000, number)} for number in (1, 0)
    ]
    assert all(item.pending_writes == [("task", *write) for write in WRITES] for item in items)
    assert await reader.aget_tuple(config_of(thread_id)) == items[0]


SURVIVED: dict[str, dict[str, Any]] = {
    "cut": {},
    "duplicate": {"endpoint": "ingest"},
    "disk_full": {"endpoint": "ingest"},
    "prefix": {"rows": None, "answer": "lost"},
    "latency": {"seconds": 0.002, "distribution": "pareto"},
}


@pytest.mark.parametrize("action", SURVIVED)
async def test_writing_and_reading_under_a_fault(
    make_saver: MakeSaver, faults: Faults, thread_id: str, action: str
) -> None:
    saver = make_saver(max_retries=20)
    fault = faults.add(action, times=None, probability=0.5, **SURVIVED[action])
    await live(saver, thread_id)
    for reader in (saver, make_saver(max_retries=20)):
        await assert_lived(reader, thread_id)
    while not fault.hits:  # by chance no request met it yet
        await Chain(saver, f"{thread_id}-more").step(n=1)
    faults.clear()
    await assert_lived(make_saver(), thread_id)
    await saver.adelete_thread(f"{thread_id}-more")


async def test_rows_that_landed_twice_are_read_once(
    make_saver: MakeSaver, faults: Faults, place: Place, thread_id: str
) -> None:
    faults.add("duplicate", times=None)
    await live(make_saver(), thread_id)
    for table, count in (("Checkpoints", 4), ("CheckpointWrites", 8)):
        rows = query(place, f"{table} | where thread_id == '{thread_id}' | count")
        assert rows == [{"Count": count}]
    await assert_lived(make_saver(), thread_id)


@pytest.mark.parametrize("place_", ["rows", "status", "completion"])
async def test_a_transient_error_inside_200_is_tried_again(
    make_saver: MakeSaver, faults: Faults, thread_id: str, place_: str
) -> None:
    await live(make_saver(), thread_id)
    saver = make_saver()
    fault = faults.add("partial", endpoint="query", place=place_, status=503, times=2)
    await assert_lived(saver, thread_id)
    assert fault.hits == 2
    assert saver.stats()["retries"] == 2


async def test_an_error_in_the_status_table_is_no_answer(
    make_saver: MakeSaver, faults: Faults, thread_id: str
) -> None:
    await live(make_saver(), thread_id)
    saver = make_saver()
    faults.add("partial", endpoint="query", place="status", status=503, times=None)
    with pytest.raises(errors.ServiceUnavailableError, match="temporarily unavailable"):
        await saver.aget_tuple(config_of(thread_id))
    faults.clear()
    await assert_lived(saver, thread_id)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_hint_when_to_come_back_is_kept_to(
    make_saver: MakeSaver, faults: Faults, thread_id: str, status: int
) -> None:
    """Longer than all attempts may take: so none is made."""
    saver = make_saver(retry_timeout=5)
    fault = faults.add("status", status=status, endpoint="ingest", retry_after=3600, times=None)
    with pytest.raises(errors.ServiceError) as caught:
        await Chain(saver, thread_id).step(a=1)
    assert caught.value.retry_after == 3600
    assert fault.hits == 1


@pytest.mark.parametrize("table", ["Checkpoints", "CheckpointBlobs", "CheckpointWrites"])
async def test_own_rows_are_read_while_a_table_hides_them(
    make_saver: MakeSaver, faults: Faults, thread_id: str, table: str
) -> None:
    saver = make_saver()
    faults.add("hide", table=table, seconds=3600, times=None)
    await live(saver, thread_id)
    await assert_lived(saver, thread_id)
    faults.clear()
    await assert_lived(make_saver(), thread_id)


async def test_the_server_restarts_under_load(
    make_saver: MakeSaver, place: Place, new_thread: Any
) -> None:
    saver = make_saver(max_retries=50, retry_backoff=0.05)
    threads = [new_thread() for _ in range(8)]
    work = [asyncio.ensure_future(live(saver, thread_id)) for thread_id in threads]
    for _ in range(2):
        await asyncio.to_thread(place.server.restart)
    await asyncio.gather(*work)
    reader = make_saver(max_retries=50, retry_backoff=0.05)
    for thread_id in threads:
        await assert_lived(reader, thread_id)
