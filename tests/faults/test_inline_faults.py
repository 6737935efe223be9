"""`ingestion="inline"` under faults: what is promised of streaming ingestion holds, too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from shared import way_writer
from shared.places import Place, local_place, query, server_process
from shared.refusals import refused
from shared.threads import Chain, config_of, eventually, listed, new_checkpoint, noise, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, errors
from langgraph.checkpoint.kusto.local import Faults

INLINE: dict[str, Any] = {"ingestion": "inline", "retry_backoff": 0.001}
TABLES = ("Checkpoints", "CheckpointBlobs", "CheckpointWrites", "CheckpointTombstones")
LARGE = noise(50_000)
MINUTE = 60 / 86_400
Made = Callable[..., AsyncKustoSaver]


def set_up(place: Place) -> None:
    with KustoSaver(place.uri, place.database, **INLINE) as saver:
        saver.setup(create=True)


@pytest.fixture(scope="module")
def faulty_place() -> Iterator[Place]:
    """Streaming is off, so nothing can go that way by mistake."""
    with local_place(provisioned=False, streaming=False) as place:
        set_up(place)
        yield place


@pytest.fixture
def make_saver(async_saver: Made) -> Made:
    return lambda **options: async_saver(**{**INLINE, **options})


def count(place: Place, table: str, thread_id: str) -> int:
    return int(query(place, f"{table} | where thread_id == '{thread_id}' | count")[0]["Count"])


# -- I1: acknowledged is durable -------------------------------------------------------------------


async def test_a_client_killed_after_acknowledgement_loses_nothing(
    make_saver: Made, place: Place, thread_id: str
) -> None:
    child = way_writer.start(place, thread_id, "inline")
    try:
        for word in ("small", "large"):
            assert await asyncio.to_thread(child.line) == word, child.errors()
    finally:
        child.kill()
        child.close()
    newest, first = await listed(make_saver(), config_of(thread_id))
    assert newest.checkpoint["channel_values"] == {"small": 1, "large": way_writer.LARGE}
    assert first.checkpoint["channel_values"] == {"small": 1}
    assert first.pending_writes == [("task", "small", 2)]


async def test_a_server_killed_after_acknowledgement_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kusto.db"
    with server_process(path, "--no-streaming", provisioned=False) as server:
        await asyncio.to_thread(set_up, server.place)
        async with AsyncKustoSaver(server.place.uri, server.place.database, **INLINE) as saver:
            chain = Chain(saver, "kept")
            await saver.aput_writes(await chain.step(a=1), [("a", 9)], "task")
            await chain.step(large=LARGE)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        async with AsyncKustoSaver(server.place.uri, server.place.database, **INLINE) as other:
            newest, first = await listed(other, config_of("kept"))
            assert newest.checkpoint["channel_values"] == {"a": 1, "large": LARGE}
            assert first.pending_writes == [("task", "a", 9)]


# -- I2: a saver reads what it accepted ------------------------------------------------------------


async def test_own_writes_are_read_before_anybody_sees_them() -> None:
    with local_place(provisioned=False, streaming=False, seed=1, visibility=60.0) as place:
        await asyncio.to_thread(set_up, place)
        async with (
            AsyncKustoSaver(place.uri, place.database, **INLINE) as saver,
            AsyncKustoSaver(place.uri, place.database, **INLINE) as other,
        ):
            chain, gone = Chain(saver, "own"), Chain(saver, "gone")
            first = await chain.step(a=1, large=LARGE)
            await saver.aput_writes(first, [("a", 9)], "task")
            second = await chain.step(a=2)
            await gone.step(a=1)
            await saver.adelete_thread("gone")
            for reader, whole in ((saver, True), (other, False)):
                found = await listed(reader, chain.place)
                assert [item.config for item in found] == ([second, first] if whole else [])
                assert await reader.aget_tuple(gone.place) is None
            assert await values_of(saver, chain.place) == {"a": 2, "large": LARGE}
            place.server.advance(2 * MINUTE)
            for reader in (saver, other):
                newest, oldest = await listed(reader, chain.place)
                assert newest.checkpoint["channel_values"] == {"a": 2, "large": LARGE}
                assert oldest.pending_writes == [("task", "a", 9)]
                assert await reader.aget_tuple(gone.place) is None


# -- I3: whole or absent ---------------------------------------------------------------------------


async def test_the_row_is_sent_when_its_values_are_acknowledged(
    make_saver: Made, place: Place, faults: Faults, thread_id: str
) -> None:
    saver = make_saver()
    held = faults.add("stall", endpoint="mgmt", table="CheckpointBlobs", when="after")
    put = asyncio.ensure_future(Chain(saver, thread_id).step(large=LARGE))
    await eventually(lambda: landed(place, "CheckpointBlobs", thread_id))
    assert saver.stats()["ingest_requests"] == 1
    assert count(place, "Checkpoints", thread_id) == 0
    assert await make_saver().aget_tuple(config_of(thread_id)) is None
    held.release()
    await put
    assert await values_of(make_saver(), config_of(thread_id)) == {"large": LARGE}


async def landed(place: Place, table: str, thread_id: str) -> bool:
    return count(place, table, thread_id) > 0


async def test_a_checkpoint_whose_values_landed_in_part_is_not_there(
    make_saver: Made, place: Place, faults: Faults, thread_id: str
) -> None:
    saver = make_saver(max_retries=0)
    chain = Chain(saver, thread_id)
    first = await chain.step(a=1)
    faults.add("prefix", endpoint="mgmt", table="CheckpointBlobs", rows=1)
    large = noise(2_000_000)  # in several rows
    await refused(
        chain.step(large=large), "ServiceUnavailableError", "CheckpointBlobs", retriable=True
    )
    assert count(place, "CheckpointBlobs", thread_id) == 1
    assert count(place, "Checkpoints", thread_id) == 1
    for reader in (saver, make_saver()):
        assert [item.config for item in await listed(reader, chain.place)] == [first]
    # What failed is not referred to: the next put writes it.
    await saver.aput(chain.config, new_checkpoint(chain.values, chain.versions), {}, {})
    for reader in (saver, make_saver()):
        assert await values_of(reader, chain.place) == {"a": 1, "large": large}


async def test_rows_that_landed_in_part_are_sent_again_whole(
    make_saver: Made, faults: Faults, thread_id: str
) -> None:
    saver = make_saver()
    stored = await Chain(saver, thread_id).step(a=1)
    writes = [("channel", noise(1_500_000)), ("b", 2), ("c", 3)]
    fault = faults.add("prefix", endpoint="mgmt", table="CheckpointWrites", rows=2, times=2)
    await saver.aput_writes(stored, writes, "task")
    assert fault.hits == 2
    for reader in (saver, make_saver()):
        found = await reader.aget_tuple(stored)
        assert found is not None
        assert found.pending_writes == [("task", name, value) for name, value in writes]


@pytest.mark.parametrize("rows", [1, 2])
async def test_writes_that_landed_in_part_for_good_are_not_there(
    make_saver: Made, faults: Faults, place: Place, thread_id: str, rows: int
) -> None:
    saver = make_saver()
    stored = await Chain(saver, thread_id).step(a=1)
    writes = [("a", 1), ("b", 2), ("c", 3)]
    faults.add("prefix", endpoint="mgmt", table="CheckpointWrites", rows=rows, status=400)
    await refused(
        saver.aput_writes(stored, writes, "task"), "RowsRejectedError", "CheckpointWrites"
    )
    assert count(place, "CheckpointWrites", thread_id) == rows
    for reader in (saver, make_saver()):
        found = await reader.aget_tuple(stored)
        assert found is not None
        assert found.pending_writes == []


# -- twice, refused, too large ---------------------------------------------------------------------


async def test_rows_that_land_twice_are_read_once(
    make_saver: Made, faults: Faults, place: Place, thread_id: str
) -> None:
    saver = make_saver()
    faults.add("duplicate", endpoint="mgmt", times=None)
    chain = Chain(saver, thread_id)
    stored = await chain.step(a=1, large=LARGE)
    await saver.aput_writes(stored, [("a", 2), ("b", noise(30_000))], "task")
    gone = await chain.step(a=3)
    assert await saver.adelete_checkpoint(gone)
    faults.clear()
    found = {table: count(place, table, thread_id) for table in TABLES}
    assert found == {
        "Checkpoints": 4,
        "CheckpointBlobs": 2,
        "CheckpointWrites": 4,
        "CheckpointTombstones": 2,
    }
    for reader in (saver, make_saver()):
        (item,) = await listed(reader, chain.place)
        assert item.checkpoint["channel_values"] == {"a": 1, "large": LARGE}
        assert item.pending_writes == [("task", "a", 2), ("task", "b", noise(30_000))]


@pytest.mark.parametrize("status", [400, 413])
async def test_refused_rows_do_not_fail_their_neighbours(
    make_saver: Made, faults: Faults, new_thread: Callable[..., str], status: int
) -> None:
    """A command is halved until the guilty rows stand alone, also when it is said to be long."""
    saver = make_saver(max_in_flight=1)
    chains = [Chain(saver, new_thread()) for _ in range(8)]
    chains[3] = Chain(saver, new_thread(" guilty "))
    held = faults.add("stall", endpoint="mgmt")
    first = asyncio.ensure_future(Chain(saver, new_thread()).step(n=1))
    assert await asyncio.to_thread(held.wait_hit, 10)
    faults.add("status", status=status, endpoint="mgmt", table="guilty", times=None)
    puts = [asyncio.ensure_future(chain.step(n=2)) for chain in chains]
    await asyncio.sleep(0)
    held.release()
    await first
    outcomes = await asyncio.gather(*puts, return_exceptions=True)
    failed = [place for place, item in enumerate(outcomes) if isinstance(item, BaseException)]
    assert failed == [3]
    assert isinstance(outcomes[3], errors.RowsRejectedError)
    assert ("the size of the ingestion" in str(outcomes[3])) is (status == 413)
    for number, chain in enumerate(chains):
        found = await make_saver().aget_tuple(chain.place)
        assert (found is None) is (number == 3)


async def test_long_hostile_cells(make_saver: Made, thread_id: str) -> None:
    """A cell of a mebibyte, of what would end a line, a text or a command if it could."""
    piece = "'\"\\;|,[](){}<|\n\r\n\t\x00\x01//\u2028\u2029\ufeff\U0001f600語\n.drop table T\n"
    text = piece * (1_100_000 // len(piece.encode()))
    values = {"text": text, piece: [piece], "bytes": text.encode(), "none": ""}
    saver = make_saver()
    stored = await saver.aput(
        config_of(thread_id, piece), new_checkpoint(values), {"text": piece * 90}, {"text": "1"}
    )
    await saver.aput_writes(stored, [(piece, text), ("b", text.encode())], piece, piece)
    other = make_saver()
    found = await other.aget_tuple(stored)
    assert found is not None
    assert found.checkpoint["channel_values"] == values
    assert found.metadata["text"] == piece.replace("\x00", "") * 90
    assert found.pending_writes == [(piece, piece, text), (piece, "b", text.encode())]
