"""Reads that share a request, over HTTP: how many they take, and that each gets its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from shared.delays import DelayingTransport
from shared.gathering import ONE, check, gathered, waiting, written
from shared.id_bodies import HOSTILE
from shared.places import Place
from shared.steps import held_by
from shared.threads import Chain, config_of, new_checkpoint, noise, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, _kql, _reader, errors
from langgraph.checkpoint.kusto._shared_reads import MAX_READS
from langgraph.checkpoint.kusto.local import Faults

AsyncSavers = Callable[..., AsyncKustoSaver]
SyncSavers = Callable[..., KustoSaver]
NewThread = Callable[..., str]


# ----------------------------------------------------------------------------------------- numbers


@pytest.mark.counts
async def test_500_reads_take_a_few_requests(
    place: Place, async_saver: AsyncSavers, faults: Faults, new_thread: NewThread
) -> None:
    places = await written(async_saver(), [new_thread() for _ in range(500)])
    saver = async_saver(max_queries=4)
    await saver.asetup()
    place.server.requests.reset()
    async with gathered(saver, faults, places, slots=4) as reads:
        pass
    check([await read for read in reads])

    # The writer asks, too, whether its rows are visible; its last question may be answered late.
    queries = [item.text for item in place.server.requests.records() if item.endpoint == "query"]
    asked = [text for text in queries if not _kql.CONFIRM.startswith(text)]
    requests = -(-500 // MAX_READS)
    assert len(asked) == 4 + requests
    stats = saver.stats()
    assert (stats["queries"], stats["shared_queries"]) == (4 + requests, requests)
    assert (stats["shared_reads"], stats["get_tuples"]) == (500, 504)
    assert await held_by(saver) == {}


def test_60_threads_share_requests(
    place: Place, sync_saver: SyncSavers, new_thread: NewThread, faults: Faults
) -> None:
    """Every other thread has an event loop of its own and uses the async methods."""
    saver = sync_saver(**ONE)
    places = asyncio.run(written(saver, [new_thread() for _ in range(60)]))
    held = faults.add("stall", endpoint="query")

    async def aread(place: RunnableConfig) -> Any:
        return await saver.aget_tuple(place)

    with ThreadPoolExecutor(61) as pool:
        first = pool.submit(saver.get_tuple, config_of("nothing"))
        assert held.wait_hit(30)
        reads = [
            pool.submit(saver.get_tuple, item)
            if number % 2
            else pool.submit(lambda item=item: asyncio.run(aread(item)))
            for number, item in enumerate(places)
        ]
        while waiting(saver) < 60:
            threading.Event().wait(0.005)
        held.release()
        assert first.result(60) is None
        check([read.result(60) for read in reads])

    assert saver.stats()["shared_reads"] == 60
    assert asyncio.run(held_by(saver)) == {}


async def test_at_rest_every_read_goes_alone(
    async_saver: AsyncSavers, new_thread: NewThread
) -> None:
    saver = async_saver()
    places = await written(saver, [new_thread() for _ in range(5)])
    check(await asyncio.gather(*[saver.aget_tuple(item) for item in places]))

    assert saver.stats()["shared_queries"] == 0


async def test_reads_by_id_lists_and_writes_go_on_beside(
    async_saver: AsyncSavers, faults: Faults, new_thread: NewThread
) -> None:
    other = async_saver()
    places = await written(other, [new_thread() for _ in range(10)])
    newest = [(await other.aget_tuple(item)).config for item in places]  # type: ignore[union-attr]
    saver = async_saver(**ONE)

    async def life(number: int) -> None:
        chain = Chain(saver, new_thread())
        await chain.step(number=number)
        assert await values_of(saver, chain.place) == {"number": number}

    async with gathered(saver, faults, places) as reads:
        by_id = [asyncio.ensure_future(saver.aget_tuple(item)) for item in newest]
        lists = [asyncio.ensure_future(anext(saver.alist(item))) for item in places]
        lives = [asyncio.ensure_future(life(number)) for number in range(10)]
    for found in (reads, by_id, lists):
        check(await asyncio.gather(*found))
    await asyncio.gather(*lives)
    assert saver.stats()["shared_reads"] >= 10
    await saver.aflush()
    assert await held_by(saver) == {}


# -------------------------------------------------------------------------------- who is together


async def test_threads_in_every_state_are_read_as_if_alone(
    async_saver: AsyncSavers, faults: Faults, new_thread: NewThread
) -> None:
    writer = async_saver()
    places = []
    for text in HOSTILE:
        chain = Chain(writer, new_thread(text), text)
        body = new_checkpoint({text: 1}, checkpoint_id=text)
        await writer.aput(chain.config, body, {}, {text: 1})
        await writer.aput_writes(config_of(chain.thread_id, text, text), [(text, text)], text)
        places.append(chain.place)
    deleted, again, forked, hidden, single, parent = (Chain(writer, new_thread()) for _ in range(6))
    for chain in (deleted, again, forked, hidden, single):
        await chain.step({"run_id": "first"}, n=1)
    for chain in (deleted, again):
        await writer.adelete_thread(chain.thread_id)
    fresh = Chain(writer, again.thread_id)
    await fresh.step(n=2)
    root = forked.config
    await forked.step(n=2)
    forked.config = root
    await forked.step(n=3)
    await hidden.step(n=2)
    await writer.adelete_checkpoint(hidden.config)
    await writer.adelete_for_runs(["first"])
    await parent.step(n=1)
    child = Chain(writer, parent.thread_id, "child")
    await child.step(n=2)
    places += [chain.place for chain in (deleted, again, forked, hidden, single, parent, child)]
    places += [config_of(new_thread()), config_of(again.thread_id, "nothing")]

    expected = [await async_saver().aget_tuple(item) for item in places]
    reader = async_saver(**ONE)
    async with gathered(reader, faults, places) as reads:
        pass
    assert await asyncio.gather(*reads) == expected
    assert [item is None for item in expected].count(True) == 5
    assert reader.stats()["shared_reads"] >= len(places) - 2


async def test_own_rows_that_do_not_show_yet_are_merged_by_each_reader(
    place: Place, faults: Faults, new_thread: NewThread
) -> None:
    """Checkpoints, large values, pending writes and tombstones of this process only."""
    transport = DelayingTransport(place)
    async with AsyncKustoSaver(transport=transport, **ONE) as saver:
        names = [new_thread() for _ in range(12)]
        chains = [Chain(saver, name) for name in names]
        for chain in chains:
            await chain.step(n=0, large=noise(40_000))
        transport.hide("Checkpoints", "CheckpointBlobs", "CheckpointWrites", "CheckpointTombstones")
        for number, chain in enumerate(chains):
            if number % 4 == 3:
                await saver.adelete_thread(chain.thread_id)
            elif number % 4:
                await chain.step(n=number, large=noise(40_000, number))
                await saver.aput_writes(chain.config, [("a", number)], "task")
        async with gathered(saver, faults, [chain.place for chain in chains]) as reads:
            pass
        for number, read in enumerate(reads):
            found = await read
            if number % 4 == 3:
                assert found is None
                continue
            fresh = number % 4 != 0
            assert found.checkpoint["channel_values"] == {
                "n": number * fresh,
                "large": noise(40_000, number * fresh),
            }
            assert found.pending_writes == [("task", "a", number)] * fresh
        assert saver.stats()["shared_reads"] == 12
        await transport.release()


async def test_one_that_is_not_whole_delays_nobody(
    place: Place, async_saver: AsyncSavers, faults: Faults, new_thread: NewThread
) -> None:
    """Its row is visible, its large value is not; the others have theirs."""
    transport = DelayingTransport(place)
    async with AsyncKustoSaver(transport=transport) as writer:
        places = await written(writer, [new_thread() for _ in range(6)])
        transport.hide("CheckpointBlobs")
        torn = Chain(writer, new_thread())
        await torn.step(large=noise(40_000))
        reader = async_saver(visibility_timeout=0.0, **ONE)
        async with gathered(reader, faults, [*places[:3], torn.place, *places[3:]]) as reads:
            pass
        with pytest.raises(errors.IncompleteCheckpointError):
            await reads.pop(3)
        check(await asyncio.gather(*reads))

        patient = async_saver(visibility_timeout=60.0, **ONE)
        async with gathered(patient, faults, [torn.place, *places]) as reads:

            async def show() -> None:
                await asyncio.wait(reads[1:])
                assert await transport.release() > 0

            showing = asyncio.ensure_future(show())
        await showing
        assert patient.stats()["incomplete_reads"] > 0
        assert (await reads.pop(0)).checkpoint["channel_values"] == {"large": noise(40_000)}
        check(await asyncio.gather(*reads))


async def test_those_that_do_not_fit_the_budget_are_read_alone(
    async_saver: AsyncSavers,
    faults: Faults,
    new_thread: NewThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Numbers 0, 5 and 10 hold a large value each: two fit, the third, and what is over, do not."""
    places = await written(async_saver(), [new_thread() for _ in range(12)])
    monkeypatch.setattr(_reader, "RESULT_BYTES", 140_000)
    saver = async_saver(**ONE)
    async with gathered(saver, faults, places) as reads:
        pass
    check(await asyncio.gather(*reads))
    assert saver.stats()["shared_reads"] == 11
    assert saver.stats()["queries"] == 1 + 1 + 1

    monkeypatch.setattr(_reader, "RESULT_BYTES", 20_000)  # too little for one: it is paged, too
    async with gathered(saver, faults, places) as reads:
        pass
    check(await asyncio.gather(*reads))
    assert saver.stats()["shared_reads"] == 11 + 9


async def test_readers_of_one_thread_share_no_state(
    async_saver: AsyncSavers, faults: Faults, new_thread: NewThread
) -> None:
    writer = async_saver()
    chain = Chain(writer, new_thread())
    stored = await chain.step({"deep": {"a": [1]}}, value={"deep": [1, [2]]})
    await writer.aput_writes(stored, [("a", [1])], "task")
    (other,) = await written(writer, [new_thread()])
    saver = async_saver(**ONE)
    async with gathered(saver, faults, [chain.place, other, chain.place, chain.place]) as reads:
        pass
    first, _, *others = [await read for read in reads]
    expected = await writer.aget_tuple(chain.place)
    assert first == expected
    first.checkpoint["channel_values"]["value"]["deep"][1].append("spoilt")
    first.metadata["deep"]["a"].append("spoilt")
    first.pending_writes[0][2].append("spoilt")
    first.config["configurable"]["thread_id"] = "spoilt"

    assert others == [expected, expected]
    assert saver.stats()["shared_reads"] == 4
    assert saver.stats()["queries"] == 2


async def test_a_read_sees_what_was_put_while_others_waited(
    async_saver: AsyncSavers, faults: Faults, new_thread: NewThread
) -> None:
    """By its own saver and by another; an earlier question about the thread is not its answer."""
    writer, saver = async_saver(), async_saver(**ONE)
    places = await written(writer, [new_thread() for _ in range(3)])
    own, theirs = Chain(saver, new_thread()), Chain(writer, new_thread())
    await own.step(n=1)
    await theirs.step(n=1)
    async with gathered(saver, faults, [*places, own.place, theirs.place]) as reads:
        await own.step(n=2)
        await theirs.step(n=2)
        late = [asyncio.ensure_future(values_of(saver, item.place)) for item in (own, theirs)]
        await asyncio.sleep(0)
    check([await read for read in reads[:3]])
    assert [await read for read in late] == [{"n": 2}, {"n": 2}]
    for read in reads[3:]:
        assert (await read).checkpoint["channel_values"]["n"] in (1, 2)
