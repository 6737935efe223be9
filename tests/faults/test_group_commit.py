"""Many callers share few requests, and one caller waits for nobody."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from shared.places import Place
from shared.savers import MakeSaver
from shared.threads import Chain, eventually, values_of

from langgraph.checkpoint.kusto.local import Faults

PUTS = 200


async def test_puts_that_wait_leave_in_one_request(
    make_saver: MakeSaver, faults: Faults, place: Place, new_thread: Any
) -> None:
    """While one request is in flight the next batch grows."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(PUTS))
    saver = make_saver(max_in_flight=1)
    await Chain(saver, new_thread()).step(n=-1)
    place.server.requests.reset()
    held = faults.add("stall", endpoint="ingest", times=1)
    first = asyncio.ensure_future(Chain(saver, new_thread()).step(n=-1))

    async def is_held() -> bool:
        return held.hits == 1

    await eventually(is_held)
    chains = [Chain(saver, new_thread()) for _ in range(PUTS)]
    puts = [asyncio.ensure_future(chain.step(n=n)) for n, chain in enumerate(chains)]

    async def all_submitted() -> bool:
        return saver.stats()["overlay_rows"] >= PUTS + 1

    await eventually(all_submitted)
    held.release()
    await asyncio.gather(first, *puts)

    requests = place.server.requests
    # 3 when the last one arrived after the release.
    assert requests.count("ingest", table="Checkpoints") in (2, 3)
    assert requests.rows("ingest", table="Checkpoints") == PUTS + 1
    assert saver.stats()["puts"] == PUTS + 2
    reader = make_saver()
    for number in (0, PUTS - 1):
        assert await values_of(reader, chains[number].place) == {"n": number}


async def test_concurrent_puts_need_far_fewer_requests(
    make_saver: MakeSaver, place: Place, new_thread: Any
) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(PUTS))
    saver = make_saver(max_in_flight=2)
    chains = [Chain(saver, new_thread()) for _ in range(PUTS)]
    await asyncio.gather(*[chain.step(n=1) for chain in chains])

    assert place.server.requests.rows("ingest") == PUTS
    assert place.server.requests.count("ingest") <= PUTS // 4


async def test_one_caller_waits_for_nobody(
    make_saver: MakeSaver, place: Place, thread_id: str
) -> None:
    """Neither `batch_size` nor `flush_interval` delays an acknowledged put."""
    saver = make_saver(batch_size=500, flush_interval=3_600.0)
    chain = Chain(saver, thread_id)
    for number in range(5):
        await chain.step(n=number)
    assert place.server.requests.count("ingest") == 5
    assert place.server.requests.count("query") == 0
