"""`AsyncKustoSaver` over HTTP: the shared bodies, and what only it does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from shared.copy_bodies import CopyBodies, PruneBodies
from shared.delete_bodies import DeleteBodies
from shared.fork_bodies import ForkBodies
from shared.frame_bodies import FrameBodies
from shared.history_bodies import HistoryBodies
from shared.id_bodies import IdBodies
from shared.large_bodies import LargeBodies
from shared.life_bodies import LifeBodies
from shared.list_bodies import ListBodies
from shared.places import Place
from shared.run_bodies import CheckpointDeleteBodies, RunBodies
from shared.savers import connections_of_dead_loops
from shared.step_bodies import StepBodies
from shared.threads import Chain, config_of, listed, new_checkpoint, values_of
from shared.value_bodies import ValueBodies
from shared.write_bodies import WriteBodies

from langgraph.checkpoint.kusto import AsyncKustoSaver, errors


@pytest.fixture
def make_saver(async_saver: Callable[..., AsyncKustoSaver]) -> Callable[..., AsyncKustoSaver]:
    return async_saver


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


class TestLarge(LargeBodies): ...


async def in_thread(work: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(work)


async def test_sync_methods_on_its_own_loop_name_the_remedy(
    saver: AsyncKustoSaver, thread_id: str
) -> None:
    await Chain(saver, thread_id).step(a=1)
    calls: dict[str, Callable[[], Any]] = {
        "aget_tuple": lambda: saver.get_tuple(config_of(thread_id)),
        "alist": lambda: list(saver.list(config_of(thread_id))),
        "aput": lambda: saver.put(config_of(thread_id), new_checkpoint(), {}, {}),
        "aput_writes": lambda: saver.put_writes(config_of(thread_id, "", "1"), [("a", 1)], "t"),
        "adelete_thread": lambda: saver.delete_thread(thread_id),
        "adelete_for_runs": lambda: saver.delete_for_runs(["run"]),
        "adelete_checkpoint": lambda: saver.delete_checkpoint(config_of(thread_id, "", "1")),
        "acopy_thread": lambda: saver.copy_thread(thread_id, "copy"),
        "aprune": lambda: saver.prune([thread_id]),
        "aget_delta_channel_history": lambda: saver.get_delta_channel_history(
            config=config_of(thread_id), channels=["a"]
        ),
        "afind_forks": lambda: saver.find_forks(config_of(thread_id)),
    }
    public = {name for name in dir(saver) if name[0] != "_"}
    twins = {name for name in public if name[0] == "a" and name[1:] in public}
    inherited = {"aget"}  # LangGraph's own: it calls `get_tuple`
    by_name = {"asetup", "aflush"}  # async under both names on this saver
    assert twins - inherited - by_name == set(calls)
    for remedy, call in calls.items():
        with pytest.raises(errors.OwnLoopError, match=rf"await saver\.{remedy}\(.*KustoSaver"):
            call()
    assert await values_of(saver, config_of(thread_id)) == {"a": 1}


async def test_sync_methods_without_any_loop_name_the_remedy(
    saver: AsyncKustoSaver, thread_id: str
) -> None:
    def call() -> None:
        with pytest.raises(errors.OwnLoopError, match="no event loop yet"):
            saver.get_tuple(config_of(thread_id))

    await in_thread(call)


async def test_sync_methods_work_from_other_threads(saver: AsyncKustoSaver, thread_id: str) -> None:
    stored = await Chain(saver, thread_id).step(a=1)

    def work() -> None:
        assert saver.get_tuple(stored) is not None
        following = saver.put(stored, new_checkpoint({"a": 2}), {"source": "loop"}, {"a": 2})
        saver.put_writes(following, [("a", 3)], "task")
        assert [item.config for item in saver.list(config_of(thread_id))] == [following, stored]
        found = saver.get_tuple(config_of(thread_id))
        assert found is not None
        assert found.pending_writes == [("task", "a", 3)]
        saver.delete_thread(thread_id)

    await in_thread(work)
    assert await listed(saver, config_of(thread_id)) == []


async def test_calls_from_another_loop_hop_to_its_own(
    saver: AsyncKustoSaver, thread_id: str
) -> None:
    chain = Chain(saver, thread_id)
    await chain.step(a=1)

    async def elsewhere() -> Any:
        await chain.step(a=2)
        assert [i.checkpoint["channel_values"] for i in await listed(saver, chain.place)] == [
            {"a": 2},
            {"a": 1},
        ]
        return await saver.aget_tuple(chain.place)

    found = await in_thread(lambda: asyncio.run(elsewhere()))
    assert found == await saver.aget_tuple(chain.place)


def test_one_saver_for_several_runs_of_the_loop(
    place: Place, new_thread: Callable[..., str]
) -> None:
    """As a module-level saver in a script that calls `asyncio.run` again and again."""
    saver = AsyncKustoSaver(place.uri, place.database)
    chain = Chain(saver, new_thread())

    async def step(number: int) -> dict[str, Any]:
        await chain.step(n=number)
        return await values_of(saver, chain.place)

    async def finish() -> int:
        async with saver:
            return len(await listed(saver, chain.place))

    with connections_of_dead_loops():
        for number in range(3):
            assert asyncio.run(step(number)) == {"n": number}
        assert asyncio.run(finish()) == 3


def test_rows_buffered_when_the_loop_ended_are_named(
    place: Place, new_thread: Callable[..., str]
) -> None:
    name = new_thread()
    saver = AsyncKustoSaver(
        place.uri, place.database, write_mode="buffered", flush_interval=3_600.0
    )

    async def go_on() -> None:
        with pytest.raises(errors.LoopLostError, match=r"flush\(\)") as lost:
            await Chain(saver, name).step(a=2)
        assert name in str(lost.value)
        assert len(lost.value.failures) == 10
        for checkpoint_id in stored:
            assert sum(checkpoint_id in line for line in lost.value.failures) == 1
        assert await saver.aget_tuple(config_of(name)) is None
        await Chain(saver, name).step(a=3)
        await saver.aclose()

    async def begin() -> list[str]:
        steps = [await Chain(saver, name).step(a=number) for number in range(10)]
        return [step["configurable"]["checkpoint_id"] for step in steps]

    with connections_of_dead_loops():
        stored = asyncio.run(begin())
        asyncio.run(go_on())

    async def look() -> dict[str, Any]:
        async with AsyncKustoSaver(place.uri, place.database) as other:
            return await values_of(other, config_of(name))

    assert asyncio.run(look()) == {"a": 3}


async def test_a_saver_may_be_made_in_a_thread_without_a_loop(place: Place, thread_id: str) -> None:
    made: list[AsyncKustoSaver] = []
    thread = threading.Thread(
        target=lambda: made.append(
            AsyncKustoSaver.from_connection_string(place.uri, place.database)
        )
    )
    thread.start()
    thread.join()
    async with made[0] as saver:
        await Chain(saver, thread_id).step(a=1)
        assert await values_of(saver, config_of(thread_id)) == {"a": 1}


async def test_a_connection_string_names_the_database(place: Place, thread_id: str) -> None:
    text = f"Data Source={place.uri};Initial Catalog={place.database}"
    async with AsyncKustoSaver.from_connection_string(text) as saver:
        await Chain(saver, thread_id).step(a=1)
        assert await values_of(saver, config_of(thread_id)) == {"a": 1}
