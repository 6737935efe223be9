"""An agent that describes a text file, and survives being killed: its thread is kept in Kusto.

    export KUSTO_CLUSTER_URI=https://mycluster.westeurope.kusto.windows.net KUSTO_DATABASE=agents
    python examples/agent.py --thread my-thread --input README.md --approve ask

The same command resumes the thread from its last step. Here: the command line and the run. The
graph itself is in `agent_graph.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from agent_graph import Effects, agent_graph
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, StateSnapshot

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoCheckpointError, KustoSaver

WAITING = 3
"""Exit code of a run that stopped at the question to a human."""

SILENT = ("messages", "path")
"""Values that say nothing new when a node hands them on."""

STREAMED: dict[str, Any] = {
    "stream_mode": "updates",
    "subgraphs": True,
    # The next step begins only when Kusto has acknowledged the checkpoint of this one.
    "durability": "sync",
}


def main() -> int:
    """Run or resume the agent; return 0 when it finished, `WAITING` when a human must answer."""
    options = parse_arguments()
    uri, database = os.environ.get("KUSTO_CLUSTER_URI"), os.environ.get("KUSTO_DATABASE")
    if not uri or not database:
        print(
            "error: set KUSTO_CLUSTER_URI (https://<cluster>.<region>.kusto.windows.net) and"
            " KUSTO_DATABASE.\nWithout a cluster, start a local one and set what it prints:\n"
            "  python -m langgraph.checkpoint.kusto.local --path kusto.db",
            file=sys.stderr,
        )
        return 2
    if not Path(options.input).is_file():
        print(f"error: --input {options.input}: there is no such file", file=sys.stderr)
        return 2
    try:
        if options.sync:
            return run_sync(uri, database, options)
        return asyncio.run(run_async(uri, database, options))
    except KustoCheckpointError as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 1


async def run_async(uri: str, database: str, options: argparse.Namespace) -> int:
    """Run on `AsyncKustoSaver`, with `astream`."""
    async with AsyncKustoSaver.from_connection_string(uri, database) as saver:
        if options.create:
            await saver.setup(create=True)
        graph = agent_graph(saver, Effects(options.effects, options.step_delay))
        config = thread_config(options)
        state = await graph.aget_state(config)
        given = next_input(state, options)
        while given is not STOP:
            async for namespace, update in graph.astream(given, config, **STREAMED):
                print_step(namespace, update)
            state = await graph.aget_state(config)
            given = next_input(state, options, started=True)
        return finish(state)


def run_sync(uri: str, database: str, options: argparse.Namespace) -> int:
    """Run on `KustoSaver`, with `stream`."""
    with KustoSaver.from_connection_string(uri, database) as saver:
        if options.create:
            saver.setup(create=True)
        graph = agent_graph(saver, Effects(options.effects, options.step_delay))
        config = thread_config(options)
        state = graph.get_state(config)
        given = next_input(state, options)
        while given is not STOP:
            for namespace, update in graph.stream(given, config, **STREAMED):
                print_step(namespace, update)
            state = graph.get_state(config)
            given = next_input(state, options, started=True)
        return finish(state)


# ------------------------------------------------------------------- shared by both ways to run

STOP = object()


def thread_config(options: argparse.Namespace) -> RunnableConfig:
    """Name the thread."""
    return {"configurable": {"thread_id": options.thread}}


def next_input(state: StateSnapshot, options: argparse.Namespace, *, started: bool = False) -> Any:
    """Decide what the graph is given: the task, None to go on, a human's answer, or `STOP`."""
    if state.created_at is None:
        if started:
            raise SystemExit(f"error: Kusto has nothing of thread {options.thread} after the run")
        print(f"thread {options.thread}: new, input {options.input}", flush=True)
        return {"path": options.input}
    if not started:
        last = (state.metadata or {}).get("step")
        print(f"thread {options.thread}: found in Kusto at step {last}, {ahead(state)}", flush=True)
    if not state.tasks:
        return STOP
    # A task that has its result keeps the question it once asked; nobody must answer it again.
    asked = [
        task.interrupts[0] for task in state.tasks if task.interrupts and task.name in state.next
    ]
    if not asked:
        return None
    answer = human_answer(asked[0].value, options)
    return STOP if answer is None else Command(resume=answer)


def ahead(state: StateSnapshot) -> str:
    """Say what comes next.

    `state.next` leaves out tasks whose results are stored, so it is empty too when a process was
    killed between a step's results and the checkpoint that takes them in; `state.tasks` is not.
    """
    if state.next:
        return f"next {', '.join(state.next)}"
    return "its results are there, its checkpoint is next" if state.tasks else "finished before"


def human_answer(asked: dict[str, str], options: argparse.Namespace) -> str | None:
    """Return yes or no, or None when nobody is there to be asked."""
    print(f"question: {asked['question']}")
    print("\n".join(f"    {line}" for line in asked["report"].splitlines()), flush=True)
    if options.approve != "ask":
        print(f"answer (--approve): {options.approve}", flush=True)
        return str(options.approve)
    if not sys.stdin.isatty():
        return None
    answer = ""
    while answer not in ("yes", "no"):
        answer = input("yes or no? ").strip().lower()
    return answer


def print_step(namespace: tuple[str, ...], update: dict[str, Any]) -> None:
    """Print one line for each node that finished."""
    for node, values in update.items():
        if node == "__interrupt__":
            continue
        where = "  in review: " if namespace else "  "
        print(f"{where}{node:<13} {told(values)}", flush=True)


def told(values: Any) -> str:
    """Say in a few words what a node gave."""
    if not isinstance(values, dict):
        return ""
    messages = values.get("messages")
    if messages and "report" not in values:
        calls = getattr(messages[-1], "tool_calls", [])
        text = " ".join(f"calls {call['name']}" for call in calls) or messages[-1].text
    else:
        text = ", ".join(f"{name}: {values[name]}" for name in values if name not in SILENT)
    text = " ".join(text.split())
    return text if len(text) <= 70 else text[:67] + "..."


def finish(state: StateSnapshot) -> int:
    """Say how the run ended, as an exit code too."""
    if state.tasks:
        print("waiting for a human: run again with --approve yes, or no", flush=True)
        return WAITING
    published = state.values["published"]
    print("published" if published else "discarded: the answer was no", flush=True)
    return 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Describe a text file step by step; run it again to resume the thread.",
        epilog=f"Exit code {WAITING} means that a human must answer first.",
    )
    add = parser.add_argument
    add("--thread", required=True, help="thread id: the run's name in Kusto")
    add("--input", required=True, metavar="FILE", help="the text file to describe")
    add("--effects", metavar="FILE", help="every node appends a line to this file")
    add("--approve", choices=("yes", "no", "ask"), default="ask", help="the human's answer")
    add("--create", action="store_true", help="create the tables first (needs Database Admin)")
    add("--step-delay", type=float, default=0.0, metavar="SECONDS", help="work of each node")
    add("--sync", action="store_true", help="use KustoSaver and stream, not the async saver")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
