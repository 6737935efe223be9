"""The retry policy, on a clock that jumps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from langgraph.checkpoint.kusto._retry import MAX_BACKOFF_SECONDS, RetryPolicy, run
from langgraph.checkpoint.kusto.errors import (
    ClusterUnreachableError,
    KustoCheckpointError,
    PermissionDeniedError,
    ServiceError,
    ServiceUnavailableError,
    ThrottledError,
)

POLICY = RetryPolicy(attempts=4, backoff=1.0, timeout=120.0)


class Outcomes:
    """A call that fails as told, one outcome for each attempt; the last one for ever."""

    def __init__(self, *outcomes: BaseException | str) -> None:
        self._outcomes = list(outcomes)
        self.attempts = 0

    async def __call__(self) -> str:
        outcome = self._outcomes[min(self.attempts, len(self._outcomes) - 1)]
        self.attempts += 1
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


async def attempt(
    call: Callable[[], Awaitable[str]], policy: RetryPolicy = POLICY
) -> tuple[Any, list[str]]:
    """Run, and give the answer or the error, with what was counted."""
    counted: list[str] = []
    try:
        return await run(call, policy, what="a test", count=counted.append), counted
    except (KustoCheckpointError, ValueError) as error:
        return error, counted


UNAVAILABLE = ServiceUnavailableError("busy")
THROTTLED = ThrottledError("slow down")


async def test_success_at_once(clock: Any) -> None:
    assert await attempt(Outcomes("done")) == ("done", [])
    assert clock.slept == []


async def test_transient_errors_are_retried(clock: Any) -> None:
    call = Outcomes(UNAVAILABLE, ClusterUnreachableError("reset"), "done")

    assert await attempt(call) == ("done", ["retries", "retries"])
    assert len(clock.slept) == 2


@pytest.mark.parametrize(
    "error", [PermissionDeniedError("no"), ServiceError("no"), ValueError("no")]
)
async def test_other_errors_are_not(clock: Any, error: Exception) -> None:
    call = Outcomes(error, "done")

    assert await attempt(call) == (error, [])
    assert (call.attempts, clock.slept) == (1, [])


async def test_the_last_real_error_is_raised(clock: Any) -> None:
    last = ClusterUnreachableError("the last")
    call = Outcomes(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, last)

    error, counted = await attempt(call)
    assert error is last
    assert error.__cause__ is None
    assert call.attempts == 4
    assert counted == ["retries"] * 3


async def test_a_permanent_error_ends_retrying(clock: Any) -> None:
    call = Outcomes(UNAVAILABLE, PermissionDeniedError("no"), "done")

    error, _ = await attempt(call)
    assert isinstance(error, PermissionDeniedError)
    assert call.attempts == 2


async def test_one_attempt_means_one(clock: Any) -> None:
    call = Outcomes(UNAVAILABLE)

    assert (await attempt(call, RetryPolicy(attempts=1, backoff=1.0, timeout=9.0)))[
        0
    ] is UNAVAILABLE
    assert call.attempts == 1


async def test_backoff_doubles_with_full_jitter(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return high / 2

    monkeypatch.setattr("random.uniform", uniform)
    await attempt(Outcomes(UNAVAILABLE), RetryPolicy(attempts=8, backoff=1.0, timeout=1_000.0))

    # One more is drawn than waited for: whether to stop is asked after the wait is chosen.
    assert drawn[:7] == [(0.0, bound) for bound in (1, 2, 4, 8, 16, 30, 30)]
    assert clock.slept == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    assert MAX_BACKOFF_SECONDS == 30.0


async def test_the_hint_of_the_server_wins(clock: Any) -> None:
    call = Outcomes(ServiceUnavailableError("busy", retry_after=7.5), "done")

    assert (await attempt(call))[0] == "done"
    assert clock.slept == [7.5]


async def test_no_attempt_after_the_total_time(clock: Any) -> None:
    """Also when the server asks to wait for longer than there is time."""
    hour = ThrottledError("come back tomorrow", retry_after=3_600.0)
    call = Outcomes(hour, "done")

    error, counted = await attempt(call)
    assert error is hour
    assert (call.attempts, clock.slept, counted) == (1, [], [])


async def test_time_spent_in_attempts_counts(clock: Any) -> None:
    call = Outcomes(UNAVAILABLE)

    async def slow() -> str:
        await clock.advance(50)
        return await call()

    error, _ = await attempt(slow, RetryPolicy(attempts=100, backoff=0.001, timeout=120.0))
    assert error is UNAVAILABLE
    assert call.attempts == 3


async def test_being_throttled_uses_no_attempt(clock: Any) -> None:
    call = Outcomes(*[THROTTLED] * 9, UNAVAILABLE, UNAVAILABLE, "done")
    policy = RetryPolicy(attempts=3, backoff=0.5, timeout=10_000.0)

    assert await attempt(call, policy) == ("done", ["throttled"] * 9 + ["retries"] * 2)


async def test_being_throttled_uses_up_the_time(clock: Any) -> None:
    call = Outcomes(ThrottledError("slow down", retry_after=10.0))

    error, counted = await attempt(call)
    assert isinstance(error, ThrottledError)
    assert call.attempts == 12
    assert counted == ["throttled"] * 11
    assert sum(clock.slept) <= 120.0


async def test_very_many_attempts_do_not_overflow(clock: Any) -> None:
    """Being throttled is not counted, and a power of two has an end."""
    call = Outcomes(*[THROTTLED] * 1_100, "done")

    answer, counted = await attempt(call, RetryPolicy(attempts=2, backoff=0.0, timeout=1e9))
    assert answer == "done"
    assert len(counted) == 1_100


async def test_being_throttled_always_waits(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also without a backoff, and when the server says zero: attempts do not bound it."""
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    call = Outcomes(ThrottledError("slow down", retry_after=0.0), THROTTLED, UNAVAILABLE, "done")
    policy = RetryPolicy(attempts=2, backoff=0.0, timeout=120.0)

    assert (await attempt(call, policy))[0] == "done"
    assert clock.slept == [0.1, 0.2]  # and none after the error that is counted


async def test_cancelling_is_not_retried(clock: Any) -> None:
    started = asyncio.Event()

    async def endless() -> str:
        started.set()
        await asyncio.Event().wait()
        return "never"

    task = asyncio.ensure_future(attempt(endless))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_each_new_attempt_is_logged(clock: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="langgraph.checkpoint.kusto"):
        await attempt(Outcomes(UNAVAILABLE, "done"))

    (record,) = caplog.records
    assert record.getMessage().startswith("a test failed at attempt 1, trying again in ")
    assert record.getMessage().endswith(" s: busy")


async def test_a_plain_function_that_gives_a_coroutine_is_awaited() -> None:
    """What the writer passes; a retry loop that returned the coroutine would send nothing."""
    sent: list[str] = []

    async def send() -> str:
        sent.append("rows")
        return "done"

    policy = RetryPolicy(attempts=1, backoff=0.0, timeout=1.0)
    assert await run(lambda: send(), policy, what="rows", count=lambda _: None) == "done"
    assert sent == ["rows"]
