"""Machines whose clocks are minutes apart: what is deleted stays so, and what lives, lives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from model.conditions import WrongClock
from shared.threads import Chain, config_of, id_of, listed, listed_ids, new_checkpoint, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver

MINUTES = [(7, 0, -7), (-7, 0, 7), (0, 7, 0), (0, -7, 0)]
"""By how much the clocks of three machines are wrong."""


@pytest.fixture(params=MINUTES, ids=str)
def machines(
    request: pytest.FixtureRequest, async_saver: Callable[..., AsyncKustoSaver]
) -> list[Callable[[], AsyncKustoSaver]]:
    """Each makes savers of one machine: the one that runs, the one that deletes, another."""

    def machine(minutes: int) -> Callable[[], AsyncKustoSaver]:
        def make() -> AsyncKustoSaver:
            saver = async_saver()
            saver._memory.clock = WrongClock(minutes)
            return saver

        return make

    return [machine(minutes) for minutes in request.param]


Machines = list[Callable[[], AsyncKustoSaver]]


async def test_clocks_change_nothing_of_deleting_a_thread(
    machines: Machines, thread_id: str
) -> None:
    """Savers are new for each call: none follows the clock of another by what it read before."""
    run, delete, other = machines
    old = Chain(run(), thread_id)
    await old.step(life="old")
    await delete().adelete_thread(thread_id)
    old.saver = run()
    await old.step(life="late")
    await run().aput_writes(old.config, [("a", "late")], "task")
    for make in machines:
        assert await listed(make(), config_of(thread_id, None)) == []

    new = Chain(other(), thread_id)
    stored = await new.step(life="new")
    await other().aput_writes(stored, [("a", "new")], "task")
    await old.step(life="late again")
    for make in machines:
        (item,) = await listed(make(), config_of(thread_id))
        assert item.checkpoint["channel_values"] == {"life": "new"}
        assert item.pending_writes == [("task", "a", "new")]
    await delete().adelete_thread(thread_id)
    await other().acopy_thread(thread_id, f"{thread_id} copy")
    for make in machines:
        assert await listed(make(), config_of(thread_id)) == []
        assert await listed(make(), config_of(f"{thread_id} copy")) == []


async def test_clocks_change_nothing_of_deleting_runs_and_checkpoints(
    machines: Machines, thread_id: str
) -> None:
    run, delete, other = machines
    chain = Chain(run(), thread_id)
    kept = await chain.step({"run_id": "kept"}, a=1)
    await chain.step({"run_id": f"{thread_id} gone"}, a=2)
    await delete().adelete_for_runs([f"{thread_id} gone"])
    await chain.step({"run_id": f"{thread_id} gone"}, a=3)
    for make in machines:
        assert await listed_ids(make(), config_of(thread_id)) == [id_of(kept)]

    chain.config = kept
    child = await chain.step(a="child")
    await run().aput_writes(child, [("a", "dead")], "task")
    assert await delete().adelete_checkpoint(child)
    for make in machines:
        assert await listed_ids(make(), config_of(thread_id)) == [id_of(kept)]
    again = new_checkpoint({"a": "again"}, checkpoint_id=id_of(child))
    saver = other()  # before it puts an id again it reads the thread, as LangGraph does
    assert await values_of(saver, config_of(thread_id)) == {"a": 1}
    await saver.aput(kept, again, {}, {"a": 1})
    for make in machines:
        assert await values_of(make(), config_of(thread_id)) == {"a": "again"}


async def test_clocks_change_nothing_of_copying_and_pruning(
    machines: Machines, thread_id: str, new_thread: Callable[..., str]
) -> None:
    run, delete, other = machines
    copy = new_thread()
    chain = Chain(run(), thread_id)
    for number in range(3):
        stored = await chain.step(a=number)
        await chain.saver.aput_writes(stored, [("a", number)], "task")
    late = Chain(run(), copy)
    await late.step(a="of the old life")
    await delete().adelete_thread(copy)
    await other().acopy_thread(thread_id, copy)
    await late.step(a="late")
    (report,) = await delete().aprune([thread_id])
    assert (report.kept, report.deleted) == (1, 2)
    following = await chain.step(a="after")
    for make in machines:
        found = await listed(make(), config_of(copy))
        assert [item.checkpoint["channel_values"] for item in found] == [
            {"a": number} for number in (2, 1, 0)
        ]
        assert [item.pending_writes for item in found] == [
            [("task", "a", number)] for number in (2, 1, 0)
        ]
        left = await listed_ids(make(), config_of(thread_id))
        assert left == [id_of(following), id_of(stored)]


async def test_a_call_that_knows_another_comes_after_it_whatever_the_clocks_say(
    machines: Machines, thread_id: str
) -> None:
    """LangGraph reads a thread before it goes on with it."""
    stored = await Chain(machines[0](), thread_id).step(a=1)
    for number in range(6):
        saver = machines[number % 3]()
        found = await saver.aget_tuple(stored)
        assert found is not None
        writes = [("__resume__", number), ("a", number)]
        await saver.aput_writes(stored, writes, "task")
        checkpoint = {**found.checkpoint, "channel_values": {"a": number}}
        await saver.aput(config_of(thread_id), checkpoint, {}, {})  # type: ignore[arg-type]  # a dict
        for make in machines:
            found = await make().aget_tuple(stored)
            assert found is not None
            assert found.checkpoint["channel_values"] == {"a": number}
            assert found.pending_writes == [("task", "__resume__", number), ("task", "a", 0)]
