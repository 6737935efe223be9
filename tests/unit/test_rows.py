"""Checkpoint rows and blob rows: exact round trips, and bounds that hold whatever the state."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph.checkpoint.kusto import _rows, _values
from langgraph.checkpoint.kusto._batch import MAX_BATCH_BYTES
from langgraph.checkpoint.kusto._clock import format_ticks
from langgraph.checkpoint.kusto._columns import kql_columns
from langgraph.checkpoint.kusto._rows import (
    BlobCopy,
    BlobRef,
    CheckpointKey,
    CheckpointParts,
    CheckpointPlan,
    StoredCheckpoint,
    blobs_from_rows,
    checkpoint_from_row,
    inline_from_json,
    inline_to_json,
    metadata_from_cell,
    plan_checkpoint,
    refs_from_json,
    refs_to_json,
)
from langgraph.checkpoint.kusto._schema import TABLE_BY_NAME
from langgraph.checkpoint.kusto._values import (
    CHUNK_BYTES,
    INLINE_VALUE_CHARS,
    Encoded,
    base64_chars,
    choose_inline,
    decode_value,
    encode_value,
)
from langgraph.checkpoint.kusto.errors import CorruptValueError, UnknownCodecError

KEY = CheckpointKey("thread", "", "1ef4f797-8335-6428-8001-8a1503f9b875")
NOW = 639_000_000_123_456_789
LONGEST_ID = 65_536
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def from_kusto(table: str, line: bytes) -> dict[str, Any]:
    """What Kusto shows of an ingested row, with its silent truncations turned into failures."""
    body = orjson.loads(line)
    columns = {column.name: column for column in TABLE_BY_NAME[table].columns}
    assert set(body) <= set(columns), "a property without a column is dropped in silence"
    assert len(line) <= MAX_BATCH_BYTES, "a row has to fit a request"
    row: dict[str, Any] = {}
    for name, column in columns.items():
        value = body.get(name)
        if column.type == "string":
            assert value is None or isinstance(value, str), name
            assert len((value or "").encode()) <= 1_000_000, f"{name} would be truncated"
            row[name] = value or ""
            continue
        if column.type == "dynamic":
            assert len(orjson.dumps(value)) < 2**20, f"{name} would become null"
        elif column.type == "int":
            assert value is None or (type(value) is int and -(2**31) <= value < 2**31), name
        elif column.type == "long":
            assert value is None or (type(value) is int and -(2**63) <= value < 2**63), name
        row[name] = value
    return row


def counter() -> Callable[[], str]:
    numbers = itertools.count()
    return lambda: f"b{next(numbers):032x}"


def raw(size: int, seed: int = 0) -> Encoded:
    """A value that does not compress."""
    return encode_value("msgpack", random.Random(seed).randbytes(size))


def make_parts(**changes: Any) -> CheckpointParts:
    parts = CheckpointParts(
        key=KEY,
        parent_checkpoint_id="1ef4f797-8335-6428-8000-000000000000",
        epoch="e1",
        run_id="run",
        submission_id="s1",
        written_at=NOW,
        checkpoint=encode_value("msgpack", b"checkpoint"),
        metadata=encode_value("msgpack", b"metadata"),
        values={},
        reused={},
    )
    return replace(parts, **changes)


def shown(plan: CheckpointPlan) -> tuple[StoredCheckpoint, dict[str, Encoded]]:
    """Ingest everything of a plan and read it back."""
    blob_rows = [
        from_kusto("CheckpointBlobs", line) for copy in plan.copies for line in copy.to_rows()
    ]
    random.Random(1).shuffle(blob_rows)
    return (
        checkpoint_from_row(from_kusto("Checkpoints", plan.row_json)),
        blobs_from_rows(blob_rows),
    )


def whole_values(row: StoredCheckpoint, blobs: Mapping[str, Encoded]) -> dict[str, Encoded]:
    """The channel values, wherever the plan put them; fails when a part is not reachable."""
    refs = row.blobs
    if isinstance(refs, BlobRef):
        refs = refs_from_json(decode_value(blobs[refs.blob_id], "refs"), "refs")
    inline = row.inline
    if isinstance(inline, BlobRef):
        inline = inline_from_json(decode_value(blobs[inline.blob_id], "inline"), "inline")
    assert not inline.keys() & refs.keys()
    return {**inline, **{channel: blobs[ref.blob_id] for channel, ref in refs.items()}}


def check_plan(parts: CheckpointParts) -> CheckpointPlan:
    """Plan, ingest, read back, compare everything; return the plan for more assertions."""
    plan = plan_checkpoint(parts, counter())
    row, blobs = shown(plan)
    body = orjson.loads(plan.row_json)

    assert row == plan.row
    assert {copy.ref.blob_id: copy.value for copy in plan.copies} == blobs
    reused = {ref.blob_id: raw(3, seed) for seed, ref in enumerate(parts.reused.values())}
    values = whole_values(row, {**blobs, **reused})
    assert values == {
        **parts.values,
        **{channel: reused[ref.blob_id] for channel, ref in parts.reused.items()},
    }
    for part, stored in ((parts.checkpoint, row.checkpoint), (parts.metadata, row.metadata)):
        assert part == (blobs[stored.blob_id] if isinstance(stored, BlobRef) else stored)
    # What one query is told to fetch along with the row, and what the result will weigh.
    listed = [item for item in body["blob_ids"].split(",") if item]
    assert listed == [ref.blob_id for ref in row.direct_refs()]
    assert body["row_bytes"] >= len(plan.row_json)
    fetched = sum(copy.ref.chunks for copy in plan.copies)
    fetched += sum(ref.chunks for ref in parts.reused.values())
    assert body["blob_rows"] == fetched
    payload = sum(base64_chars(copy.ref.stored_bytes) for copy in plan.copies)
    payload += sum(base64_chars(ref.stored_bytes) for ref in parts.reused.values())
    assert body["total_bytes"] == row.total_bytes >= body["row_bytes"] + payload
    return plan


# ---------------------------------------------------------------------------------------- a put


def test_a_small_checkpoint_is_one_row() -> None:
    plan = check_plan(make_parts(values={"messages": raw(100), "": raw(0)}))

    assert plan.copies == ()
    assert plan.row.direct_refs() == []
    assert orjson.loads(plan.row_json)["blob_rows"] == 0


def test_a_row_is_in_the_order_of_its_last_writer() -> None:
    assert plan_checkpoint(make_parts(), counter()).row.order == (NOW, "s1")


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
    assert metadata_from_cell(orjson.loads(plan.row_json)["metadata_data"], "x") is None


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


# -------------------------------------------------------------------- whatever the state

NASTY = ('"', "\\", "\x01", "é", "漢", "🙂", "a")


def names(count: int, length: int, character: str) -> list[str]:
    return [f"{number}{character * (length - len(str(number)))}" for number in range(count)]


def many(channels: Iterable[str], size: int) -> dict[str, Encoded]:
    value = raw(size)
    return dict.fromkeys(channels, value)


def test_ten_thousand_channels() -> None:
    plan = check_plan(make_parts(values=many(names(10_000, 30, "x"), 20)))

    assert isinstance(plan.row.inline, BlobRef)


def test_ten_thousand_large_channels() -> None:
    values = many(names(10_000, 30, "x"), 40_000)
    plan = plan_checkpoint(make_parts(values=values), counter())
    row = checkpoint_from_row(from_kusto("Checkpoints", plan.row_json))

    assert isinstance(row.blobs, BlobRef)
    assert len(plan.copies) == 10_001
    # One copy of the list itself; all others are reachable through it.
    from_list = {copy.ref.blob_id: copy.value for copy in plan.copies}
    refs = refs_from_json(decode_value(from_list[row.blobs.blob_id], "refs"), "refs")
    assert {ref.blob_id for ref in refs.values()} == set(from_list) - {row.blobs.blob_id}
    assert row.total_bytes > 10_001 * base64_chars(40_000)


@pytest.mark.parametrize("character", NASTY)
@pytest.mark.parametrize("size", [10, 40_000])
def test_very_long_names(character: str, size: int) -> None:
    long_names = names(12, 100_000 // len(character.encode()), character)

    check_plan(make_parts(values=many(long_names, size)))


@pytest.mark.parametrize("character", NASTY)
def test_everything_at_its_bound_at_once(character: str) -> None:
    """The worst row there is: the longest ids, each part just small enough to stay inside."""
    length = LONGEST_ID // len(character.encode())
    text = character * length
    metadata = {text[:90] + str(number): text[:4_000] for number in range(300)}
    versions = {text[:4_000] + str(number): text for number in range(300)}
    inline = 0
    while True:  # as many long names as ride in the row
        inline += 1
        values = many(names(inline, 4_000, character), 10)
        if isinstance(plan_checkpoint(make_parts(values=values), counter()).row.inline, BlobRef):
            break
    plan = check_plan(
        make_parts(
            key=CheckpointKey(text, text, text),
            parent_checkpoint_id=text,
            run_id=text,
            values=many(names(inline - 1, 4_000, character), 10),
            reused={str(number): BlobRef(f"b{number:032x}", 1, 5, NOW) for number in range(1_500)},
            checkpoint=raw(360_000),
            metadata=raw(360_000),
            columns=kql_columns(metadata, versions),
        )
    )

    assert not isinstance(plan.row.inline, BlobRef)
    assert not isinstance(plan.row.checkpoint, BlobRef)
    assert len(plan.row_json) > 1_500_000


@pytest.mark.parametrize("character", NASTY)
def test_very_long_versions(character: str) -> None:
    version = character * 2_000_000
    plan = check_plan(
        make_parts(
            values={"c": raw(2_000_000)},
            versions={"c": version},
            columns=kql_columns({}, {"c": version}),
        )
    )

    assert plan.copies[0].version.startswith(character)


def test_a_large_state() -> None:
    plan = check_plan(make_parts(values={"c": raw(10 * CHUNK_BYTES), "d": raw(CHUNK_BYTES)}))

    assert [copy.ref.chunks for copy in plan.copies] == [1, 10] or [
        copy.ref.chunks for copy in plan.copies
    ] == [10, 1]


values_strategy = st.dictionaries(
    ANY_TEXT, st.integers(0, 120).map(lambda size: raw(size, size)), max_size=12
)
refs_strategy = st.dictionaries(
    ANY_TEXT.map(lambda name: "reused " + name),
    st.builds(
        BlobRef,
        st.uuids().map(lambda item: "b" + item.hex),
        st.integers(1, 9),
        st.integers(0, 2**40),
        st.integers(0, 3_155_378_975_999_999_999),
    ),
    max_size=6,
)


@given(
    values=values_strategy,
    reused=refs_strategy,
    sizes=st.tuples(st.integers(0, 200), st.integers(0, 200)),
    bounds=st.tuples(*[st.integers(0, 400)] * 4),
    ids=st.tuples(*[ANY_TEXT] * 6),
)
def test_any_state_with_bounds_anywhere(
    values: dict[str, Encoded],
    reused: dict[str, BlobRef],
    sizes: tuple[int, int],
    bounds: tuple[int, int, int, int],
    ids: tuple[str, ...],
) -> None:
    """With tiny bounds every mix of inline and spilled parts is small enough to try."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_rows, "_CELL_CHARS", bounds[0])
        patch.setattr(_rows, "_INLINE_CELL_CHARS", bounds[1])
        patch.setattr(_rows, "_REFS_CHARS", bounds[2])
        patch.setattr(_rows, "choose_inline", partial(choose_inline, budget=bounds[3]))
        patch.setattr(_values, "CHUNK_BYTES", 30)
        patch.setattr(_rows, "CHUNK_BYTES", 30)
        check_plan(
            make_parts(
                key=CheckpointKey(ids[0], ids[1], ids[2]),
                parent_checkpoint_id=ids[3],
                run_id=ids[4],
                epoch=ids[5],
                values=values,
                reused=reused,
                checkpoint=raw(sizes[0], 1),
                metadata=raw(sizes[1], 2),
                versions={channel: str(number) for number, channel in enumerate(values)},
                columns=kql_columns({"step": 1, "source": "loop"}, {}),
            )
        )


@given(values_strategy)
def test_inline_round_trip(values: dict[str, Encoded]) -> None:
    assert inline_from_json(inline_to_json(values), "x") == values
    assert inline_from_json(inline_to_json(values).decode(), "x") == values


@given(values_strategy)
def test_the_size_of_json_inside_json(values: dict[str, Encoded]) -> None:
    text = inline_to_json(values)

    assert _rows._nested_chars(text) == len(orjson.dumps(text.decode())) - len('""')


@given(refs_strategy)
def test_refs_round_trip(refs: dict[str, BlobRef]) -> None:
    assert refs_from_json(refs_to_json(refs), "x") == refs


# -------------------------------------------------------------------------------------- blob rows


def copy_of(payload: bytes, blob_id: str) -> BlobCopy:
    value = encode_value("msgpack", payload)
    ref = BlobRef(blob_id, max(1, -(-len(value.payload) // CHUNK_BYTES)), len(value.payload), NOW)
    return BlobCopy(KEY, "e1", "run", "c", "1", value, ref)


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


# ------------------------------------------------------------------------- what cannot be read


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


def test_parts_that_spilled_are_not_looked_for_in_the_row() -> None:
    refs = f'{{"checkpoint":{REF},"metadata":{REF},"inline":{REF},"refs":{REF}}}'
    emptied = dict.fromkeys(("checkpoint_data", "metadata_data", "inline_data"), "")
    row = checkpoint_from_row({**small_row(), **emptied, "blob_refs": refs})

    assert [ref.blob_id for ref in row.direct_refs()] == ["b1"] * 4


def test_a_cell_cut_by_kusto_is_noticed() -> None:
    row = small_row()
    for column in ("checkpoint_data", "inline_data", "blob_refs"):
        with pytest.raises(CorruptValueError):
            checkpoint_from_row({**row, column: row[column][:-1]})
