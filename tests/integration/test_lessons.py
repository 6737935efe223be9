"""What hurt users of other savers: the table of docs/contract.md, and what no other file tests.

Most rows name tests of other files; here are the ones without a better place.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import BaseModel
from shared.graphs import Driver, Effects, line, nested
from shared.places import Place
from shared.savers import MakeSaver, of_kind
from shared.threads import Chain, config_of, id_of, listed, new_checkpoint, noise, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver

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
    named = re.findall(r"`([\w/]+\.py)((?:::\w+)+)`", answer)

    assert named or "open: needs " in answer or "reason: " in answer
    for file, path in named:
        source = (ROOT / "tests" / file).read_text(encoding="utf-8")
        *classes, test = path.removeprefix("::").split("::")
        for name in classes:
            assert re.search(rf"^class {name}\b", source, re.MULTILINE), f"{file}: {name}"
        assert re.search(rf"^ *(async )?def {test}\(", source, re.MULTILINE), f"{file}: {test}"


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


# -- 24: a class that is not there any more --------------------------------------------------------


async def test_a_class_that_is_gone_comes_back_as_its_data_and_is_named(
    make_saver: MakeSaver, thread_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Gone(BaseModel):
        a: int

    module = types.ModuleType("module_that_goes")
    Gone.__module__, Gone.__qualname__ = module.__name__, "Gone"
    module.Gone = Gone  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    try:
        stored = await Chain(make_saver(), thread_id).step(value=[Gone(a=1)])
        assert (await values_of(make_saver(), stored))["value"] == [Gone(a=1)]
    finally:
        del sys.modules[module.__name__]
    with caplog.at_level(logging.WARNING):
        assert (await values_of(make_saver(), stored))["value"] == [{"a": 1}]


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
