"""Reads that share a request, over HTTP: faults, cancellation, closing; nobody pays for another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from shared.gathering import ONE, check, gathered, written
from shared.places import Place
from shared.steps import cancelled_at, held_by, ours
from shared.threads import config_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, errors
from langgraph.checkpoint.kusto._transport import sdk
from langgraph.checkpoint.kusto.local import Faults

AsyncSavers = Callable[..., AsyncKustoSaver]
SyncSavers = Callable[..., KustoSaver]
NewThread = Callable[..., str]


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
