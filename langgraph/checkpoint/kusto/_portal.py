"""Where the core of a saver lives: on the caller's event loop, or on a loop thread of its own.

Rules:
- A core lives on one loop: that of the first await (`AsyncKustoSaver`), or the portal's
  (`KustoSaver`). Calls from another loop or thread hop to it.
- When that loop is gone, the next call opens a new core on the current one; `Memory` stays.
- The check "you are standing on my loop" stands here, in `run_sync`, and nowhere else.
- After a fork every call raises: sockets, threads and loops did not survive it.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures.thread  # noqa: F401 - first, see `_flush_open_homes`
import logging
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

import anyio.to_thread
from anyio.from_thread import start_blocking_portal

from ._core import Core
from ._memory import Memory
from ._transport import Transport
from .errors import ForkedProcessError, LoopLostError, OwnLoopError, SaverClosedError
from .options import SaverOptions

logger = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[Core], Awaitable[T]]

_LOOP_CHECK_SECONDS = 1.0


class Home:
    """Runs work against the one core that all clones of a saver share.

    Args:
        transport: What the core speaks to Kusto with.
        options: Options of the saver.
        memory: State that outlives a loop.
        own_thread: Live on a loop thread of its own instead of the caller's loop.
    """

    def __init__(
        self, transport: Transport, options: SaverOptions, memory: Memory, *, own_thread: bool
    ) -> None:
        self.memory = memory
        self._transport = transport
        self._options = options
        self._own_thread = own_thread
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._core: Core | None = None
        self._portal: Any = None
        self._closed = False
        self._pid = os.getpid()

    def __repr__(self) -> str:
        if self._closed:
            return "<Home closed>"
        return f"<Home {self._core!r}>" if self._core is not None else "<Home not opened yet>"

    @property
    def closed(self) -> bool:
        """Whether the saver was closed."""
        return self._closed

    def check_process(self) -> None:
        """See to it that this is not a child of the process that made the saver.

        Before any lock is asked for: threads of the parent may hold it, in the child for ever.

        Raises:
            ForkedProcessError: It is one.
        """
        if os.getpid() != self._pid:
            raise ForkedProcessError

    async def run(self, work: Work[T]) -> T:
        """Await `work(core)` on the core's loop, wherever the caller is."""
        loop, core = self._settle(asyncio.get_running_loop())
        if loop is asyncio.get_running_loop():
            return await _opened(core, work)
        hop = asyncio.run_coroutine_threadsafe(_opened(core, work), loop)
        return await self._wait(asyncio.wrap_future(hop), loop)

    def run_sync(self, work: Work[T], remedy: str) -> T:
        """Run `work(core)` on the core's loop and block until it is done.

        Args:
            work: What to do.
            remedy: The async method to use instead, for the error.

        Raises:
            OwnLoopError: The caller stands on the core's loop, or there is no loop to run on.
        """
        current = _running_loop()
        nowhere = self._loop is None and not self._own_thread
        if nowhere or (current is not None and current is self._loop):
            raise OwnLoopError(self._own_loop_message(remedy, bound=not nowhere))
        loop, core = self._settle(None)
        return self._block(asyncio.run_coroutine_threadsafe(_opened(core, work), loop), loop)

    async def aclose(self) -> None:
        """Close the core on its loop; calling it again does nothing."""
        closing = self._begin_close()
        if closing is None:
            return
        loop, core = closing
        try:
            if not _alive(loop):
                if loop.is_closed():  # nothing of it can be waited for, only noted as closed
                    await self._transport.aclose()
                self._abandon(core)
            elif loop is asyncio.get_running_loop():
                await core.aclose()
            else:
                hop = asyncio.run_coroutine_threadsafe(core.aclose(), loop)
                await self._wait(asyncio.wrap_future(hop), loop)
        finally:
            await asyncio.to_thread(self._stop_portal)

    def close(self) -> None:
        """Close from a thread without a loop; calling it again does nothing."""
        current = _running_loop()
        if current is not None and current is self._loop:
            raise OwnLoopError(self._own_loop_message("aclose", bound=True))
        closing = self._begin_close()
        if closing is None:
            return
        loop, core = closing
        try:
            if not _alive(loop):
                self._abandon(core)
            else:
                self._block(asyncio.run_coroutine_threadsafe(core.aclose(), loop), loop)
        finally:
            self._stop_portal()

    # -- where the core is -----------------------------------------------------------------------

    def _settle(
        self, current: asyncio.AbstractEventLoop | None
    ) -> tuple[asyncio.AbstractEventLoop, Core]:
        """Find the living core, or make one; `current` is where it may live."""
        self.check_process()
        with self._lock:
            if self._closed:
                raise SaverClosedError
            if self._loop is not None and self._core is not None and _alive(self._loop):
                return self._loop, self._core
            if self._core is not None:
                self._core.abandon()
            if self._own_thread:
                self._start_portal()
            elif current is not None:
                self._loop = current
            else:
                raise LoopLostError(
                    "the event loop this saver lived on is closed, and a sync method has no other"
                    " to use; use KustoSaver for sync code"
                )
            assert self._loop is not None
            self._core = Core(self._transport, self._options, self.memory)
            return self._loop, self._core

    def _begin_close(self) -> tuple[asyncio.AbstractEventLoop, Core] | None:
        if os.getpid() != self._pid:  # before the lock, which a thread of the parent may hold
            return None
        with self._lock:
            if self._closed:
                return None
            self._closed = True
            loop, core = self._loop, self._core
        if loop is None or core is None:
            return None
        return loop, core

    def _abandon(self, core: Core) -> None:
        """Close a core whose loop is gone, which nothing can be drained on."""
        core.abandon()
        error = self.memory.take_failures()
        if error is not None:
            raise error

    def _start_portal(self) -> None:
        self._portal = start_blocking_portal(backend="asyncio")
        portal = self._portal.__enter__()
        self._loop = portal.call(_ready_loop)
        # Strong references on purpose: a saver that nobody holds may still have rows to send.
        _flushed_at_exit.add(self)
        atexit.register(self._close_at_exit)

    def flush_at_exit(self) -> None:
        """Send what waits, while thread pools still work; see `_flush_open_homes`."""
        if os.getpid() != self._pid:  # before the lock, which a thread of the parent may hold
            return
        with self._lock:
            loop, core = self._loop, self._core
        if loop is None or core is None or not _alive(loop):
            return
        flushed = asyncio.run_coroutine_threadsafe(core.flush(), loop)
        wait([flushed], timeout=self._options.close_timeout)
        if flushed.done() and not flushed.cancelled() and flushed.exception() is not None:
            logger.error("flushing a KustoSaver at exit failed: %s", flushed.exception())

    def _close_at_exit(self) -> None:
        try:
            self.close()
        except Exception as error:  # noqa: BLE001 - the interpreter ends: one can only log
            logger.error("closing a KustoSaver at exit failed: %s", error)

    def _stop_portal(self) -> None:
        _flushed_at_exit.discard(self)
        atexit.unregister(self._close_at_exit)
        portal, self._portal = self._portal, None
        if portal is not None:
            portal.__exit__(None, None, None)

    async def _wait(self, answer: asyncio.Future[T], loop: asyncio.AbstractEventLoop) -> T:
        """Wait for another loop, without hanging for ever when it is closed."""
        try:
            while not (await asyncio.wait([answer], timeout=_LOOP_CHECK_SECONDS))[0]:
                if not _alive(loop):
                    raise _loop_lost()
        except asyncio.CancelledError:
            answer.cancel()
            raise
        if answer.cancelled():  # the loop ended under it; the caller was not cancelled
            raise SaverClosedError if self._closed else _loop_lost()
        return answer.result()

    def _block(self, answer: Future[T], loop: asyncio.AbstractEventLoop) -> T:
        while not wait([answer], timeout=_LOOP_CHECK_SECONDS).done:
            if not _alive(loop):
                raise _loop_lost()
        if answer.cancelled():  # the loop ended under it
            raise SaverClosedError if self._closed else _loop_lost()
        return answer.result()

    def _own_loop_message(self, remedy: str, *, bound: bool) -> str:
        why = (
            "it would wait for the event loop it is called on"
            if bound
            else "this saver has no event loop yet"
        )
        kind, other = "AsyncKustoSaver", ", or KustoSaver, whose sync and async methods both work"
        if self._own_thread:
            kind, other = "KustoSaver", ""
        return (
            f"this sync method of {kind} cannot run here: {why}; use `await saver.{remedy}(...)`"
            f"{other}"
        )


def _loop_lost() -> LoopLostError:
    return LoopLostError(
        "the event loop this saver lived on ended during the call, and whether it took effect is"
        " unknown; keep the loop running while other threads use the saver, or use KustoSaver"
    )


async def _opened(core: Core, work: Work[T]) -> T:
    await core.open()
    return await work(core)


async def _ready_loop() -> asyncio.AbstractEventLoop:
    """Give the loop, with a worker in both its thread pools: at exit none can be started."""
    await asyncio.to_thread(_nothing)
    await anyio.to_thread.run_sync(_nothing)
    return asyncio.get_running_loop()


def _nothing() -> None:
    """What a worker thread does so that there is one."""


_flushed_at_exit: set[Home] = set()


def _flush_open_homes() -> None:
    """Flush before the thread pools stop, which resolving a host name and compressing need.

    Only flush: threads of the program may still run and use the saver; `atexit`, later, closes it.
    """
    for home in list(_flushed_at_exit):
        home.flush_at_exit()


# `atexit` comes after the pools have stopped. `concurrent.futures.thread` stops them the same way,
# and has to have registered before this, because the last to register goes first.
getattr(threading, "_register_atexit", atexit.register)(_flush_open_homes)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:  # no loop runs in this thread: the usual case for sync code
        return None


def _alive(loop: asyncio.AbstractEventLoop) -> bool:
    return not loop.is_closed() and loop.is_running()
