"""What the unit tests share: a clock that jumps instead of waiting, and hypothesis settings."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import HealthCheck, settings

# Every run tries the same examples; `--hypothesis-profile=explore` looks further.
_COMMON = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("unit", max_examples=50, derandomize=True, **_COMMON)
settings.register_profile("explore", max_examples=1_000, **_COMMON)
settings.load_profile("unit")


class JumpingClock:
    """Moves `time.monotonic`, and with it every event loop, without anybody waiting."""

    def __init__(self) -> None:
        self.real = time.monotonic
        self.ahead = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.real() + self.ahead

    async def advance(self, seconds: float) -> None:
        """Let the loop run what is ready, jump, and let it run what became due."""
        await settle()
        self.ahead += seconds
        await settle()


async def settle(turns: int = 20) -> None:
    """Let the loop run what is ready, and what that makes ready."""
    for _ in range(turns):
        await _REAL_SLEEP(0)


_REAL_SLEEP = asyncio.sleep


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> JumpingClock:
    """A clock the test moves; `asyncio.sleep` jumps by what it is asked for."""
    jumping = JumpingClock()

    async def sleep(seconds: float, result: object = None) -> object:
        if seconds > 0:
            jumping.slept.append(seconds)
            jumping.ahead += seconds
        await _REAL_SLEEP(0)
        return result

    monkeypatch.setattr(time, "monotonic", jumping.monotonic)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return jumping
