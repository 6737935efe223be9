"""Writer: closing it, at every step of a request; everyone who waits is answered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from shared.writer_bench import OTHER, Bench, outcomes, settle

from langgraph.checkpoint.kusto.errors import (
    RowsRejectedError,
    SaverClosedError,
    ServiceUnavailableError,
)


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


async def test_closing_stops_the_timer(clock: Any) -> None:
    bench = Bench(write_mode="buffered", flush_interval=30.0)
    answer = bench.submit(b"1")
    await clock.advance(1)
    await bench.writer.aclose()
    await clock.advance(60)

    assert isinstance(answer.exception(), SaverClosedError)
    assert bench.kusto.requests == []
