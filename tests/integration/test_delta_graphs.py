"""Graphs with delta channels: long chains resume in three requests, forks stay apart."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Annotated, Any

import pytest
from langgraph.graph import END, START, StateGraph
from shared.places import Place
from shared.threads import config_of, id_of, listed
from typing_extensions import TypedDict

from langgraph.checkpoint.kusto import AsyncKustoSaver

delta = pytest.importorskip("langgraph.channels.delta", reason="this LangGraph has no DeltaChannel")

pytestmark = pytest.mark.local_only

STEPS = 1_000
OLDER = tuple(int(part) for part in version("langgraph").split(".")[:3]) <= (1, 2, 11)


def extend(state: list[Any], writes: Sequence[list[Any]]) -> list[Any]:
    return [*state, *(item for write in writes for item in write)]


class State(TypedDict):
    messages: Annotated[list[str], delta.DeltaChannel(extend, snapshot_frequency=5_000)]
    steps: Annotated[int, operator.add]


def graph_of(saver: Any, until: int) -> Any:
    def step(state: State) -> Any:
        return {"messages": [f"message {state['steps']}"], "steps": 1}

    builder = StateGraph(State)
    builder.add_node("step", step)
    builder.add_edge(START, "step")
    builder.add_conditional_edges("step", lambda s: END if s["steps"] >= until else "step")
    return builder.compile(checkpointer=saver)


async def test_a_thousand_supersteps_resume_with_three_history_requests(
    place: Place, async_saver: Callable[..., AsyncKustoSaver], thread_id: str
) -> None:
    config: Any = {**config_of(thread_id), "recursion_limit": STEPS + 10}
    writer = async_saver(write_mode="buffered", flush_interval=3_600.0, batch_size=5_000)
    await graph_of(writer, STEPS).ainvoke({"messages": ["hello"], "steps": 0}, config)
    await writer.flush()

    reader = async_saver()
    asked: list[int] = []
    original = reader.aget_delta_channel_history

    async def counted(**arguments: Any) -> Any:
        before = reader.stats()["queries"]
        found = await original(**arguments)
        asked.append(reader.stats()["queries"] - before)
        return found

    reader.aget_delta_channel_history = counted  # type: ignore[method-assign]
    graph = graph_of(reader, STEPS + 1)
    state = await graph.aget_state(config)
    expected = ["hello", *(f"message {number}" for number in range(STEPS))]
    assert state.values["messages"] == expected
    assert asked
    assert max(asked) <= 3
    result = await graph.ainvoke({"messages": ["again"], "steps": 0}, config)
    assert result["messages"] == [*expected, "again", f"message {STEPS}"]
    assert max(asked) <= 3


@pytest.mark.skipif(
    OLDER, reason="up to 1.2.11 LangGraph itself replays that branch, with InMemorySaver, too"
)
async def test_a_fork_does_not_replay_the_branch_it_left(
    place: Place, async_saver: Callable[..., AsyncKustoSaver], thread_id: str
) -> None:
    saver = async_saver()
    config: Any = {**config_of(thread_id), "recursion_limit": 100}
    graph = graph_of(saver, 6)
    await graph.ainvoke({"messages": ["hello"], "steps": 0}, config)
    history = [item async for item in graph.aget_state_history(config)]
    middle = next(item for item in history if item.values.get("steps") == 3)
    fork = await graph.aupdate_state(middle.config, {"messages": ["forked"], "steps": 1})
    result = await graph_of(saver, 6).ainvoke(None, fork)
    assert result["messages"] == [
        "hello",
        "message 0",
        "message 1",
        "message 2",
        "forked",
        "message 4",
        "message 5",
    ]
    reader = async_saver()
    [report] = await reader.aprune([thread_id])
    assert report.deleted > 0
    assert (await graph_of(reader, 6).aget_state(config)).values["messages"] == result["messages"]
    kept = {id_of(item.config) for item in await listed(reader, config_of(thread_id))}
    assert len(kept) == report.kept
