"""Rows that were sent once more: what they are, and what is asked in one query."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from langgraph.checkpoint.kusto._same_rows import IDENTITIES, same_rows
from langgraph.checkpoint.kusto._schema import BLOBS, CHECKPOINTS, TABLE_BY_NAME, WRITES
from langgraph.checkpoint.kusto._sent_again import SentAgain, questions, sent_again, shown

EVERY = (0, 2**62)


def rows(table: str, *records: dict[str, Any]) -> list[bytes]:
    """Encoded as they are sent."""
    empty = dict.fromkeys(column.name for column in TABLE_BY_NAME[table].columns)
    return same_rows(table, [{**empty, "thread_id": "t", **record} for record in records])


def write(submission: str, row: int, count: int) -> dict[str, Any]:
    return {"submission_id": submission, "submission_row": row, "submission_rows": count}


def chunk(blob: str, row: int, count: int) -> dict[str, Any]:
    return {"blob_id": blob, "chunk": row, "chunks": count}


def test_whole_ones() -> None:
    calls = rows(WRITES, write("s1", 0, 2), write("s2", 0, 1), write("s1", 1, 2))
    assert sent_again(WRITES, calls) == [
        SentAgain(WRITES, "t", "s1", 2, *EVERY),
        SentAgain(WRITES, "t", "s2", 1, *EVERY),
    ]
    assert sent_again(BLOBS, rows(BLOBS, chunk("b1", 0, 1))) == [
        SentAgain(BLOBS, "t", "b1", 1, *EVERY)
    ]
    heads = rows(CHECKPOINTS, {"submission_id": "s1"}, {"submission_id": "s2", "thread_id": "u"})
    assert sent_again(CHECKPOINTS, heads) == [
        SentAgain(CHECKPOINTS, "t", "s1", 1, *EVERY),
        SentAgain(CHECKPOINTS, "u", "s2", 1, *EVERY),
    ]
    assert sent_again(CHECKPOINTS, []) == []


def test_a_long_thread_id_is_kept_once() -> None:
    heads = [{"submission_id": f"s{number}", "thread_id": "t" * 65_536} for number in range(3)]
    found = sent_again(CHECKPOINTS, rows(CHECKPOINTS, *heads))
    assert len(found) == 3
    assert len({id(item.thread_id) for item in found}) == 1


def test_a_range() -> None:
    page = rows(BLOBS, *(chunk("b1", number, 9) for number in (5, 3, 4)))
    (item,) = sent_again(BLOBS, page)
    assert item == SentAgain(BLOBS, "t", "b1", 3, 3, 5)
    assert not item.is_whole
    last = rows(WRITES, write("s1", 0, 2))
    assert sent_again(WRITES, last) == [SentAgain(WRITES, "t", "s1", 1, 0, 0)]


@pytest.mark.parametrize("table", IDENTITIES)
def test_a_row_is_told_by_what_tells_it_in_the_table(table: str) -> None:
    first, *more = IDENTITIES[table]
    record = orjson.loads(rows(table, {first: "x", **dict.fromkeys(more, 0)})[0])
    assert record.keys() >= {first, *more, "thread_id"}
    assert sent_again(table, [orjson.dumps(record)])[0].identity == "x"


def test_whole_ones_of_a_table_are_asked_together_and_ranges_alone() -> None:
    writes = [SentAgain(WRITES, "t", f"s{number}", 1, *EVERY) for number in range(5)]
    blobs = [SentAgain(BLOBS, "t", f"b{number}", 1, *EVERY) for number in range(2)]
    part = SentAgain(BLOBS, "t", "b9", 3, 3, 5)
    assert questions([*blobs, part, *writes], 2) == [
        [part],
        writes[:2],
        writes[2:4],
        writes[4:],
        blobs,
    ]
    assert questions([], 2) == []


def test_shown_is_what_has_landed_with_all_its_rows() -> None:
    two = SentAgain(WRITES, "t", "s1", 2, *EVERY)
    one = SentAgain(WRITES, "t", "s2", 1, *EVERY)
    assert shown([two, one], {}) == []
    assert shown([two, one], {"s1": 1, "s2": 1, "s3": 2}) == [one]
    assert shown([two, one], {"s1": 2, "s2": 1}) == [two, one]
