"""One body for savers of both kinds: how its parts run at the same time.

A body is a coroutine that awaits the saver's async methods only. Over an async saver its parts are
tasks of one loop. Over a sync saver each part is a thread, and no event loop exists: the methods of
`SyncNames` return without suspending, so the coroutine is run by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Body = Callable[[], Coroutine[Any, Any, T]]


class Driver(Protocol):
    """Runs bodies, and graphs by the method of their kind."""

    async def together(self, bodies: Sequence[Body[T]]) -> list[T]:
        """Run bodies at the same time; the first error is raised."""
        ...

    async def invoke(self, graph: Any, given: Any, config: Any, **options: Any) -> Any:
        """Run a compiled graph to its end."""
        ...


class AsyncDriver:
    """Tasks of one event loop."""

    async def together(self, bodies: Sequence[Body[T]]) -> list[T]:
        """See `Driver`."""
        return await asyncio.gather(*(body() for body in bodies))

    async def invoke(self, graph: Any, given: Any, config: Any, **options: Any) -> Any:
        """See `Driver`."""
        return await graph.ainvoke(given, config, **options)


class ThreadsDriver:
    """A thread for each body."""

    async def together(self, bodies: Sequence[Body[T]]) -> list[T]:
        """See `Driver`."""
        with ThreadPoolExecutor(len(bodies), thread_name_prefix="bench") as threads:
            return list(threads.map(lambda body: run_here(body()), bodies))

    async def invoke(self, graph: Any, given: Any, config: Any, **options: Any) -> Any:
        """See `Driver`."""
        return graph.invoke(given, config, **options)


def run_here(body: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that suspends nowhere."""
    try:
        body.send(None)
    except StopIteration as end:
        found: T = end.value
        return found
    body.close()
    raise RuntimeError("a body over a sync saver awaited something that is not its saver's")


class SyncNames:
    """The sync methods of a saver under the names of the async ones."""

    def __init__(self, saver: Any) -> None:
        self.saver = saver
        self.get_next_version = saver.get_next_version

    async def aget_tuple(self, config: Any) -> Any:
        """Call `get_tuple`."""
        return self.saver.get_tuple(config)

    async def aput(self, *arguments: Any) -> Any:
        """Call `put`."""
        return self.saver.put(*arguments)

    async def aput_writes(self, *arguments: Any) -> None:
        """Call `put_writes`."""
        self.saver.put_writes(*arguments)

    async def alist(self, config: Any, **chosen: Any) -> AsyncIterator[Any]:
        """Call `list`."""
        for found in self.saver.list(config, **chosen):
            yield found

    async def aget_delta_channel_history(self, **chosen: Any) -> Any:
        """Call `get_delta_channel_history`."""
        return self.saver.get_delta_channel_history(**chosen)

    def stats(self) -> dict[str, int]:
        """Call `stats`."""
        found: dict[str, int] = self.saver.stats()
        return found
