"""Run an async call under a retry policy.

Rules: only errors that say they are retriable are retried; the wait is exponential with full jitter
unless the server named one; being throttled (429) uses up time but no attempt; a wait that would
end after the total time is not begun; the last real error is raised.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import tenacity

from .errors import KustoCheckpointError, ServiceError, ThrottledError
from .options import SaverOptions

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_BACKOFF_SECONDS = 30.0
_LEAST_THROTTLED_BACKOFF = 0.1
_MAX_DOUBLINGS = 60  # being throttled is not counted, and 2.0**1024 is an OverflowError


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often and how long to try."""

    attempts: int
    backoff: float
    timeout: float

    @classmethod
    def of(cls, options: SaverOptions) -> RetryPolicy:
        """The policy that a saver's options ask for."""
        return cls(
            attempts=options.max_retries + 1,
            backoff=options.retry_backoff,
            timeout=options.retry_timeout,
        )


class _Rules:
    """The policy in the form tenacity asks for; one object for each call."""

    def __init__(self, policy: RetryPolicy, what: str, count: Callable[[str], None]) -> None:
        self._policy = policy
        self._what = what
        self._count = count
        self._used = 0
        self._started = time.monotonic()

    def stop(self, state: tenacity.RetryCallState) -> bool:
        error = _error(state)
        if not isinstance(error, ThrottledError):
            self._used += 1
        # The wait is chosen before this is asked, and a server may name an hour.
        resumed = time.monotonic() - self._started + state.upcoming_sleep
        return self._used >= self._policy.attempts or resumed >= self._policy.timeout

    def wait(self, state: tenacity.RetryCallState) -> float:
        error = _error(state)
        if isinstance(error, ServiceError) and error.retry_after:  # zero says nothing
            return error.retry_after
        doublings = min(state.attempt_number - 1, _MAX_DOUBLINGS)
        backoff = self._policy.backoff
        if isinstance(error, ThrottledError):  # attempts do not bound these, so the wait has to
            backoff = max(backoff, _LEAST_THROTTLED_BACKOFF)
        bound = backoff * 2.0**doublings
        return random.uniform(0.0, min(bound, MAX_BACKOFF_SECONDS))

    def before_sleep(self, state: tenacity.RetryCallState) -> None:
        error = _error(state)
        self._count("throttled" if isinstance(error, ThrottledError) else "retries")
        logger.info(
            "%s failed at attempt %d, trying again in %.2f s: %s",
            self._what,
            state.attempt_number,
            state.upcoming_sleep,
            error,
        )


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None


def _retriable(error: BaseException) -> bool:
    return isinstance(error, KustoCheckpointError) and error.retriable


async def run(
    call: Callable[[], Awaitable[T]],
    policy: RetryPolicy,
    *,
    what: str,
    count: Callable[[str], None],
) -> T:
    """Await `call()` until it succeeds, fails for good, or the policy is used up.

    Args:
        call: Starts one attempt.
        policy: Attempts and time.
        what: Names the request in the log.
        count: Told `retries` or `throttled` for each new attempt.
    """
    rules = _Rules(policy, what, count)
    # Almost every call succeeds at once, and tenacity costs as much as encoding a small checkpoint.
    try:
        return await call()
    except KustoCheckpointError as error:
        if not error.retriable:
            raise
        failed: KustoCheckpointError | None = error
    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(_retriable),
        stop=rules.stop,
        wait=rules.wait,
        before_sleep=rules.before_sleep,
        reraise=True,
    )

    async def attempt() -> T:
        # tenacity awaits only what it sees to be a coroutine function; a lambda that returns a
        # coroutine would count as a success without having run.
        nonlocal failed
        if failed is not None:  # the attempt that was made already
            first, failed = failed, None
            raise first
        return await call()

    return await retrying(attempt)
