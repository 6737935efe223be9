"""`KustoSaver` over HTTP: the shared bodies through its sync methods, and what only it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from shared.copy_bodies import CopyBodies, PruneBodies
from shared.delete_bodies import DeleteBodies
from shared.fork_bodies import ForkBodies
from shared.frame_bodies import FrameBodies
from shared.history_bodies import HistoryBodies
from shared.id_bodies import IdBodies
from shared.life_bodies import LifeBodies
from shared.list_bodies import ListBodies
from shared.places import Place
from shared.run_bodies import CheckpointDeleteBodies, RunBodies
from shared.savers import SyncMethodsSaver
from shared.step_bodies import StepBodies
from shared.threads import Chain, config_of, listed, new_checkpoint, values_of
from shared.value_bodies import ValueBodies
from shared.write_bodies import WriteBodies

from langgraph.checkpoint.kusto import KustoSaver, errors


@pytest.fixture
def make_saver(sync_saver: Callable[..., KustoSaver]) -> Callable[..., SyncMethodsSaver]:
    return lambda **options: SyncMethodsSaver(sync_saver(**options))


class TestSteps(StepBodies): ...


class TestValues(ValueBodies): ...


class TestFrames(FrameBodies): ...


class TestWrites(WriteBodies): ...


class TestLists(ListBodies): ...


class TestDeletes(DeleteBodies): ...


class TestRuns(RunBodies): ...


class TestCheckpointDeletes(CheckpointDeleteBodies): ...


class TestCopies(CopyBodies): ...


class TestPrunes(PruneBodies): ...


class TestHistories(HistoryBodies): ...


class TestForks(ForkBodies): ...


class TestIds(IdBodies): ...


class TestLife(LifeBodies): ...


def test_no_loop_is_needed(place: Place, new_thread: Callable[..., str]) -> None:
    name = new_thread()
    with KustoSaver.from_connection_string(place.uri, place.database) as saver:
        saver.setup()
        stored = saver.put(config_of(name), new_checkpoint({"a": 1}), {"source": "loop"}, {"a": 1})
        saver.put_writes(stored, [("a", 2)], "task")
        saver.flush()
        found = saver.get_tuple(config_of(name))
        assert found is not None
        assert found.checkpoint["channel_values"] == {"a": 1}
        assert found.pending_writes == [("task", "a", 2)]
        assert list(saver.list(config_of(name))) == [found]
        saver.delete_thread(name)
        assert saver.get_tuple(config_of(name)) is None
    saver.close()
    with pytest.raises(errors.SaverClosedError):
        saver.get_tuple(config_of(name))


async def test_sync_methods_work_on_a_running_loop(
    place: Place, sync_saver: Callable[..., KustoSaver], thread_id: str
) -> None:
    """They block it, as a notebook's user expects; only on its own loop they could not."""
    saver = sync_saver()
    stored = saver.put(config_of(thread_id), new_checkpoint({"a": 1}), {}, {"a": 1})
    found = saver.get_tuple(stored)
    assert found is not None
    assert found.config == stored


async def test_its_async_methods_work_beside_the_sync_ones(
    sync_saver: Callable[..., KustoSaver], thread_id: str
) -> None:
    saver = sync_saver()
    chain = Chain(saver, thread_id)
    stored = await chain.step(a=1)
    await saver.aput_writes(stored, [("a", 2)], "task")
    found = await saver.aget_tuple(chain.place)

    assert found is not None
    assert found.pending_writes == [("task", "a", 2)]
    assert saver.get_tuple(chain.place) == found
    assert await listed(saver, chain.place) == list(saver.list(chain.place)) == [found]
    await saver.aflush()
    await saver.asetup()
    await saver.adelete_thread(thread_id)
    assert saver.get_tuple(chain.place) is None


async def test_as_an_async_context_it_closes_its_thread(place: Place, thread_id: str) -> None:
    async with KustoSaver(place.uri, place.database) as saver:
        await Chain(saver, thread_id).step(a=1)
        assert await values_of(saver, config_of(thread_id)) == {"a": 1}
    with pytest.raises(errors.SaverClosedError):
        saver.get_tuple(config_of(thread_id))


def test_its_async_methods_work_on_one_loop_after_another(
    place: Place, new_thread: Callable[..., str]
) -> None:
    with KustoSaver(place.uri, place.database) as saver:
        chain = Chain(saver, new_thread())
        for number in range(3):
            asyncio.run(chain.step(n=number))
        assert len(list(saver.list(chain.place))) == 3


async def test_a_sync_call_on_its_own_loop_names_the_remedy(
    sync_saver: Callable[..., KustoSaver], thread_id: str
) -> None:
    """A serializer that calls back is the way to stand there; work of the portal is another."""
    saver = sync_saver()

    async def on_its_loop(_: object) -> None:
        with pytest.raises(errors.OwnLoopError, match=r"await saver\.aget_tuple"):
            saver.get_tuple(config_of(thread_id))

    await saver._home.run(on_its_loop)


@pytest.mark.counts
def test_many_threads_share_one_saver(place: Place, new_thread: Callable[..., str]) -> None:
    names = [new_thread() for _ in range(32)]
    with KustoSaver(place.uri, place.database) as saver:

        def live(name: str) -> Any:
            config = config_of(name)
            for number in range(5):
                checkpoint = new_checkpoint({"n": number, "name": name}, {"n": number, "name": 0})
                config = saver.put(config, checkpoint, {"source": "loop"}, {"n": number})
                saver.put_writes(config, [("a", number)], "task")
            return saver.get_tuple(config_of(name))

        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(live, names))
        stats = saver.stats()

    assert [item.checkpoint["channel_values"] for item in found] == [
        {"n": 4, "name": name} for name in names
    ]
    assert all(item.pending_writes == [("task", "a", 4)] for item in found)
    assert stats["ingest_rows"] == 320
    assert stats["ingest_requests"] < 200
