"""Real LangGraph graphs: a loop of two nodes, and tasks in parallel."""

from __future__ import annotations

import operator
import random
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Send
from typing_extensions import TypedDict

from .bench import Bench
from .chats import message_text

_RECURSION_LIMIT = 1_000


class LoopState(TypedDict, total=False):
    """What an agent keeps."""

    messages: Annotated[list[AnyMessage], add_messages]
    turn: int
    scratch: dict[str, Any]


class FanState(TypedDict, total=False):
    """Items, and what became of each."""

    items: list[int]
    results: Annotated[list[int], operator.add]


def _both(step: Callable[[Any], Any]) -> Any:
    """A node for sync and async graphs alike."""
    from langchain_core.runnables import RunnableLambda

    async def astep(state: Any) -> Any:
        return step(state)

    return RunnableLambda(step, astep)


def _loop(bench: Bench, rounds: int) -> Any:
    """A model and a tool that take turns; each round is two supersteps."""
    chance = random.Random(1)
    texts = [message_text(chance) for _ in range(2 * rounds)]

    def model(state: LoopState) -> LoopState:
        turn = state.get("turn", 0)
        return {"messages": [AIMessage(content=texts[2 * turn])], "scratch": {"asked": turn}}

    def tool(state: LoopState) -> LoopState:
        turn = state.get("turn", 0)
        return {"messages": [HumanMessage(content=texts[2 * turn + 1])], "turn": turn + 1}

    def after_tool(state: LoopState) -> str:
        return "model" if state["turn"] < rounds else END

    builder = StateGraph(LoopState)
    builder.add_node("model", _both(model))
    builder.add_node("tool", _both(tool))
    builder.add_edge(START, "model")
    builder.add_edge("model", "tool")
    builder.add_conditional_edges("tool", after_tool, ["model", END])
    return builder.compile(checkpointer=bench.checkpointer)


async def prepare_loop(bench: Bench, *, threads: int, rounds: int, durability: str) -> Any:
    """Compile the graph, run it once, and see that what it kept is what it gave."""
    graph = _loop(bench, rounds)
    messages = await _run_one(bench, graph, "warm-up graph", rounds, durability)
    kept = await bench.saver.aget_tuple(bench.thread("warm-up graph"))
    if kept.checkpoint["channel_values"]["messages"] != messages:
        raise ValueError("other messages were kept than the graph gave")
    return graph, threads, rounds, durability


async def run_loop(bench: Bench, prepared: Any) -> None:
    """Run the graph in many threads at the same time."""
    graph, threads, rounds, durability = prepared
    await bench.driver.together(
        [
            partial(_timed, bench, graph, f"graph {number}", rounds, durability)
            for number in range(threads)
        ]
    )
    bench.meter.add_units(threads * rounds * 2)


async def _timed(bench: Bench, graph: Any, thread_id: str, rounds: int, durability: str) -> None:
    work = _run_one(bench, graph, thread_id, rounds, durability)
    await bench.meter.timed("invoke", work)


async def _run_one(bench: Bench, graph: Any, thread_id: str, rounds: int, durability: str) -> Any:
    config = {**bench.thread(thread_id), "recursion_limit": _RECURSION_LIMIT}
    given = {"messages": [HumanMessage(content="begin")], "turn": 0}
    end = await bench.driver.invoke(graph, given, config, durability=durability)
    if len(end["messages"]) != 1 + 2 * rounds:
        raise ValueError(f"{len(end['messages'])} messages after {rounds} rounds in {thread_id}")
    return end["messages"]


def _fan(bench: Bench) -> Any:
    def spread(state: FanState) -> list[Send]:
        return [Send("square", {"item": item}) for item in state["items"]]

    def square(state: dict[str, int]) -> FanState:
        return {"results": [state["item"] ** 2]}

    builder = StateGraph(FanState)
    builder.add_node("begin", _both(lambda state: {}))
    builder.add_node("square", _both(square))
    builder.add_edge(START, "begin")
    builder.add_conditional_edges("begin", spread, ["square"])
    return builder.compile(checkpointer=bench.checkpointer)


async def prepare_fan_out(bench: Bench, *, tasks: int, repeat: int) -> Any:
    """Compile the graph and run it once, small."""
    graph = _fan(bench)
    await _run_fan(bench, graph, "warm-up fan", 3)
    return graph, tasks, repeat


async def run_fan_out(bench: Bench, prepared: Any) -> None:
    """Run the graph in one thread after the other."""
    graph, tasks, repeat = prepared
    for number in range(repeat):
        await bench.meter.timed("invoke", _run_fan(bench, graph, f"fan {number}", tasks))
    bench.meter.add_units(tasks * repeat)


async def _run_fan(bench: Bench, graph: Any, thread_id: str, tasks: int) -> None:
    config = {**bench.thread(thread_id), "max_concurrency": tasks}
    end = await bench.driver.invoke(graph, {"items": list(range(tasks))}, config, durability="sync")
    if end["results"] != [item**2 for item in range(tasks)]:
        raise ValueError(f"other results in {thread_id}")
