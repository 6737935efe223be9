"""Savers in whole processes: left unclosed, forked, under strict msgpack, in a script."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from shared.places import Place
from shared.processes import ROOT, child_environment
from shared.threads import Chain, config_of, listed, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver

PATIENCE_SECONDS = 60

NEVER_CLOSED = """
import sys
from langgraph.checkpoint.kusto import KustoSaver
from shared.threads import config_of, new_checkpoint

uri, database, thread_id, mode = sys.argv[1:]
saver = KustoSaver(uri, database, write_mode=mode, flush_interval=3_600.0)
for number in range(3):
    saver.put(config_of(thread_id), new_checkpoint({"n": number}), {}, {"n": 1})
if mode == "acknowledged":
    del saver
print("end of script")
"""

FORKED = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: fork beside threads
from langgraph.checkpoint.kusto import KustoSaver, errors
from shared.threads import config_of, new_checkpoint

uri, database, thread_id = sys.argv[1:]
saver = KustoSaver(uri, database)
stored = saver.put(config_of(thread_id), new_checkpoint({"n": 1}), {}, {"n": 1})
held = saver._memory.epochs._by_key._lock
held.acquire()  # as another thread may; in the child it is held for ever
child = os.fork()
if child == 0:
    for call in (saver.get_tuple, lambda at: saver.put(at, new_checkpoint({"n": 2}), {}, {"n": 2})):
        try:
            call(stored)
        except errors.ForkedProcessError as error:
            print("refused:", error, flush=True)
    with KustoSaver(uri, database) as own:
        print("own saver:", own.get_tuple(stored).checkpoint["channel_values"], flush=True)
    os._exit(0)
held.release()
os.waitpid(child, 0)
print("parent:", saver.get_tuple(stored).checkpoint["channel_values"], flush=True)
saver.close()
"""

STRICT = """
import dataclasses, operator, sys
from typing import Annotated, TypedDict
from langgraph.checkpoint.kusto import KustoSaver
from langgraph.graph import START, StateGraph

@dataclasses.dataclass
class Point:
    x: int

class State(TypedDict):
    point: Point
    points: Annotated[list[Point], operator.add]

def node(state: State) -> State:
    return {"point": Point(state["point"].x + 1), "points": [state["point"]]}

uri, database, thread_id = sys.argv[1:]
config = {"configurable": {"thread_id": thread_id}}
with KustoSaver(uri, database) as saver:
    for _ in range(2):
        builder = StateGraph(State)
        builder.add_node("node", node)
        builder.add_edge(START, "node")
        graph = builder.compile(checkpointer=saver)
        assert graph.checkpointer is not saver, "no clone was made"
        found = graph.get_state(config).values
        graph.invoke({"point": found.get("point", Point(0)), "points": []}, config)
    print(graph.get_state(config).values)
    print(type(saver.get_tuple(config).checkpoint["channel_values"]["point"]).__name__)
    print(saver.stats()["puts"])
"""

ANOTHER_LOOP_POLICY = """
import asyncio, sys
from langgraph.checkpoint.kusto import AsyncKustoSaver
from shared.threads import config_of, new_checkpoint

uri, database, thread_id = sys.argv[1:]
saver = AsyncKustoSaver(uri, database)  # at module level, before any loop

async def main():
    async with saver:
        await saver.aput(config_of(thread_id), new_checkpoint({"n": 1}), {}, {"n": 1})
        print((await saver.aget_tuple(config_of(thread_id))).checkpoint["channel_values"])

loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""


def run(script: str, place: Place, *arguments: str, **variables: str) -> list[str]:
    """Run a script as a process of its own and give the lines it printed."""
    paths = f"{ROOT / 'tests'}:{child_environment()['PYTHONPATH']}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, place.uri, place.database, *arguments],
        env=child_environment({"PYTHONPATH": paths, **variables}),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("mode", ["acknowledged", "buffered"])
async def test_a_saver_that_is_never_closed_lets_the_process_end(
    place: Place, async_saver: Callable[..., AsyncKustoSaver], thread_id: str, mode: str
) -> None:
    """And sends what it still had."""
    assert run(NEVER_CLOSED, place, thread_id, mode) == ["end of script"]

    found = await listed(async_saver(), config_of(thread_id))
    assert [item.checkpoint["channel_values"]["n"] for item in found] == [2, 1, 0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_saver_says_what_to_do(place: Place, thread_id: str) -> None:
    refused, refused_put, own, parent = run(FORKED, place, thread_id)

    assert refused.startswith("refused: ")
    assert "create one in the child process" in refused
    assert refused_put == refused
    assert own == "own saver: {'n': 1}"
    assert parent == "parent: {'n': 1}"


def test_graphs_under_strict_msgpack_use_clones(place: Place, thread_id: str) -> None:
    """Each graph gets a clone that knows its types; the clones share one saver's state."""
    values, plain, puts = run(STRICT, place, thread_id, LANGGRAPH_STRICT_MSGPACK="true")

    assert values == "{'point': Point(x=2), 'points': [Point(x=0), Point(x=1)]}"
    assert plain == "dict"  # the original saver was told of no types
    assert int(puts) == 6


async def test_a_saver_made_before_any_loop(place: Place, thread_id: str) -> None:
    assert run(ANOTHER_LOOP_POLICY, place, thread_id) == ["{'n': 1}"]


async def test_two_processes_at_one_thread(
    place: Place, async_saver: Callable[..., AsyncKustoSaver], thread_id: str
) -> None:
    """There is no fencing: both are stored, the greater id is the newest, nothing is torn."""
    saver = async_saver()
    chain = Chain(saver, thread_id)
    await chain.step(n="here")
    run(NEVER_CLOSED, place, thread_id, "acknowledged")
    await chain.step(n="here again")

    found: Any = await listed(saver, config_of(thread_id))
    assert [item.checkpoint["channel_values"]["n"] for item in found] == [
        "here again",
        2,
        1,
        0,
        "here",
    ]
    assert found[0].parent_config == found[-1].config
    assert await values_of(async_saver(), config_of(thread_id)) == {"n": "here again"}
