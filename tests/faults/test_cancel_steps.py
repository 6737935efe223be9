"""Calls cancelled at each place where they wait: nothing is held back, and reads stay whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import pytest
from shared.places import Place
from shared.steps import cancelled_at, held_by, ours
from shared.threads import Chain, config_of, listed, listed_ids, noise, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, errors
from langgraph.checkpoint.kusto._transport import SdkTransport, parse_endpoint
from langgraph.checkpoint.kusto.local import Faults

MODES = ("acknowledged", "buffered")

AsyncSavers = Callable[..., AsyncKustoSaver]
SyncSavers = Callable[..., KustoSaver]
NewThread = Callable[..., str]


Work = Callable[[Any, Chain], Coroutine[Any, Any, Any]]


async def put_and_flush(saver: Any, chain: Chain) -> None:
    put = asyncio.ensure_future(chain.step(n=1))
    try:
        await asyncio.sleep(0)
        await saver.aflush()
    finally:
        await put


LARGE = noise(1_200_000)  # encoded and decoded off the loop, in two chunks
CALLS: dict[str, Work] = {
    "put": lambda _, chain: chain.step(n=1),
    "large put": lambda _, chain: chain.step(n=1, large=LARGE),
    "writes": lambda saver, chain: saver.aput_writes(chain.config, [("a", 1), ("b", 2)], "task"),
    "get": lambda saver, chain: saver.aget_tuple(chain.place),
    "list": lambda saver, chain: listed(saver, chain.place),
    "delete": lambda saver, chain: saver.adelete_thread(chain.thread_id),
    "delete run": lambda saver, chain: saver.adelete_for_runs([chain.thread_id]),
    "delete checkpoint": lambda saver, chain: saver.adelete_checkpoint(chain.config),
    "prune": lambda saver, chain: saver.aprune([chain.thread_id], strategy="delete"),
    "keep latest": lambda saver, chain: saver.aprune([chain.thread_id], strategy="keep_latest"),
    "copy": lambda saver, chain: saver.acopy_thread(chain.thread_id, f"{chain.thread_id} copy"),
    "history": lambda saver, chain: saver.aget_delta_channel_history(
        config=chain.config, channels=["n"]
    ),
    "forks": lambda saver, chain: saver.afind_forks(chain.place),
    "setup": lambda saver, _: saver.asetup(),
    "flush": put_and_flush,
}
DELETES = ("delete", "delete run", "delete checkpoint", "prune")
EFFECTS: dict[str, tuple[Mapping[str, Any], ...]] = {
    "put": ({"n": 0}, {"n": 1}),
    "large put": ({"n": 0}, {"n": 1, "large": LARGE}),
    "flush": ({"n": 0}, {"n": 1}),
}
"""The values before and after; what is not here changes none."""


@pytest.mark.parametrize("answered", [False, True], ids=["waiting", "answered"])
@pytest.mark.parametrize("write_mode", MODES)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["own loop", "hop"])
async def test_a_call_may_be_cancelled_at_every_await(
    async_saver: AsyncSavers,
    sync_saver: SyncSavers,
    new_thread: NewThread,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    call: str,
    write_mode: str,
    answered: bool,
) -> None:
    options: dict[str, Any] = {"retry_backoff": 0.001, "write_mode": write_mode}
    saver: Any = async_saver(**options) if kind == "own loop" else sync_saver(**options)
    other = async_saver()
    step, cancelled = 0, True
    while cancelled:
        step += 1
        before, chain = Chain(other, new_thread()), Chain(saver, "")
        chain.thread_id = before.thread_id
        if call == "keep latest":
            await before.step(n=-1)
        chain.config = await before.step({"run_id": chain.thread_id}, n=0)
        chain.values, chain.versions = dict(before.values), dict(before.versions)

        cancelled = await cancelled_at(step, partial(CALLS[call], saver, chain), answered=answered)
        await saver.aflush()

        assert await held_by(saver) == {}, f"await {step}"
        await assert_whole_or_absent(saver, other, chain, call, done=not cancelled)
    # Accepting writes into a buffer is no wait at all.
    assert step > 1 or (call, write_mode) == ("writes", "buffered")
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def assert_whole_or_absent(
    saver: Any, other: AsyncKustoSaver, chain: Chain, call: str, *, done: bool
) -> None:
    """The call had its effect or none, and both savers see the same."""
    mine, theirs = await saver.aget_tuple(chain.place), await other.aget_tuple(chain.place)
    assert mine == theirs
    if mine is None:
        assert call in DELETES
        return
    assert not (done and call in DELETES)
    effects = EFFECTS.get(call, ({"n": 0},))
    assert mine.checkpoint["channel_values"] in (effects[-1:] if done else effects)
    whole = [("task", "a", 1), ("task", "b", 2)] if call == "writes" else []
    assert mine.pending_writes in ([whole] if done else [[], whole])
    if call == "keep latest":
        kept = await listed_ids(saver, chain.place)
        assert kept == await listed_ids(other, chain.place)
        assert len(kept) == 1 or (len(kept) == 2 and not done)


async def test_a_cancellation_that_comes_with_the_answer_is_not_lost(place: Place) -> None:
    """`asyncio.wait_for` loses it before Python 3.12."""
    transport = SdkTransport(parse_endpoint(place.uri, place.database))

    async def send() -> int:
        await asyncio.sleep(0)
        return 1

    for step in (1, 2):
        work = partial(transport._guard, send, "query", 5.0)
        assert await cancelled_at(step, work, answered=True) is (step == 1)


@pytest.mark.parametrize("answered", [False, True], ids=["waiting", "answered"])
async def test_the_first_call_may_be_cancelled_while_it_connects(
    async_saver: AsyncSavers, new_thread: NewThread, answered: bool
) -> None:
    step, cancelled = 0, True
    while cancelled:
        step += 1
        saver, chain = async_saver(), Chain(None, new_thread())
        chain.saver = saver
        cancelled = await cancelled_at(step, partial(chain.step, n=1), answered=answered)
        await saver.aflush()
        assert await held_by(saver) == {}
        found = await saver.aget_tuple(chain.place)
        assert found == await async_saver().aget_tuple(chain.place)
        assert cancelled or found is not None
    assert step > 1


@pytest.mark.parametrize("answered", [False, True], ids=["waiting", "answered"])
async def test_a_setup_that_creates_may_be_cancelled_at_every_await(
    async_saver: AsyncSavers, new_thread: NewThread, answered: bool
) -> None:
    saver = async_saver()
    step, cancelled = 0, True
    while cancelled:
        step += 1
        work = partial(saver.setup, create=True)
        cancelled = await cancelled_at(step, work, answered=answered)
        assert await held_by(saver) == {}, f"await {step}"
    assert step > 10  # a request for each command, or almost

    chain = Chain(saver, new_thread())
    await chain.step(n=1)
    assert await values_of(async_saver(), chain.place) == {"n": 1}
    await async_saver().setup()


@pytest.mark.parametrize("answered", [False, True], ids=["waiting", "answered"])
@pytest.mark.parametrize("write_mode", MODES)
async def test_a_put_that_waits_for_room_may_be_cancelled_at_every_await(
    async_saver: AsyncSavers,
    faults: Faults,
    new_thread: NewThread,
    write_mode: str,
    answered: bool,
) -> None:
    saver = async_saver(write_mode=write_mode, intake_bytes=20_000)
    await saver.aget_tuple(config_of(new_thread()))
    faults.add("latency", endpoint="ingest", seconds=0.005, times=None)
    step, cancelled = 0, True
    while cancelled:
        step += 1
        chains = [Chain(saver, new_thread()) for _ in range(3)]
        puts = [asyncio.ensure_future(chain.step(v=noise(12_000))) for chain in chains[:2]]
        await asyncio.sleep(0)  # they come first
        cancelled = await cancelled_at(
            step, partial(chains[2].step, v=noise(12_000)), answered=answered
        )
        await asyncio.gather(*puts)
        await saver.aflush()
        assert await held_by(saver) == {}
        for chain in chains[:2]:
            assert await values_of(saver, chain.place) == {"v": noise(12_000)}
        found = await saver.aget_tuple(chains[2].place)
        assert cancelled or found is not None
    assert step > (2 if write_mode == "acknowledged" else 1)


@pytest.mark.parametrize("answered", [False, True], ids=["waiting", "answered"])
async def test_closing_may_be_cancelled_at_every_await(
    place: Place, async_saver: AsyncSavers, new_thread: NewThread, answered: bool
) -> None:
    step, cancelled = 0, True
    while cancelled:
        step += 1
        saver = AsyncKustoSaver(place.uri, place.database, close_timeout=5.0)
        chain = Chain(saver, new_thread())
        await saver.aget_tuple(chain.place)
        put = asyncio.ensure_future(chain.step(large=noise(60_000)))
        await asyncio.sleep(0)
        cancelled = await cancelled_at(step, saver.aclose, answered=answered)
        await asyncio.wait([put])
        await asyncio.sleep(0)

        acknowledged = put.exception() is None
        assert acknowledged or isinstance(put.exception(), errors.KustoCheckpointError)
        assert [task for task in asyncio.all_tasks() if ours(task)] == []
        assert "closed" in repr(saver._transport)
        found = await async_saver().aget_tuple(chain.place)
        assert found is not None or not acknowledged
        await saver.aclose()
    assert step > 1
