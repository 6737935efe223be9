"""A cancelled call leaves its checkpoint whole or absent, and never in another shape."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from shared.threads import Chain, noise, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, errors
from langgraph.checkpoint.kusto.local import Faults


@pytest.fixture(params=["async saver", "sync saver's async methods"])
def saver(
    request: pytest.FixtureRequest,
    async_saver: Callable[..., AsyncKustoSaver],
    sync_saver: Callable[..., KustoSaver],
) -> AsyncKustoSaver | KustoSaver:
    make = async_saver if request.param == "async saver" else sync_saver
    return make(retry_backoff=0.001)


@pytest.mark.parametrize("table", ["CheckpointBlobs", "Checkpoints"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_cancelled_put_finishes_on_its_own(
    saver: AsyncKustoSaver | KustoSaver,
    async_saver: Callable[..., AsyncKustoSaver],
    faults: Faults,
    thread_id: str,
    table: str,
    when: str,
) -> None:
    chain = Chain(saver, thread_id)
    await chain.step(number=0)
    held = faults.add("stall", endpoint="ingest", table=table, when=when)
    put = asyncio.ensure_future(chain.step(number=1, large=noise(2_000_000)))
    await asyncio.to_thread(held.wait_hit, 10)
    put.cancel()
    with pytest.raises(asyncio.CancelledError):
        await put
    expected = {"number": 1, "large": noise(2_000_000)}
    assert await values_of(saver, chain.place) == expected

    held.release()
    await saver.aflush()
    for reader in (saver, async_saver()):
        assert await values_of(reader, chain.place) == expected


async def test_a_cancelled_put_that_fails_is_heard_later(
    saver: AsyncKustoSaver | KustoSaver,
    async_saver: Callable[..., AsyncKustoSaver],
    faults: Faults,
    thread_id: str,
) -> None:
    chain = Chain(saver, thread_id)
    first = await chain.step(number=0)
    held = faults.add("stall", endpoint="ingest", table="CheckpointBlobs")
    faults.add("status", status=403, endpoint="ingest", table="CheckpointBlobs", when="after")
    put = asyncio.ensure_future(chain.step(number=1, large=noise(50_000)))
    await asyncio.to_thread(held.wait_hit, 10)
    put.cancel()
    with pytest.raises(asyncio.CancelledError):
        await put
    held.release()
    with pytest.raises(errors.WriteFailedError, match=thread_id):
        await saver.aflush()
    for reader in (saver, async_saver()):
        found = await reader.aget_tuple(chain.place)
        assert found is not None
        assert found.config == first


async def test_cancelling_one_of_many_leaves_the_others_alone(
    saver: AsyncKustoSaver | KustoSaver,
    async_saver: Callable[..., AsyncKustoSaver],
    faults: Faults,
    new_thread: Callable[..., str],
) -> None:
    held = faults.add("stall", endpoint="ingest", times=None)
    chains = [Chain(saver, new_thread()) for _ in range(30)]
    puts = [
        asyncio.ensure_future(chain.step(n=number, large=noise(30_000 * (number % 2), number)))
        for number, chain in enumerate(chains)
    ]
    await asyncio.to_thread(held.wait_hit, 10)
    for put in puts[::3]:
        put.cancel()
    await asyncio.wait(puts[::3])
    held.release()
    await asyncio.gather(*[put for number, put in enumerate(puts) if number % 3])
    await saver.aflush()

    other = async_saver()
    for number, chain in enumerate(chains):
        found = await other.aget_tuple(chain.place)
        whole = {"n": number, "large": noise(30_000 * (number % 2), number)}
        assert puts[number].cancelled() == (number % 3 == 0)
        if number % 3:
            assert found is not None
        assert found is None or found.checkpoint["channel_values"] == whole


async def test_cancelled_reads_leave_the_saver_usable(
    saver: AsyncKustoSaver | KustoSaver, faults: Faults, thread_id: str
) -> None:
    chain = Chain(saver, thread_id)
    await chain.step(a=1)
    held = faults.add("stall", endpoint="query", times=None)
    reads = [asyncio.ensure_future(saver.aget_tuple(chain.place)) for _ in range(40)]
    await asyncio.to_thread(held.wait_hit, 10)
    for read in reads:
        read.cancel()
    await asyncio.wait(reads)
    faults.clear()
    assert await values_of(saver, chain.place) == {"a": 1}
