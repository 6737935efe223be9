"""What is acknowledged and not visible yet: its own saver reads it, others wait or hear of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from shared.delays import DelayingTransport
from shared.places import Place
from shared.threads import Chain, config_of, listed, noise, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, errors

EVERYTHING = ("Checkpoints", "CheckpointBlobs", "CheckpointWrites", "CheckpointTombstones")


@pytest.fixture
def transport(place: Place) -> DelayingTransport:
    return DelayingTransport(place)


@pytest.fixture
async def writer(transport: DelayingTransport) -> AsyncIterator[AsyncKustoSaver]:
    async with AsyncKustoSaver(transport=transport) as saver:
        yield saver


async def test_a_saver_reads_its_own_writes_before_anybody_can(
    writer: AsyncKustoSaver,
    transport: DelayingTransport,
    async_saver: Callable[..., AsyncKustoSaver],
    thread_id: str,
) -> None:
    transport.hide(*EVERYTHING)
    chain = Chain(writer, thread_id)
    for number in range(3):
        stored = await chain.step(number=number, large=noise(50_000, number))
        await writer.aput_writes(stored, [("a", number)], "task")
    other = async_saver()
    assert await other.aget_tuple(chain.place) is None

    for _ in range(2):
        found = await writer.aget_tuple(chain.place)
        assert found is not None
        assert found.checkpoint["channel_values"] == {"number": 2, "large": noise(50_000, 2)}
        assert found.pending_writes == [("task", "a", 2)]
        assert len(await listed(writer, chain.place)) == 3
        assert len(await listed(writer, chain.place, filter={"step": 1})) == 1
    await transport.release()
    assert await other.aget_tuple(chain.place) == found
    assert await writer.aget_tuple(chain.place) == found


@pytest.mark.parametrize("what", ["thread", "run", "checkpoint"])
async def test_what_was_deleted_before_it_was_visible_has_lost_its_history(
    writer: AsyncKustoSaver, transport: DelayingTransport, thread_id: str, what: str
) -> None:
    """Kusto knows nothing of it then, which is no reason to call its history empty."""
    transport.hide(*EVERYTHING)
    run_id = f"run of {thread_id}"
    config: Any = {**config_of(thread_id), "metadata": {"run_id": run_id}}
    stored = await writer.aput(config, empty_checkpoint(), {}, {})
    wanted = writer.aget_delta_channel_history
    assert await wanted(config=stored, channels=["log"]) == {"log": {"writes": []}}
    deletes: dict[str, Callable[[], Any]] = {
        "thread": lambda: writer.adelete_thread(thread_id),
        "run": lambda: writer.adelete_for_runs([run_id]),
        "checkpoint": lambda: writer.adelete_checkpoint(stored),
    }
    await deletes[what]()
    for _ in range(2):
        with pytest.raises(errors.PartsLostError, match="is deleted itself"):
            await wanted(config=stored, channels=["log"])
        await transport.release()
    assert await wanted(config=config_of(thread_id, "", "never"), channels=["log"]) == {
        "log": {"writes": []}
    }


async def test_a_history_that_needs_what_was_deleted_before_it_was_visible(
    writer: AsyncKustoSaver, transport: DelayingTransport, thread_id: str
) -> None:
    """Nobody waits for a row that would be dead when it comes."""
    transport.hide(*EVERYTHING)
    parent = await writer.aput(config_of(thread_id), empty_checkpoint(), {}, {})
    await writer.aput_writes(parent, [("log", "x")], "task")
    child = await writer.aput(parent, empty_checkpoint(), {}, {})
    await writer.adelete_checkpoint(parent)
    for _ in range(2):
        with pytest.raises(errors.PartsLostError, match=r"its ancestor .*, which is deleted"):
            await writer.aget_delta_channel_history(config=child, channels=["log"])
        await transport.release()


async def test_a_put_that_was_refused_has_no_history(
    writer: AsyncKustoSaver, transport: DelayingTransport, thread_id: str
) -> None:
    checkpoint = empty_checkpoint()
    place = config_of(thread_id, "", checkpoint["id"])
    transport.refuse(errors.PermissionDeniedError("no role"))
    with pytest.raises(errors.PermissionDeniedError):
        await writer.aput(config_of(thread_id), checkpoint, {}, {})
    assert await writer.aget_tuple(place) is None
    assert await writer.aget_delta_channel_history(config=place, channels=["log"]) == {
        "log": {"writes": []}
    }


async def test_a_history_is_read_again_when_its_checkpoint_is_put_meanwhile(
    writer: AsyncKustoSaver, transport: DelayingTransport, thread_id: str
) -> None:
    parent = await writer.aput(config_of(thread_id), empty_checkpoint(), {}, {})
    await writer.aput_writes(parent, [("log", "x")], "task")
    transport.hide(*EVERYTHING)
    checkpoint = empty_checkpoint()
    place = config_of(thread_id, "", checkpoint["id"])
    async with transport.held_answer():
        history = asyncio.ensure_future(
            writer.aget_delta_channel_history(config=place, channels=["log"])
        )
        await transport.answer_is_held()
        assert await writer.aput(parent, checkpoint, {}, {}) == place
    assert (await history)["log"]["writes"] == [("task", "log", "x")]


@pytest.mark.parametrize("order", [EVERYTHING, EVERYTHING[::-1]], ids=["rows first", "rows last"])
async def test_rows_become_visible_one_request_after_another(
    writer: AsyncKustoSaver,
    transport: DelayingTransport,
    async_saver: Callable[..., AsyncKustoSaver],
    thread_id: str,
    order: tuple[str, ...],
) -> None:
    """At every moment the writer sees all, and another saver sees something whole, or hears why."""
    transport.hide(*EVERYTHING)
    chain = Chain(writer, thread_id)
    values = []
    for number in range(3):
        stored = await chain.step(number=number, large=noise(50_000, number))
        values.append(dict(chain.values))
        await writer.aput_writes(stored, [("a", number), ("b", number)], "task")
    other = async_saver(visibility_timeout=0.0)
    seen = -1
    for table in order:
        while await transport.release(table, only=1):
            assert await values_of(writer, chain.place) == values[-1]
            try:
                found = await other.aget_tuple(chain.place)
            except errors.IncompleteCheckpointError:
                continue
            now = -1 if found is None else int(found.checkpoint["channel_values"]["number"])
            assert found is None or found.checkpoint["channel_values"] == values[now]
            assert now >= seen
            assert found is None or len(found.pending_writes or ()) in (0, 2)
            seen = now
    assert seen == 2
    assert len(await listed(other, chain.place)) == 3


async def test_a_checkpoint_whose_values_are_not_visible_is_never_none(
    writer: AsyncKustoSaver,
    transport: DelayingTransport,
    async_saver: Callable[..., AsyncKustoSaver],
    thread_id: str,
) -> None:
    chain = Chain(writer, thread_id)
    await chain.step(number=0)
    transport.hide("CheckpointBlobs")
    await chain.step(number=1, large=noise(2_000_000))
    other = async_saver(visibility_timeout=0.2)
    for place in (chain.place, chain.config):
        with pytest.raises(errors.IncompleteCheckpointError, match="'large'") as waited:
            await other.aget_tuple(place)
        assert waited.value.retriable
        assert thread_id in str(waited.value)
    # How often a read is repeated in that time is up to the machine: never, on a busy one. Each
    # asks twice, for the row and for what it lacks.
    stats = other.stats()
    assert stats["queries"] == 2 * (2 + stats["incomplete_reads"])
    assert [item.metadata["step"] for item in await listed(other, chain.place)] == [0]
    assert other.stats()["skipped_incomplete"] == 1

    await transport.release()
    assert await values_of(other, chain.place) == {"number": 1, "large": noise(2_000_000)}
    assert len(await listed(other, chain.place)) == 2


async def test_a_reader_waits_for_values_that_become_visible(
    writer: AsyncKustoSaver,
    transport: DelayingTransport,
    async_saver: Callable[..., AsyncKustoSaver],
    thread_id: str,
) -> None:
    transport.hide("CheckpointBlobs")
    chain = Chain(writer, thread_id)
    await chain.step(large=noise(2_000_000))
    other = async_saver(visibility_timeout=30.0)
    reading = asyncio.ensure_future(other.aget_tuple(chain.place))
    while not other.stats()["incomplete_reads"]:  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.005)
    await transport.release()
    found = await reading
    assert found is not None
    assert found.checkpoint["channel_values"] == {"large": noise(2_000_000)}


async def test_a_delete_that_is_not_visible_yet(
    writer: AsyncKustoSaver,
    transport: DelayingTransport,
    async_saver: Callable[..., AsyncKustoSaver],
    thread_id: str,
) -> None:
    chain = Chain(writer, thread_id)
    await chain.step(life="old")
    transport.hide("CheckpointTombstones")
    await writer.adelete_thread(thread_id)
    assert await writer.aget_tuple(chain.place) is None
    assert await writer.aget_tuple(chain.config) is None
    assert await listed(writer, config_of(thread_id, None)) == []

    new = Chain(writer, thread_id)
    await new.step(life="new")
    assert await values_of(writer, chain.place) == {"life": "new"}
    await transport.release()
    other = async_saver()
    assert await values_of(other, chain.place) == {"life": "new"}
    assert len(await listed(other, chain.place)) == 1


async def test_a_run_is_found_by_a_checkpoint_that_was_deleted_before_anybody_could_see_it(
    writer: AsyncKustoSaver,
    transport: DelayingTransport,
    async_saver: Callable[..., AsyncKustoSaver],
    thread_id: str,
) -> None:
    transport.hide(*EVERYTHING)
    chain = Chain(writer, thread_id)
    await chain.step({"run_id": "cancelled"}, a=1)
    assert await writer.adelete_checkpoint(chain.config)
    await writer.adelete_for_runs(["cancelled"])
    late = await Chain(writer, thread_id).step({"run_id": "cancelled"}, a=2)

    assert await writer.aget_tuple(late) is None
    await transport.release()
    for reader in (writer, async_saver()):
        assert await listed(reader, config_of(thread_id)) == []
