"""Many callers on one saver: coroutines, threads, loops, processes; slow and stalled servers."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.to_thread
import orjson
import pytest
from langgraph.checkpoint.base import CheckpointTuple
from shared.delays import DelayingTransport
from shared.places import Place
from shared.processes import ROOT, Child, child_environment
from shared.steps import held_by, ours
from shared.threads import (
    Chain,
    config_of,
    eventually,
    id_of,
    listed,
    listed_ids,
    new_checkpoint,
    noise,
    values_of,
)

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, errors
from langgraph.checkpoint.kusto._transport import SdkTransport, Table, parse_endpoint
from langgraph.checkpoint.kusto.local import Faults

MODES = ("acknowledged", "buffered")
FAST: dict[str, Any] = {"retry_backoff": 0.001}

AsyncSavers = Callable[..., AsyncKustoSaver]
SyncSavers = Callable[..., KustoSaver]
NewThread = Callable[..., str]


# -- many callers --------------------------------------------------------------------------------


async def test_500_coroutines_share_one_saver(
    async_saver: AsyncSavers, new_thread: NewThread
) -> None:
    saver = async_saver()
    common = await Chain(saver, new_thread()).step(common=True)

    async def live(number: int) -> None:
        chain = Chain(saver, new_thread())
        large = noise(40_000 if number % 10 == 0 else 10, number)
        stored = await chain.step(number=number, large=large)
        await saver.aput_writes(stored, [("a", number), ("b", large)], "task")
        await saver.aput_writes(common, [("a", number)], f"task {number:03}")
        found = await saver.aget_tuple(chain.place)
        assert found is not None
        assert found.checkpoint["channel_values"] == {"number": number, "large": large}
        assert found.pending_writes == [("task", "a", number), ("task", "b", large)]

    await asyncio.gather(*[live(number) for number in range(500)])
    await saver.aflush()

    for reader in (saver, async_saver()):
        found = await reader.aget_tuple(common)
        assert found is not None
        assert found.pending_writes == [(f"task {n:03}", "a", n) for n in range(500)]
    assert await held_by(saver) == {}
    assert saver.stats()["ingest_requests"] < 150  # 50 blobs, 501 puts and 1,000 writes


def test_64_threads_share_one_saver(sync_saver: SyncSavers, new_thread: NewThread) -> None:
    """Every other thread has an event loop of its own and uses the async methods."""
    saver, together = sync_saver(), threading.Barrier(64)
    names = [new_thread() for _ in range(64)]

    def work(number: int) -> None:
        config = config_of(names[number])
        together.wait(30)
        for step in range(2):
            values = {"step": step, "large": noise(40_000 * (number % 4 == 0), number)}
            config = saver.put(config, new_checkpoint(values), {"step": step}, {})
            saver.put_writes(config, [("a", step)], "task")
            found = saver.get_tuple(config_of(names[number]))
            assert found is not None
            assert found.checkpoint["channel_values"] == values
            assert found.pending_writes == [("task", "a", step)]

    async def awork(number: int) -> None:
        chain = Chain(saver, names[number])
        await asyncio.to_thread(together.wait, 30)
        for step in range(2):
            stored = await chain.step(step=step)
            await saver.aput_writes(stored, [("a", step)], "task")
            found = await saver.aget_tuple(chain.place)
            assert found is not None
            assert found.checkpoint["channel_values"] == {"step": step}
            assert found.pending_writes == [("task", "a", step)]

    with ThreadPoolExecutor(64) as pool:
        ends = [pool.submit(work, number) for number in range(0, 64, 2)]
        ends += [pool.submit(lambda n: asyncio.run(awork(n)), n) for n in range(1, 64, 2)]
        for end in ends:
            end.result(60)
    assert [len(list(saver.list(config_of(name)))) for name in names] == [2] * 64
    saver.flush()
    assert asyncio.run(held_by(saver)) == {}


async def test_500_coroutines_and_64_threads_share_one_saver(
    sync_saver: SyncSavers, new_thread: NewThread
) -> None:
    """All at once, each on a thread of its own and on one checkpoint of all."""
    saver, together = sync_saver(), threading.Barrier(65)
    common = await Chain(saver, new_thread()).step(common=True)
    names = [new_thread() for _ in range(564)]

    def values(number: int) -> dict[str, Any]:
        return {"number": number, "large": noise(40_000 if number % 20 == 0 else 10, number)}

    def check(found: CheckpointTuple | None, number: int) -> None:
        assert found is not None
        assert found.checkpoint["channel_values"] == values(number)
        assert found.pending_writes == [("task", "a", number)]

    async def live(number: int) -> None:
        chain = Chain(saver, names[number])
        stored = await chain.step(**values(number))
        await saver.aput_writes(stored, [("a", number)], "task")
        await saver.aput_writes(common, [("a", number)], f"task {number:03}")
        check(await saver.aget_tuple(chain.place), number)

    def work(number: int) -> None:
        together.wait(30)
        config = config_of(names[number])
        stored = saver.put(config, new_checkpoint(values(number)), {"step": 0}, {})
        saver.put_writes(stored, [("a", number)], "task")
        saver.put_writes(common, [("a", number)], f"task {number:03}")
        check(saver.get_tuple(config), number)

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(65) as pool:
        threads = [loop.run_in_executor(pool, work, number) for number in range(500, 564)]
        await loop.run_in_executor(pool, together.wait, 30)
        await asyncio.gather(*threads, *[live(number) for number in range(500)])

    other = sync_saver()
    for reader in (saver, other):
        found = await reader.aget_tuple(common)
        assert found is not None
        assert found.pending_writes == [(f"task {n:03}", "a", n) for n in range(564)]
    for number in range(0, 564, 7):
        check(await other.aget_tuple(config_of(names[number])), number)
    assert await held_by(saver) == {}


# -- closing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("write_mode", MODES)
async def test_closing_while_busy_keeps_what_was_accepted(
    place: Place, async_saver: AsyncSavers, faults: Faults, new_thread: NewThread, write_mode: Any
) -> None:
    faults.add("latency", endpoint="ingest", times=None, seconds=0.005)
    saver = AsyncKustoSaver(place.uri, place.database, write_mode=write_mode, intake_bytes=300_000)
    accepted: list[Any] = []
    enough = asyncio.Event()

    async def live() -> None:
        chain = Chain(saver, new_thread())
        while True:
            stored = await chain.step(value=noise(30_000, len(accepted)))
            accepted.append(stored)
            if len(accepted) >= 60:
                enough.set()
            await saver.aget_tuple(stored)

    lives = [asyncio.ensure_future(live()) for _ in range(40)]
    await enough.wait()
    await saver.aclose()
    ends = await asyncio.gather(*lives, return_exceptions=True)

    assert {type(end) for end in ends} == {errors.SaverClosedError}
    assert [task for task in asyncio.all_tasks() if ours(task)] == []
    other = async_saver()
    found = await asyncio.gather(*[other.aget_tuple(stored) for stored in accepted])
    assert [stored for stored, item in zip(accepted, found, strict=True) if item is None] == []


# -- several loops, several processes ------------------------------------------------------------


# The sockets of a loop that ended went with it.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_two_event_loops_share_one_saver(place: Place, new_thread: NewThread) -> None:
    """The second loop's calls hop to the first; when that one has ended, they have their own."""
    saver = AsyncKustoSaver(place.uri, place.database)
    names = [new_thread(), new_thread()]
    opened, both_wrote, first_ended = threading.Event(), threading.Barrier(2), threading.Event()

    async def write(number: int) -> None:
        chain = Chain(saver, names[number])

        async def put(task: int) -> None:
            await saver.aput_writes(chain.config, [("a", task)], f"task {task:02}")

        for step in range(10):
            await chain.step(step=step, large=noise(40_000, step))
            await asyncio.gather(*[put(task) for task in range(10)])
            await asyncio.sleep(0)

    async def first() -> None:
        await saver.asetup()
        opened.set()
        await write(0)
        await asyncio.to_thread(both_wrote.wait, 30)
        await check()

    async def second() -> None:
        await asyncio.to_thread(opened.wait, 30)
        await write(1)
        await asyncio.to_thread(both_wrote.wait, 30)
        await asyncio.to_thread(first_ended.wait, 30)
        await check()
        await Chain(saver, names[1], "after").step(alive=True)
        await saver.aclose()

    async def check() -> None:
        for name in names:
            items = await listed(saver, config_of(name))
            assert [item.metadata.get("step") for item in items] == [*reversed(range(10))]
            for step, item in zip(reversed(range(10)), items, strict=True):
                assert item.checkpoint["channel_values"] == {
                    "step": step,
                    "large": noise(40_000, step),
                }
                assert item.pending_writes == [(f"task {n:02}", "a", n) for n in range(10)]

    with ThreadPoolExecutor(2) as pool:
        loops = [
            pool.submit(lambda: asyncio.run(first())),
            pool.submit(lambda: asyncio.run(second())),
        ]
        loops[0].result(60)
        first_ended.set()
        loops[1].result(60)
    with KustoSaver(place.uri, place.database) as other:
        assert other.get_tuple(config_of(names[1], "after")) is not None
    gc.collect()


SECOND_PROCESS = """
import asyncio, json, sys
from langgraph.checkpoint.kusto import AsyncKustoSaver
from shared.threads import Chain, config_of, listed_ids

async def main(uri, database, thread_id, checkpoint_id):
    async with AsyncKustoSaver(uri, database) as saver:
        print("ready", flush=True)
        sys.stdin.readline()
        chain, common = Chain(saver, thread_id), config_of(thread_id, "", checkpoint_id)
        chain.config = common
        for step in range(15):
            writes = [("who", "child"), ("__error__", "child")]
            await saver.aput_writes(common, writes, f"task {step}")
            await chain.step(who="child", large=bytes(50_000))
        print("wrote", json.dumps([item["configurable"]["checkpoint_id"] for item in chain.stored]))
        sys.stdin.readline()
        found = await saver.aget_tuple(common)
        print("ids", json.dumps(await listed_ids(saver, config_of(thread_id))))
        print("writes", json.dumps(found.pending_writes))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_two_processes_share_one_thread(
    place: Place, async_saver: AsyncSavers, thread_id: str
) -> None:
    """Nothing of either is lost, and both see the same, down to who won each write."""
    saver = async_saver()
    common = await Chain(saver, thread_id).step(who="nobody")
    paths = f"{ROOT / 'tests'}:{child_environment()['PYTHONPATH']}"
    child = Child(
        [sys.executable, "-c", SECOND_PROCESS, place.uri, place.database, thread_id, id_of(common)],
        env={"PYTHONPATH": paths},
        stdin=True,
    )
    try:
        assert await asyncio.to_thread(child.line) == "ready", child.errors()
        child.say("go")
        chain = Chain(saver, thread_id)
        chain.config = common
        for step in range(15):
            writes = [("who", "parent"), ("__error__", "parent")]
            await saver.aput_writes(common, writes, f"task {step}")
            await chain.step(who="parent", large=bytes(50_000))
        theirs = await told(child, "wrote")
        child.say("look")
        ids, writes_there = await told(child, "ids"), await told(child, "writes")
    finally:
        child.close()

    found = await saver.aget_tuple(common)
    assert found is not None
    assert found.pending_writes == [tuple(write) for write in writes_there]
    assert len(found.pending_writes) == 30  # one winner for each task and channel
    mine = [id_of(stored) for stored in chain.stored]
    everything = sorted({id_of(common), *mine, *theirs}, reverse=True)
    assert len(everything) == 31
    assert await listed_ids(saver, chain.place) == ids == everything
    for who, names in (("parent", mine), ("child", theirs)):
        for name in names:
            values = await values_of(saver, config_of(thread_id, "", name))
            assert values == {"who": who, "large": bytes(50_000)}


async def told(child: Child, word: str) -> Any:
    """What the child says after a word."""
    line = await asyncio.to_thread(child.line)
    assert line is not None, child.errors()
    said, _, rest = line.partition(" ")
    assert said == word
    return orjson.loads(rest)


# -- slow and stalled servers, full savers -------------------------------------------------------


class CountingTransport(SdkTransport):
    """Knows the most requests that were ever in flight."""

    def __init__(self, place: Place) -> None:
        super().__init__(parse_endpoint(place.uri, place.database))
        self.most = {"ingest": 0, "query": 0}
        self._now = {"ingest": 0, "query": 0}

    async def ingest(self, table: str, mapping: str, payload: bytes) -> None:
        with self._counted("ingest"):
            await super().ingest(table, mapping, payload)

    async def query(self, text: Any, parameters: Mapping[str, str | int]) -> list[Table]:
        with self._counted("query"):
            return await super().query(text, parameters)

    @contextmanager
    def _counted(self, kind: str) -> Iterator[None]:
        self._now[kind] += 1
        self.most[kind] = max(self.most[kind], self._now[kind])
        try:
            yield
        finally:
            self._now[kind] -= 1


async def test_a_slow_server_gets_no_more_than_it_may(
    place: Place, async_saver: AsyncSavers, faults: Faults, new_thread: NewThread
) -> None:
    faults.add("latency", times=None, seconds=0.05)
    transport = CountingTransport(place)
    saver = async_saver(transport=transport, max_in_flight=3, max_queries=5)

    async def live(number: int) -> None:
        chain = Chain(saver, new_thread())
        for step in range(2):
            await chain.step(number=number, step=step, large=noise(250_000, number))
        found = await values_of(saver, chain.place)
        assert found == {"number": number, "step": 1, "large": noise(250_000, number)}

    await asyncio.gather(*[live(number) for number in range(40)])  # 13 MB of blobs a step
    assert transport.most == {"ingest": 3, "query": 5}
    assert await held_by(saver) == {}


async def test_a_stalled_server_stops_nobody_who_can_go_on(
    place: Place, async_saver: AsyncSavers, faults: Faults, new_thread: NewThread
) -> None:
    """Ingestion hangs; what was accepted can be read, by id, as the newest and in lists."""
    saver, other = async_saver(), async_saver()
    chains = [Chain(saver, new_thread()) for _ in range(15)]
    held = faults.add("stall", endpoint="ingest", times=None)
    puts = [asyncio.ensure_future(chain.step(large=noise(30_000))) for chain in chains]
    assert await asyncio.to_thread(held.wait_hit, 30)
    for chain in chains:
        assert await values_of(saver, chain.place) == {"large": noise(30_000)}
        assert len(await listed_ids(saver, chain.place)) == 1
        assert await other.aget_tuple(chain.place) is None
    assert [put for put in puts if put.done()] == []

    faults.clear()
    await asyncio.gather(*puts)
    assert await held_by(saver) == {}
    for chain in chains:
        assert await values_of(other, chain.place) == {"large": noise(30_000)}


@pytest.mark.parametrize("write_mode", MODES)
async def test_a_full_saver_waits_then_refuses_then_goes_on(
    async_saver: AsyncSavers, faults: Faults, new_thread: NewThread, write_mode: str
) -> None:
    saver = async_saver(write_mode=write_mode, intake_bytes=100_000, intake_timeout=0.3)
    held = faults.add("stall", endpoint="ingest", times=None)
    chains = [Chain(saver, new_thread()) for _ in range(10)]
    puts = [asyncio.ensure_future(chain.step(value=noise(20_000))) for chain in chains]
    assert await asyncio.to_thread(held.wait_hit, 30)
    ends = await asyncio.gather(*puts[3:], return_exceptions=True)  # three of 27 kB have room
    assert {type(end) for end in ends} == {errors.BackpressureError}
    for chain in chains[3:]:
        assert await saver.aget_tuple(chain.place) is None

    waiting = asyncio.ensure_future(chains[3].step(value=noise(20_000)))
    await asyncio.sleep(0)
    faults.clear()
    await asyncio.gather(waiting, *puts[:3])
    await saver.aflush()
    assert await held_by(saver) == {}
    other = async_saver()
    found = [await other.aget_tuple(chain.place) for chain in chains]
    assert [item is not None for item in found] == [True] * 4 + [False] * 6


async def test_rows_that_do_not_show_hold_puts_back_until_they_do(
    place: Place, async_saver: AsyncSavers, new_thread: NewThread
) -> None:
    """Acknowledged, but invisible: nothing may leave the overlay, so it fills."""
    transport = DelayingTransport(place, "Checkpoints")
    saver = async_saver(transport=transport, overlay_bytes=100_000, intake_timeout=30.0)
    chains = [Chain(saver, new_thread()) for _ in range(12)]
    puts = [asyncio.ensure_future(chain.step(value=noise(20_000))) for chain in chains]

    async def three_are_acknowledged() -> bool:
        return sum(put.done() for put in puts) >= 3

    await eventually(three_are_acknowledged)
    assert sum(put.done() for put in puts) == 3
    transport.hide()
    assert await transport.release() > 0
    await asyncio.gather(*puts)
    assert await held_by(saver) == {}
    assert saver.stats()["overlay_bytes"] <= 100_000
    for chain in chains:
        assert await values_of(async_saver(), chain.place) == {"value": noise(20_000)}


async def test_sync_callers_may_hold_every_thread_there_is(
    async_saver: Callable[..., AsyncKustoSaver], thread_id: str
) -> None:
    """As sync endpoints of a web framework do: they wait in anyio's threads, all of them."""
    saver = async_saver()
    callers = int(anyio.to_thread.current_default_thread_limiter().total_tokens) + 2
    assert await saver.aget_tuple(config_of(thread_id)) is None

    def endpoint(number: int) -> None:
        place = config_of(f"{thread_id} {number}")
        saver.put(place, new_checkpoint({"a": noise(400_000, number)}), {}, {"a": 1})
        found = saver.get_tuple(place)
        assert found is not None
        assert found.checkpoint["channel_values"] == {"a": noise(400_000, number)}

    with anyio.fail_after(100):
        async with anyio.create_task_group() as group:
            for number in range(callers):
                group.start_soon(anyio.to_thread.run_sync, endpoint, number)
