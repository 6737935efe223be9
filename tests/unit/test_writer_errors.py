"""Writer: errors of a request, each told to whom it concerns; retries, throttling."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.writer_bench import MIB, Bench, outcomes

from langgraph.checkpoint.kusto.errors import (
    ClusterUnreachableError,
    PermissionDeniedError,
    RowsRejectedError,
    ServiceUnavailableError,
    ThrottledError,
)

# --------------------------------------------------------------------------------- who is told


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


# ------------------------------------------------------------------------------------- retries


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


# ---------------------------------------------------------------------------------- throttling


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
