"""Reads that share a request, over HTTP: one member's trouble is nobody else's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from shared.delays import DelayingTransport
from shared.id_bodies import HOSTILE
from shared.places import Place
from shared.steps import cancelled_at, held_by, ours
from shared.threads import Chain, config_of, eventually, new_checkpoint, noise, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, _reader, errors
from langgraph.checkpoint.kusto._shared_reads import MAX_READS
from langgraph.checkpoint.kusto._transport import sdk
from langgraph.checkpoint.kusto.local import Faults

AsyncSavers = Callable[..., AsyncKustoSaver]
SyncSavers = Callable[..., KustoSaver]
NewThread = Callable[..., str]
ONE: dict[str, Any] = {"max_queries": 1, "retry_backoff": 0.001}


async def written(saver: Any, names: Sequence[str]) -> list[RunnableConfig]:
    """Threads with a value, some with a large one, and a pending write each; where they are."""

    async def write(number: int, name: str) -> RunnableConfig:
        chain = Chain(saver, name)
        await chain.step(number=-1)
        stored = await chain.step(number=number, large=noise(40_000 * (number % 5 == 0), number))
        await saver.aput_writes(stored, [("a", number)], "task")
        return chain.place

    return await asyncio.gather(*[write(number, name) for number, name in enumerate(names)])


def check(found: Sequence[Any]) -> None:
    """Each read got its own thread."""
    for number, item in enumerate(found):
        assert item.checkpoint["channel_values"] == {
            "number": number,
            "large": noise(40_000 * (number % 5 == 0), number),
        }
        assert item.pending_writes == [("task", "a", number)]


def waiting(saver: Any) -> int:
    """Reads that gathered."""
    return len(saver._home._core._queries._gathering)


@asynccontextmanager
async def gathered(
    saver: Any, faults: Faults, places: Sequence[RunnableConfig], slots: int = 1
) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Reads that wait until all have come, behind others that fill the slots; leave to answer."""
    held = faults.add("stall", endpoint="query", times=slots)
    first = [asyncio.ensure_future(saver.aget_tuple(config_of("nothing"))) for _ in range(slots)]

    async def stalled() -> bool:
        return held.hits == slots

    await eventually(stalled)
    reads = [asyncio.ensure_future(saver.aget_tuple(place)) for place in places]

    async def all_wait() -> bool:
        return waiting(saver) == len(places)

    await eventually(all_wait)
    yield reads
    held.release()
    assert await asyncio.gather(*first) == [None] * slots
    await asyncio.wait(reads)


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

    requests = -(-500 // MAX_READS)
    assert place.server.requests.count("query") == 4 + requests
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


# ------------------------------------------------------------------------------------------ faults


SENT_AGAIN = {
    "429": {"action": "status", "status": 429},
    "reset": {"action": "reset"},
    "reset after": {"action": "reset", "when": "after"},
}
ASKED_ALONE = {
    "503": {"action": "status", "status": 503},
    "400": {"action": "status", "status": 400},
    "403": {"action": "status", "status": 403},
    "504": {"action": "status", "status": 504},
    "too large": {"action": "partial", "place": "rows"},
    "error in the status": {"action": "partial", "place": "status", "status": 503},
    "error at the end": {"action": "partial", "place": "completion", "status": 503},
}


@pytest.mark.parametrize("fault", SENT_AGAIN.values(), ids=SENT_AGAIN)
async def test_a_request_without_an_answer_is_sent_again_for_all(
    async_saver: AsyncSavers, faults: Faults, new_thread: NewThread, fault: dict[str, Any]
) -> None:
    places = await written(async_saver(), [new_thread() for _ in range(10)])
    saver = async_saver(**ONE)
    async with gathered(saver, faults, places) as reads:
        faults.add(endpoint="query", times=2, **fault)
    check(await asyncio.gather(*reads))
    stats = saver.stats()
    assert (stats["queries"], stats["shared_queries"], stats["shared_reads"]) == (4, 3, 10)
    assert await held_by(saver) == {}


@pytest.mark.parametrize("fault", ASKED_ALONE.values(), ids=ASKED_ALONE)
async def test_any_other_failure_of_a_request_is_nobodys(
    async_saver: AsyncSavers, faults: Faults, new_thread: NewThread, fault: dict[str, Any]
) -> None:
    places = await written(async_saver(), [new_thread() for _ in range(10)])
    saver = async_saver(**ONE)
    async with gathered(saver, faults, places) as reads:
        faults.add(endpoint="query", **fault)
    check(await asyncio.gather(*reads))
    stats = saver.stats()
    assert (stats["queries"], stats["shared_queries"], stats["shared_reads"]) == (12, 1, 0)
    assert (stats["retries"], stats["errors"]) == (0, 0)
    assert await held_by(saver) == {}


async def test_an_answer_cut_in_its_body_is_nobodys(
    async_saver: AsyncSavers, faults: Faults, new_thread: NewThread
) -> None:
    """Sent again or asked alone, by where it was cut."""
    places = await written(async_saver(), [new_thread() for _ in range(10)])
    for _ in range(5):
        saver = async_saver(**ONE)
        async with gathered(saver, faults, places) as reads:
            faults.add("cut", endpoint="query")
        check(await asyncio.gather(*reads))
        stats = saver.stats()
        ways = ((12, 1, 0), (3, 2, 10))
        assert (stats["queries"], stats["shared_queries"], stats["shared_reads"]) in ways
        assert await held_by(saver) == {}


async def test_a_request_that_takes_too_long_is_nobodys(
    async_saver: AsyncSavers,
    faults: Faults,
    new_thread: NewThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = await written(async_saver(), [new_thread() for _ in range(5)])
    saver = async_saver(**ONE)
    async with gathered(saver, faults, places) as reads:
        saver._transport._query_timeout = 0.2  # type: ignore[attr-defined]
        monkeypatch.setattr(sdk, "_ANSWER_SECONDS", 0.1)
        stalled = faults.add("stall", endpoint="query")
        asyncio.get_running_loop().run_in_executor(None, stalled.wait_hit, 30).add_done_callback(
            lambda _: setattr(saver._transport, "_query_timeout", 30.0)
        )
    check(await asyncio.gather(*reads))
    assert saver.stats()["shared_reads"] == 0
    assert saver.stats()["retries"] == 0


async def test_when_kusto_is_gone_everybody_hears_it(
    async_saver: AsyncSavers, faults: Faults, new_thread: NewThread
) -> None:
    places = await written(async_saver(), [new_thread() for _ in range(10)])
    saver = async_saver(max_retries=1, **ONE)
    async with gathered(saver, faults, places) as reads:
        faults.add("reset", endpoint="query", times=2)
    heard = await asyncio.gather(*reads, return_exceptions=True)
    assert {type(error) for error in heard} == {errors.ClusterUnreachableError}
    assert len({id(error) for error in heard}) == 10
    assert saver.stats()["queries"] == 3

    check(await asyncio.gather(*[saver.aget_tuple(item) for item in places]))
    assert await held_by(saver) == {}


# --------------------------------------------------------------------------- cancelling and closing


@pytest.mark.parametrize("answered", [False, True], ids=["waiting", "answered"])
@pytest.mark.parametrize("kind", ["own loop", "hop"])
async def test_a_member_may_be_cancelled_at_every_await(
    async_saver: AsyncSavers,
    sync_saver: SyncSavers,
    faults: Faults,
    new_thread: NewThread,
    caplog: pytest.LogCaptureFixture,
    answered: bool,
    kind: str,
) -> None:
    places = await written(async_saver(), [new_thread() for _ in range(6)])
    step, cancelled = 0, True
    while cancelled:
        step += 1
        saver: Any = async_saver(**ONE) if kind == "own loop" else sync_saver(**ONE)
        await saver.asetup()
        async with gathered(saver, faults, places[1:]) as reads:
            member = asyncio.ensure_future(
                cancelled_at(step, lambda s=saver: s.aget_tuple(places[0]), answered=answered)
            )
            await asyncio.sleep(0)
        cancelled = await member
        check([await saver.aget_tuple(places[0]), *[await read for read in reads]])
        assert await held_by(saver) == {}, f"await {step}"
        await saver.aclose()
    assert step > 1
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_when_all_members_are_cancelled_their_slot_is_free(
    async_saver: AsyncSavers, faults: Faults, new_thread: NewThread
) -> None:
    """The server never answers: only the cancellation ends the request."""
    places = await written(async_saver(), [new_thread() for _ in range(6)])
    saver = async_saver(**ONE)
    async with gathered(saver, faults, places) as reads:
        stalled = faults.add("stall", endpoint="query")
        asyncio.get_running_loop().run_in_executor(None, stalled.wait_hit, 30).add_done_callback(
            lambda _: [read.cancel() for read in reads]
        )
    assert [read.cancelled() for read in reads] == [True] * 6
    check(await asyncio.gather(*[saver.aget_tuple(item) for item in places]))
    assert await held_by(saver) == {}


@pytest.mark.parametrize("sent", [False, True], ids=["waiting", "sent"])
async def test_closing_answers_who_waits(
    place: Place, async_saver: AsyncSavers, faults: Faults, new_thread: NewThread, sent: bool
) -> None:
    places = await written(async_saver(), [new_thread() for _ in range(6)])
    saver = AsyncKustoSaver(place.uri, place.database, **ONE)
    held = faults.add("stall", endpoint="query", times=1)
    first = asyncio.ensure_future(saver.aget_tuple(config_of("nothing")))
    assert await asyncio.to_thread(held.wait_hit, 30)
    reads = [asyncio.ensure_future(saver.aget_tuple(item)) for item in places]
    await asyncio.sleep(0)
    if sent:
        stalled = faults.add("stall", endpoint="query")
        held.release()
        assert await asyncio.to_thread(stalled.wait_hit, 30)
    await saver.aclose()
    heard = await asyncio.gather(*reads, return_exceptions=True)
    assert [type(error) for error in heard] == [errors.SaverClosedError] * 6
    await asyncio.gather(first, return_exceptions=True)
    assert [task for task in asyncio.all_tasks() if ours(task)] == []
    with pytest.raises(errors.SaverClosedError):
        await saver.aget_tuple(places[0])
