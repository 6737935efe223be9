"""Writer: when rows leave in buffered mode, by count, by time or in a hurry."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from shared.writer_bench import OTHER, Bench


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


async def test_acknowledged_mode_is_never_delayed(clock: Any) -> None:
    bench = Bench(batch_size=1_000, flush_interval=60.0)
    before = clock.ahead
    await bench.submit(b"1")

    assert clock.ahead == before
