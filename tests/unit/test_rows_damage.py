"""Rows that cannot be read: of a newer version, damaged, cut."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from shared.planned_rows import KEY, copy_of, counter, from_kusto, make_parts, raw

from langgraph.checkpoint.kusto._row_cells import ref_of_channel
from langgraph.checkpoint.kusto._rows import (
    blobs_from_rows,
    checkpoint_from_row,
    metadata_from_cell,
    plan_checkpoint,
)
from langgraph.checkpoint.kusto.errors import CorruptValueError, UnknownCodecError


def small_row() -> dict[str, Any]:
    plan = plan_checkpoint(make_parts(values={"c": raw(10)}, reused={}), counter())
    return from_kusto("Checkpoints", plan.row_json)


def test_rows_of_a_newer_version() -> None:
    with pytest.raises(UnknownCodecError, match=r"checkpoint '1ef.*codec 2.*upgrade"):
        checkpoint_from_row({**small_row(), "codec": 2})
    blob = from_kusto("CheckpointBlobs", copy_of(b"x", "b1").to_rows()[0])
    with pytest.raises(UnknownCodecError, match="blob 'b1' was written with row codec 3"):
        blobs_from_rows([{**blob, "codec": 3}])


REF = '["b1",1,5,"2026-01-01T00:00:00.0000000Z"]'


@pytest.mark.parametrize("column", ["checkpoint_data", "metadata_data", "inline_data", "blob_refs"])
@pytest.mark.parametrize(
    "cell",
    [
        "",
        "null",
        "1",
        "[]",
        '["x"]',
        '["msgpack","raw",1,"hash","not base64"]',
        '["msgpack","raw",1,"hash",5]',
        '{"values"',
        '{"values":{"c":5}}',
        '{"values":{"c":["b1",1]}}',
        '{"values":["b1"]}',
        '{"values":{},"metadata":5}',
        '{"values":{},"inline":["b1",1,5,"yesterday"]}',
        '{"refs":"b1"}',
        '{"c":["msgpack","raw"]}',
        '{"c":5}',
    ],
)
def test_damaged_cells(column: str, cell: str) -> None:
    with pytest.raises(CorruptValueError, match=f"checkpoint '{KEY.checkpoint_id}'.*damaged"):
        checkpoint_from_row({**small_row(), column: cell})


def test_a_damaged_cell_of_metadata_alone() -> None:
    with pytest.raises(CorruptValueError, match="metadata of row 7"):
        metadata_from_cell('["msgpack"', "row 7")


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "5",
        "[]",
        '{"values":5}',
        '{"values":{"c":5}}',
        '{"values":{"c":["b1",1,5,"yesterday"]}}',
    ],
)
def test_a_damaged_cell_of_references_alone(cell: str) -> None:
    with pytest.raises(CorruptValueError, match=r"a cell of row 7.*damaged"):
        ref_of_channel(cell, "c", "row 7")


def test_parts_that_spilled_are_not_looked_for_in_the_row() -> None:
    parts = ("checkpoint", "metadata", "inline", "refs")
    refs = orjson.dumps({part: [part, 1, 5, orjson.loads(REF)[3]] for part in parts}).decode()
    emptied = dict.fromkeys(("checkpoint_data", "metadata_data", "inline_data"), "")
    row = checkpoint_from_row({**small_row(), **emptied, "blob_refs": refs})

    assert [ref.blob_id for ref in row.direct_refs()] == [*parts]


def test_a_cell_cut_by_kusto_is_noticed() -> None:
    row = small_row()
    for column in ("checkpoint_data", "inline_data", "blob_refs"):
        with pytest.raises(CorruptValueError):
            checkpoint_from_row({**row, column: row[column][:-1]})


def test_a_base_of_what_is_not_there() -> None:
    row = small_row()
    refs = orjson.loads(row["blob_refs"]) | {"bases": {"other": orjson.loads(REF)}}
    with pytest.raises(CorruptValueError, match=r"names bases of \['other'\]"):
        checkpoint_from_row({**row, "blob_refs": orjson.dumps(refs).decode()})


def test_references_nested_without_an_end() -> None:
    depth = 1_000  # orjson reads up to 1,024
    nested = (REF[:-1] + ",") * depth + REF + ",1]" * depth
    with pytest.raises(CorruptValueError, match="has another shape"):
        checkpoint_from_row({**small_row(), "blob_refs": f'{{"values":{{"c":{nested}}}}}'})
