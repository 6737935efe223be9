"""What a hostile reader broke once: full savers, closing while busy, process ends, clocks."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest
from shared.places import Place
from shared.processes import Child
from shared.savers import MakeSaver
from shared.threads import Chain, config_of, listed_ids, new_checkpoint, noise, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, _core, _retry, errors
from langgraph.checkpoint.kusto._assembly import plan_pages
from langgraph.checkpoint.kusto._lru import LruMap
from langgraph.checkpoint.kusto._transport import SdkTransport, Table, parse_endpoint
from langgraph.checkpoint.kusto.local import Faults

HOUR_TICKS = 3_600 * 10_000_000


# -- full, in buffered mode ----------------------------------------------------------------------


async def test_a_full_intake_sends_what_waits_for_a_batch(
    make_saver: MakeSaver, thread_id: str
) -> None:
    saver = make_saver(
        write_mode="buffered",
        batch_size=500,
        flush_interval=3_600.0,
        intake_bytes=200_000,
        intake_timeout=30.0,
    )
    chain = Chain(saver, thread_id)
    for step in range(20):  # 27 kB each: seven fill the intake
        await chain.step(value=noise(20_000, step))
    await saver.flush()
    assert len(await listed_ids(make_saver(), chain.place)) == 20


async def test_a_saver_that_is_not_full_keeps_buffering(
    make_saver: MakeSaver, place: Place, thread_id: str
) -> None:
    saver = make_saver(write_mode="buffered", batch_size=500, flush_interval=3_600.0)
    chain = Chain(saver, thread_id)
    for step in range(20):
        await chain.step(value=step)
    assert saver.stats()["ingest_requests"] == 0
    await saver.flush()
    assert saver.stats()["ingest_requests"] == 1


# -- closing while busy --------------------------------------------------------------------------


@pytest.mark.parametrize("write_mode", ["acknowledged", "buffered"])
def test_closing_under_many_threads_loses_nothing_that_was_accepted(
    place: Place, faults: Faults, new_thread: Callable[..., str], write_mode: str
) -> None:
    faults.add("latency", endpoint="ingest", times=None, seconds=0.01)
    faults.add("latency", endpoint="query", times=None, seconds=0.01)
    saver = KustoSaver(
        place.uri,
        place.database,
        write_mode=write_mode,  # type: ignore[arg-type]  # parametrized text
        intake_bytes=200_000,
    )
    accepted: list[tuple[str, str]] = []

    def work(thread_id: str) -> None:
        config = config_of(thread_id)
        for step in range(10_000):
            value = noise(30_000, step)  # spilled: the row follows its blob
            config = saver.put(config, new_checkpoint({"value": value}), {"step": step}, {})
            accepted.append((thread_id, config["configurable"]["checkpoint_id"]))
            assert saver.get_tuple(config) is not None

    with ThreadPoolExecutor(30) as pool:
        running: list[Future[None]] = [pool.submit(work, new_thread()) for _ in range(30)]
        while len(accepted) < 40 and not any(future.done() for future in running):
            wait(running, timeout=0.01)
        saver.close()  # raises if anything accepted was not written
        ends = [future.exception(timeout=60) for future in running]

    assert {type(end) for end in ends} == {errors.SaverClosedError}
    faults.clear()
    with KustoSaver(place.uri, place.database) as other:
        lost = [
            item for item in accepted if other.get_tuple(config_of(item[0], "", item[1])) is None
        ]
    assert lost == []


async def test_a_read_on_another_loop_hears_that_the_saver_was_closed(
    place: Place, faults: Faults, thread_id: str
) -> None:
    saver = KustoSaver(place.uri, place.database)
    await saver.aput(config_of(thread_id), new_checkpoint({"a": 1}), {}, {})
    stalled = faults.add("stall", endpoint="query")
    reading = asyncio.create_task(saver.aget_tuple(config_of(thread_id)))
    assert await asyncio.to_thread(stalled.wait_hit, 30)
    await saver.aclose()
    # Not a CancelledError: nobody cancelled this task.
    with pytest.raises(errors.KustoCheckpointError):
        await reading


async def test_closing_while_opening_leaves_nothing_open(
    place: Place, thread_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go = asyncio.Event(), asyncio.Event()
    really_open = SdkTransport.open

    async def slowly(self: SdkTransport) -> None:
        reached.set()
        await go.wait()
        await really_open(self)

    monkeypatch.setattr(SdkTransport, "open", slowly)
    saver = AsyncKustoSaver(place.uri, place.database)
    reading = asyncio.create_task(saver.aget_tuple(config_of(thread_id)))
    await reached.wait()
    await saver.aclose()
    go.set()
    with pytest.raises(errors.SaverClosedError):
        await reading
    assert "closed" in repr(saver._transport)


def test_the_end_of_a_loop_is_not_called_closing(
    place: Place, faults: Faults, thread_id: str
) -> None:
    saver = AsyncKustoSaver(place.uri, place.database)
    stalled = faults.add("stall", endpoint="ingest")
    ends: list[BaseException] = []

    async def put() -> None:
        try:
            await saver.aput(config_of(thread_id), new_checkpoint({"a": 1}), {}, {})
        except BaseException as error:
            ends.append(error)
            raise

    async def leave() -> None:
        task = asyncio.create_task(put())
        assert await asyncio.to_thread(stalled.wait_hit, 30)
        assert not task.done()

    asyncio.run(leave())
    assert [type(end) for end in ends] == [asyncio.CancelledError]
    faults.clear()
    with pytest.raises(errors.LoopLostError, match=thread_id):  # the put nobody heard about
        asyncio.run(saver.aclose())


def test_closing_after_the_loop_ended_says_what_was_lost(place: Place, thread_id: str) -> None:
    saver = AsyncKustoSaver(
        place.uri, place.database, write_mode="buffered", flush_interval=3_600.0
    )

    async def leave() -> None:
        await saver.aput(config_of(thread_id), new_checkpoint({"a": 1}), {}, {})

    asyncio.run(leave())
    with pytest.raises(errors.LoopLostError, match=thread_id):
        asyncio.run(saver.aclose())


# The sockets went with their loop, on which nobody can close them any more. What aiohttp has left
# open it also logs.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_one_saver_over_many_loops_leaves_no_session_open(
    place: Place, thread_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    saver = AsyncKustoSaver(place.uri, place.database)

    async def put() -> None:
        await saver.aput(config_of(thread_id), new_checkpoint({"a": 1}), {}, {})

    for _ in range(3):
        asyncio.run(put())
    asyncio.run(saver.aclose())
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


# -- the end of the process ----------------------------------------------------------------------

SCRIPT = """
import os, sys
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.kusto import KustoSaver

def main():
    saver = KustoSaver(sys.argv[1], sys.argv[2], write_mode="buffered")
    config = {"configurable": {"thread_id": sys.argv[3], "checkpoint_ns": ""}}
    body = empty_checkpoint() | {"channel_values": {"value": os.urandom(1_000_000)}}
    saver.put(config, body, {"step": 0}, {})
    return saver

kept = main() if sys.argv[4] == "kept" else main() and None
"""


@pytest.mark.parametrize("kept", ["kept", "dropped"])
def test_rows_leave_when_the_interpreter_does(place: Place, thread_id: str, kept: str) -> None:
    # A name, as real clusters have: resolving it needs a thread, which `atexit` comes too late for.
    uri = place.uri.replace("127.0.0.1", "localhost")
    child = Child([sys.executable, "-c", SCRIPT, uri, place.database, thread_id, kept])
    try:
        assert child.wait() == 0
        assert child.errors() == ""
    finally:
        child.close()
    with KustoSaver(place.uri, place.database) as saver:
        assert saver.get_tuple(config_of(thread_id)) is not None


# -- clocks --------------------------------------------------------------------------------------


async def test_a_write_after_reading_one_from_a_clock_ahead_counts_as_later(
    place: Place,
    thread_id: str,
    async_saver: Callable[..., AsyncKustoSaver],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ahead, here = async_saver(), async_saver()
    stored = await Chain(ahead, thread_id).step(a=1)
    now = _core.now_ticks
    with monkeypatch.context() as patch:
        patch.setattr(_core, "now_ticks", lambda: now() + HOUR_TICKS)
        await ahead.aput_writes(stored, [("__resume__", "first")], "task")
    found = await here.aget_tuple(stored)
    assert found is not None
    assert found.pending_writes == [("task", "__resume__", "first")]
    await here.aput_writes(stored, [("__resume__", "second")], "task")
    for saver in (here, async_saver()):
        found = await saver.aget_tuple(stored)
        assert found is not None
        assert found.pending_writes == [("task", "__resume__", "second")]


# -- deleted elsewhere ---------------------------------------------------------------------------


async def test_what_another_process_deleted_is_not_read_from_memory(
    place: Place, thread_id: str, async_saver: Callable[..., AsyncKustoSaver]
) -> None:
    here, elsewhere = async_saver(), async_saver()
    chain = Chain(here, thread_id)
    await chain.step(a=1)
    await elsewhere.adelete_thread(thread_id)
    assert await here.aget_tuple(chain.place) is None
    await chain.step(a=2)  # a late put of the dead run
    assert await here.aget_tuple(chain.place) is None
    again = Chain(here, thread_id)
    await again.step(a=3)
    await chain.step(a=4)  # dead, and with a greater id than what lives
    assert await values_of(here, chain.place) == {"a": 3}
    assert await listed_ids(here, chain.place) == [again.stored[0]["configurable"]["checkpoint_id"]]


async def test_a_put_in_flight_while_its_thread_is_deleted_stays_dead(
    faults: Faults, thread_id: str, async_saver: Callable[..., AsyncKustoSaver]
) -> None:
    saver = async_saver()
    chain = Chain(saver, thread_id)
    await chain.step(a=1)
    stalled = faults.add("stall", endpoint="ingest", table="Checkpoints")
    late = asyncio.create_task(chain.step(a=2))
    assert await asyncio.to_thread(stalled.wait_hit, 30)
    await saver.adelete_thread(thread_id)
    for _ in range(2):  # the first read takes the tombstone out of the overlay
        assert await saver.aget_tuple(chain.place) is None
    stalled.release()
    await late
    assert await saver.aget_tuple(chain.place) is None


# -- rows that landed several times --------------------------------------------------------------


class ThriceTransport(SdkTransport):
    """Lands blobs and writes three times, and gives no result over a limit, as Kusto does."""

    limit = 3_500_000

    async def ingest(self, table: str, mapping: str, payload: bytes) -> None:
        for _ in range(3 if table in ("CheckpointBlobs", "CheckpointWrites") else 1):
            await super().ingest(table, mapping, payload)

    async def query(self, text: Any, parameters: Mapping[str, str | int]) -> list[Table]:
        tables = await super().query(text, parameters)
        size = sum(len(str(cell)) for table in tables for row in table.rows for cell in row)
        if size > self.limit:
            raise errors.ResultTooLargeError("too large")
        return tables


async def test_a_state_whose_rows_landed_thrice_can_be_read(
    place: Place, thread_id: str, async_saver: Callable[..., AsyncKustoSaver]
) -> None:
    def transport() -> ThriceTransport:
        return ThriceTransport(parse_endpoint(place.uri, place.database))

    writer = async_saver(transport=transport())
    values: dict[str, Any] = {"one": noise(1_500_000, 1), "two": noise(600_000, 2)}
    chain = Chain(writer, thread_id)
    stored = await chain.step(**values)
    await writer.aput_writes(stored, [("one", noise(1_500_000, 3)), ("two", 2)], "task")
    reader = async_saver(transport=transport())
    found = await reader.aget_tuple(chain.place)
    assert found is not None
    assert found.checkpoint["channel_values"] == values
    assert found.pending_writes == [("task", "one", noise(1_500_000, 3)), ("task", "two", 2)]
    assert await listed_ids(reader, chain.place) == [stored["configurable"]["checkpoint_id"]]


# -- bounds --------------------------------------------------------------------------------------


def test_the_ids_of_a_page_stay_far_below_a_dynamic() -> None:
    ids = [f"s{number:032}" for number in range(40_000)]
    pages = plan_pages((name, 1, 700, 700) for name in ids)
    assert [name for page, _, _ in pages for name in page] == ids
    assert max(len(",".join(page)) for page, _, _ in pages) < 512 * 1024


async def test_retry_after_zero_does_not_make_a_storm(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", _retry.logger.name)
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    monkeypatch.setattr(_retry, "_LEAST_THROTTLED_BACKOFF", 0.01)
    attempts = 0

    async def throttled() -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 4:
            raise errors.ThrottledError("busy", retry_after=0.0)

    policy = _retry.RetryPolicy(attempts=1, backoff=0.0, timeout=100.0)
    await _retry.run(throttled, policy, what="test", count=lambda _: None)
    waits = [record.args[2] for record in caplog.records if isinstance(record.args, tuple)]
    assert waits == [0.01, 0.02, 0.04]


def test_a_cache_survives_a_key_that_is_pushed_out_while_it_is_set() -> None:
    cache: LruMap[str, int] = LruMap(10_000, bound=1)

    class Pushed(str):
        """A key that another thread pushes out at the worst moment: when it is looked up."""

        __slots__ = ("armed",)
        armed: bool

        def __hash__(self) -> int:
            if getattr(self, "armed", False):
                self.armed = False
                cache._items.clear()
            return str.__hash__(self)

    key = Pushed("key")
    cache.put(key, 1)
    key.armed = True
    cache.put(key, 2)
    assert cache.get("key") == 2


def test_a_saver_that_cannot_be_entered_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with (
        pytest.raises(errors.ClusterUnreachableError),
        KustoSaver("https://127.0.0.1:9", "db", credential="app;key;tenant"),
    ):
        pytest.fail("nothing listens there")
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:  # a worker of anyio was told to end with its loop, and nobody joins it
        thread.join(10)
    assert not any(thread.is_alive() for thread in left)
