"""Frames whose base is lost, wrong, late or under way: never another value."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from shared.frame_bodies import assert_exact, grow, history
from shared.places import Place, command
from shared.savers import MakeSaver
from shared.threads import Chain, noise, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, errors
from langgraph.checkpoint.kusto.local import Faults

MakeAsync = Callable[..., AsyncKustoSaver]


async def with_frame(saver: Any, thread_id: str) -> Chain:
    """A thread whose newest row holds a frame against a blob."""
    chain = Chain(saver, thread_id)
    await chain.step(text=noise(50_000))
    await chain.step(text=noise(50_000) + b"more")
    assert saver.stats()["frames_stored"] == 1
    return chain


def poison(saver: AsyncKustoSaver) -> None:
    """Change everything that values may be stored against to other bytes of the same length."""
    kept = saver._memory.base_bytes
    assert len(kept) > 0
    names = kept.keys()
    for name in names:
        data = kept.get(name)
        assert data is not None
        kept.put(name, data[1:] + data[:1])


async def test_a_value_stored_against_a_wrong_base_is_an_error(
    async_saver: MakeAsync, thread_id: str
) -> None:
    saver = async_saver()
    chain = await with_frame(saver, thread_id)
    poison(saver)
    await chain.step(text=noise(50_000) + b"more and more")

    reader = async_saver()
    with pytest.raises(errors.CorruptValueError, match="channel 'text' of checkpoint"):
        await reader.aget_tuple(chain.place)
    assert (await values_of(reader, chain.stored[-2]))["text"] == noise(50_000) + b"more"


async def test_a_value_read_with_a_wrong_base_is_an_error(
    async_saver: MakeAsync, thread_id: str
) -> None:
    chain = await with_frame(async_saver(), thread_id)
    reader = async_saver()
    await reader.aget_tuple(chain.stored[0])
    poison(reader)
    with pytest.raises(errors.CorruptValueError, match="channel 'text' of checkpoint"):
        await reader.aget_tuple(chain.place)


async def test_a_base_that_is_gone_is_an_error(
    make_saver: MakeSaver, place: Place, thread_id: str
) -> None:
    chain = await with_frame(make_saver(), thread_id)
    gone = f"CheckpointBlobs | where thread_id == '{thread_id}'"
    command(place, f".delete table CheckpointBlobs records <| {gone}")
    reader = make_saver(visibility_timeout=0.05)
    with pytest.raises(errors.IncompleteCheckpointError, match="needs 1 blobs"):
        await reader.aget_tuple(chain.place)


async def test_a_base_that_shows_later_is_waited_for(
    make_saver: MakeSaver, faults: Faults, thread_id: str
) -> None:
    writer = make_saver()
    faults.add("hide", table="CheckpointBlobs", seconds=0.3, times=None)
    chain = await with_frame(writer, thread_id)

    assert (await values_of(make_saver(), chain.place))["text"] == noise(50_000) + b"more"
    assert (await values_of(writer, chain.place))["text"] == noise(50_000) + b"more"


async def test_a_row_waits_for_a_base_that_is_under_way(
    async_saver: MakeAsync, faults: Faults, thread_id: str
) -> None:
    """The second put begins while the first one's blob is not acknowledged."""
    saver = async_saver(max_retries=0)
    held = faults.add("stall", table="CheckpointBlobs", times=1)
    chain = Chain(saver, thread_id)
    first = asyncio.ensure_future(chain.step(text=noise(50_000)))
    await asyncio.to_thread(held.wait_hit, 10)
    second = Chain(saver, thread_id)
    second.config = {"configurable": {**chain.config["configurable"]}}
    key = saver._memory.manifests._items.keys()[0]
    second.config["configurable"]["checkpoint_id"] = key.checkpoint_id
    child = asyncio.ensure_future(second.step(text=noise(50_000) + b"more"))
    await asyncio.sleep(0.1)
    assert not first.done()
    assert not child.done()
    assert saver.stats()["frames_stored"] == 1
    held.release()
    await asyncio.gather(first, child)

    assert await values_of(async_saver(), second.place) == {"text": noise(50_000) + b"more"}


async def test_what_was_stored_against_a_base_that_failed_fails_too(
    make_saver: MakeSaver, faults: Faults, thread_id: str
) -> None:
    saver = make_saver(write_mode="buffered", flush_interval=3_600.0, max_retries=0)
    chain = await with_frame(saver, thread_id)
    faults.add("status", status=503, endpoint="ingest", table="CheckpointBlobs", times=1)
    with pytest.raises(errors.WriteFailedError) as lost:
        await saver.flush()
    assert len(lost.value.failures) == 2
    assert await make_saver().aget_tuple(chain.place) is None

    # What follows is stored whole: nothing remembers the base.
    await chain.step(text=noise(50_000) + b"more and more")
    await saver.flush()
    assert saver.stats()["frames_stored"] == 1
    assert (await values_of(make_saver(), chain.place)) == chain.values


async def test_a_thread_that_was_erased_and_copied_back_under_its_ids(
    async_saver: MakeAsync, place: Place, thread_id: str
) -> None:
    """What this process knows of the life before is not referred to in the new one."""
    saver, other, backup = async_saver(), async_saver(), f"{thread_id} backup"
    chain = Chain(saver, thread_id)
    await chain.step(text=noise(50_000), same=noise(40_000, 9))
    await chain.step(text=noise(50_000) + b"more")
    await other.acopy_thread(thread_id, backup)
    await other.adelete_thread(thread_id)
    for table in ("Checkpoints", "CheckpointBlobs", "CheckpointWrites"):
        gone = f"{table} | where thread_id == '{thread_id}'"
        command(place, f".delete table {table} records <| {gone}")
    await other.acopy_thread(backup, thread_id)
    await saver.acopy_thread(thread_id, f"{thread_id} another")  # hears of the new life
    await chain.step(text=noise(50_000) + b"more and more")

    assert await values_of(async_saver(visibility_timeout=0.1), chain.place) == chain.values


async def test_a_value_that_shrank_is_read_as_what_it_is(
    make_saver: MakeSaver, thread_id: str
) -> None:
    chain = Chain(make_saver(), thread_id)
    large = noise(9_000_000)
    await chain.step(text=large)
    await chain.step(text=large + b"more")
    await chain.step(text=large[-12_000:])
    await chain.step(text=large[-12_000:] + b"more")
    reader = make_saver()

    assert await values_of(reader, chain.place) == {"text": large[-12_000:] + b"more"}
    assert reader.stats()["queries"] == 1


async def test_a_conversation_under_faults(
    make_saver: MakeSaver, faults: Faults, thread_id: str
) -> None:
    for kind in ("reset", "duplicate"):
        faults.add(kind, endpoint="ingest", probability=0.15, times=None)
    faults.add("status", status=503, endpoint="ingest", probability=0.15, times=None)
    saver = make_saver(max_retries=50, retry_timeout=300.0)
    chain = Chain(saver, thread_id)
    await grow(chain, 0, 60)
    faults.clear()

    assert saver.stats()["frames_stored"] > 40
    assert chain.values["messages"] == history(60)
    await assert_exact(make_saver(), chain, 60)
