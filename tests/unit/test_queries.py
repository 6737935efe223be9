"""Queries: requests within their bound, reads that wait share one, one answer for every waiter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from shared.query_bench import Bench, ask, how, settle
from shared.steps import cancelled_at

from langgraph.checkpoint.kusto import _kql, errors
from langgraph.checkpoint.kusto._shared_reads import MAX_READS
from langgraph.checkpoint.kusto._transport import Table

NAMES = [f"t{number}" for number in range(6)]


def unreachable(cause: BaseException | None = None) -> errors.ClusterUnreachableError:
    error = errors.ClusterUnreachableError("gone")
    error.__cause__ = cause
    return error


# ----------------------------------------------------------------------------------------- sharing


async def test_reads_share_no_request_when_an_option_says_so() -> None:
    bench = Bench(max_queries=1, reads_per_query=1)
    reads = await bench.held(*NAMES)
    bench.kusto.release()

    found = await asyncio.gather(*reads)
    assert [how(*item) for item in zip(found, NAMES, strict=True)] == ["alone"] * 6
    assert bench.counted() == {"queries": 6}
    assert bench.kusto.most_at_once == 1


async def test_as_many_reads_share_as_an_option_says() -> None:
    bench = Bench(max_queries=1, reads_per_query=2)
    reads = await bench.held(*NAMES)
    bench.kusto.release()

    await asyncio.gather(*reads)
    assert [len(threads) for threads in bench.kusto.requests] == [1, 2, 2, 1]
    assert bench.rests()


async def test_a_lone_read_is_the_query_of_one_thread() -> None:
    bench = Bench()
    for name in NAMES:
        assert how(await bench.read(name), name) == "alone"

    assert bench.kusto.requests == [[name] for name in NAMES]
    assert bench.counted() == {"queries": 6}
    assert bench.rests()
    assert repr(bench.queries) == "<Queries <Gathering waiting=0> shared=0>"


async def test_while_there_are_free_slots_nobody_shares() -> None:
    bench = Bench(max_queries=6)
    reads = await bench.held(*NAMES)
    assert bench.kusto.at_once == 6
    bench.kusto.release()

    found = await asyncio.gather(*reads)
    assert [how(*item) for item in zip(found, NAMES, strict=True)] == ["alone"] * 6
    assert bench.counted() == {"queries": 6}


async def test_reads_that_wait_share_the_next_request() -> None:
    bench = Bench(max_queries=1)
    reads = await bench.held(*NAMES)
    assert bench.kusto.requests == [["t0"]]
    assert repr(bench.queries) == "<Queries <Gathering waiting=5> shared=1>"
    bench.kusto.release()

    found = await asyncio.gather(*reads)
    assert [how(*item) for item in zip(found, NAMES, strict=True)] == ["alone", *["together"] * 5]
    assert bench.kusto.requests == [["t0"], NAMES[1:]]
    assert bench.counted() == {"queries": 2, "shared_queries": 1, "shared_reads": 5}
    assert bench.rests()


@pytest.mark.parametrize("slots", [1, 4, 5, 16])
async def test_five_hundred_reads_take_few_requests(slots: int) -> None:
    """The first fill the slots; the others leave in full requests."""
    bench = Bench(max_queries=slots)
    names = [f"t{number}" for number in range(500)]
    reads = await bench.held(*names)
    bench.kusto.release()
    found = await asyncio.gather(*reads)

    ways = [how(*item) for item in zip(found, names, strict=True)]
    full, rest = divmod(500 - slots, MAX_READS)
    assert ways == ["alone"] * slots + ["together"] * (500 - slots)
    assert [len(threads) for threads in bench.kusto.requests] == [
        *[1] * slots,
        *[MAX_READS] * full,
        *[rest] * bool(rest),
    ]
    assert bench.kusto.most_at_once == slots
    assert bench.rests()


async def test_one_that_waits_alone_asks_as_if_it_had_not() -> None:
    bench = Bench(max_queries=1)
    first, second = await bench.held("a", "b")
    bench.kusto.release()

    assert [how(await first, "a"), how(await second, "b")] == ["alone", "alone"]
    assert bench.counted() == {"queries": 2}


async def test_one_question_asked_twice_is_asked_once() -> None:
    bench = Bench(max_queries=1)
    reads = await bench.held("a", "b", "b", "b")
    bench.kusto.release()
    found = await asyncio.gather(*reads)

    assert bench.kusto.requests == [["a"], ["b"]]
    assert [how(item, "b") for item in found[1:]] == ["alone"] * 3
    assert bench.counted() == {"queries": 2}


async def test_two_questions_about_a_thread_are_asked_one_after_the_other() -> None:
    bench = Bench(max_queries=1)
    (first,) = await bench.held("a")
    later = [bench.read("b"), bench.read("b", local_id="5"), bench.read("c")]
    await settle()
    bench.kusto.release()
    await asyncio.gather(first, *later)

    assert bench.kusto.requests == [["a"], ["b", "c"], ["b"]]
    assert bench.rests()


async def test_other_queries_have_their_turn() -> None:
    bench = Bench(max_queries=1)
    (first,) = await bench.held("a")
    reads = [bench.read(name) for name in NAMES[:2]]
    await settle()
    others: list[Any] = [
        asyncio.ensure_future(bench.queries.query(_kql.READ_BLOBS, {})),
        asyncio.ensure_future(bench.queries.command(".show")),
    ]
    await settle()
    reads += [bench.read(name) for name in NAMES[2:]]
    await settle()
    bench.kusto.release()
    await asyncio.gather(first, *reads, *others)

    assert bench.kusto.requests == [["a"], NAMES, ["?"], ["?"]]
    assert bench.kusto.most_at_once == 1
    assert bench.rests()


async def test_who_comes_when_a_slot_was_freed_does_not_overtake() -> None:
    bench = Bench(max_queries=1)
    first, second = await bench.held("a", "b")
    bench.kusto.release()
    await first
    third = bench.read("c")
    await asyncio.gather(second, third)

    assert [thread for threads in bench.kusto.requests for thread in threads] == ["a", "b", "c"]


# ------------------------------------------------------------------------------------------ errors


async def shared(bench: Bench) -> list[Any]:
    """What five reads get that share a request."""
    reads = await bench.held(*NAMES)
    bench.kusto.release()
    return (await asyncio.gather(*reads, return_exceptions=True))[1:]


def ways(found: list[Any]) -> list[str]:
    return [how(*item) for item in zip(found, NAMES[1:], strict=True)]


@pytest.mark.parametrize("error", [unreachable(), errors.ThrottledError("slow")], ids=repr)
async def test_a_lost_request_is_sent_again_once_for_all(error: Exception, clock: Any) -> None:
    bench = Bench(max_queries=1, max_retries=2)
    bench.kusto.fail(error, error)

    assert ways(await shared(bench)) == ["together"] * 5
    assert bench.kusto.requests == [["t0"], *[NAMES[1:]] * 3]
    counted = bench.counted()
    assert (counted["queries"], counted["shared_queries"]) == (4, 3)
    assert counted["shared_reads"] == 5
    assert counted.get("retries", 0) + counted.get("throttled", 0) == 2
    assert bench.rests()


async def test_when_there_is_no_way_to_kusto_everybody_hears_it(clock: Any) -> None:
    bench = Bench(max_queries=1, max_retries=2)
    bench.kusto.fail(*[unreachable(OSError("reset"))] * 3)
    found = await shared(bench)

    assert [(type(error), str(error)) for error in found] == [
        (errors.ClusterUnreachableError, "gone")
    ] * 5
    assert len({id(error) for error in found}) == 5, "else tracebacks of all would gather in one"
    assert {repr(error.__cause__) for error in found} == {"OSError('reset')"}
    assert bench.kusto.requests == [["t0"], *[NAMES[1:]] * 3]
    assert bench.rests()


OTHER_ERRORS = [
    errors.ServiceUnavailableError("503"),
    errors.MalformedResponseError("cut"),
    errors.QueryFailedError("400"),
    errors.ResultTooLargeError("64 MB"),
    errors.PermissionDeniedError("403"),
    unreachable(TimeoutError("no answer in 35 s")),
    unreachable(asyncio.TimeoutError()),
    RuntimeError("a transport of somebody else"),
]
OTHER_ERRORS[0].__cause__ = OTHER_ERRORS[0]  # as the transport raises what needs no translation


@pytest.mark.parametrize("error", OTHER_ERRORS, ids=repr)
async def test_what_may_be_the_doing_of_one_is_nobodys_error(error: Exception) -> None:
    bench = Bench(max_queries=1)
    bench.kusto.fail(error)

    assert ways(await shared(bench)) == ["alone"] * 5
    assert bench.kusto.requests == [["t0"], NAMES[1:], *[[name] for name in NAMES[1:]]]
    assert bench.counted() == {"queries": 7, "shared_queries": 1}
    assert bench.rests()


async def test_who_asks_alone_hears_the_own_error() -> None:
    bench = Bench(max_queries=1)
    wrong = errors.QueryFailedError("t2 is poisoned")

    def spoil(threads: list[str], tables: list[Table]) -> list[Table]:
        if "t2" in threads:
            raise wrong
        return tables

    bench.kusto.spoil = spoil
    found = await shared(bench)
    assert found.pop(1) is wrong
    assert [how(*item) for item in zip(found, ["t1", "t3", "t4", "t5"], strict=True)] == (
        ["alone"] * 4
    )


async def test_the_error_of_one_that_did_not_share_is_its_own() -> None:
    """It waited for a slot, and nobody else did; it is retried as any query is."""
    bench = Bench(max_queries=1, max_retries=1, retry_backoff=0)
    first, second, same = await bench.held("a", "b", "b")
    failure = errors.ServiceUnavailableError("503")
    failing = [failure, failure]

    def spoil(threads: list[str], tables: list[Table]) -> list[Table]:
        if threads == ["b"] and failing:
            raise failing.pop()
        return tables

    bench.kusto.spoil = spoil
    bench.kusto.release()
    await first
    heard = await asyncio.gather(second, same, return_exceptions=True)
    assert [str(error) for error in heard] == ["503", "503"]
    assert heard[0] is not heard[1]
    assert bench.kusto.requests == [["a"], ["b"], ["b"]]
    assert bench.rests()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda tables: tables[:4], id="a table less"),
        pytest.param(lambda tables: [Table((), []), *tables[1:]], id="nothing"),
        pytest.param(lambda tables: [Table(("thread_id",), [["t1"]]), *tables[1:]], id="columns"),
        pytest.param(lambda tables: [*tables[:4], Table((), [])], id="another table"),
        pytest.param(lambda tables: [tables[0], Table(tables[1].columns, []), *tables[2:]],
                     id="no rows"),
        pytest.param(lambda tables: [Table(tables[0].columns, [[[], *row[1:]] for row in
                                                              tables[0].rows]), *tables[1:]],
                     id="types"),
        pytest.param(lambda tables: [Table(tables[0].columns, [["t9", *row[1:]] for row in
                                                              tables[0].rows]), *tables[1:]],
                     id="threads of others"),
    ],
)  # fmt: skip
async def test_an_answer_that_is_none_is_nobodys(
    spoil: Callable[[list[Table]], list[Table]],
) -> None:
    bench = Bench(max_queries=1)
    bench.kusto.spoil = lambda threads, tables: spoil(tables) if len(threads) > 1 else tables

    assert ways(await shared(bench)) == ["alone"] * 5
    assert bench.counted() == {"queries": 7, "shared_queries": 1}


async def test_who_is_left_out_of_an_answer_asks_alone() -> None:
    bench = Bench(max_queries=1)

    def spoil(threads: list[str], tables: list[Table]) -> list[Table]:
        if len(threads) == 1:
            return tables
        rows = [[row for row in table.rows if row[0] not in ("t2", "t4")] for table in tables]
        return [Table(table.columns, some) for table, some in zip(tables, rows, strict=True)]

    bench.kusto.spoil = spoil
    assert ways(await shared(bench)) == ["together", "alone", "together", "alone", "together"]
    assert bench.counted() == {"queries": 4, "shared_queries": 1, "shared_reads": 3}


# ------------------------------------------------------------------------------------ cancellation


async def test_cancelling_one_leaves_the_others_alone() -> None:
    bench = Bench(max_queries=1)
    reads = await bench.held(*NAMES)
    reads[2].cancel()
    await settle()
    await bench.kusto.release_one()
    assert bench.kusto.requests == [["t0"], ["t1", "t3", "t4", "t5"]]
    reads[4].cancel()
    await settle()
    assert bench.kusto.cancelled == 0
    bench.kusto.release()
    found = await asyncio.gather(*reads, return_exceptions=True)

    assert [type(item) for item in found] == [
        asyncio.CancelledError if number in (2, 4) else list for number in range(6)
    ]
    assert len(bench.kusto.requests) == 2
    assert bench.rests()


async def test_a_request_that_nobody_waits_for_is_cancelled() -> None:
    bench = Bench(max_queries=1)
    reads = await bench.held(*NAMES)
    await bench.kusto.release_one()
    for read in reads[1:]:
        read.cancel()
    await settle()

    assert (bench.kusto.cancelled, bench.kusto.at_once) == (1, 0)
    assert bench.rests()
    bench.kusto.release()
    assert how(await bench.read("t9"), "t9") == "alone"


async def test_when_all_who_wait_are_cancelled_nothing_is_asked() -> None:
    bench = Bench(max_queries=1)
    reads = await bench.held(*NAMES)
    for read in reads[1:]:
        read.cancel()
    await settle()
    assert bench.queries._requests == {}
    late = bench.read("late")
    await settle()
    bench.kusto.release()
    await asyncio.gather(reads[0], late)

    assert bench.kusto.requests == [["t0"], ["late"]]
    assert bench.rests()


@pytest.mark.parametrize("answered", [False, True], ids=["waiting", "answered"])
async def test_a_read_may_be_cancelled_at_every_await(
    answered: bool, caplog: pytest.LogCaptureFixture
) -> None:
    step, cancelled = 0, True
    while cancelled:
        step += 1
        bench = Bench(max_queries=1)
        first, *others = await bench.held("a", "b", "c")

        async def unlock(bench: Bench) -> None:
            await settle()
            bench.kusto.release()

        unlocking = asyncio.ensure_future(unlock(bench))
        cancelled = await cancelled_at(
            step, lambda bench=bench: bench.queries.read_latest(ask("d")), answered=answered
        )
        found = await asyncio.gather(*others)
        await asyncio.gather(first, unlocking)
        assert [how(*item) for item in zip(found, "bc", strict=True)] == ["together"] * 2
        await settle()
        assert bench.rests()
    assert step > 1
    assert [record for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.parametrize("waiting", [True, False], ids=["for a slot", "for an answer"])
async def test_a_request_that_ends_for_no_reason_leaves_nobody_waiting(waiting: bool) -> None:
    bench = Bench(max_queries=1)
    reads = await bench.held(*NAMES)
    if not waiting:
        await bench.kusto.release_one()
    (task,) = bench.queries._requests
    task.cancel()
    await settle()
    bench.kusto.release()
    found = await asyncio.gather(*reads)

    assert ways(found[1:]) == ["together" if waiting else "alone"] * 5
    assert bench.rests()


# ----------------------------------------------------------------------------------------- closing


@pytest.mark.parametrize("asked", [False, True], ids=["waiting", "asked"])
async def test_closing_answers_everybody(asked: bool) -> None:
    bench = Bench(max_queries=1)
    reads = await bench.held(*NAMES)
    if asked:
        await bench.kusto.release_one()
    reads[3].cancel()
    await bench.queries.aclose()
    heard = await asyncio.gather(*reads[1:], return_exceptions=True)
    kinds = [type(error) for error in heard]

    assert kinds.pop(2) is asyncio.CancelledError
    assert kinds == [errors.SaverClosedError] * 4
    assert bench.queries._requests == {}
    bench.kusto.release()
    await reads[0]
    await bench.queries.aclose()
    assert bench.rests()


async def test_after_closing_a_read_hears_what_the_transport_says() -> None:
    bench = Bench(max_queries=1)
    (first,) = await bench.held("a")
    await bench.queries.aclose()
    late = bench.read("late")
    await settle()
    bench.kusto.release()

    assert [how(await first, "a"), how(await late, "late")] == ["alone", "alone"]
    assert bench.rests()
