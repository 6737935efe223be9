"""Commits: waiting for room, in the intake and then in the overlay, within one time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from shared.writer_bench import settle

from langgraph.checkpoint.kusto._commits import Commits
from langgraph.checkpoint.kusto._memory import Memory
from langgraph.checkpoint.kusto._rows import CheckpointKey, StoredCheckpoint
from langgraph.checkpoint.kusto._stats import Stats
from langgraph.checkpoint.kusto._transport import Table
from langgraph.checkpoint.kusto._values import encode_value
from langgraph.checkpoint.kusto.errors import (
    BackpressureError,
    ClusterUnreachableError,
    SaverClosedError,
)
from langgraph.checkpoint.kusto.options import SaverOptions

NOW = 639_000_000_000_000_000
ROWS = 5
OPTIONS = SaverOptions(intake_bytes=100, overlay_bytes=55, intake_timeout=60.0)
"""The overlay has room for one row of ten bytes less than is in it."""


class Writer:
    """Sends nothing."""

    def __init__(self) -> None:
        self.urgent = 0

    def hurry(self) -> None:
        self.urgent += 1

    def relax(self) -> None:
        self.urgent -= 1

    async def aclose(self) -> None:
        pass


class Kusto:
    """Shows so many rows more with each answer, once it answers."""

    def __init__(self, more: int = ROWS) -> None:
        self.answers = asyncio.Event()
        self.error: Exception | None = None
        self.seconds = 0.0
        self.asked = 0
        self._more = more

    async def query(self, text: Any, parameters: Mapping[str, str | int]) -> list[Table]:
        self.asked += 1
        await self.answers.wait()
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        shown = str(parameters["p_checkpoints"]).split(",")[: self._more]
        empty = Table(("id", "row_count"), [])
        return [Table(("submission_id",), [[name] for name in shown]), empty, empty, empty]


class Bench:
    """Commits over a full overlay."""

    def __init__(self, kusto: Kusto, options: SaverOptions = OPTIONS) -> None:
        self.kusto, self.writer, self.memory = kusto, Writer(), Memory(Stats())
        writer: Any = self.writer
        self.commits = Commits(writer, self.memory, options, kusto.query)
        value = encode_value("msgpack", b"value")
        for name in map(str, range(ROWS)):
            key = CheckpointKey("thread", "", name)
            row = StoredCheckpoint(key, "", "e1", "", name, NOW, value, value, {}, {})
            self.memory.overlay.add_checkpoint(row, 10)
            self.memory.overlay.acknowledge([name], NOW)

    def put(self, size_bytes: int = 10) -> asyncio.Future[None]:
        return asyncio.ensure_future(self.commits.admit(size_bytes))

    @property
    def held(self) -> str:
        return repr(self.commits)


async def test_one_time_for_the_intake_and_the_overlay(clock: Any) -> None:
    """Also while a question is under way: it goes on, and serves whoever comes next."""
    bench = Bench(Kusto())
    await bench.put(5)  # the overlay takes it, and the question has begun
    await bench.put(5)
    waiting = bench.put(95)  # first for the intake, then for the overlay
    await clock.advance(40)
    assert bench.held == "<Commits running=0 <Intake bytes=10/100 waiting=1>>"
    bench.commits.release(5)
    bench.commits.release(5)
    await clock.advance(19)
    assert not waiting.done()
    assert bench.held == "<Commits running=0 <Intake bytes=95/100 waiting=0>>"
    await clock.advance(2)
    with pytest.raises(BackpressureError, match=r"^50 bytes are .* after 60 s; raise overlay_byte"):
        await waiting
    assert bench.held == "<Commits running=0 <Intake bytes=0/100 waiting=0>>"
    assert bench.writer.urgent == 0
    assert bench.kusto.asked == 1

    bench.kusto.answers.set()
    await bench.put(95)
    assert bench.kusto.asked == 1
    assert bench.memory.overlay.size_bytes == 0


async def test_the_time_ends_though_some_rows_show_all_along(clock: Any) -> None:
    bench = Bench(Kusto(more=1))
    bench.kusto.answers.set()
    bench.kusto.seconds = 25.0
    with pytest.raises(BackpressureError, match=r"^20 bytes are acknowledged but not visible"):
        await bench.put(55)
    assert bench.kusto.asked == 3


async def test_room_after_several_questions(clock: Any) -> None:
    bench = Bench(Kusto(more=1))
    bench.kusto.answers.set()
    await bench.put(35)
    assert bench.kusto.asked == 3
    assert bench.memory.overlay.size_bytes == 20
    assert clock.slept == [], "an answer that helped is followed by the next question"


async def test_kusto_is_asked_at_intervals_until_the_time_ends(clock: Any) -> None:
    bench = Bench(Kusto(more=0), SaverOptions(intake_timeout=0.5, overlay_bytes=55))
    bench.kusto.answers.set()
    with pytest.raises(BackpressureError, match=r"after 0\.5 s"):
        await bench.put()
    assert bench.kusto.asked == 3
    assert clock.slept[:2] == [0.2, 0.2]
    assert 0 < clock.slept[2] < 0.2, "no longer than the time that is left"


async def test_whoever_leaves_does_not_end_the_question_of_the_others() -> None:
    bench = Bench(Kusto())
    first, second = bench.put(), bench.put()
    await settle()
    first.cancel()
    await settle()
    assert first.cancelled()
    assert not second.done()
    bench.kusto.answers.set()
    await second
    assert bench.kusto.asked == 1
    assert bench.held == "<Commits running=0 <Intake bytes=10/100 waiting=0>>"


async def test_a_question_that_fails_is_told_to_each_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(Kusto())
    bench.kusto.error = ClusterUnreachableError("gone; wait")
    puts = [bench.put(), bench.put()]
    await settle()
    bench.kusto.answers.set()
    first, second = await asyncio.gather(*puts, return_exceptions=True)
    assert isinstance(first, ClusterUnreachableError)
    assert isinstance(second, ClusterUnreachableError)
    assert first is not second
    assert str(first) == str(second) == "gone; wait"
    told = [record.getMessage() for record in caplog.records]
    assert told == ["could not ask which rows are visible: gone; wait"]
    assert bench.held == "<Commits running=0 <Intake bytes=0/100 waiting=0>>"


async def test_a_question_nobody_waits_for_is_logged_when_it_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(Kusto())
    bench.kusto.error = ClusterUnreachableError("gone; wait")
    bench.kusto.answers.set()
    await bench.put(5)
    await settle()
    told = [record.getMessage() for record in caplog.records]
    assert told == ["could not ask which rows are visible: gone; wait"]


async def test_closing_answers_whoever_waits_for_room(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(Kusto())
    waiting = bench.put()
    await settle()
    await bench.commits.drain()
    with pytest.raises(SaverClosedError):
        await waiting
    assert bench.held == "<Commits running=0 <Intake bytes=0/100 waiting=0>>"
    assert bench.kusto.asked == 1
    assert caplog.records == []
