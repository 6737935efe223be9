"""Requests that fail: what is tried again, for how long, and what a reader sees."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from shared.places import Place, query
from shared.savers import MakeSaver
from shared.threads import Chain, config_of, listed, new_checkpoint, noise, values_of

from langgraph.checkpoint.kusto import errors
from langgraph.checkpoint.kusto.local import Faults

TABLES = ("Checkpoints", "CheckpointBlobs", "CheckpointWrites", "CheckpointTombstones")


async def live(saver: Any, thread_id: str) -> Chain:
    """Write rows of every kind but tombstones."""
    chain = Chain(saver, thread_id)
    for number in range(2):
        stored = await chain.step(number=number, large=noise(50_000, number))
        await saver.aput_writes(stored, [("a", number), ("b", noise(30_000, number))], "task")
    return chain


async def assert_lived(reader: Any, thread_id: str) -> None:
    items = await listed(reader, config_of(thread_id))
    assert [item.checkpoint["channel_values"] for item in items] == [
        {"number": number, "large": noise(50_000, number)} for number in (1, 0)
    ]
    assert [item.pending_writes for item in items] == [
        [("task", "a", number), ("task", "b", noise(30_000, number))] for number in (1, 0)
    ]
    assert await reader.aget_tuple(config_of(thread_id)) == items[0]


@pytest.mark.parametrize("status", [429, 500, 503, 504, 520])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_ingestion_is_tried_again(
    make_saver: MakeSaver, faults: Faults, place: Place, thread_id: str, status: int, when: str
) -> None:
    """`after` is an error though the rows were written: they land twice and are read once."""
    saver = make_saver()
    met = [
        faults.add("status", status=status, endpoint="ingest", table=table, times=2, when=when)
        for table in TABLES[:3]
    ]
    await live(saver, thread_id)

    assert [fault.hits for fault in met] == [2, 2, 2]
    assert saver.stats()["throttled" if status == 429 else "retries"] == 6
    await assert_lived(saver, thread_id)
    await assert_lived(make_saver(), thread_id)
    rows = query(place, f"Checkpoints | where thread_id == '{thread_id}' | count")
    assert rows == [{"Count": 2 + (2 if when == "after" else 0)}]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_connection_that_is_cut(
    make_saver: MakeSaver, faults: Faults, place: Place, thread_id: str, when: str
) -> None:
    """Before the commit nothing was written; after it the answer is lost, and rows land twice."""
    saver = make_saver()
    met = [
        faults.add("reset", endpoint="ingest", table=table, times=1, when=when)
        for table in TABLES[:3]
    ]
    await live(saver, thread_id)

    assert [fault.hits for fault in met] == [1, 1, 1]
    assert saver.stats()["retries"] == 3
    await assert_lived(saver, thread_id)
    await assert_lived(make_saver(), thread_id)
    twice = 1 if when == "after" else 0
    for table, rows in (("Checkpoints", 2), ("CheckpointWrites", 4)):
        found = query(place, f"{table} | where thread_id == '{thread_id}' | count")[0]["Count"]
        assert found == rows + twice * (1 if table == "Checkpoints" else 2)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_delete_is_tried_again(
    make_saver: MakeSaver, faults: Faults, thread_id: str, when: str
) -> None:
    saver = make_saver()
    await live(saver, thread_id)
    faults.add("reset", endpoint="ingest", table="CheckpointTombstones", times=1, when=when)
    faults.add("status", status=503, endpoint="query", times=1)
    await saver.adelete_thread(thread_id)

    for reader in (saver, make_saver()):
        assert await listed(reader, config_of(thread_id, None)) == []
        assert await reader.aget_tuple(config_of(thread_id)) is None


async def test_a_request_that_hangs_is_given_up_and_sent_again(
    make_saver: MakeSaver, faults: Faults, thread_id: str
) -> None:
    saver = make_saver(ingest_timeout=0.2)
    hung = [
        faults.add("stall", endpoint="ingest", table=table, times=1, when=when)
        for table, when in (("Checkpoints", "before"), ("CheckpointBlobs", "after"))
    ]
    await live(saver, thread_id)
    assert [fault.hits for fault in hung] == [1, 1]
    assert saver.stats()["retries"] == 2
    faults.clear()

    await assert_lived(saver, thread_id)
    await assert_lived(make_saver(), thread_id)


async def test_a_request_that_always_hangs_is_an_error_of_the_connection(
    make_saver: MakeSaver, faults: Faults, thread_id: str
) -> None:
    saver = make_saver(ingest_timeout=0.1, max_retries=1)
    faults.add("stall", endpoint="ingest", times=None)
    with pytest.raises(errors.ClusterUnreachableError, match="may or may not have landed"):
        await Chain(saver, thread_id).step(a=1)


@pytest.mark.parametrize("status", [429, 503, 520])
async def test_queries_are_tried_again(
    make_saver: MakeSaver, faults: Faults, thread_id: str, status: int
) -> None:
    await live(make_saver(), thread_id)
    saver = make_saver()
    for _ in range(2):
        fault = faults.add("status", status=status, endpoint="query", times=2)
        await assert_lived(saver, thread_id)
        assert fault.hits == 2
    fault = faults.add("reset", endpoint="query", times=1, when="after")
    await assert_lived(saver, thread_id)
    assert fault.hits == 1
    assert saver.stats()["throttled" if status == 429 else "retries"] >= 4


async def test_attempts_are_counted(
    make_saver: MakeSaver, faults: Faults, place: Place, thread_id: str
) -> None:
    saver = make_saver(max_retries=2)
    fault = faults.add("status", status=503, endpoint="ingest", times=None)
    chain = Chain(saver, thread_id)
    with pytest.raises(errors.ServiceUnavailableError) as refused:
        await chain.step(a=1)

    assert refused.value.retriable
    assert fault.hits == 3
    assert saver.stats()["retries"] == 2
    faults.clear()
    assert await saver.aget_tuple(chain.place) is None
    await chain.step(a=2)
    assert await values_of(saver, chain.place) == {"a": 2}
    assert await values_of(make_saver(), chain.place) == {"a": 2}


async def test_being_throttled_uses_no_attempt(
    make_saver: MakeSaver, faults: Faults, thread_id: str
) -> None:
    saver = make_saver(max_retries=1)
    fault = faults.add("status", status=429, endpoint="ingest", times=8)
    stored = await Chain(saver, thread_id).step(a=1)

    assert fault.hits == 8
    assert saver.stats()["throttled"] == 8
    assert saver.stats()["retries"] == 0
    assert await values_of(make_saver(), stored) == {"a": 1}


async def test_being_throttled_uses_time(
    make_saver: MakeSaver, faults: Faults, thread_id: str
) -> None:
    saver = make_saver(retry_timeout=0.1)
    faults.add("status", status=429, endpoint="ingest", times=None)
    with pytest.raises(errors.ThrottledError) as refused:
        await Chain(saver, thread_id).step(a=1)
    assert refused.value.retriable


async def test_an_error_inside_200_is_no_answer(
    make_saver: MakeSaver, faults: Faults, thread_id: str
) -> None:
    """Never "none", never an older one, never part of it. Kusto says so of a result too large."""
    await live(make_saver(), thread_id)
    saver = make_saver()
    for call in (
        lambda: saver.aget_tuple(config_of(thread_id)),
        lambda: listed(saver, config_of(thread_id)),
        lambda: saver.adelete_thread(thread_id),
    ):
        fault = faults.add("partial", endpoint="query", times=None)
        with pytest.raises(errors.ResultTooLargeError, match="injected fault"):
            await call()
        assert fault.hits > 0
        faults.clear()
    await assert_lived(saver, thread_id)
    whole = await saver.aget_tuple(config_of(thread_id))
    fault = faults.add("partial", endpoint="query", times=1)
    assert await saver.aget_tuple(config_of(thread_id)) == whole  # asked for again, in parts
    assert fault.hits == 1


async def test_rows_that_landed_in_part_are_sent_again_whole(
    make_saver: MakeSaver, faults: Faults, thread_id: str
) -> None:
    saver = make_saver()
    stored = await Chain(saver, thread_id).step(a=1)
    writes = [("channel", noise(1_500_000)), ("b", 2), ("c", 3)]
    fault = faults.add("prefix", endpoint="ingest", table="CheckpointWrites", rows=2, times=2)
    await saver.aput_writes(stored, writes, "task")

    assert fault.hits == 2
    for reader in (saver, make_saver()):
        found = await reader.aget_tuple(stored)
        assert found.pending_writes == [("task", name, value) for name, value in writes]


@pytest.mark.parametrize("rows", [1, 2])
async def test_writes_that_landed_in_part_for_good_are_not_there(
    make_saver: MakeSaver, faults: Faults, place: Place, thread_id: str, rows: int
) -> None:
    saver = make_saver()
    stored = await Chain(saver, thread_id).step(a=1)
    faults.add(
        "prefix", endpoint="ingest", table="CheckpointWrites", rows=rows, status=400, times=1
    )
    with pytest.raises(errors.RowsRejectedError):
        await saver.aput_writes(stored, [("a", 1), ("b", 2), ("c", 3)], "task")

    landed = query(place, f"CheckpointWrites | where thread_id == '{thread_id}' | count")
    assert landed == [{"Count": rows}]
    for reader in (saver, make_saver()):
        assert (await reader.aget_tuple(stored)).pending_writes == []
    await saver.aput_writes(stored, [("a", 1), ("b", 2), ("c", 3)], "task")
    for reader in (saver, make_saver()):
        found = await reader.aget_tuple(stored)
        assert found.pending_writes == [("task", "a", 1), ("task", "b", 2), ("task", "c", 3)]


async def test_a_checkpoint_whose_blobs_fail_is_not_there(
    make_saver: MakeSaver, faults: Faults, place: Place, thread_id: str
) -> None:
    saver = make_saver(max_retries=0)
    chain = Chain(saver, thread_id)
    first = await chain.step(a=1)
    faults.add("status", status=503, endpoint="ingest", table="CheckpointBlobs", times=1)
    with pytest.raises(errors.ServiceUnavailableError):
        await chain.step(large=noise(50_000), small=1)

    rows = query(place, f"Checkpoints | where thread_id == '{thread_id}' | count")
    assert rows == [{"Count": 1}]
    for reader in (saver, make_saver()):
        assert (await reader.aget_tuple(chain.place)).config == first
    # What failed is not referred to: the next put writes it.
    await saver.aput(chain.config, new_checkpoint(chain.values, chain.versions), {}, {})
    for reader in (saver, make_saver()):
        assert await values_of(reader, chain.place) == {
            "a": 1,
            "large": noise(50_000),
            "small": 1,
        }


async def test_refused_rows_do_not_fail_their_neighbours(
    make_saver: MakeSaver, faults: Faults, place: Place, new_thread: Any
) -> None:
    """The batch is halved until the guilty rows stand alone; here the second try suffices."""
    saver = make_saver()
    chains = [Chain(saver, new_thread()) for _ in range(16)]
    await chains[0].step(n=0)
    held = faults.add("stall", endpoint="ingest", times=8)
    blockers = [asyncio.ensure_future(Chain(saver, new_thread()).step(n=1)) for _ in range(8)]
    await asyncio.to_thread(held.wait_hit, 10)
    refused = faults.add("status", status=400, endpoint="ingest", times=1)
    puts = [asyncio.ensure_future(chain.step(n=2)) for chain in chains]
    await asyncio.sleep(0)
    held.release()
    outcomes = await asyncio.gather(*blockers, *puts, return_exceptions=True)

    failed = [item for item in outcomes if isinstance(item, BaseException)]
    assert refused.hits == 1
    assert len(failed) <= 1
    assert all(isinstance(item, errors.RowsRejectedError) for item in failed)
    found = await asyncio.gather(*[make_saver().aget_tuple(chain.place) for chain in chains[1:]])
    assert sum(item is None for item in found) <= len(failed)


async def test_a_permanent_error_is_not_tried_again(
    make_saver: MakeSaver, faults: Faults, thread_id: str
) -> None:
    saver = make_saver()
    fault = faults.add("status", status=403, endpoint="ingest", times=None)
    with pytest.raises(errors.PermissionDeniedError):
        await Chain(saver, thread_id).step(a=1)
    assert fault.hits == 1
    faults.clear()
    fault = faults.add("status", status=503, permanent=True, endpoint="ingest", times=None)
    with pytest.raises(errors.ServiceError) as refused:
        await Chain(saver, thread_id).step(a=1)
    assert fault.hits == 1
    assert not refused.value.retriable
