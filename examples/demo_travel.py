"""Time travel of the demo: a thread's history, and a fork with another input, async and sync.

The two ways to run differ only in the methods LangGraph offers; what is printed and checked is
shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agent_graph import Effects, agent_graph
from demo_kql import print_table
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, StateSnapshot

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver


@dataclass
class Journey:
    """What time travel found."""

    before: list[StateSnapshot]
    """The thread before the fork, newest first."""

    after: list[StateSnapshot]
    """The same checkpoints, read one by one after the fork."""

    fork: StateSnapshot
    """The end of the fork."""

    checkpoints: int
    """All checkpoints of the thread now, those of the subgraph too."""


async def travel_async(uri: str, database: str, thread: str, other_input: str) -> Journey:
    """Fork the thread before its first node, with `AsyncKustoSaver`."""
    latest: RunnableConfig = {"configurable": {"thread_id": thread}}
    async with AsyncKustoSaver.from_connection_string(uri, database) as saver:
        graph = agent_graph(saver, Effects())
        before = [state async for state in graph.aget_state_history(latest)]
        print_history(before)
        fork = await graph.aupdate_state(beginning(before), {"path": other_input}, "__start__")
        await graph.ainvoke(None, fork, durability="sync")
        await graph.ainvoke(Command(resume="yes"), latest, durability="sync")
        after = [await graph.aget_state(state.config) for state in before]
        count = len([item async for item in saver.alist(latest)])
        return Journey(before, after, await graph.aget_state(latest), count)


def travel_sync(uri: str, database: str, thread: str, other_input: str) -> Journey:
    """Fork the thread before its first node, with `KustoSaver`."""
    latest: RunnableConfig = {"configurable": {"thread_id": thread}}
    with KustoSaver.from_connection_string(uri, database) as saver:
        graph = agent_graph(saver, Effects())
        before = list(graph.get_state_history(latest))
        print_history(before)
        fork = graph.update_state(beginning(before), {"path": other_input}, "__start__")
        graph.invoke(None, fork, durability="sync")
        graph.invoke(Command(resume="yes"), latest, durability="sync")
        after = [graph.get_state(state.config) for state in before]
        return Journey(before, after, graph.get_state(latest), len(list(saver.list(latest))))


def beginning(history: list[StateSnapshot]) -> RunnableConfig:
    """Return the config of the checkpoint from which the first node ran."""
    return next(state.config for state in history if state.next == ("plan",))


def print_history(history: list[StateSnapshot]) -> None:
    """Print one line for each checkpoint, oldest first."""
    table: list[tuple[str, ...]] = [("step", "source", "next", "checkpoint_id")]
    for state in reversed(history):
        metadata: Any = state.metadata or {}
        names = ", ".join(state.next) or "(end)"
        checkpoint_id = state.config["configurable"]["checkpoint_id"]
        table.append((str(metadata["step"]), metadata["source"], names, checkpoint_id))
    print_table(table)
