"""LangGraph graphs for the end-to-end tests; each tells in its state which nodes ran."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send, interrupt
from typing_extensions import TypedDict

from .threads import noise


class State(TypedDict, total=False):
    trail: Annotated[list[str], operator.add]
    document: bytes
    answer: str
    items: list[int]
    results: Annotated[list[int], operator.add]


class Effects:
    """What happened outside of the state, in order; fails once where it is told to."""

    def __init__(self, fail_in: str = "") -> None:
        self.ran: list[str] = []
        self._fail_in = fail_in

    def note(self, name: str) -> None:
        """Note that a node ran, or fail in it, once."""
        self.ran.append(name)
        if name == self._fail_in:
            self._fail_in = ""
            raise ConnectionError(f"{name} failed")


def step(name: str, effects: Effects) -> Callable[[State], State]:
    """A node that notes that it ran."""

    def node(state: State) -> State:
        effects.note(name)
        return {"trail": [name]}

    return node


def line(effects: Effects) -> StateGraph[State]:
    """Three nodes, one after the other, beside a large value that only the first writes."""

    def first(state: State) -> State:
        effects.note("first")
        return {"trail": ["first"], "document": noise(60_000)}

    builder = StateGraph(State)
    builder.add_node("first", first)
    builder.add_node("second", step("second", effects))
    builder.add_node("third", step("third", effects))
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    builder.add_edge("second", "third")
    builder.add_edge("third", END)
    return builder


def asking(effects: Effects) -> StateGraph[State]:
    """A node that asks a human, between two that do not."""

    def ask(state: State) -> State:
        effects.note("ask")
        answer = interrupt({"question": "go on?", "trail": state["trail"]})
        again = interrupt("sure?")
        return {"trail": ["ask"], "answer": f"{answer} and {again}"}

    builder = StateGraph(State)
    builder.add_node("before", step("before", effects))
    builder.add_node("ask", ask)
    builder.add_node("after", step("after", effects))
    builder.add_edge(START, "before")
    builder.add_edge("before", "ask")
    builder.add_edge("ask", "after")
    return builder


def fan_out(effects: Effects) -> StateGraph[State]:
    """Two nodes at a time, then one task for each item."""

    def square(state: dict[str, int]) -> State:
        effects.note(f"square {state['item']}")
        return {"results": [state["item"] ** 2]}

    def spread(state: State) -> list[Send]:
        return [Send("square", {"item": item}) for item in state["items"]]

    builder = StateGraph(State)
    builder.add_node("left", step("left", effects))
    builder.add_node("right", step("right", effects))
    builder.add_node("join", step("join", effects))
    builder.add_node("square", square)
    builder.add_edge(START, "left")
    builder.add_edge(START, "right")
    builder.add_edge(["left", "right"], "join")
    builder.add_conditional_edges("join", spread, ["square"])
    return builder


def nested(effects: Effects, *, own_memory: bool = False) -> StateGraph[State]:
    """A subgraph with a human in it; with `own_memory` it remembers from run to run."""

    def ask(state: State) -> State:
        effects.note("inner ask")
        return {"trail": ["inner ask"], "answer": interrupt("inner?")}

    inner = StateGraph(State)
    inner.add_node("inner start", step("inner start", effects))
    inner.add_node("inner ask", ask)
    inner.add_edge(START, "inner start")
    inner.add_edge("inner start", "inner ask")
    builder = StateGraph(State)
    builder.add_node("outer", step("outer", effects))
    builder.add_node("inner", inner.compile(checkpointer=True if own_memory else None))
    builder.add_node("last", step("last", effects))
    builder.add_edge(START, "outer")
    builder.add_edge("outer", "inner")
    builder.add_edge("inner", "last")
    return builder


class Driver:
    """Runs a graph with `invoke` and its family, or with `ainvoke` and its family."""

    def __init__(self, graph: Any, thread_id: str, *, is_async: bool) -> None:
        self.graph = graph
        self.config: dict[str, Any] = {"configurable": {"thread_id": thread_id}}
        self._is_async = is_async

    async def run(self, given: Any, config: Any = None, **options: Any) -> Any:
        """Invoke the graph."""
        return await self._call("invoke", given, config or self.config, **options)

    async def state(self, config: Any = None, **options: Any) -> Any:
        """The state of the thread."""
        return await self._call("get_state", config or self.config, **options)

    async def update(self, values: Any, config: Any = None, **options: Any) -> Any:
        """Change the state by hand."""
        return await self._call("update_state", config or self.config, values, **options)

    async def history(self) -> list[Any]:
        """All states of the thread, the newest first."""
        if self._is_async:
            return [item async for item in self.graph.aget_state_history(self.config)]
        return await _in_thread(lambda: list(self.graph.get_state_history(self.config)))

    async def _call(self, name: str, *args: Any, **options: Any) -> Any:
        if self._is_async:
            return await getattr(self.graph, f"a{name}")(*args, **options)
        return await _in_thread(lambda: getattr(self.graph, name)(*args, **options))


async def _in_thread(work: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(work)
