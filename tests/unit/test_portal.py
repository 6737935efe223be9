"""Where the core lives: the caller's loop, a loop thread, and what happens when a loop ends."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from langgraph.checkpoint.kusto import _portal
from langgraph.checkpoint.kusto._core import Core
from langgraph.checkpoint.kusto._memory import Memory
from langgraph.checkpoint.kusto._portal import Home
from langgraph.checkpoint.kusto._requests import WritesRequest
from langgraph.checkpoint.kusto._rows import CheckpointKey
from langgraph.checkpoint.kusto._stats import Stats
from langgraph.checkpoint.kusto._transport import Table
from langgraph.checkpoint.kusto.errors import (
    ForkedProcessError,
    LoopLostError,
    OwnLoopError,
    SaverClosedError,
    SaverUsageError,
    ServiceUnavailableError,
    WriteFailedError,
)
from langgraph.checkpoint.kusto.options import SaverOptions


class FakeTransport:
    """Acknowledges everything, and notes on which loop it was used."""

    def __init__(self) -> None:
        self.opened: list[asyncio.AbstractEventLoop] = []
        self.closed: list[asyncio.AbstractEventLoop] = []
        self.requests: list[bytes] = []
        self.error: Exception | None = None

    async def open(self) -> None:
        if self.error is not None:
            raise self.error
        self.opened.append(asyncio.get_running_loop())

    async def aclose(self) -> None:
        self.closed.append(asyncio.get_running_loop())

    async def query(self, text: str, parameters: Mapping[str, str | int]) -> list[Table]:
        """Nothing is stored: no epoch, no tombstone."""
        return [Table((), []), Table((), [])]

    async def command(self, text: str) -> Table:
        return Table((), [])

    async def ingest(self, table: str, mapping: str, payload: bytes) -> None:
        self.requests.append(payload)


Make = Callable[..., Home]


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def make(transport: FakeTransport) -> Iterator[Make]:
    """Make homes, and close them at the end."""
    made: list[Home] = []

    def build(*, own_thread: bool, **options: Any) -> Home:
        home = Home(transport, SaverOptions(**options), Memory(Stats()), own_thread=own_thread)  # type: ignore[arg-type]
        made.append(home)
        return home

    yield build
    for home in made:
        if home._own_thread:
            home.close()


async def where(core: Core) -> asyncio.AbstractEventLoop:
    """Work that tells on which loop it was done."""
    return asyncio.get_running_loop()


async def which(core: Core) -> Core:
    return core


def write(number: int = 0) -> Callable[[Core], Any]:
    request = WritesRequest(
        CheckpointKey("thread", "", "1"), "", f"task {number}", "", [(0, "c", ("raw", b"x"))]
    )
    return lambda core: core.put_writes(request)


def in_thread(call: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


# -------------------------------------------------------------------------------- the caller's loop


async def test_the_loop_of_the_first_await(make: Make, transport: FakeTransport) -> None:
    home = make(own_thread=False)
    assert repr(home) == "<Home not opened yet>"
    assert transport.opened == []
    here = asyncio.get_running_loop()

    assert await home.run(where) is here
    assert await home.run(which) is await home.run(which)
    assert transport.opened == [here]
    assert repr(home).startswith("<Home <Core <Writer open ")
    await home.aclose()
    assert transport.closed == [here]
    assert repr(home) == "<Home closed>"


async def test_a_sync_call_on_the_loop_of_the_core_is_refused(make: Make) -> None:
    home = make(own_thread=False)
    await home.run(where)
    with pytest.raises(OwnLoopError, match=r"called on; use `await saver.aput\(...\)`, or Ku"):
        home.run_sync(where, "aput")
    with pytest.raises(OwnLoopError, match=r"use `await saver\.aclose"):
        home.close()
    await home.aclose()


def test_a_sync_call_without_any_loop_is_refused(make: Make, transport: FakeTransport) -> None:
    home = make(own_thread=False)
    with pytest.raises(OwnLoopError, match=r"no event loop yet; use `await saver\.aput"):
        home.run_sync(where, "aput")

    assert transport.opened == []


async def test_a_sync_call_from_another_thread_hops(make: Make) -> None:
    home = make(own_thread=False)
    here = await home.run(where)

    assert await asyncio.to_thread(home.run_sync, where, "aput") is here
    await asyncio.to_thread(home.close)
    with pytest.raises(SaverClosedError):
        await home.run(where)


async def test_an_await_from_another_loop_hops(make: Make) -> None:
    home = make(own_thread=False)
    here = await home.run(where)

    assert await asyncio.to_thread(lambda: asyncio.run(home.run(where))) is here
    await asyncio.to_thread(lambda: asyncio.run(home.aclose()))
    assert home.closed


async def test_errors_and_cancelling_cross_the_hop(make: Make) -> None:
    home = make(own_thread=False)
    await home.run(where)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def fail(core: Core) -> None:
        raise ServiceUnavailableError("busy")

    async def hang(core: Core) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    other = asyncio.new_event_loop()
    thread = threading.Thread(target=other.run_forever)
    thread.start()
    try:
        failing = asyncio.run_coroutine_threadsafe(home.run(fail), other)
        with pytest.raises(ServiceUnavailableError, match="busy"):
            await asyncio.wrap_future(failing)
        hanging = asyncio.run_coroutine_threadsafe(home.run(hang), other)
        await begun.wait()
        hanging.cancel()
        await ended.wait()
    finally:
        other.call_soon_threadsafe(other.stop)
        await asyncio.to_thread(thread.join)
        other.close()
    await home.aclose()


def test_each_asyncio_run_gets_a_core_of_its_own(make: Make, transport: FakeTransport) -> None:
    """A saver of a module, used by `asyncio.run` again and again."""
    home = make(own_thread=False)
    memory = home.memory
    first = asyncio.run(home.run(which))
    second = asyncio.run(home.run(which))

    assert first is not second
    assert first.memory is second.memory is memory
    assert len(transport.opened) == 2
    asyncio.run(home.aclose())
    assert home.closed


def test_a_sync_call_after_the_loop_ended(make: Make) -> None:
    home = make(own_thread=False)
    asyncio.run(home.run(where))
    with pytest.raises(LoopLostError, match="use KustoSaver for sync code"):
        home.run_sync(where, "aput")


@pytest.mark.parametrize("again", ["run", "aclose"])
def test_rows_lost_with_a_loop_are_named(make: Make, again: str, transport: FakeTransport) -> None:
    home = make(own_thread=False, write_mode="buffered")
    asyncio.run(home.run(write()))
    assert transport.requests == []

    async def next_call() -> None:
        await (home.run(write()) if again == "run" else home.aclose())

    with pytest.raises(LoopLostError, match="acknowledged: 1 writes of task task 0"):
        asyncio.run(next_call())
    assert len(home.memory.overlay) == 0


async def test_what_a_core_remembers_of_lost_values_is_bounded(make: Make) -> None:
    home = make(own_thread=False)

    async def bound(core: Core) -> int:
        return core._lost_blobs.bound_bytes

    assert await home.run(bound) == 4 * 1024 * 1024
    await home.aclose()


# ---------------------------------------------------------------------------------- a loop thread


def test_a_loop_thread_serves_sync_callers(make: Make, transport: FakeTransport) -> None:
    home = make(own_thread=True)
    loop = home.run_sync(where, "aput")

    assert loop.is_running()
    assert transport.opened == [loop]
    assert in_thread(lambda: home.run_sync(where, "aput")) is loop
    home.close()
    assert transport.closed == [loop]
    assert loop.is_closed()
    home.close()
    with pytest.raises(SaverClosedError):
        home.run_sync(where, "aput")


async def test_a_loop_thread_serves_async_callers_too(make: Make) -> None:
    home = make(own_thread=True)
    here = asyncio.get_running_loop()
    there = await home.run(where)

    assert there is not here
    assert home.run_sync(where, "aput") is there  # blocks this loop, but cannot deadlock
    await home.aclose()
    await home.aclose()
    assert there.is_closed()


def test_a_sync_call_on_the_loop_thread_is_refused(make: Make) -> None:
    home = make(own_thread=True)

    async def nested(core: Core) -> None:
        home.run_sync(where, "aput")

    async def nested_close(core: Core) -> None:
        home.close()

    for work in (nested, nested_close):
        with pytest.raises(OwnLoopError, match="it would wait for the event loop it is called on"):
            home.run_sync(work, "aput")


def test_many_threads_share_requests(make: Make, transport: FakeTransport) -> None:
    home = make(own_thread=True)
    home.run_sync(where, "aput")
    together = threading.Barrier(16)

    def work(number: int) -> None:
        together.wait()
        home.run_sync(write(number), "aput_writes")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    rows = [row for payload in transport.requests for row in payload.split(b"\n")]

    assert len(rows) == 16
    assert {number for number in range(16) for row in rows if b'"task %d"' % number in row} == set(
        range(16)
    )


def test_first_calls_of_many_threads_make_one_core(make: Make, transport: FakeTransport) -> None:
    home = make(own_thread=True)
    together = threading.Barrier(8)

    def work(_: int) -> Core:
        together.wait()
        return home.run_sync(which, "aput")

    with ThreadPoolExecutor(8) as pool:
        cores = list(pool.map(work, range(8)))

    assert len(set(map(id, cores))) == 1
    assert len(transport.opened) == 1


def test_closing_sends_what_waits(make: Make, transport: FakeTransport) -> None:
    home = make(own_thread=True, write_mode="buffered")
    home.run_sync(write(), "aput_writes")
    assert transport.requests == []
    home.close()

    assert len(transport.requests) == 1


def test_closing_tells_what_was_not_written_and_stops_the_thread(
    make: Make, transport: FakeTransport
) -> None:
    home = make(own_thread=True, write_mode="buffered", max_retries=0)

    async def refuse(table: str, mapping: str, payload: bytes) -> None:
        raise ServiceUnavailableError("busy")

    transport.ingest = refuse  # type: ignore[method-assign]
    loop = home.run_sync(where, "aput")
    home.run_sync(write(), "aput_writes")
    with pytest.raises(WriteFailedError, match=r"task task 0.*busy"):
        home.close()

    assert loop.is_closed()
    assert transport.closed == [loop]


def test_a_call_under_way_while_another_thread_closes(make: Make) -> None:
    home = make(own_thread=True, close_timeout=0.01)
    begun = threading.Event()

    async def hang(core: Core) -> None:
        begun.set()
        await asyncio.Event().wait()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(home.run_sync, hang, "aput")
        begun.wait()
        home.close()
        with pytest.raises(SaverUsageError):
            waiting.result()


def test_a_transport_that_does_not_open_is_tried_again(
    make: Make, transport: FakeTransport
) -> None:
    home = make(own_thread=True)
    transport.error = ServiceUnavailableError("busy")
    with pytest.raises(ServiceUnavailableError):
        home.run_sync(where, "aput")
    transport.error = None

    assert home.run_sync(where, "aput").is_running()


def test_threads_do_not_stay(make: Make) -> None:
    before = threading.active_count()
    for _ in range(3):
        home = make(own_thread=True)
        home.run_sync(where, "aput")
        home.close()
    gc.collect()

    assert threading.active_count() <= before


# ------------------------------------------------------------------------------- closing, forking


@pytest.mark.parametrize("own_thread", [False, True])
async def test_closing_what_was_never_opened(
    make: Make, own_thread: bool, transport: FakeTransport
) -> None:
    first, second = make(own_thread=own_thread), make(own_thread=own_thread)
    await first.aclose()
    await asyncio.to_thread(second.close)

    assert (first.closed, second.closed) == (True, True)
    assert (transport.opened, transport.closed) == ([], [])
    with pytest.raises(SaverClosedError):
        await first.run(where)


@pytest.mark.parametrize("own_thread", [False, True])
async def test_after_a_fork_every_call_says_so(
    make: Make, own_thread: bool, monkeypatch: pytest.MonkeyPatch, transport: FakeTransport
) -> None:
    home = make(own_thread=own_thread)
    await home.run(where)
    with monkeypatch.context() as patch:
        patch.setattr(_portal.os, "getpid", lambda: -1)
        with pytest.raises(ForkedProcessError, match="create one in the child process"):
            await home.run(where)
        with pytest.raises(ForkedProcessError):
            await asyncio.to_thread(home.run_sync, where, "aput")
        await home.aclose()
        assert transport.closed == []  # the connections are those of the parent
    await home.aclose()
    assert len(transport.closed) == 1


def test_a_loop_that_ends_under_a_call_from_another_thread(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_portal, "_LOOP_CHECK_SECONDS", 0.01)
    home = make(own_thread=False)
    begun = threading.Event()

    async def hang(core: Core) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def main(pool: ThreadPoolExecutor) -> Any:
        await home.run(where)
        waiting = pool.submit(home.run_sync, hang, "aput")
        await asyncio.to_thread(begun.wait)
        return waiting

    with ThreadPoolExecutor(1) as pool:
        waiting = asyncio.run(main(pool))
        with pytest.raises(SaverUsageError):
            waiting.result()
