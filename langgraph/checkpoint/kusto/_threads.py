"""Work in worker threads, never waiting for the threads of others.

Rule: anyio's own threads are bounded, and an application's sync functions may hold all of them,
each waiting for a call of this library that needs a thread: so ours are counted apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

T = TypeVar("T")

_MOST = 16  # of one event loop; what runs there is short, and mostly bound by processors

_limiter: RunVar[anyio.CapacityLimiter] = RunVar("langgraph_checkpoint_kusto_threads")


async def run_in_thread(
    work: Callable[..., T], *arguments: object, abandon_on_cancel: bool = False
) -> T:
    """Run a function in a worker thread and give its answer, as `anyio.to_thread.run_sync`."""
    try:
        limiter = _limiter.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(_MOST)
        _limiter.set(limiter)
    return await anyio.to_thread.run_sync(
        work, *arguments, abandon_on_cancel=abandon_on_cancel, limiter=limiter
    )
