"""LangGraph graphs end to end: every durability, both savers, `invoke` and `ainvoke`."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
from langgraph.graph import StateGraph
from langgraph.types import Command
from shared.graphs import Driver, Effects, asking, fan_out, line, nested
from shared.threads import id_of, listed, noise

# Before Python 3.11 `interrupt()` does not work in nodes of `ainvoke` (LangGraph's own limit).
ASYNC_INTERRUPTS = sys.version_info >= (3, 11)
WAYS = ("async saver, ainvoke", "sync saver, invoke", "sync saver, ainvoke")
DURABILITIES = ("sync", "async", "exit")

Drive = Callable[..., Driver]


@pytest.fixture(params=WAYS)
def drive(
    request: pytest.FixtureRequest,
    async_saver: Callable[..., Any],
    sync_saver: Callable[..., Any],
    thread_id: str,
) -> Drive:
    """Compile a graph with a new saver, for the thread of the test."""
    way: str = request.param
    make = async_saver if way.startswith("async") else sync_saver

    asks = request.node.get_closest_marker("asks")
    if asks and way.endswith("ainvoke") and not ASYNC_INTERRUPTS:
        pytest.skip("LangGraph's interrupt() in ainvoke needs Python 3.11")

    def start(builder: StateGraph[Any], **options: Any) -> Driver:
        graph = builder.compile(checkpointer=make(), **options)
        return Driver(graph, thread_id, is_async=way.endswith("ainvoke"))

    return start


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_a_run_and_its_history(drive: Drive, durability: str) -> None:
    effects = Effects()
    driver = drive(line(effects))
    result = await driver.run({"trail": ["input"]}, durability=durability)

    trail = ["input", "first", "second", "third"]
    assert result == {"trail": trail, "document": noise(60_000), "results": []}
    other = drive(line(effects))
    state = await other.state()
    assert state.values == result
    assert state.next == ()
    history = await other.history()
    if durability == "exit":
        assert [item.metadata["step"] for item in history] == [3]
    else:
        assert [item.metadata["step"] for item in history] == [3, 2, 1, 0, -1]
        assert [item.next for item in history] == [
            (),
            ("third",),
            ("second",),
            ("first",),
            ("__start__",),
        ]
        assert [item.values.get("trail") for item in history] == [
            trail,
            trail[:3],
            trail[:2],
            trail[:1],
            [],
        ]
        assert [item.parent_config for item in history[:-1]] == [i.config for i in history[1:]]
    assert effects.ran == trail[1:]


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_one_run_after_another_in_one_thread(drive: Drive, durability: str) -> None:
    for number in range(3):
        driver = drive(line(Effects()))
        result = await driver.run({"trail": [f"input {number}"]}, durability=durability)
        assert result["trail"][number * 4] == f"input {number}"
        assert len(result["trail"]) == (number + 1) * 4


@pytest.mark.asks
@pytest.mark.parametrize("durability", DURABILITIES)
async def test_a_human_answers_another_saver(drive: Drive, durability: str) -> None:
    effects = Effects()
    paused = await drive(asking(effects)).run({"trail": ["input"]}, durability=durability)
    (asked,) = paused["__interrupt__"]
    assert asked.value == {"question": "go on?", "trail": ["input", "before"]}

    waiting = drive(asking(effects))
    state = await waiting.state()
    assert state.next == ("ask",)
    assert [item.value for item in state.interrupts] == [asked.value]

    paused = await drive(asking(effects)).run(Command(resume="yes"), durability=durability)
    (asked,) = paused["__interrupt__"]
    assert asked.value == "sure?"
    done = await drive(asking(effects)).run(Command(resume="really"), durability=durability)

    assert done["trail"] == ["input", "before", "ask", "after"]
    assert done["answer"] == "yes and really"
    assert effects.ran == ["before", "ask", "ask", "ask", "after"]
    assert (await drive(asking(effects)).state()).next == ()


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_a_failed_node_alone_runs_again(drive: Drive, durability: str) -> None:
    effects = Effects(fail_in="right")
    driver = drive(fan_out(effects))
    given = {"trail": [], "items": [1, 2, 3]}
    with pytest.raises(ConnectionError, match="right failed"):
        await driver.run(given, durability=durability)

    again = drive(fan_out(effects))
    state = await again.state()
    assert {task.name: task.error is not None for task in state.tasks} == {
        "left": False,
        "right": True,
    }
    result = await again.run(None, durability=durability)

    assert sorted(result["trail"]) == ["join", "left", "right"]
    assert result["results"] == [1, 4, 9]
    assert effects.ran.count("right") == 2
    assert effects.ran.count("left") == 1


@pytest.mark.parametrize("durability", DURABILITIES)
async def test_one_task_for_each_item(drive: Drive, durability: str) -> None:
    effects = Effects()
    driver = drive(fan_out(effects))
    items = list(range(12))
    result = await driver.run({"trail": [], "items": items}, durability=durability)

    assert result["results"] == [item**2 for item in items]
    assert (await drive(fan_out(Effects())).state()).values == result
    assert len(effects.ran) == 15


@pytest.mark.parametrize("fail_in", ["square 5", "square 0"])
async def test_a_failed_task_of_many_alone_runs_again(drive: Drive, fail_in: str) -> None:
    effects = Effects(fail_in=fail_in)
    with pytest.raises(ConnectionError):
        await drive(fan_out(effects)).run({"trail": [], "items": list(range(8))}, durability="sync")
    finished = set(effects.ran) - {fail_in}
    result = await drive(fan_out(effects)).run(None, durability="sync")

    assert result["results"] == [item**2 for item in range(8)]
    assert effects.ran.count(fail_in) == 2
    assert finished >= {"left", "right", "join"}


@pytest.mark.asks
@pytest.mark.parametrize("own_memory", [False, True], ids=["per call", "own memory"])
@pytest.mark.parametrize("durability", DURABILITIES)
async def test_a_subgraph_is_interrupted_and_resumed(
    drive: Drive, durability: str, own_memory: bool
) -> None:
    effects = Effects()
    await drive(nested(effects, own_memory=own_memory)).run(
        {"trail": ["in"]}, durability=durability
    )

    waiting = drive(nested(effects, own_memory=own_memory))
    state = await waiting.state(subgraphs=True)
    assert state.next == ("inner",)
    inner = state.tasks[0].state
    assert inner.values["trail"] == ["in", "outer", "inner start"]
    assert inner.next == ("inner ask",)
    namespace = inner.config["configurable"]["checkpoint_ns"]
    assert re.fullmatch("inner" if own_memory else "inner:.+", namespace)

    done = await drive(nested(effects, own_memory=own_memory)).run(
        Command(resume="ok"), durability=durability
    )
    assert done["answer"] == "ok"
    assert done["trail"][-1] == "last"
    assert effects.ran == ["outer", "inner start", "inner ask", "inner ask", "last"]


@pytest.mark.asks
async def test_a_subgraph_with_its_own_memory_remembers(drive: Drive) -> None:
    for number in range(2):
        driver = drive(nested(Effects(), own_memory=True))
        await driver.run({"trail": [f"in {number}"]}, durability="sync")
        await driver.run(Command(resume=f"answer {number}"), durability="sync")

    items = await listed(driver.graph.checkpointer, driver.config)
    names = {item.config["configurable"]["checkpoint_ns"] for item in items}
    assert names == {"", "inner"}
    inner = [item for item in items if item.config["configurable"]["checkpoint_ns"] == "inner"]
    trail = inner[0].checkpoint["channel_values"]["trail"]
    assert trail.count("inner ask") == 3  # its own of the first run, and twice from the outer trail
    assert len({id_of(item.config) for item in items}) == len(items)


async def test_time_travel_replays_and_forks(drive: Drive) -> None:
    effects = Effects()
    driver = drive(line(effects))
    await driver.run({"trail": ["input"]}, durability="sync")
    history = await driver.history()
    after_first = next(item for item in history if item.next == ("second",))

    replayed = await drive(line(effects)).run(None, after_first.config, durability="sync")
    assert replayed["trail"] == ["input", "first", "second", "third"]
    assert effects.ran == ["first", "second", "third", "second", "third"]

    other = drive(line(effects))
    fork = await other.update({"trail": ["by hand"], "answer": "new"}, after_first.config)
    forked = await other.run(None, fork, durability="sync")

    assert forked["trail"] == ["input", "first", "by hand", "second", "third"]
    assert forked["answer"] == "new"
    assert forked["document"] == noise(60_000)
    original = await drive(line(effects)).state(history[0].config)
    assert original.values == history[0].values
    assert original.config == history[0].config
    assert (await other.state()).values == forked
    parents = [item.parent_config for item in await other.history()]
    assert parents.count(after_first.config) >= 2


async def test_states_changed_by_hand(drive: Drive) -> None:
    driver = drive(line(Effects()), interrupt_before=["second"])
    await driver.run({"trail": ["input"]}, durability="sync")
    assert (await driver.state()).next == ("second",)

    await driver.update({"trail": ["as second"]}, as_node="second")
    assert (await drive(line(Effects())).state()).next == ("third",)
    result = await drive(line(Effects())).run(None, durability="sync")

    assert result["trail"] == ["input", "first", "as second", "third"]
    copied = await driver.update(None, (await driver.state()).config, as_node="__copy__")
    assert (await driver.state()).config == copied
    assert (await driver.state()).values == result


async def test_a_finished_node_runs_once_whatever_is_resumed(drive: Drive) -> None:
    effects = Effects(fail_in="third")
    with pytest.raises(ConnectionError):
        await drive(line(effects)).run({"trail": []}, durability="sync")
    result = await drive(line(effects)).run(None, durability="sync")

    assert result["trail"] == ["first", "second", "third"]
    assert effects.ran == ["first", "second", "third", "third"]


async def test_a_deleted_thread_starts_afresh(drive: Drive, thread_id: str) -> None:
    driver = drive(line(Effects()))
    await driver.run({"trail": ["old"]}, durability="sync")
    await driver.graph.checkpointer.adelete_thread(thread_id)
    assert (await drive(line(Effects())).state()).values == {}

    result = await driver.run({"trail": ["new"]}, durability="sync")
    assert result["trail"] == ["new", "first", "second", "third"]
    assert len(await drive(line(Effects())).history()) == 5


@pytest.mark.counts
async def test_many_threads_of_one_graph(
    async_saver: Callable[..., Any], new_thread: Callable[..., str]
) -> None:
    saver = async_saver()
    graph = fan_out(Effects()).compile(checkpointer=saver)

    async def live(number: int) -> Any:
        driver = Driver(graph, new_thread(), is_async=True)
        given = {"trail": [f"input {number}"], "items": [number, number + 1]}
        return await driver.run(given, durability="async")

    results = await asyncio.gather(*[live(number) for number in range(12)])
    for number, result in enumerate(results):
        assert result["trail"][0] == f"input {number}"
        assert result["results"] == [number**2, (number + 1) ** 2]
    stats = saver.stats()
    assert stats["ingest_requests"] < stats["puts"] + stats["put_writes"]
