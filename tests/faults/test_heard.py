"""Failures nobody waits for, and a saver that is full: both are heard."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from shared.delays import DelayingTransport
from shared.places import Place
from shared.savers import MakeSaver
from shared.threads import Chain, config_of, eventually, listed, noise, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, errors
from langgraph.checkpoint.kusto.local import Faults

BUFFERED = {"write_mode": "buffered", "flush_interval": 3_600.0, "max_retries": 0}


async def test_flush_reports_what_failed(
    make_saver: MakeSaver, faults: Faults, thread_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    saver = make_saver(**BUFFERED)
    chain = Chain(saver, thread_id)
    stored = await chain.step(a=1)
    await saver.aput_writes(stored, [("a", 1)], "task")
    faults.add("status", status=503, endpoint="ingest", times=2)
    with pytest.raises(errors.WriteFailedError, match="2 accepted writes were not written") as lost:
        await saver.flush()

    assert len(lost.value.failures) == 2
    assert all(thread_id in line for line in lost.value.failures)
    assert stored["configurable"]["checkpoint_id"] in str(lost.value)
    assert len([r for r in caplog.records if "was not written" in r.getMessage()]) == 2
    await saver.flush()  # said once
    assert await saver.aget_tuple(chain.place) is None
    chain.config = config_of(thread_id)
    await chain.step(a=2)
    await saver.flush()
    assert await values_of(make_saver(), chain.place) == {"a": 2}


@pytest.mark.parametrize("call", ["put", "get_tuple"])
async def test_the_next_call_reports_what_failed(
    make_saver: MakeSaver, faults: Faults, thread_id: str, new_thread: object, call: str
) -> None:
    saver = make_saver(**{**BUFFERED, "flush_interval": 0.001})
    fault = faults.add("status", status=503, endpoint="ingest", times=1)
    chain = Chain(saver, thread_id)
    await chain.step(a=1)

    async def failed() -> bool:
        # Its rows are forgotten a moment before the failure is kept.
        ended = fault.hits == 1 and saver.stats()["overlay_rows"] == 0
        return ended and "Commits running=0" in repr(saver)

    await eventually(failed)
    with pytest.raises(errors.WriteFailedError, match=thread_id):
        await (chain.step(a=2) if call == "put" else saver.aget_tuple(chain.place))
    assert await saver.aget_tuple(chain.place) is None  # said once


async def test_leaving_reports_what_failed(
    make_saver: MakeSaver, faults: Faults, thread_id: str
) -> None:
    saver = make_saver(**BUFFERED)
    with pytest.raises(errors.WriteFailedError, match=thread_id):
        async with saver:
            await Chain(saver, thread_id).step(a=1)
            faults.add("status", status=503, endpoint="ingest", times=1)
    with pytest.raises(errors.SaverClosedError):
        await saver.aget_tuple(config_of(thread_id))


async def test_leaving_gives_up_after_a_while_and_says_what_was_left(
    make_saver: MakeSaver, faults: Faults, thread_id: str
) -> None:
    saver = make_saver(**BUFFERED, close_timeout=0.1)
    await Chain(saver, thread_id).step(a=1)
    faults.add("stall", endpoint="ingest", times=None)
    with pytest.raises(errors.WriteFailedError, match=r"not acknowledged within 0\.1 s") as lost:
        await saver.aclose()
    assert thread_id in str(lost.value)


async def test_all_that_was_left_is_named_in_the_error_and_in_the_log(
    make_saver: MakeSaver, faults: Faults, thread_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    saver = make_saver(**BUFFERED, close_timeout=0.1)
    faults.add("stall", endpoint="ingest", times=None)
    stored = [await Chain(saver, thread_id).step(a=number) for number in range(150)]
    with pytest.raises(errors.WriteFailedError, match="150 accepted writes were not") as lost:
        await saver.aclose()

    ids = {item["configurable"]["checkpoint_id"] for item in stored}
    logged = [text for r in caplog.records if "was not written" in (text := r.getMessage())]
    assert len(ids) == len(lost.value.failures) == len(logged) == 150
    for checkpoint_id in ids:
        assert sum(checkpoint_id in line for line in lost.value.failures) == 1
        assert sum(checkpoint_id in line for line in logged) == 1
    assert len(str(lost.value)) < 2_000


async def test_closing_answers_everybody_who_waits(
    make_saver: MakeSaver, faults: Faults, thread_id: str
) -> None:
    saver = make_saver(close_timeout=0.1)
    held = faults.add("stall", endpoint="ingest", times=None)
    waiting = [asyncio.ensure_future(Chain(saver, thread_id).step(a=n)) for n in range(4)]
    await asyncio.to_thread(held.wait_hit, 10)
    with pytest.raises(errors.WriteFailedError):
        await saver.aclose()

    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, errors.SaverClosedError)


async def test_a_caller_cancelled_while_closing_gives_up_is_reported_once(
    make_saver: MakeSaver, faults: Faults, thread_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that shuts down cancels its requests while it closes the saver."""
    saver = make_saver(close_timeout=0.1)
    held = faults.add("stall", endpoint="ingest", times=None)
    put = asyncio.ensure_future(Chain(saver, thread_id).step(a=1))
    await asyncio.to_thread(held.wait_hit, 10)

    class Cancelling(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "was not written" in record.getMessage():
                put.get_loop().call_soon(put.cancel)

    logger, cancelling = logging.getLogger("langgraph.checkpoint.kusto._commits"), Cancelling()
    logger.addHandler(cancelling)
    try:
        with pytest.raises(errors.WriteFailedError, match="1 accepted writes") as lost:
            await saver.aclose()
    finally:
        logger.removeHandler(cancelling)
    await asyncio.gather(put, return_exceptions=True)

    assert len(lost.value.failures) == 1
    assert sum("was not written" in record.getMessage() for record in caplog.records) == 1


async def test_a_row_that_depends_on_a_failed_one_fails_too(
    make_saver: MakeSaver, faults: Faults, thread_id: str
) -> None:
    saver = make_saver(**BUFFERED)
    chain = Chain(saver, thread_id)
    await chain.step(large=noise(50_000))
    await chain.step(n=1)  # refers to the value the first one writes
    assert saver.stats()["blobs_reused"] == 1
    faults.add("status", status=503, endpoint="ingest", table="CheckpointBlobs", times=1)
    with pytest.raises(errors.WriteFailedError) as lost:
        await saver.flush()
    assert len(lost.value.failures) == 2
    assert await listed(make_saver(), chain.place) == []


async def test_a_full_intake_waits_then_says_so(
    make_saver: MakeSaver, faults: Faults, thread_id: str
) -> None:
    saver = make_saver(intake_bytes=100_000, intake_timeout=0.1)
    held = faults.add("stall", endpoint="ingest", times=None)
    first = asyncio.ensure_future(Chain(saver, thread_id).step(large=noise(90_000)))
    await asyncio.to_thread(held.wait_hit, 10)
    with pytest.raises(errors.BackpressureError, match="raise intake_bytes") as full:
        await Chain(saver, thread_id).step(large=noise(90_000))
    assert full.value.retriable
    held.release()
    faults.clear()
    stored = await first
    assert await values_of(saver, stored) == {"large": noise(90_000)}


async def test_a_full_intake_lets_everybody_through_in_the_end(
    make_saver: MakeSaver, thread_id: str
) -> None:
    saver = make_saver(intake_bytes=100_000)
    chains = [Chain(saver, f"{thread_id} {number}") for number in range(20)]
    await asyncio.gather(*[chain.step(large=noise(60_000, n)) for n, chain in enumerate(chains)])
    for number, chain in enumerate(chains):
        assert await values_of(saver, chain.place) == {"large": noise(60_000, number)}


@pytest.mark.parametrize("call", ["put", "put_writes", "delete"])
async def test_what_fails_between_admission_and_sending_leaves_nothing_behind(
    place: Place, thread_id: str, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """It was said not to be there: its room comes back, and this saver does not show it either."""

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    async with (
        AsyncKustoSaver(place.uri, place.database) as saver,
        AsyncKustoSaver(place.uri, place.database) as other,
    ):
        chain = Chain(saver, thread_id)
        stored = await chain.step(a=1)
        before = await saver.aget_tuple(chain.place)
        memory = saver._memory
        owner, name = {
            "put": (memory.epochs, "remember"),
            "put_writes": (memory.own_runs, "add"),
            "delete": (memory.overlay, "add_tombstone"),
        }[call]
        with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="broken"):
            patch.setattr(owner, name, broken)
            if call == "put":
                await chain.step(a=2)
            elif call == "put_writes":
                config: Any = {**stored, "metadata": {"run_id": "run"}}
                await saver.aput_writes(config, [("a", 2)], "task")
            else:
                await saver.adelete_thread(thread_id)
        assert "<Intake bytes=0/" in repr(saver)
        assert await saver.aget_tuple(chain.place) == before
        assert await other.aget_tuple(chain.place) == before
        chain.config = stored
        await chain.step(a=3)
        assert await values_of(other, chain.place) == {"a": 3}


async def test_a_full_overlay_waits_then_says_so(place: Place, thread_id: str) -> None:
    """Acknowledged, and never shown: the memory for them is bounded."""
    transport = DelayingTransport(place, "CheckpointBlobs", "Checkpoints")
    options = {"overlay_bytes": 200_000, "intake_timeout": 1.0}
    async with AsyncKustoSaver(transport=transport, **options) as saver:
        chain = Chain(saver, thread_id)
        await chain.step(large=noise(60_000))
        await chain.step(large=noise(60_000, 1))
        with pytest.raises(errors.BackpressureError, match="raise overlay_bytes"):
            await chain.step(large=noise(60_000, 2))
        assert await values_of(saver, chain.place) == {"large": noise(60_000, 1)}

        await transport.release()
        await chain.step(large=noise(60_000, 3))
        assert saver.stats()["overlay_bytes"] < 200_000
        assert await values_of(saver, chain.place) == {"large": noise(60_000, 3)}


async def test_a_full_overlay_says_so_though_kusto_does_not_answer(
    place: Place, faults: Faults, thread_id: str
) -> None:
    transport = DelayingTransport(place, "CheckpointBlobs", "Checkpoints")
    options = {"overlay_bytes": 100_000, "intake_timeout": 0.1}
    async with AsyncKustoSaver(transport=transport, **options) as saver:
        chain = Chain(saver, thread_id)
        await chain.step(large=noise(60_000))
        stored = chain.config
        stalled = faults.add("stall", endpoint="query", times=None)
        for number in range(1, 4):
            with pytest.raises(errors.BackpressureError, match="raise overlay_bytes"):
                await chain.step(large=noise(60_000, number))
        assert stalled.hits == 1, "all waited for one question"
        stalled.release()
        faults.clear()
        await transport.release()
        assert await values_of(saver, stored) == {"large": noise(60_000)}
