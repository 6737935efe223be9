"""Threads that use one object at once, taken from one another after every few steps.

No test stands here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Barrier

THREADS = 6


def race(step: Callable[[Random], object], steps: int) -> None:
    """Take steps in several threads, each with chances of its own; what one raises is raised."""
    ready = Barrier(THREADS)

    def work(seed: int) -> None:
        chance = Random(seed)
        ready.wait()
        for _ in range(steps):
            step(chance)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, range(THREADS)))
    finally:
        sys.setswitchinterval(before)
