"""Writer: group commit, one answer for every waiter, requests in flight bounded."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from shared.writer_bench import MIB, OTHER, Bench, T, outcomes, settle

from langgraph.checkpoint.kusto import _batch
from langgraph.checkpoint.kusto.errors import (
    PermissionDeniedError,
    RowsRejectedError,
    ServiceUnavailableError,
    ThrottledError,
)

# ------------------------------------------------------------------------------------ group commit


async def test_rows_leave_at_once_and_are_acknowledged() -> None:
    bench = Bench()
    assert await bench.submit(b'{"a":1}', b'{"a":2}') is None

    assert bench.kusto.requests == [(T, "Checkpoints_v1", b'{"a":1}\n{"a":2}')]
    await settle()
    assert (bench.writer.in_flight, bench.writer.waiting_rows) == (0, 0)
    assert repr(bench.writer) == "<Writer open rows=0 in_flight=0 limit=8.0>"


async def test_an_answer_comes_only_after_kusto_answered() -> None:
    bench = Bench()
    bench.kusto.open.clear()
    answer = bench.submit(b"1")
    await settle()

    assert (len(bench.kusto.requests), bench.writer.in_flight) == (1, 1)
    assert not answer.done()
    bench.kusto.open.set()
    await answer


async def test_who_submits_in_the_same_turn_shares_a_request() -> None:
    bench = Bench()
    answers = [bench.submit(str(number).encode()) for number in range(500)]
    assert bench.writer.waiting_rows == 500
    await asyncio.gather(*answers)

    assert len(bench.kusto.requests) == 1
    assert bench.kusto.landed == [str(number).encode() for number in range(500)]


async def test_while_a_request_is_in_flight_the_next_batch_grows() -> None:
    bench = Bench(max_in_flight=1)
    bench.kusto.open.clear()
    answers = [bench.submit(b"first")]
    await settle()
    for number in range(50):
        answers.append(bench.submit(str(number).encode()))
        await asyncio.sleep(0)
    assert (len(bench.kusto.requests), bench.writer.waiting_rows) == (1, 50)
    bench.kusto.open.set()
    await asyncio.gather(*answers)

    assert [payload.count(b"\n") + 1 for payload in bench.kusto.payloads] == [1, 50]


async def test_tables_have_requests_of_their_own_the_oldest_first() -> None:
    bench = Bench(max_in_flight=1)
    bench.kusto.open.clear()
    answers = [bench.submit(b"0")]
    await settle()
    for table in ("CheckpointTombstones", T, OTHER, "CheckpointBlobs", T):
        answers.append(bench.submit(table.encode(), table=table))
    bench.kusto.open.set()
    await asyncio.gather(*answers)

    assert [(table, mapping) for table, mapping, _ in bench.kusto.requests[1:]] == [
        ("CheckpointTombstones", "CheckpointTombstones_v1"),
        (T, "Checkpoints_v1"),
        (OTHER, "CheckpointWrites_v1"),
        ("CheckpointBlobs", "CheckpointBlobs_v1"),
    ]
    assert bench.kusto.payloads[2] == b"Checkpoints\nCheckpoints"


@pytest.mark.parametrize("limit", [1, 3, 8])
async def test_requests_in_flight_are_bounded(limit: int) -> None:
    bench = Bench(max_in_flight=limit)
    row = b"x" * (3 * MIB)
    answers = [bench.submit(row) for _ in range(12)]
    bench.kusto.open.clear()
    await settle()
    assert bench.kusto.at_once == min(limit, 12)
    bench.kusto.open.set()
    await asyncio.gather(*answers)

    assert (bench.kusto.most_at_once, len(bench.kusto.requests)) == (limit, 12)


async def test_a_submission_larger_than_a_request_is_answered_once_for_all_of_it() -> None:
    bench = Bench(max_in_flight=1)
    seen = []
    bench.kusto.answer = lambda table, payload: seen.append(answer.done())  # type: ignore[func-returns-value]
    answer = bench.submit(*[b"x" * MIB] * 7)
    await answer

    assert [len(payload) // MIB for payload in bench.kusto.payloads] == [3, 3, 1]
    assert seen == [False, False, False]


async def test_a_large_submission_of_which_one_part_fails() -> None:
    bench = Bench(max_in_flight=1)
    bench.kusto.fail(None, PermissionDeniedError("no"), None)
    with pytest.raises(PermissionDeniedError):
        await bench.submit(*[b"x" * MIB] * 7)
    await settle()

    assert len(bench.kusto.requests) == 3
    assert bench.writer.in_flight == 0


async def test_nothing_to_send_is_acknowledged_at_once() -> None:
    bench = Bench()
    await bench.submit()

    assert bench.kusto.requests == []


async def test_what_was_sent_is_counted() -> None:
    bench = Bench()
    await asyncio.gather(bench.submit(b"12", b"3"), bench.submit(b"456", table=OTHER))
    counted = bench.stats.snapshot()

    assert counted["ingest_requests"] == 2
    assert counted["ingest_rows"] == 3
    assert counted["ingest_bytes"] == len(b"12\n3") + len(b"456")
    assert counted["retries"] == counted["throttled"] == 0


async def test_cancelling_one_waiter_leaves_the_others_alone() -> None:
    bench = Bench()
    bench.kusto.open.clear()
    first, second, third = (bench.submit(name) for name in (b"1", b"2", b"3"))
    first.cancel()
    await settle()
    second.cancel()
    bench.kusto.open.set()
    await third

    assert bench.kusto.landed == [b"1", b"2", b"3"]


async def test_a_cancelled_waiter_of_rows_that_fail() -> None:
    bench = Bench()
    bench.kusto.fail(PermissionDeniedError("no"))
    first, second = bench.submit(b"1"), bench.submit(b"2")
    first.cancel()
    with pytest.raises(PermissionDeniedError):
        await second


# ------------------------------------------------------------------------------ whatever happens


@pytest.mark.parametrize("seed", range(12))
async def test_everyone_gets_one_answer_and_it_is_true(
    seed: int, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small requests, random faults: acknowledged means that every row of it landed."""
    chance = random.Random(seed)
    monkeypatch.setattr(_batch, "MAX_BATCH_BYTES", 40)
    monkeypatch.setattr(_batch, "MAX_BATCH_ROWS", 5)
    mode = chance.choice(["acknowledged", "buffered"])
    bench = Bench(write_mode=mode, batch_size=4, max_in_flight=3, max_retries=2, retry_backoff=0.01)

    def answer(table: str, payload: bytes) -> BaseException | None:
        if b"bad" in payload:
            return RowsRejectedError("bad")
        if chance.random() < 0.4:
            return chance.choice(
                [ThrottledError("slow"), ServiceUnavailableError("busy"), ValueError("bug")]
            )
        return None

    bench.kusto.answer = answer
    sent: list[tuple[list[bytes], asyncio.Future[None]]] = []
    for number in range(120):
        rows = [f"{number}.{row}".encode() for row in range(chance.choice([0, 1, 1, 2, 3, 9]))]
        if rows and chance.random() < 0.1:
            rows[0] += b"bad"
        table = chance.choice([T, OTHER])
        sent.append((rows, bench.writer.submit(table, rows)))
        if chance.random() < 0.3:
            await clock.advance(0)
    bench.writer.hurry()
    found = await outcomes([answer for _, answer in sent])

    landed = Counter(bench.kusto.landed)
    for (rows, _), error in zip(sent, found, strict=True):
        if error is None:
            assert all(landed[row] >= 1 for row in rows)
        elif any(b"bad" in row for row in rows):
            assert isinstance(error, RowsRejectedError | ServiceUnavailableError | ValueError)
        else:
            assert isinstance(error, ServiceUnavailableError | ValueError | ThrottledError)
    assert {type(error) for error in found} >= {type(None), RowsRejectedError}
    assert (bench.writer.in_flight, bench.writer.waiting_rows) == (0, 0)
    assert bench.kusto.most_at_once <= 3
