"""Writer and intake: group commit, one answer for every waiter, bounded everything."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph.checkpoint.kusto import _batch
from langgraph.checkpoint.kusto._stats import Stats
from langgraph.checkpoint.kusto._writer import Intake, Writer
from langgraph.checkpoint.kusto.errors import (
    BackpressureError,
    ClusterUnreachableError,
    PermissionDeniedError,
    RowsRejectedError,
    SaverClosedError,
    ServiceUnavailableError,
    ThrottledError,
)
from langgraph.checkpoint.kusto.options import SaverOptions

T, OTHER = "Checkpoints", "CheckpointWrites"
MIB = 1024 * 1024


class FakeKusto:
    """An ingest endpoint in the process: holds requests while asked to, answers as told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, bytes]] = []
        self.landed: list[bytes] = []
        self.at_once = 0
        self.most_at_once = 0
        self.open = asyncio.Event()
        self.open.set()
        self.answer: Callable[[str, bytes], BaseException | None] = lambda table, payload: None

    async def __call__(self, table: str, mapping: str, payload: bytes) -> None:
        assert len(payload) <= 4 * MIB or payload.count(b"\n") == 0
        self.requests.append((table, mapping, payload))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.open.wait()
            error = self.answer(table, payload)
            if error is not None:
                raise error
            self.landed += payload.split(b"\n")
        finally:
            self.at_once -= 1

    def fail(self, *errors: BaseException | None) -> None:
        """Answer the next requests with these, and all others well."""
        queue = list(errors)
        self.answer = lambda table, payload: queue.pop(0) if queue else None

    @property
    def payloads(self) -> list[bytes]:
        return [payload for _, _, payload in self.requests]


class Bench:
    """A writer in front of a fake Kusto."""

    def __init__(self, **options: Any) -> None:
        self.kusto = FakeKusto()
        self.stats = Stats()
        self.writer = Writer(self.kusto, SaverOptions(**options), self.stats)

    def submit(self, *rows: bytes, table: str = T) -> asyncio.Future[None]:
        return self.writer.submit(table, rows)


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


async def outcomes(answers: list[asyncio.Future[None]]) -> list[BaseException | None]:
    return await asyncio.gather(*answers, return_exceptions=True)


# ------------------------------------------------------------------------------------ group commit


async def test_rows_leave_at_once_and_are_acknowledged() -> None:
    bench = Bench()
    assert await bench.submit(b'{"a":1}', b'{"a":2}') is None

    assert bench.kusto.requests == [(T, "Checkpoints_v1", b'{"a":1}\n{"a":2}')]
    await settle()
    assert (bench.writer.in_flight, bench.writer.waiting_rows) == (0, 0)
    assert repr(bench.writer) == "<Writer open rows=0 in_flight=0 limit=8.0>"


async def test_an_answer_comes_only_after_kusto_answered() -> None:
    bench = Bench()
    bench.kusto.open.clear()
    answer = bench.submit(b"1")
    await settle()

    assert (len(bench.kusto.requests), bench.writer.in_flight) == (1, 1)
    assert not answer.done()
    bench.kusto.open.set()
    await answer


async def test_who_submits_in_the_same_turn_shares_a_request() -> None:
    bench = Bench()
    answers = [bench.submit(str(number).encode()) for number in range(500)]
    assert bench.writer.waiting_rows == 500
    await asyncio.gather(*answers)

    assert len(bench.kusto.requests) == 1
    assert bench.kusto.landed == [str(number).encode() for number in range(500)]


async def test_while_a_request_is_in_flight_the_next_batch_grows() -> None:
    bench = Bench(max_in_flight=1)
    bench.kusto.open.clear()
    answers = [bench.submit(b"first")]
    await settle()
    for number in range(50):
        answers.append(bench.submit(str(number).encode()))
        await asyncio.sleep(0)
    assert (len(bench.kusto.requests), bench.writer.waiting_rows) == (1, 50)
    bench.kusto.open.set()
    await asyncio.gather(*answers)

    assert [payload.count(b"\n") + 1 for payload in bench.kusto.payloads] == [1, 50]


async def test_tables_have_requests_of_their_own_the_oldest_first() -> None:
    bench = Bench(max_in_flight=1)
    bench.kusto.open.clear()
    answers = [bench.submit(b"0")]
    await settle()
    for table in ("CheckpointTombstones", T, OTHER, "CheckpointBlobs", T):
        answers.append(bench.submit(table.encode(), table=table))
    bench.kusto.open.set()
    await asyncio.gather(*answers)

    assert [(table, mapping) for table, mapping, _ in bench.kusto.requests[1:]] == [
        ("CheckpointTombstones", "CheckpointTombstones_v1"),
        (T, "Checkpoints_v1"),
        (OTHER, "CheckpointWrites_v1"),
        ("CheckpointBlobs", "CheckpointBlobs_v1"),
    ]
    assert bench.kusto.payloads[2] == b"Checkpoints\nCheckpoints"


@pytest.mark.parametrize("limit", [1, 3, 8])
async def test_requests_in_flight_are_bounded(limit: int) -> None:
    bench = Bench(max_in_flight=limit)
    row = b"x" * (3 * MIB)
    answers = [bench.submit(row) for _ in range(12)]
    bench.kusto.open.clear()
    await settle()
    assert bench.kusto.at_once == min(limit, 12)
    bench.kusto.open.set()
    await asyncio.gather(*answers)

    assert (bench.kusto.most_at_once, len(bench.kusto.requests)) == (limit, 12)


async def test_a_submission_larger_than_a_request_is_answered_once_for_all_of_it() -> None:
    bench = Bench(max_in_flight=1)
    seen = []
    bench.kusto.answer = lambda table, payload: seen.append(answer.done())  # type: ignore[func-returns-value]
    answer = bench.submit(*[b"x" * MIB] * 7)
    await answer

    assert [len(payload) // MIB for payload in bench.kusto.payloads] == [3, 3, 1]
    assert seen == [False, False, False]


async def test_a_large_submission_of_which_one_part_fails() -> None:
    bench = Bench(max_in_flight=1)
    bench.kusto.fail(None, PermissionDeniedError("no"), None)
    with pytest.raises(PermissionDeniedError):
        await bench.submit(*[b"x" * MIB] * 7)
    await settle()

    assert len(bench.kusto.requests) == 3
    assert bench.writer.in_flight == 0


async def test_nothing_to_send_is_acknowledged_at_once() -> None:
    bench = Bench()
    await bench.submit()

    assert bench.kusto.requests == []


async def test_what_was_sent_is_counted() -> None:
    bench = Bench()
    await asyncio.gather(bench.submit(b"12", b"3"), bench.submit(b"456", table=OTHER))
    counted = bench.stats.snapshot()

    assert counted["ingest_requests"] == 2
    assert counted["ingest_rows"] == 3
    assert counted["ingest_bytes"] == len(b"12\n3") + len(b"456")
    assert counted["retries"] == counted["throttled"] == 0


async def test_cancelling_one_waiter_leaves_the_others_alone() -> None:
    bench = Bench()
    bench.kusto.open.clear()
    first, second, third = (bench.submit(name) for name in (b"1", b"2", b"3"))
    first.cancel()
    await settle()
    second.cancel()
    bench.kusto.open.set()
    await third

    assert bench.kusto.landed == [b"1", b"2", b"3"]


async def test_a_cancelled_waiter_of_rows_that_fail() -> None:
    bench = Bench()
    bench.kusto.fail(PermissionDeniedError("no"))
    first, second = bench.submit(b"1"), bench.submit(b"2")
    first.cancel()
    with pytest.raises(PermissionDeniedError):
        await second


# ------------------------------------------------------------------------------------------- errors


async def test_a_bad_row_does_not_fail_its_neighbours() -> None:
    bench = Bench()
    bench.kusto.answer = lambda table, payload: (
        RowsRejectedError("a bad row") if b"bad" in payload.split(b"\n") else None
    )
    rows = [b"bad" if number == 11 else str(number).encode() for number in range(32)]
    found = await outcomes([bench.submit(row) for row in rows])

    assert [number for number, error in enumerate(found) if error is not None] == [11]
    assert isinstance(found[11], RowsRejectedError)
    assert sorted(bench.kusto.landed) == sorted(row for row in rows if row != b"bad")
    assert len(bench.kusto.requests) == 11  # 1 + 2 for each of the 5 halvings


@given(st.sets(st.integers(0, 12)), st.integers(1, 13))
def test_only_the_guilty_are_refused_wherever_they_stand(bad: set[int], count: int) -> None:
    async def check() -> None:
        bench = Bench()
        names = {str(number).encode() for number in bad}
        bench.kusto.answer = lambda table, payload: (
            RowsRejectedError("bad") if names & set(payload.split(b"\n")) else None
        )
        found = await outcomes([bench.submit(str(number).encode()) for number in range(count)])
        assert [error is not None for error in found] == [number in bad for number in range(count)]
        assert len(bench.kusto.landed) == len(set(range(count)) - bad)

    asyncio.run(check())


async def test_rows_of_one_submission_stand_or_fall_together() -> None:
    bench = Bench()
    bench.kusto.answer = lambda table, payload: (
        RowsRejectedError("bad") if b"bad" in payload.split(b"\n") else None
    )
    found = await outcomes([bench.submit(b"1", b"bad", b"2"), bench.submit(b"3")])

    assert [type(error) for error in found] == [RowsRejectedError, type(None)]
    assert bench.kusto.landed == [b"3"]


@pytest.mark.parametrize("error", [PermissionDeniedError("no role"), ValueError("a bug")])
async def test_what_concerns_everyone_is_told_to_everyone_unsplit(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench()
    bench.kusto.fail(error)
    with caplog.at_level(logging.ERROR):
        found = await outcomes([bench.submit(str(number).encode()) for number in range(9)])

    assert [repr(one) for one in found] == [repr(error)] * 9
    assert len({id(one) for one in found}) == 9  # each raises one of its own
    assert len(bench.kusto.requests) == 1
    assert await bench.submit(b"later") is None
    refused = [record.getMessage() for record in caplog.records]
    expected = ["9 rows for Checkpoints refused: no role"]
    assert refused == (expected if isinstance(error, PermissionDeniedError) else [])


async def test_a_refused_half_may_fail_in_another_way() -> None:
    bench = Bench()
    bench.kusto.fail(RowsRejectedError("bad"), PermissionDeniedError("no"), None)
    found = await outcomes([bench.submit(b"1"), bench.submit(b"2")])

    assert [type(error) for error in found] == [PermissionDeniedError, type(None)]


async def test_transient_errors_are_retried_with_the_same_rows(clock: Any) -> None:
    bench = Bench()
    bench.kusto.fail(ServiceUnavailableError("busy"), ClusterUnreachableError("reset"))
    await asyncio.gather(bench.submit(b"1"), bench.submit(b"2"))

    assert bench.kusto.payloads == [b"1\n2"] * 3
    counted = bench.stats.snapshot()
    assert (counted["retries"], counted["ingest_requests"], counted["ingest_rows"]) == (2, 3, 6)


async def test_the_last_error_is_given_when_retries_are_used_up(clock: Any) -> None:
    bench = Bench(max_retries=1)
    last = ClusterUnreachableError("the last")
    bench.kusto.fail(ServiceUnavailableError("busy"), last)

    first, second = await outcomes([bench.submit(b"1"), bench.submit(b"2")])
    assert first is last
    assert second is not last
    assert repr(second) == repr(last)
    assert len(bench.kusto.requests) == 2


async def test_rows_submitted_during_a_backoff_do_not_wait_for_it(clock: Any) -> None:
    bench = Bench(max_in_flight=2)
    waiting = asyncio.Event()
    original = asyncio.sleep

    async def sleep(seconds: float) -> None:
        await (waiting.wait() if seconds > 0 else original(0))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "sleep", sleep)
        bench.kusto.fail(ServiceUnavailableError("busy"))
        slow = bench.submit(b"slow")
        await clock.advance(0)
        await bench.submit(b"fast")
        assert not slow.done()
        waiting.set()
        await slow


async def test_being_throttled_halves_the_requests_in_flight(clock: Any) -> None:
    bench = Bench(max_in_flight=8)

    async def throttle(*errors: BaseException | None) -> str:
        bench.kusto.fail(*errors)
        await bench.submit(b"x")
        return repr(bench.writer).split()[-1]

    assert await throttle(ThrottledError("slow")) == "limit=4.2>"  # 8, then 4, then 4 + 1/4
    assert await throttle(*[ThrottledError("slow")] * 5) == "limit=2.0>"  # never below 1
    for _ in range(100):
        await bench.submit(b"x")
    assert repr(bench.writer).split()[-1] == "limit=8.0>"
    assert bench.stats.snapshot()["throttled"] == 6


async def test_after_being_throttled_fewer_requests_are_in_flight(clock: Any) -> None:
    bench = Bench(max_in_flight=8)
    bench.kusto.fail(*[ThrottledError("slow")] * 3)
    await bench.submit(b"x")  # 8, 4, 2, 1, and 2 after the success
    bench.kusto.most_at_once = 0
    bench.kusto.open.clear()
    answers = [bench.submit(b"x" * (3 * MIB)) for _ in range(6)]
    await clock.advance(0)
    assert bench.kusto.at_once == 2
    bench.kusto.open.set()
    await asyncio.gather(*answers)


# ------------------------------------------------------------------------------------------ closing


async def test_a_closed_writer_takes_nothing() -> None:
    bench = Bench()
    await bench.writer.aclose()
    await bench.writer.aclose()

    with pytest.raises(SaverClosedError):
        bench.submit(b"1")
    assert repr(bench.writer).startswith("<Writer closed ")


async def test_closing_answers_everyone_who_waits() -> None:
    bench = Bench(max_in_flight=1)
    bench.kusto.open.clear()
    answers = [bench.submit(b"in flight")]
    await settle()
    answers += [bench.submit(b"waiting"), bench.submit(b"waiting too", table=OTHER)]
    await bench.writer.aclose()

    assert all(answer.done() for answer in answers)
    assert [type(error) for error in await outcomes(answers)] == [SaverClosedError] * 3
    assert (bench.writer.in_flight, bench.writer.waiting_rows) == (0, 0)
    await settle()
    assert len(bench.kusto.requests) == 1


async def test_closing_before_a_request_took_its_first_step() -> None:
    """A task cancelled before it ran does not run at all, not even its `except`."""
    bench = Bench()
    answer = bench.submit(b"1")
    bench.writer.hurry()  # makes the task, which has not begun
    await bench.writer.aclose()

    assert answer.done()
    assert isinstance(answer.exception(), SaverClosedError)
    assert bench.kusto.requests == []


async def test_closing_in_the_turn_of_the_submission() -> None:
    bench = Bench()
    answer = bench.submit(b"1")
    await bench.writer.aclose()
    await settle()

    assert isinstance(answer.exception(), SaverClosedError)
    assert bench.kusto.requests == []


async def test_closing_during_a_backoff(clock: Any) -> None:
    bench = Bench()
    entered = asyncio.Event()

    async def sleep(seconds: float) -> None:
        entered.set()
        await asyncio.Event().wait()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "sleep", sleep)
        bench.kusto.fail(ServiceUnavailableError("busy"))
        answer = bench.submit(b"1")
        await entered.wait()
        await bench.writer.aclose()
    assert isinstance(answer.exception(), SaverClosedError)


async def test_closing_while_the_guilty_row_is_looked_for() -> None:
    bench = Bench()
    answers = [bench.submit(str(number).encode()) for number in range(4)]
    halves = asyncio.Event()

    def answer(table: str, payload: bytes) -> BaseException | None:
        if len(bench.kusto.requests) == 2:
            bench.kusto.open.clear()  # the third request hangs
            halves.set()
            return None
        return RowsRejectedError("bad")

    bench.kusto.answer = answer
    await halves.wait()
    await settle()
    await bench.writer.aclose()

    found = await outcomes(answers)
    assert [type(error) for error in found] == [type(None)] * 2 + [SaverClosedError] * 2


# --------------------------------------------------------------------------------------- buffered


async def test_buffered_rows_wait_for_a_batch(clock: Any) -> None:
    bench = Bench(write_mode="buffered", batch_size=3, flush_interval=30.0)
    answers = [bench.submit(b"1"), bench.submit(b"2")]
    await clock.advance(29)
    assert bench.kusto.requests == []
    answers.append(bench.submit(b"3"))
    await asyncio.gather(*answers)

    assert bench.kusto.payloads == [b"1\n2\n3"]


async def test_buffered_rows_wait_no_longer_than_the_interval(clock: Any) -> None:
    bench = Bench(write_mode="buffered", batch_size=100, flush_interval=30.0)
    first = bench.submit(b"1")
    await clock.advance(20)
    second = bench.submit(b"2")
    await clock.advance(9.9)
    assert bench.kusto.requests == []
    await clock.advance(0.2)
    await asyncio.gather(first, second)

    assert bench.kusto.payloads == [b"1\n2"]


async def test_buffered_tables_are_due_on_their_own(clock: Any) -> None:
    bench = Bench(write_mode="buffered", batch_size=2, flush_interval=30.0)
    waiting = bench.submit(b"1", table=OTHER)
    await asyncio.gather(bench.submit(b"2"), bench.submit(b"3"))

    assert bench.kusto.payloads == [b"2\n3"]
    assert not waiting.done()
    await clock.advance(30.1)
    await waiting


@pytest.mark.parametrize("start", [0.1, 1.7, 12_345.678, 1e6 + 0.3, 7.1e7])
@pytest.mark.parametrize("interval", [0.1, 0.3, 1.1, 30.0, 59.9])
async def test_a_row_that_is_not_due_has_a_timer(
    start: float, interval: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever floating point makes of the times: sent, or woken up for."""
    loop = asyncio.get_running_loop()
    bench = Bench(write_mode="buffered", batch_size=9, flush_interval=interval)
    now = start
    monkeypatch.setattr(loop, "time", lambda: now)
    answer = bench.submit(b"1")
    bench.writer._pump()
    for ulps in range(-3, 4):
        now = (start + interval) * (1 + ulps * 2**-53)
        bench.writer._pump()
        assert bench.writer._timer is not None or bench.writer.waiting_rows == 0
    monkeypatch.undo()
    bench.writer.hurry()
    await answer


async def test_hurrying_sends_at_once_until_relaxed(clock: Any) -> None:
    bench = Bench(write_mode="buffered", batch_size=100, flush_interval=30.0)
    first = bench.submit(b"1")
    await clock.advance(0)
    bench.writer.hurry()
    bench.writer.hurry()
    await first
    bench.writer.relax()
    await bench.submit(b"2")  # one is still in a hurry
    bench.writer.relax()
    third = bench.submit(b"3")
    await clock.advance(1)

    assert not third.done()
    await clock.advance(30)
    await third


async def test_buffered_rows_that_are_due_go_when_a_slot_is_free(clock: Any) -> None:
    bench = Bench(write_mode="buffered", batch_size=1, flush_interval=30.0, max_in_flight=1)
    bench.kusto.open.clear()
    answers = [bench.submit(b"1")]
    await clock.advance(0)
    answers.append(bench.submit(b"2"))
    await clock.advance(31)
    assert len(bench.kusto.requests) == 1
    bench.kusto.open.set()
    await asyncio.gather(*answers)


async def test_closing_stops_the_timer(clock: Any) -> None:
    bench = Bench(write_mode="buffered", flush_interval=30.0)
    answer = bench.submit(b"1")
    await clock.advance(1)
    await bench.writer.aclose()
    await clock.advance(60)

    assert isinstance(answer.exception(), SaverClosedError)
    assert bench.kusto.requests == []


async def test_acknowledged_mode_is_never_delayed(clock: Any) -> None:
    bench = Bench(batch_size=1_000, flush_interval=60.0)
    before = clock.ahead
    await bench.submit(b"1")

    assert clock.ahead == before


# ------------------------------------------------------------------------------ whatever happens


@pytest.mark.parametrize("seed", range(12))
async def test_everyone_gets_one_answer_and_it_is_true(
    seed: int, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small requests, random faults: acknowledged means that every row of it landed."""
    chance = random.Random(seed)
    monkeypatch.setattr(_batch, "MAX_BATCH_BYTES", 40)
    monkeypatch.setattr(_batch, "MAX_BATCH_ROWS", 5)
    mode = chance.choice(["acknowledged", "buffered"])
    bench = Bench(write_mode=mode, batch_size=4, max_in_flight=3, max_retries=2, retry_backoff=0.01)

    def answer(table: str, payload: bytes) -> BaseException | None:
        if b"bad" in payload:
            return RowsRejectedError("bad")
        if chance.random() < 0.4:
            return chance.choice(
                [ThrottledError("slow"), ServiceUnavailableError("busy"), ValueError("bug")]
            )
        return None

    bench.kusto.answer = answer
    sent: list[tuple[list[bytes], asyncio.Future[None]]] = []
    for number in range(120):
        rows = [f"{number}.{row}".encode() for row in range(chance.choice([0, 1, 1, 2, 3, 9]))]
        if rows and chance.random() < 0.1:
            rows[0] += b"bad"
        table = chance.choice([T, OTHER])
        sent.append((rows, bench.writer.submit(table, rows)))
        if chance.random() < 0.3:
            await clock.advance(0)
    bench.writer.hurry()
    found = await outcomes([answer for _, answer in sent])

    landed = Counter(bench.kusto.landed)
    for (rows, _), error in zip(sent, found, strict=True):
        if error is None:
            assert all(landed[row] >= 1 for row in rows)
        elif any(b"bad" in row for row in rows):
            assert isinstance(error, RowsRejectedError | ServiceUnavailableError | ValueError)
        else:
            assert isinstance(error, ServiceUnavailableError | ValueError | ThrottledError)
    assert {type(error) for error in found} >= {type(None), RowsRejectedError}
    assert (bench.writer.in_flight, bench.writer.waiting_rows) == (0, 0)
    assert bench.kusto.most_at_once <= 3


# ------------------------------------------------------------------------------------------- Intake


async def test_room_is_given_and_taken_back() -> None:
    intake = Intake(100, 1.0)
    await intake.admit(60)
    await intake.admit(40)
    assert repr(intake) == "<Intake bytes=100/100 waiting=0>"

    third = asyncio.ensure_future(intake.admit(1))
    await settle()
    assert not third.done()
    assert repr(intake) == "<Intake bytes=100/100 waiting=1>"
    intake.release(60)
    await third
    assert intake.size_bytes == 41


async def test_something_larger_than_the_bound_is_admitted_alone() -> None:
    intake = Intake(100, 1.0)
    await intake.admit(1_000)
    second = asyncio.ensure_future(intake.admit(1))
    await settle()
    assert not second.done()
    intake.release(1_000)
    await second

    large = asyncio.ensure_future(intake.admit(1_000))
    await settle()
    assert not large.done()
    intake.release(1)
    await large


async def test_first_come_first_served() -> None:
    """A small one does not overtake a large one, which would wait for ever."""
    intake = Intake(100, 1.0)
    await intake.admit(100)
    order: list[str] = []

    async def enter(name: str, size: int) -> None:
        await intake.admit(size)
        order.append(name)

    tasks = [asyncio.ensure_future(enter("large", 90)), asyncio.ensure_future(enter("small", 5))]
    await settle()
    intake.release(50)
    await settle()
    assert order == []
    intake.release(50)
    await asyncio.gather(*tasks)
    assert order == ["large", "small"]
    assert intake.size_bytes == 95


async def test_full_means_wait_then_a_named_error(clock: Any) -> None:
    intake = Intake(100, 60.0)
    await intake.admit(90)
    waiting = asyncio.ensure_future(intake.admit(20))
    await clock.advance(30)
    behind = asyncio.ensure_future(intake.admit(10))
    await clock.advance(29)
    assert not waiting.done()
    await clock.advance(2)

    assert waiting.done()
    with pytest.raises(
        BackpressureError, match=r"no room for 20 bytes in 60 s: 90 of 100 bytes.*intake_bytes"
    ):
        await waiting
    assert behind.done()  # whoever stood behind is let in
    await behind
    assert repr(intake) == "<Intake bytes=100/100 waiting=0>"


async def test_room_that_comes_with_the_last_moment_is_taken(clock: Any) -> None:
    intake = Intake(100, 60.0)
    await intake.admit(100)
    waiting = asyncio.ensure_future(intake.admit(20))
    await clock.advance(0)
    clock.ahead += 61
    intake.release(100)
    await waiting

    assert intake.size_bytes == 20


async def test_cancelling_somebody_who_waits() -> None:
    intake = Intake(100, 60.0)
    await intake.admit(90)
    waiting = asyncio.ensure_future(intake.admit(20))
    behind = asyncio.ensure_future(intake.admit(10))
    await settle()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await behind

    assert repr(intake) == "<Intake bytes=100/100 waiting=0>"


async def test_cancelling_somebody_who_was_let_in_meanwhile() -> None:
    intake = Intake(100, 60.0)
    await intake.admit(100)
    waiting = asyncio.ensure_future(intake.admit(20))
    await settle()
    intake.release(100)  # lets it in, and before it runs it is cancelled
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert intake.size_bytes == 0


@pytest.mark.parametrize("seed", range(10))
async def test_no_room_is_ever_lost(seed: int) -> None:
    chance = random.Random(seed)
    intake = Intake(100, 60.0)
    most = 0

    async def use(size: int) -> None:
        nonlocal most
        await intake.admit(size)
        try:
            assert intake.size_bytes <= max(100, size)
            most = max(most, intake.size_bytes)
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
        finally:
            intake.release(size)

    tasks = []
    for _ in range(200):
        tasks.append(asyncio.ensure_future(use(chance.choice([0, 1, 30, 60, 100, 250]))))
        if chance.random() < 0.5:
            await asyncio.sleep(0)
        if chance.random() < 0.3:
            chance.choice(tasks).cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert repr(intake) == "<Intake bytes=0/100 waiting=0>"
    assert most >= 100
