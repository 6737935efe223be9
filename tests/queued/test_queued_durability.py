"""Queued ingestion: acknowledged means that the queue has it; nothing torn, nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from shared import way_writer
from shared.azurite import QUEUED, queue_of
from shared.places import Place, query
from shared.threads import Chain, config_of, eventually, listed, new_checkpoint, noise, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, _core
from langgraph.checkpoint.kusto._clock import TICKS_PER_SECOND
from langgraph.checkpoint.kusto.local.queued import QueuedIngestion

LARGE = noise(300_000)


def tables_in(storage: str) -> list[str]:
    """The tables that the messages in the queue are for."""
    with queue_of(storage) as queue:
        texts = [str(message.content) for message in queue.peek_messages(max_messages=32)]
    return [text.partition('"TableName":"')[2].partition('"')[0] for text in texts]


def stranger(place: Place) -> AsyncKustoSaver:
    """Another process' saver: it has no overlay of what was put."""
    return AsyncKustoSaver(place.uri, place.database, visibility_timeout=0)


async def seen(place: Place, config: Any) -> bool:
    async with stranger(place) as other:
        return await other.aget_tuple(config) is not None


async def test_values_come_back_to_others(saver: AsyncKustoSaver, place: Place) -> None:
    chain = Chain(saver, "round trip")
    await chain.step(small=1, text="'\";\n\\ 中文 \U0001f600", large=LARGE)
    stored = await chain.step(small=2)
    await saver.aput_writes(stored, [("small", 3), ("large", LARGE)], "task")

    assert await values_of(saver, stored) == chain.values
    await eventually(lambda: written(place, stored))
    async with stranger(place) as other:
        found = await other.aget_tuple(chain.place)
        assert found is not None
        assert found.checkpoint["channel_values"] == chain.values
        assert found.pending_writes == [("task", "small", 3), ("task", "large", LARGE)]
        assert len(await listed(other, chain.place)) == 2
    await eventually(lambda: nothing_waits(saver))


async def written(place: Place, stored: Any) -> bool:
    async with stranger(place) as other:
        found = await other.aget_tuple(stored)
        return found is not None and len(found.pending_writes or []) == 2


async def nothing_waits(saver: AsyncKustoSaver) -> bool:
    return saver.stats()["overlay_rows"] == 0


# -- I1: acknowledged is durable -------------------------------------------------------------------


async def test_a_client_killed_after_acknowledgement_loses_nothing(
    place: Place, queue: QueuedIngestion
) -> None:
    queue.paused = True
    child = way_writer.start(place, "killed", "queued")
    try:
        assert await asyncio.to_thread(child.line) == "small", child.errors()
        assert not await seen(place, config_of("killed"))
        queue.paused = False
        assert await asyncio.to_thread(child.line) == "large", child.errors()
    finally:
        child.kill()
        child.close()
    await eventually(lambda: both(place))
    async with stranger(place) as other:
        newest, first = await listed(other, config_of("killed"))
        assert newest.checkpoint["channel_values"] == {"small": 1, "large": LARGE}
        assert first.checkpoint["channel_values"] == {"small": 1}
        assert first.pending_writes == [("task", "small", 2)]


async def both(place: Place) -> bool:
    async with stranger(place) as other:
        found = await listed(other, config_of("killed"))
        return len(found) == 2 and bool(found[1].pending_writes)


# -- I2: a saver reads what it accepted ------------------------------------------------------------


async def test_own_writes_are_read_long_before_anybody_sees_them(
    saver: AsyncKustoSaver, place: Place, queue: QueuedIngestion
) -> None:
    queue.paused = True
    chain = Chain(saver, "own")
    first = await chain.step(a=1)
    await saver.aput_writes(first, [("a", 9)], "task")
    second = await chain.step(a=2)
    gone = Chain(saver, "gone")
    await gone.step(a=1)
    await saver.adelete_thread("gone")

    assert await values_of(saver, chain.place) == {"a": 2}
    assert [item.config for item in await listed(saver, chain.place)] == [second, first]
    assert (await listed(saver, chain.place))[1].pending_writes == [("task", "a", 9)]
    assert await saver.aget_tuple(gone.place) is None
    assert not await seen(place, chain.place)
    assert saver.stats()["overlay_rows"] > 0, "rows leave it only when a query showed them"

    queue.paused = False
    await eventually(lambda: nothing_waits(saver))
    assert await seen(place, chain.place)
    assert not await seen(place, gone.place)
    assert await values_of(saver, chain.place) == {"a": 2}


@pytest.mark.parametrize("write_mode", ["acknowledged", "buffered"])
async def test_many_threads_at_once(
    make_saver: Callable[..., AsyncKustoSaver], place: Place, write_mode: str
) -> None:
    saver = make_saver(write_mode=write_mode)
    chains = [Chain(saver, f"{write_mode}-{number}") for number in range(60)]
    for value in (1, 2):
        await asyncio.gather(*(chain.step(a=value) for chain in chains))
    await saver.flush()
    assert saver.stats()["ingest_requests"] < 60
    await eventually(lambda: nothing_waits(saver))
    async with stranger(place) as other:
        for chain in chains:
            assert await values_of(other, chain.place) == {"a": 2}


# -- I3: whole or absent ---------------------------------------------------------------------------


async def test_the_row_is_queued_when_its_values_are_shown(
    saver: AsyncKustoSaver, place: Place, queue: QueuedIngestion, storage: str
) -> None:
    queue.paused = True
    put = asyncio.ensure_future(Chain(saver, "order").step(large=LARGE, small=1))
    await eventually(lambda: waits_for(storage, ["CheckpointBlobs"]))
    await asyncio.sleep(0.3)  # nothing announces that nothing happens
    assert not put.done()
    assert await asyncio.to_thread(tables_in, storage) == ["CheckpointBlobs"]
    assert await values_of(saver, config_of("order")) == {"large": LARGE, "small": 1}

    queue.paused = False
    await put
    shown = query(place, "CheckpointBlobs | where thread_id == 'order' | count")
    assert shown == [{"Count": 1}]


async def waits_for(storage: str, tables: list[str]) -> bool:
    return await asyncio.to_thread(tables_in, storage) == tables


async def test_a_value_that_takes_long_makes_no_false_failure(
    make_saver: Callable[..., AsyncKustoSaver],
    queue: QueuedIngestion,
    storage: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The time that its row has to show begins when the row is queued, not before its values."""
    late, real = 0, _core.now_ticks
    monkeypatch.setattr(_core, "now_ticks", lambda: real() + late)
    saver = make_saver(queued_timeout=60.0)
    queue.paused = True
    put = asyncio.ensure_future(Chain(saver, "slow value").step(large=LARGE))
    await eventually(lambda: waits_for(storage, ["CheckpointBlobs"]))
    late = 100 * TICKS_PER_SECOND
    queue.paused = False
    await eventually(lambda: is_shown(saver))
    queue.paused = True
    await put
    asked = saver.stats()["queries"]
    await eventually(lambda: asked_more(saver, asked + 3))
    await saver.flush()
    queue.paused = False
    await eventually(lambda: nothing_waits(saver))


async def asked_more(saver: AsyncKustoSaver, queries: int) -> bool:
    return saver.stats()["queries"] >= queries


async def is_shown(saver: AsyncKustoSaver) -> bool:
    """Whether the values have landed, so that the row is sent."""
    return saver.stats()["ingest_requests"] == 2


async def test_a_value_under_way_holds_back_the_row_that_refers_to_it(
    make_saver: Callable[..., AsyncKustoSaver], place: Place, queue: QueuedIngestion, storage: str
) -> None:
    saver = make_saver(write_mode="buffered", batch_size=1)
    queue.paused = True
    chain = Chain(saver, "shared value")
    await chain.step(large=LARGE)
    await chain.step(small=1)  # refers to the same stored copy
    await eventually(lambda: waits_for(storage, ["CheckpointBlobs"]))
    flushed = asyncio.ensure_future(saver.flush())
    await asyncio.sleep(0.3)  # nothing announces that nothing happens
    assert await asyncio.to_thread(tables_in, storage) == ["CheckpointBlobs"]
    queue.paused = False
    await flushed
    assert saver.stats()["blobs_stored"] == 1
    await eventually(lambda: nothing_waits(saver))
    async with stranger(place) as other:
        assert await values_of(other, chain.place) == {"large": LARGE, "small": 1}


async def test_nobody_ever_reads_a_part(saver: AsyncKustoSaver, place: Place) -> None:
    """Strangers read all the while; a checkpoint without its values would raise."""
    chain, ended = Chain(saver, "watched"), asyncio.Event()

    async def watch() -> int:
        read = 0
        async with stranger(place) as other:
            while not ended.is_set():
                found = await other.aget_tuple(chain.place)
                if found is not None:
                    assert found.checkpoint["channel_values"]["large"][:4] == LARGE[:4]
                    assert len(found.pending_writes or []) in (0, 40)
                    read += 1
        return read

    watching = asyncio.ensure_future(watch())
    for number in range(5):
        stored = await chain.step(large=LARGE + bytes([number]))
        await saver.aput_writes(stored, [("a", noise(30_000, n)) for n in range(40)], "task")
    await eventually(lambda: nothing_waits(saver))
    ended.set()
    assert await watching > 0


# -- at least once ---------------------------------------------------------------------------------


async def test_a_message_delivered_twice_is_read_once(
    saver: AsyncKustoSaver, place: Place, queue: QueuedIngestion, storage: str
) -> None:
    queue.paused = True
    stored = await Chain(saver, "twice").step(a=1)
    await saver.aput_writes(stored, [("a", 2)], "task")
    await saver.adelete_thread("other")
    with queue_of(storage) as messages:
        for message in messages.peek_messages(max_messages=32):
            messages.send_message(message.content)
    queue.paused = False
    await eventually(lambda: landed(place, 2))

    async with stranger(place) as other:
        (found,) = await listed(other, config_of("twice"))
        assert found.checkpoint["channel_values"] == {"a": 1}
        assert found.pending_writes == [("task", "a", 2)]
    await eventually(lambda: nothing_waits(saver))


async def landed(place: Place, copies: int) -> bool:
    text = "Checkpoints | where thread_id == 'twice' | count"
    more = "CheckpointWrites | where thread_id == 'twice' | count"
    wanted = [{"Count": copies}]
    return query(place, text) == wanted and query(place, more) == wanted


def test_the_sync_saver(place: Place) -> None:
    config = config_of("sync")
    with KustoSaver(place.uri, place.database, **QUEUED) as saver:
        stored = saver.put(config, new_checkpoint({"a": LARGE}), {}, {"a": "1"})
        found = saver.get_tuple(stored)
        assert found is not None
        assert found.checkpoint["channel_values"] == {"a": LARGE}
