"""Commits: asking Kusto which rows of the overlay it shows, and what is lost with a loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from langgraph.checkpoint.kusto import _commits as module
from langgraph.checkpoint.kusto._commits import Commits
from langgraph.checkpoint.kusto._memory import Memory
from langgraph.checkpoint.kusto._rows import CheckpointKey, StoredCheckpoint
from langgraph.checkpoint.kusto._stats import Stats
from langgraph.checkpoint.kusto._transport import Table
from langgraph.checkpoint.kusto._values import encode_value
from langgraph.checkpoint.kusto.errors import LoopLostError
from langgraph.checkpoint.kusto.options import SaverOptions

NOW = 639_000_000_000_000_000
EMPTY = Table(("id", "row_count"), [])


class Kusto:
    """Shows the checkpoints it is told to; says what it was asked."""

    def __init__(self) -> None:
        self.shown: set[str] = set()
        self.asked: list[str] = []

    async def query(self, text: Any, parameters: Mapping[str, str | int]) -> list[Table]:
        asked = str(parameters["p_checkpoints"])
        self.asked.append(asked)
        rows = [[name] for name in asked.split(",") if name in self.shown]
        return [Table(("submission_id",), rows), EMPTY, EMPTY, EMPTY]


def acknowledged(memory: Memory, name: str, now: int) -> None:
    value = encode_value("msgpack", b"value")
    key = CheckpointKey("thread", "", name)
    row = StoredCheckpoint(key, "", "e1", "", name, NOW, value, value, {}, {})
    memory.overlay.add_checkpoint(row, 10)
    memory.overlay.acknowledge([name], now)


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> tuple[Commits, Kusto, Memory]:
    monkeypatch.setattr(module, "_CONFIRM_LIMIT", 2)
    kusto, memory, writer = Kusto(), Memory(Stats()), None
    some: Any = writer
    for number in range(5):
        acknowledged(memory, f"s{number}", NOW + number)
    return Commits(some, memory, SaverOptions(), kusto.query), kusto, memory


async def test_all_are_asked_about_though_the_oldest_never_show(
    bench: tuple[Commits, Kusto, Memory],
) -> None:
    """Rows that the queue took and Kusto refused stay for a day; others come after them."""
    commits, kusto, memory = bench
    kusto.shown = {"s3", "s4"}
    assert await commits.confirm() == 2
    assert kusto.asked == ["s0,s1", "s2,s3", "s4"]
    assert await commits.confirm() == 0
    assert kusto.asked[3:] == ["s0,s1", "s2"]
    assert [memory.overlay.row_count_of(f"s{number}") for number in range(5)] == [1, 1, 1, 0, 0]


async def test_what_kusto_had_and_has_no_more_is_dropped(
    bench: tuple[Commits, Kusto, Memory],
) -> None:
    commits, kusto, memory = bench
    kusto.shown = {"s0"}
    assert await commits.confirm(expired_before=NOW + 3) == 3
    assert [memory.overlay.row_count_of(f"s{number}") for number in range(5)] == [0, 0, 0, 1, 1]


async def test_nothing_is_asked_when_nothing_is_acknowledged(
    bench: tuple[Commits, Kusto, Memory],
) -> None:
    commits, kusto, memory = bench
    memory.overlay.remove([f"s{number}" for number in range(5)])
    assert await commits.confirm(expired_before=NOW + 99) == 0
    assert kusto.asked == []


def test_all_that_is_lost_with_a_loop_is_named_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A loop that is closed without a cancellation of its tasks."""
    memory, nothing, undone = Memory(Stats()), None, list[str]()
    some: Any = nothing

    async def unanswered() -> None:
        await asyncio.Event().wait()

    async def begin() -> Commits:
        commits = Commits(some, memory, SaverOptions(write_mode="buffered"), some)
        for name in ("put 1", "put 2"):
            await commits.run(unanswered, partial(undone.append, name), 5, name)
        return commits

    loop = asyncio.new_event_loop()
    try:
        commits = loop.run_until_complete(begin())
        commits.abandon()
        error = memory.take_failures()
        assert isinstance(error, LoopLostError)
        assert error.failures == ("put 1", "put 2")
        assert undone == ["put 1", "put 2"]
        assert [record.getMessage() for record in caplog.records] == [
            "put 1 was not written: the event loop ended",
            "put 2 was not written: the event loop ended",
        ]
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks))
        loop.close()
