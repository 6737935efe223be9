"""What hurt users of other savers: the table of docs/contract.md, and what no other file tests.

Most rows name tests of other files; here are the ones without a better place.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
import re
import sys
import types
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send
from pydantic import BaseModel
from shared.graphs import Driver, Effects, line, nested
from shared.named_tests import assert_there, named_tests
from shared.places import Place
from shared.savers import MakeSaver, of_kind
from shared.threads import Chain, config_of, id_of, listed, new_checkpoint, noise, values_of
from typing_extensions import TypedDict

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver

ROOT = Path(__file__).parents[2]
SECTION = "## What hurt users of other savers"
ROWS = 30


@pytest.fixture(params=["async", "sync"])
def make_saver(
    request: pytest.FixtureRequest,
    async_saver: Callable[..., Any],
    sync_saver: Callable[..., Any],
) -> MakeSaver:
    return of_kind(request.param, async_saver, sync_saver, {})


# -- the table -------------------------------------------------------------------------------------


def lessons() -> list[list[str]]:
    """The rows of the table: number, what hurt, answer."""
    text = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
    section = text.split(SECTION + "\n", 1)[1].split("\n## ", 1)[0]
    return [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in section.splitlines()
        if re.match(r"\| *\d+ *\|", row)
    ]


def test_every_lesson_has_a_row() -> None:
    assert [int(row[0]) for row in lessons()] == list(range(1, ROWS + 1))


@pytest.mark.parametrize("number", range(1, ROWS + 1))
def test_a_lesson_names_tests_that_exist_or_says_what_is_open(number: int) -> None:
    _, _, answer = lessons()[number - 1]
    named = named_tests(answer)

    assert named or "open: needs " in answer or "reason: " in answer
    for file, path in named:
        assert_there(file, path)


def test_what_else_is_asked_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
    rows = text.split("## What else is asked\n", 1)[1].split("\nTwo limits", 1)[0].splitlines()[5:]

    assert len(rows) > 20
    for row in rows:
        assert named_tests(row), row
        for file, path in named_tests(row):
            assert_there(file, path)


# -- 6: the order of parallel writes ---------------------------------------------------------------


def extend(state: list[str], writes: Sequence[list[str]]) -> list[str]:
    return [*state, *(item for write in writes for item in write)]


def parallel(effects: Effects, saver: Any) -> Any:
    """Twelve tasks at a time and two nodes beside them write to one delta channel."""
    delta = pytest.importorskip("langgraph.channels.delta", reason="there is no DeltaChannel")

    channel = Annotated[list[str], delta.DeltaChannel(extend)]
    State = TypedDict("State", {"told": channel})  # noqa: UP013 - a name of this function

    def task(number: int) -> Any:
        effects.note(f"task {number}")
        return {"told": [f"task {number}", f"again {number}"]}

    builder = StateGraph(State)
    builder.add_node("start", lambda state: {"told": ["start"]})
    builder.add_node("task", task)
    builder.add_node("zebra", lambda state: {"told": ["zebra"]})
    builder.add_node("ape", lambda state: {"told": ["ape"]})
    builder.add_node("end", lambda state: {"told": ["end"]})
    builder.add_edge(START, "start")
    builder.add_conditional_edges(
        "start", lambda state: ["zebra", "ape", *(Send("task", number) for number in range(12))]
    )
    builder.add_edge(["zebra", "ape", "task"], "end")
    return builder.compile(checkpointer=saver)


@pytest.mark.parametrize("fail_in", ["", "task 5"])
async def test_parallel_writes_come_back_in_the_order_they_had(
    async_saver: Callable[..., Any], thread_id: str, fail_in: str
) -> None:
    """Also those a failed step left behind, with the rest of it run later."""
    config: Any = config_of(thread_id)
    effects = Effects(fail_in)
    graph = parallel(effects, async_saver())
    if fail_in:
        with pytest.raises(ConnectionError):
            await graph.ainvoke({"told": ["in"]}, config)
        graph = parallel(effects, async_saver())
        live = await graph.ainvoke(None, config)
    else:
        live = await graph.ainvoke({"told": ["in"]}, config)

    written = [text for number in range(12) for text in (f"task {number}", f"again {number}")]
    assert [text for text in live["told"] if text in written] == written
    assert len(live["told"]) == 29
    assert (await parallel(effects, async_saver()).aget_state(config)).values == live
    saver = async_saver()
    items = {item.metadata["step"]: item for item in await listed(saver, config_of(thread_id))}
    tasks = [task_id for task_id, channel, _ in items[1].pending_writes if channel == "told"]
    assert len(tasks) == 14
    assert sorted(tasks) != tasks, "the order of ids would do"


@pytest.mark.parametrize("kind", [AsyncKustoSaver, KustoSaver])
def test_langgraph_finds_the_task_path(kind: type) -> None:
    """It looks for a parameter of this name, and calls without it in `update_state`."""
    for name in ("put_writes", "aput_writes"):
        assert inspect.signature(getattr(kind, name)).parameters["task_path"].default == ""


# -- 15: a query for each listed checkpoint --------------------------------------------------------


@pytest.mark.counts
async def test_a_list_asks_for_pages_and_not_for_checkpoints(
    make_saver: MakeSaver, thread_id: str
) -> None:
    """Each item comes with its values and its pending writes, large ones too."""
    writer = make_saver()
    chain = Chain(writer, thread_id)
    for number in range(40):
        await chain.step(small=number, large=noise(40_000, number % 4))
        await writer.aput_writes(chain.config, [("small", number)], "task")

    queries = []
    for limit in (10, 40):
        reader = make_saver()
        items = await listed(reader, config_of(thread_id), limit=limit)
        assert [item.pending_writes for item in items] == [
            [("task", "small", number)] for number in range(39, 39 - limit, -1)
        ]
        assert all(len(item.checkpoint["channel_values"]["large"]) == 40_000 for item in items)
        queries.append(reader.stats()["queries"])
    assert max(queries) <= 3


# -- 16: two workers on one thread -----------------------------------------------------------------


async def test_two_writers_of_one_thread_are_noticed(
    make_saver: MakeSaver, thread_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing prevents it; both branches stay readable, and whoever looks is told."""
    one, two = make_saver(), make_saver()
    root = await Chain(one, thread_id).step(a=0)
    left = await one.aput(root, new_checkpoint({"a": 1}), {"source": "loop"}, {"a": 1})
    right = await two.aput(root, new_checkpoint({"a": 2}), {"source": "loop"}, {"a": 1})
    by_hand = await two.aput(root, new_checkpoint({"a": 3}), {"source": "update"}, {"a": 1})

    reader = make_saver()
    with caplog.at_level(logging.WARNING):
        (fork,) = await reader.afind_forks(config_of(thread_id))
    assert fork.parent_checkpoint_id == id_of(root)
    assert fork.children == (id_of(right), id_of(left))
    assert "two writers ran it at a time" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert len(await listed(reader, config_of(thread_id))) == 4
    assert caplog.text.count("two writers ran it at a time") == 1
    for config, value in ((left, 1), (right, 2), (by_hand, 3)):
        assert (await values_of(reader, config))["a"] == value


# -- 21: values that change while they are stored --------------------------------------------------


@pytest.mark.parametrize("kind", ["its own loop", "another loop"])
async def test_what_changes_after_the_first_await_is_stored_as_it_was(
    async_saver: Callable[..., Any], sync_saver: Callable[..., Any], thread_id: str, kind: str
) -> None:
    """The first call of a saver waits for its connection before anything else."""
    make = async_saver if kind == "its own loop" else sync_saver
    live: dict[str, Any] = {"small": [1], "large": [noise(1_500_000)], "raw": bytearray(b"raw")}
    metadata: Any = {"live": ["as", "it", "was"]}
    versions: dict[str, Any] = {"small": 1, "large": 1, "raw": 1}
    checkpoint = new_checkpoint(live, versions)
    writes = deque([("small", live["small"]), ("large", live["large"])])
    place = config_of(thread_id, "", checkpoint["id"])
    expected = copy.deepcopy((live, checkpoint["channel_versions"], metadata["live"]))
    calls = [
        asyncio.ensure_future(make().aput(config_of(thread_id), checkpoint, metadata, versions)),
        asyncio.ensure_future(make().aput_writes(place, writes, "task")),
    ]
    await asyncio.sleep(0)  # both went as far as they go without waiting
    assert not any(call.done() for call in calls)
    for held in (*live.values(), metadata["live"], writes):
        held.clear()
    for names in (checkpoint["channel_values"], checkpoint["channel_versions"], versions):
        names["late"] = "late"
    await asyncio.gather(*calls)

    found = await async_saver().aget_tuple(place)
    values, stored_versions, told = expected
    assert found.checkpoint["channel_values"] == values
    assert found.checkpoint["channel_versions"] == stored_versions
    assert found.metadata["live"] == told
    assert found.pending_writes == [
        ("task", "small", values["small"]),
        ("task", "large", values["large"]),
    ]


# -- 24: a class that is not there any more --------------------------------------------------------


async def test_a_class_that_is_gone_comes_back_as_its_data_and_is_named(
    make_saver: MakeSaver, thread_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Gone(BaseModel):
        a: int

    name = f"module_that_goes_{thread_id[-8:]}"  # a warning about a class is given once
    module = types.ModuleType(name)
    Gone.__module__, Gone.__qualname__ = name, "Gone"
    module.Gone = Gone  # type: ignore[attr-defined]
    sys.modules[name] = module
    with caplog.at_level(logging.WARNING):
        try:
            stored = await Chain(make_saver(), thread_id).step(value=[Gone(a=1)])
            assert (await values_of(make_saver(), stored))["value"] == [Gone(a=1)]
        finally:
            del sys.modules[name]
        assert "not rebuilt" not in caplog.text
        assert (await values_of(make_saver(), stored))["value"] == [{"a": 1}]
    assert f"values of {name}.Gone are not rebuilt: the class is not found" in caplog.text


# -- 25: reads while a run streams -----------------------------------------------------------------


async def test_a_read_during_a_stream_is_of_that_step(
    async_saver: Callable[..., Any], thread_id: str
) -> None:
    """With `durability="sync"`; with LangGraph's default a step is put after its event."""
    saver = async_saver()
    graph = line(Effects()).compile(checkpointer=saver)
    config: Any = config_of(thread_id)
    seen = []
    async for values in graph.astream(
        {"trail": ["in"]}, config, stream_mode="values", durability="sync"
    ):
        state = (await graph.aget_state(config)).values
        seen.append((values["trail"], state["trail"]))
    assert seen[-1] == (["in", "first", "second", "third"],) * 2
    assert all(told == stored for told, stored in seen)


# -- 27: time travel into a subgraph ---------------------------------------------------------------


async def replayed(make: Callable[[], Any], thread_id: str) -> list[Any]:
    """Two runs, then one again from the middle of the first; what the subgraph then knows."""

    def driver(effects: Effects) -> Driver:
        graph = nested(effects, own_memory=True).compile(checkpointer=make())
        return Driver(graph, thread_id, is_async=False)

    told: list[Any] = []
    for answer in ("one", "two"):
        await driver(Effects()).run({"trail": [f"in {answer}"]}, durability="sync")
        await driver(Effects()).run(Command(resume=answer), durability="sync")
    history = await driver(Effects()).history()
    for step in (item for item in history if item.next == ("inner",)):
        effects = Effects()
        paused = await driver(effects).run(None, step.config, durability="sync")
        result = await driver(effects).run(Command(resume="other"), durability="sync")
        told += [paused, result["trail"], result["answer"], effects.ran]
    return told


@pytest.mark.asks
async def test_a_replay_finds_the_subgraph_as_it_was_then(
    sync_saver: Callable[..., Any], thread_id: str
) -> None:
    """LangGraph lists the subgraph's namespace before the id of the parent's checkpoint."""
    reference = InMemorySaver()
    expected = await replayed(lambda: reference, thread_id)
    found = await replayed(sync_saver, thread_id)

    assert len(expected) == 8
    assert plain(found) == plain(expected)


def plain(told: list[Any]) -> list[Any]:
    """Without the ids of interrupts, which are random."""
    return [
        {**item, "__interrupt__": [asked.value for asked in item["__interrupt__"]]}
        if isinstance(item, dict) and "__interrupt__" in item
        else item
        for item in told
    ]


# -- 2: a connection that died while nobody used it ------------------------------------------------


@pytest.mark.local_only
async def test_a_connection_that_died_while_idle(thread_id: str, place: Place) -> None:
    """A model call takes minutes; a proxy between us and Kusto closes what is idle."""
    async with (
        Cutter(place.uri) as cutter,
        AsyncKustoSaver(cutter.uri, place.database) as saver,
    ):
        chain = Chain(saver, thread_id)
        for number in range(3):
            await chain.step(a=number)
            assert (await values_of(saver, chain.place))["a"] == number
            cutter.cut()
        assert cutter.cuts > 0


class Cutter:
    """A TCP proxy that closes every connection it has when told."""

    def __init__(self, uri: str) -> None:
        host, _, port = uri.removeprefix("http://").rstrip("/").partition(":")
        self._target = (host, int(port))
        self._open: set[asyncio.StreamWriter] = set()
        self.cuts = 0
        self.uri = ""

    async def __aenter__(self) -> Cutter:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.uri = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Close what is open."""
        for writer in list(self._open):
            self.cuts += 1
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._open |= {writer, far_writer}
        await asyncio.gather(
            self._pump(reader, far_writer), self._pump(far_reader, writer), return_exceptions=True
        )
        self._open -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()
