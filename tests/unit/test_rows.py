"""Checkpoint rows and blob rows of a put, and reading them back."""

from __future__ import annotations

import os
from collections.abc import Mapping

import orjson
import pytest
from shared.planned_rows import KEY, NOW, check_plan, copy_of, counter, from_kusto, make_parts, raw

from langgraph.checkpoint.kusto import _values
from langgraph.checkpoint.kusto._clock import format_ticks
from langgraph.checkpoint.kusto._row_cells import ref_of_channel, spilled_refs, value_mark
from langgraph.checkpoint.kusto._rows import (
    blobs_from_rows,
    ingestion_times,
    metadata_from_cell,
    plan_checkpoint,
)
from langgraph.checkpoint.kusto._values import (
    CHUNK_BYTES,
    INLINE_VALUE_CHARS,
    BlobRef,
)
from langgraph.checkpoint.kusto.errors import CorruptValueError


def test_a_small_checkpoint_is_one_row() -> None:
    plan = check_plan(make_parts(values={"messages": raw(100), "": raw(0)}))

    assert plan.copies == ()
    assert plan.row.direct_refs() == []
    assert orjson.loads(plan.row_json)["blob_rows"] == 0


def test_a_row_is_in_the_order_of_its_last_writer() -> None:
    assert plan_checkpoint(make_parts(), counter()).row.order == (NOW, "s1")


@pytest.mark.parametrize(
    ("columns", "expected"), [({"source": "loop"}, "loop"), ({"source": None}, ""), ({}, "")]
)
def test_a_row_that_was_made_here_tells_its_source(
    columns: dict[str, str | None], expected: str
) -> None:
    row = plan_checkpoint(make_parts(columns=columns), counter()).row
    assert row.source == expected


def test_large_values_go_to_blobs_of_their_own() -> None:
    fits = INLINE_VALUE_CHARS // 4 * 3
    plan = check_plan(
        make_parts(
            values={"small": raw(fits), "large": raw(fits + 1, 1), "huge": raw(CHUNK_BYTES + 1, 2)},
            versions={"large": "7", "other": "8"},
        )
    )

    assert isinstance(plan.row.inline, Mapping)
    assert set(plan.row.inline) == {"small"}
    assert {copy.channel: copy.ref.chunks for copy in plan.copies} == {"large": 1, "huge": 2}
    assert {copy.channel: copy.version for copy in plan.copies} == {"large": "7", "huge": ""}


def test_unchanged_values_are_referred_to() -> None:
    ref = BlobRef("b" + "0" * 32, 3, 2_000_000, NOW - 5)
    plan = check_plan(make_parts(reused={"documents": ref}, values={"messages": raw(10)}))

    assert plan.copies == ()
    assert plan.row.blobs == {"documents": ref}
    assert orjson.loads(plan.row_json)["blob_rows"] == 3


def test_the_body_and_the_metadata_spill_too() -> None:
    plan = check_plan(make_parts(checkpoint=raw(400_000, 1), metadata=raw(3_000_000, 2)))

    assert isinstance(plan.row.checkpoint, BlobRef)
    assert isinstance(plan.row.metadata, BlobRef)
    assert [copy.ref.chunks for copy in plan.copies] == [1, 5]
    assert [copy.channel for copy in plan.copies] == [None, None], "parts of the row, no channels"
    assert metadata_from_cell(orjson.loads(plan.row_json)["metadata_data"], "x") is None


def test_an_answer_is_never_larger_than_the_row_says() -> None:
    """Reads add the sizes of rows up to stay under Kusto's bound of a result."""
    plan = check_plan(make_parts(values={"c": raw(9 * CHUNK_BYTES), "d": raw(30_000, 1)}))
    body = orjson.loads(plan.row_json)
    answered = [
        value
        for copy in plan.copies
        for line in copy.to_rows()
        for value in orjson.loads(bytes(line)).values()
    ]

    assert body["row_bytes"] + len(orjson.dumps(answered)) <= body["total_bytes"]


def test_the_metadata_can_be_read_from_its_cell_alone() -> None:
    plan = check_plan(make_parts(metadata=raw(50)))
    cell = orjson.loads(plan.row_json)["metadata_data"]

    assert metadata_from_cell(cell, "x") == raw(50)


def test_every_blob_row_tells_where_it_belongs() -> None:
    plan = plan_checkpoint(make_parts(values={"c": raw(30_000)}, versions={"c": "5"}), counter())
    (copy,) = plan.copies
    (line,) = copy.to_rows()

    row = from_kusto("CheckpointBlobs", line)
    assert row.pop("data") == _values.to_base64(raw(30_000).payload)
    assert row == {
        "thread_id": "thread",
        "blob_id": "b" + "0" * 32,
        "chunk": 0,
        "chunks": 1,
        "checkpoint_ns": "",
        "checkpoint_id": KEY.checkpoint_id,
        "epoch": "e1",
        "run_id": "run",
        "channel": "c",
        "version": "5",
        "value_type": "msgpack",
        "codec": 1,
        "encoding": "raw",
        "base_blob_id": "",
        "frame_depth": 0,
        "value_bytes": 30_000,
        "value_hash": raw(30_000).value_hash,
        "stored_bytes": 30_000,
        "written_at": format_ticks(NOW),
    }


def test_the_blob_row_of_a_part_names_no_channel() -> None:
    plan = plan_checkpoint(make_parts(metadata=raw(400_000)), counter())
    (copy,) = plan.copies
    (line,) = copy.to_rows()
    body = orjson.loads(bytes(line))

    assert (body["channel"], body["version"]) == ("", "")


# -------------------------------------------------------------------------------------- one channel

NAMES = ["messages", "", "a b", 'a"b', "a\\b", "a\nb", "\x01", "é", "漢", "🙂", "values", "refs"]


@pytest.mark.parametrize("name", NAMES)
def test_the_value_of_a_channel_is_found_by_its_mark(name: str) -> None:
    """Whether it rides in the row or is referred to; nothing else of the row begins like it."""
    others = {f"{name}x": raw(5), f"x{name}": raw(INLINE_VALUE_CHARS)}
    for values, place in (
        ({name: raw(5)}, "inline_data"),
        ({name: raw(INLINE_VALUE_CHARS)}, "blob_refs"),
        ({}, ""),
    ):
        body = orjson.loads(
            plan_checkpoint(make_parts(values={**others, **values}), counter()).row_json
        )
        found = [cell for cell in ("inline_data", "blob_refs") if value_mark(name) in body[cell]]
        assert found == ([place] if place else [])


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_of_one_channel(name: str) -> None:
    plan = plan_checkpoint(
        make_parts(values={name: raw(INLINE_VALUE_CHARS), "small": raw(5)}), counter()
    )
    cell = orjson.loads(plan.row_json)["blob_refs"]

    assert ref_of_channel(cell, name, "x") == plan.copies[0].ref
    assert ref_of_channel(cell, "small", "x") is None
    assert ref_of_channel(cell, name + "?", "x") is None


@pytest.mark.parametrize("cell", ["{}", '{"values":null}', '{"refs":["b1",1,5,""]}'])
def test_references_that_stand_elsewhere(cell: str) -> None:
    assert ref_of_channel(cell, "refs", "x") is None


# -------------------------------------------------------------------------------------- blob rows


def test_chunks_arrive_doubled_and_in_any_order() -> None:
    one, other = copy_of(os.urandom(2 * CHUNK_BYTES), "b1"), copy_of(b"", "b2")
    rows = [from_kusto("CheckpointBlobs", line) for line in (*one.to_rows(), *other.to_rows())]

    assert blobs_from_rows([*reversed(rows), *rows]) == {"b1": one.value, "b2": other.value}


def test_a_copy_that_lacks_a_chunk_is_left_out() -> None:
    one, other = copy_of(os.urandom(2 * CHUNK_BYTES), "b1"), copy_of(b"x", "b2")
    first, second = (from_kusto("CheckpointBlobs", line) for line in one.to_rows())
    rest = [from_kusto("CheckpointBlobs", line) for line in other.to_rows()]

    assert blobs_from_rows([first, *rest]) == {"b2": other.value}
    assert blobs_from_rows([second, second]) == {}
    assert blobs_from_rows([]) == {}


def test_chunks_of_two_copies_of_one_value_are_never_mixed() -> None:
    payload = os.urandom(2 * CHUNK_BYTES)
    first = [from_kusto("CheckpointBlobs", line) for line in copy_of(payload, "b1").to_rows()]
    second = [from_kusto("CheckpointBlobs", line) for line in copy_of(payload, "b2").to_rows()]

    assert blobs_from_rows([first[0], second[1]]) == {}


def test_a_copy_is_as_old_as_its_oldest_chunk_and_a_chunk_as_its_last_landing() -> None:
    def landed(blob_id: str, chunk: int, ticks: int) -> dict[str, object]:
        moment = format_ticks(ticks) if ticks else None
        return {"blob_id": blob_id, "chunk": chunk, "ingested": moment}

    rows = [landed("b1", 0, 20), landed("b1", 0, 90), landed("b1", 0, 50), landed("b1", 1, 60)]
    rows += [landed("b2", 0, 7), landed("unknown", 0, 0)]
    assert ingestion_times(rows) == {"b1": 60, "b2": 7}


# ------------------------------------------------------------------------------------ spilled lists


def test_where_the_references_are_when_the_row_has_no_room() -> None:
    cell = orjson.dumps({"refs": ["b7", 2, 5, format_ticks(9)], "inline": ["b8", 1, 5, ""]})
    assert spilled_refs(cell.decode(), "x") == BlobRef("b7", 2, 5, 9)
    assert spilled_refs('{"values":{"refs":["b9",1,5,""]}}', "x") is None
    with pytest.raises(CorruptValueError, match="another shape"):
        spilled_refs('{"refs":[1]}', "row x")
