"""Visibility: who waits for a large value gets one answer; what is late is told once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from langgraph.checkpoint.kusto import _kql
from langgraph.checkpoint.kusto import _visibility as module
from langgraph.checkpoint.kusto._clock import TICKS_PER_SECOND
from langgraph.checkpoint.kusto._memory import Memory
from langgraph.checkpoint.kusto._rows import CheckpointKey, StoredCheckpoint
from langgraph.checkpoint.kusto._schema import WRITES
from langgraph.checkpoint.kusto._sent_again import SentAgain
from langgraph.checkpoint.kusto._stats import Stats
from langgraph.checkpoint.kusto._transport import Table
from langgraph.checkpoint.kusto._values import BlobRef, encode_value
from langgraph.checkpoint.kusto._visibility import Visibility
from langgraph.checkpoint.kusto.errors import (
    ClusterUnreachableError,
    RowsRejectedError,
    SaverClosedError,
    ServiceUnavailableError,
    WriteFailedError,
)

NOW = 639_000_000_000_000_000
EMPTY = Table(("id", "row_count"), [])


class Kusto:
    """Shows what it is told to; says what it was asked."""

    def __init__(self) -> None:
        self.shown: dict[str, int] = {}
        self.failures: list[Exception] = []
        self.asked: list[Mapping[str, str | int]] = []
        self.landed: dict[str, int] = {}
        self.texts: list[Any] = []
        self.answers: list[list[Table]] = []

    async def query(self, text: Any, parameters: Mapping[str, str | int]) -> list[Table]:
        await asyncio.sleep(0)
        self.asked.append(parameters)
        if self.failures:
            raise self.failures.pop(0)
        if self.answers:
            return self.answers.pop(0)
        if text in _kql.CONFIRM_AGAIN.values():
            self.texts.append(text)
            asked = str(parameters["p_ids"]).split(",")
            return [Table(("identity", "row_count"), [[i, self.landed.get(i, 0)] for i in asked])]
        asked = str(parameters["p_blobs"]).split(",")
        rows = [[blob, self.shown[blob]] for blob in asked if blob in self.shown]
        return [EMPTY, Table(("blob_id", "row_count"), rows), EMPTY, EMPTY]


class Confirmations:
    """Stands for the commits: shows nothing unless it is told to."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.asked = 0
        self.shown: list[str] = []
        self.failures: list[Exception] = []

    async def confirm(self) -> int:
        await asyncio.sleep(0)
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        self.memory.overlay.remove(self.shown)
        return len(self.shown)


class Bench:
    def __init__(self, timeout: float) -> None:
        self.kusto = Kusto()
        self.memory = Memory(Stats())
        self.commits = Confirmations(self.memory)
        self.now = NOW
        commits: Any = self.commits
        self.visibility = Visibility(
            self.kusto.query, commits, self.memory, timeout, lambda: self.now
        )

    def follow(self, blob_id: str, chunks: int = 1, at: int = NOW) -> asyncio.Future[None]:
        """A copy that was acknowledged already."""
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        acknowledged.set_result(None)
        return self.visibility.follow(BlobRef(blob_id, chunks, 5, at), acknowledged)

    def acknowledge(self, identity: str) -> None:
        """A checkpoint row that Kusto has."""
        value = encode_value("msgpack", b"value")
        key = CheckpointKey("thread", "", identity)
        row = StoredCheckpoint(key, "", "e1", "", identity, NOW, value, value, {}, {})
        self.memory.overlay.add_checkpoint(row, 10)
        self.memory.overlay.acknowledge([identity], self.now)
        self.visibility.watch()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SHORTEST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(module, "_LONGEST_PAUSE_SECONDS", 0.002)


@pytest.fixture
async def make_bench() -> Any:
    made: list[Bench] = []

    def make(timeout: float = 60.0) -> Bench:
        made.append(Bench(timeout))
        return made[-1]

    yield make
    for bench in made:
        await bench.visibility.aclose()


MakeBench = Callable[..., Bench]


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - nothing announces that it asks
        await asyncio.sleep(0.001)


async def test_it_is_shown_when_all_its_chunks_are(make_bench: MakeBench) -> None:
    bench = make_bench()
    one, two = bench.follow("b1"), bench.follow("b2", chunks=2, at=NOW - 1)
    await until(lambda: bench.kusto.asked)
    assert not one.done()
    assert bench.kusto.asked[0]["p_blobs"] == "b1,b2", "one question for both"
    assert bench.kusto.asked[0]["p_since"] == "datetime(2025-11-29T07:59:59.9999999Z)"
    bench.kusto.shown = {"b1": 1, "b2": 1}
    await one
    seen = len(bench.kusto.asked)
    await until(lambda: len(bench.kusto.asked) > seen + 2)
    assert not two.done(), "one of its chunks is missing"
    bench.kusto.shown = {"b2": 2}
    await two
    assert repr(bench.visibility) == "<Visibility waiting=0 again=0 late=0>"


async def test_nothing_is_asked_when_nothing_waits(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.kusto.shown = {"b1": 1, "b2": 1}
    await bench.follow("b1")
    await asyncio.sleep(0.02)
    assert len(bench.kusto.asked) == 1
    await bench.follow("b2")
    assert len(bench.kusto.asked) == 2


async def test_it_fails_as_its_ingestion_fails(make_bench: MakeBench) -> None:
    bench = make_bench()
    acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    shown = bench.visibility.follow(BlobRef("b1", 1, 5, NOW), acknowledged)
    acknowledged.set_exception(RowsRejectedError("no; use others"))
    with pytest.raises(RowsRejectedError):
        await shown
    assert bench.kusto.asked == []


async def test_a_cancelled_ingestion_counts_as_closed(make_bench: MakeBench) -> None:
    bench = make_bench()
    acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    shown = bench.visibility.follow(BlobRef("b1", 1, 5, NOW), acknowledged)
    acknowledged.cancel()
    with pytest.raises(SaverClosedError):
        await shown


async def test_who_waits_too_long_is_told_what_to_do(make_bench: MakeBench) -> None:
    bench = make_bench(timeout=0.02)
    with pytest.raises(ServiceUnavailableError, match=r"0\.02 s ago .* raise queued_timeout"):
        await bench.follow("b1")
    bench.kusto.shown = {"b2": 1}
    await bench.follow("b2")


async def test_a_failed_question_is_asked_again(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.kusto.failures = [ClusterUnreachableError("gone; wait"), ClusterUnreachableError("gone")]
    bench.kusto.shown = {"b1": 1}
    await bench.follow("b1")
    assert len(bench.kusto.asked) == 3


async def test_what_should_not_happen_reaches_whoever_waits(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.kusto.failures = [KeyError("unexpected")]
    with pytest.raises(KeyError, match="unexpected"):
        await bench.follow("b1")


async def test_closing_answers_whoever_waits(make_bench: MakeBench) -> None:
    bench = make_bench()
    waiting = bench.follow("b1")
    await until(lambda: bench.kusto.asked)
    await bench.visibility.aclose()
    with pytest.raises(SaverClosedError):
        await waiting
    with pytest.raises(SaverClosedError):
        await bench.follow("b2")
    given_up = len(bench.kusto.asked)
    await asyncio.sleep(0.01)
    assert len(bench.kusto.asked) == given_up


async def test_all_that_wait_are_asked_about(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what comes after many that never show."""
    monkeypatch.setattr(module, "_ASKED_AT_ONCE", 2)
    bench = make_bench()
    waiting = [bench.follow(f"b{number}", at=NOW - number) for number in range(5)]
    bench.kusto.shown = {"b2": 1, "b4": 1}
    await asyncio.gather(waiting[2], waiting[4])
    assert [asked["p_blobs"] for asked in bench.kusto.asked[:3]] == ["b0,b1", "b2,b3", "b4"]
    assert bench.kusto.asked[1]["p_since"] == "datetime(2025-11-29T07:59:59.9999997Z)"
    assert [item.done() for item in waiting] == [False, False, True, False, True]


# -- what nobody waits for -------------------------------------------------------------------------


async def test_it_asks_until_everything_is_shown(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.acknowledge("s1")
    bench.commits.failures = [ClusterUnreachableError("gone; wait")]
    await until(lambda: bench.commits.asked > 3)
    bench.commits.shown = ["s1"]
    await until(lambda: not len(bench.memory.overlay))
    asked = bench.commits.asked
    await asyncio.sleep(0.01)
    assert bench.commits.asked == asked
    bench.acknowledge("s2")
    await until(lambda: bench.commits.asked > asked)


async def test_what_is_late_is_told_once_and_kept(make_bench: MakeBench) -> None:
    bench = make_bench(timeout=2.0)
    bench.acknowledge("s1")
    await until(lambda: bench.commits.asked > 1)
    assert bench.memory.take_failures() is None
    bench.now = NOW + 2 * TICKS_PER_SECOND + 1
    seen = bench.commits.asked
    await until(lambda: bench.commits.asked > seen + 2)
    error = bench.memory.take_failures()
    assert isinstance(error, WriteFailedError)
    assert error.failures == (
        "s1 of thread 'thread': queued more than 2 s ago and not shown by Kusto; see"
        " `.show ingestion failures`",
    )
    await until(lambda: bench.commits.asked > seen + 5)
    assert bench.memory.take_failures() is None
    assert len(bench.memory.overlay) == 1
    assert repr(bench.visibility) == "<Visibility waiting=0 again=0 late=1>"
    bench.acknowledge("s2")
    bench.now += 2 * TICKS_PER_SECOND + 1
    bench.commits.shown = ["s1"]
    seen = bench.commits.asked
    await until(lambda: bench.commits.asked > seen + 2)
    told = bench.memory.take_failures()
    assert isinstance(told, WriteFailedError)
    assert [failure[:2] for failure in told.failures] == ["s2"]
    assert repr(bench.visibility) == "<Visibility waiting=0 again=0 late=1>", (
        "s1 was shown after all"
    )


async def test_the_time_counts_from_the_acknowledgement(make_bench: MakeBench) -> None:
    """A row whose large values took long to show is queued long after it was made."""
    bench = make_bench(timeout=2.0)
    bench.now = NOW + 60 * TICKS_PER_SECOND
    bench.acknowledge("s1")  # made at NOW
    await until(lambda: bench.commits.asked > 3)
    assert bench.memory.take_failures() is None
    bench.now += 2 * TICKS_PER_SECOND + 1
    seen = bench.commits.asked
    await until(lambda: bench.commits.asked > seen + 2)
    assert isinstance(bench.memory.take_failures(), WriteFailedError)


# -- rows that were sent once more -----------------------------------------------------------------


def again(identity: str, rows: int = 1, low: int = 0, high: int = 2**62) -> SentAgain:
    return SentAgain(WRITES, f"thread of {identity}", identity, rows, low, high)


KEY = CheckpointKey("thread", "", "1")


async def test_it_asks_until_all_have_landed_again(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.memory.lineages.learn(KEY, {"a": NOW})
    bench.kusto.failures = [ClusterUnreachableError("gone; wait")]
    bench.kusto.landed = {"s1": 2, "s2": 1}
    bench.visibility.watch_again([again("s1", 3), again("s2"), again("s3", 7, 20, 26)])
    await until(lambda: repr(bench.visibility) == "<Visibility waiting=0 again=2 late=0>")
    single, whole = bench.kusto.asked[1:3]
    assert (single["p_ids"], single["p_low"], single["p_high"]) == ("s3", 20, 26)
    assert (whole["p_ids"], whole["p_low"], whole["p_high"]) == ("s1,s2", 0, 2**62)
    assert whole["p_since"] == "datetime(2025-11-29T07:00:00.0000000Z)", "clocks differ"
    assert set(bench.kusto.texts) == {_kql.CONFIRM_AGAIN[WRITES]}
    bench.kusto.landed = {"s1": 3, "s3": 7}
    await until(lambda: repr(bench.visibility) == "<Visibility waiting=0 again=0 late=0>")
    asked = len(bench.kusto.asked)
    await asyncio.sleep(0.01)
    assert len(bench.kusto.asked) == asked
    assert bench.memory.take_failures() is None
    assert bench.memory.lineages.of(KEY) is not None


async def test_what_does_not_land_again_is_told_and_its_age_is_forgotten(
    make_bench: MakeBench,
) -> None:
    """Otherwise nothing would send it again for a month."""
    bench = make_bench(timeout=2.0)
    bench.memory.lineages.learn(KEY, {"a": NOW})
    other = SentAgain(WRITES, "thread of s1", "s4", 10, 0, 2**62)
    bench.visibility.watch_again([again("s1", 2), other])
    await until(lambda: len(bench.kusto.asked) > 2)
    assert bench.memory.take_failures() is None
    bench.now += 2 * TICKS_PER_SECOND
    bench.visibility.watch_again([again("s2", 5)])
    bench.now += 1
    await until(lambda: repr(bench.visibility) == "<Visibility waiting=0 again=1 late=0>")
    error = bench.memory.take_failures()
    assert isinstance(error, WriteFailedError)
    assert error.failures == (
        "12 rows of thread 'thread of s1' that retention would take too soon: queued once more,"
        " more than 2 s ago, and not shown by Kusto; see `.show ingestion failures`; the next put"
        " of the thread sends them again",
    )
    assert bench.memory.lineages.of(KEY) is None
    seen = len(bench.kusto.asked)
    await until(lambda: len(bench.kusto.asked) > seen + 2)
    assert bench.memory.take_failures() is None


async def test_an_answer_that_is_none_is_asked_for_again(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.kusto.answers = [[], [Table(("identity",), [[]])], [Table(("identity",), [["s1"]])]]
    bench.kusto.landed = {"s1": 1}
    bench.visibility.watch_again([again("s1")])
    await until(lambda: repr(bench.visibility) == "<Visibility waiting=0 again=0 late=0>")


async def test_a_loop_that_ended_leaves_ages_unknown(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.memory.lineages.learn(KEY, {"a": NOW})
    bench.visibility.abandon()
    assert bench.memory.lineages.of(KEY) is not None
    bench.visibility.watch_again([again("s1")])
    bench.visibility.abandon()
    assert bench.memory.lineages.of(KEY) is None
