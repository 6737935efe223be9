"""Accumulator and batches: never over a request, first in first out, submissions whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph.checkpoint.kusto import _batch
from langgraph.checkpoint.kusto._batch import (
    MAX_BATCH_BYTES,
    MAX_BATCH_ROWS,
    Accumulator,
    Batch,
    Piece,
    cut,
)
from langgraph.checkpoint.kusto._values import ChunkRow

MIB = 1024 * 1024


def test_a_request_stays_below_four_mebibytes() -> None:
    assert MAX_BATCH_BYTES < 4 * MIB


# -------------------------------------------------------------------------------------------- cut


def test_a_usual_submission_is_one_piece() -> None:
    (piece,) = cut("me", [b"ab", b"c"], 5.0)

    assert piece == Piece("me", (b"ab", b"c"), 5, 5.0)


def test_no_rows_no_piece() -> None:
    assert cut("me", [], 0.0) == []


def test_pieces_at_the_boundary_of_bytes() -> None:
    row = b"x" * (MAX_BATCH_BYTES // 2 - 1)

    assert [len(piece.rows) for piece in cut("me", [row] * 2, 0.0)] == [2]
    assert [len(piece.rows) for piece in cut("me", [row, row, b""], 0.0)] == [2, 1]
    assert [len(piece.rows) for piece in cut("me", [row, row + b"x"], 0.0)] == [1, 1]


def test_pieces_at_the_boundary_of_rows() -> None:
    assert [len(p.rows) for p in cut("me", [b""] * MAX_BATCH_ROWS, 0.0)] == [MAX_BATCH_ROWS]
    assert [len(p.rows) for p in cut("me", [b""] * (MAX_BATCH_ROWS + 1), 0.0)] == [
        MAX_BATCH_ROWS,
        1,
    ]


def test_a_row_larger_than_a_request_still_goes_out_alone() -> None:
    huge = b"x" * (MAX_BATCH_BYTES + 1)

    assert [piece.rows for piece in cut("me", [b"a", huge, b"b"], 0.0)] == [
        (b"a",),
        (huge,),
        (b"b",),
    ]


# ------------------------------------------------------------------------------------------ Batch


def test_the_bytes_that_are_yet_to_be_encoded() -> None:
    late = ChunkRow({"a": 1}, b"x" * 30, 0)
    pieces = (Piece("a", (b"12", late), 60, 0.0), Piece("b", (late, b"3"), 60, 0.0))

    assert Batch("T", pieces).late_bytes == 2 * len(bytes(late)) == 2 * 57
    assert Batch("T", cut("a", [b"12", b"3"], 0.0) * 2).late_bytes == 0


# ------------------------------------------------------------------------------------ Accumulator


def test_empty() -> None:
    accumulator = Accumulator[str]("T")

    assert not accumulator
    assert repr(accumulator) == "<Accumulator T rows=0 bytes=0>"
    assert accumulator.drain() == Batch("T", ())
    assert accumulator.clear() == []


def test_waiting_and_draining() -> None:
    accumulator = Accumulator[str]("T")
    accumulator.add(cut("a", [b"1", b"22"], 3.0))
    accumulator.add(cut("b", [b"333"], 4.0))

    assert accumulator
    assert accumulator.oldest == 3.0
    assert repr(accumulator) == "<Accumulator T rows=3 bytes=9>"
    batch = accumulator.drain()
    assert [piece.owner for piece in batch.pieces] == ["a", "b"]
    assert (batch.row_count, batch.size_bytes) == (3, 9)
    assert batch.payload() == b"1\n22\n333"
    assert not accumulator
    assert (accumulator.row_count, accumulator.size_bytes) == (0, 0)


def test_clearing_gives_back_what_waits() -> None:
    accumulator = Accumulator[str]("T")
    accumulator.add(cut("a", [b"1"], 0.0))
    accumulator.add(cut("b", [b"2"], 0.0))

    assert [piece.owner for piece in accumulator.clear()] == ["a", "b"]
    assert (len(accumulator.clear()), accumulator.row_count, accumulator.size_bytes) == (0, 0, 0)


def test_full_of_rows() -> None:
    accumulator = Accumulator[int]("T")
    accumulator.add(cut(1, [b""] * (MAX_BATCH_ROWS - 1), 0.0))
    accumulator.add(cut(2, [b""], 0.0))
    accumulator.add(cut(3, [b""], 0.0))

    assert accumulator.drain().row_count == MAX_BATCH_ROWS
    assert accumulator.drain().row_count == 1


def test_full_of_bytes() -> None:
    accumulator = Accumulator[int]("T")
    for owner, size in enumerate((2 * MIB, MIB, MIB, 5 * MIB, 1)):
        accumulator.add(cut(owner, [b"x" * size], 0.0))

    taken = []
    while accumulator:
        taken.append([piece.owner for piece in accumulator.drain().pieces])
    assert taken == [[0, 1], [2], [3], [4]]


@given(
    st.lists(st.lists(st.integers(0, 70), min_size=1, max_size=12), max_size=20),
    st.integers(20, 60),
    st.integers(1, 8),
)
def test_nothing_is_lost_split_or_overtaken(
    submissions: list[list[int]], max_bytes: int, max_rows: int
) -> None:
    """With small bounds: every batch fits, order is kept, a submission that fits stays whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_batch, "MAX_BATCH_BYTES", max_bytes)
        patch.setattr(_batch, "MAX_BATCH_ROWS", max_rows)
        accumulator = Accumulator[int]("T")
        rows_of = []
        for owner, sizes in enumerate(submissions):
            rows = [f"{owner}.{number}.".encode() + b"x" * n for number, n in enumerate(sizes)]
            rows_of.append(rows)
            accumulator.add(cut(owner, rows, float(owner)))
        assert accumulator.row_count == sum(map(len, rows_of))

        batches = []
        while accumulator:
            oldest = accumulator.oldest
            batch = accumulator.drain()
            assert batch.pieces[0].arrived == oldest
            batches.append(batch)

    assert accumulator.row_count == accumulator.size_bytes == 0
    sent = [line for batch in batches for line in batch.payload().split(b"\n")]
    assert sent == [row for rows in rows_of for row in rows]
    for batch in batches:
        single = len(batch.pieces) == 1 and len(batch.pieces[0].rows) == 1
        assert single or len(batch.payload()) < batch.size_bytes <= max_bytes
        assert batch.row_count <= max_rows
    for owner, rows in enumerate(rows_of):
        holding = [b for b in batches if any(piece.owner == owner for piece in b.pieces)]
        fits = sum(len(row) + 1 for row in rows) <= max_bytes and len(rows) <= max_rows
        assert len(holding) == 1 or not fits


# ------------------------------------------------------------------------------------------ halves


@given(st.lists(st.integers(0, 9), min_size=2, max_size=30))
def test_halving_ends_at_single_pieces(owners: list[int]) -> None:
    batch = Batch("T", tuple(Piece(owner, (b"x",), 2, 0.0) for owner in owners))

    def leaves(part: Batch[int]) -> list[int]:
        assert part.table == "T"
        if len(part.pieces) == 1:
            return [part.pieces[0].owner]
        return [owner for half in part.halves() for owner in leaves(half)]

    assert leaves(batch) == owners


def test_every_piece_knows_its_own_size() -> None:
    rows = [b"x" * (MAX_BATCH_BYTES // 2) for _ in range(4)]
    pieces = cut("a", rows, 0.0)
    assert len(pieces) > 1
    assert [piece.size_bytes for piece in pieces] == [
        sum(len(row) + 1 for row in piece.rows) for piece in pieces
    ]


def test_a_batch_may_be_filled_to_the_last_byte() -> None:
    waiting: Accumulator[str] = Accumulator("T")
    waiting.add(cut("a", [b"x" * 99], 0.0))
    waiting.add(cut("b", [b"x" * (MAX_BATCH_BYTES - 101)], 0.0))
    assert waiting.drain().size_bytes == MAX_BATCH_BYTES
    assert not waiting
