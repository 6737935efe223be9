"""Checkpoint rows whatever the state: exact round trips, and bounds that hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.planned_rows import NOW, check_plan, counter, from_kusto, make_parts, raw

from langgraph.checkpoint.kusto import _rows, _values
from langgraph.checkpoint.kusto._columns import kql_columns
from langgraph.checkpoint.kusto._row_cells import (
    inline_from_json,
    inline_to_json,
    refs_from_json,
    refs_to_json,
)
from langgraph.checkpoint.kusto._rows import CheckpointKey, checkpoint_from_row, plan_checkpoint
from langgraph.checkpoint.kusto._values import (
    CHUNK_BYTES,
    FRAME,
    BlobRef,
    Encoded,
    base64_chars,
    choose_inline,
    decode_value,
)

LONGEST_ID = 65_536
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NASTY = ('"', "\\", "\x01", "é", "漢", "🙂", "a")


def names(count: int, length: int, character: str) -> list[str]:
    return [f"{number}{character * (length - len(str(number)))}" for number in range(count)]


def many(channels: Iterable[str], size: int) -> dict[str, Encoded]:
    value = raw(size)
    return dict.fromkeys(channels, value)


def test_ten_thousand_channels() -> None:
    plan = check_plan(make_parts(values=many(names(10_000, 30, "x"), 20)))

    assert isinstance(plan.row.inline, BlobRef)
    assert orjson.loads(plan.row_json)["inline_data"] == ""
    [copy] = plan.copies
    assert (copy.channel, copy.value.value_type) == (None, "json"), "a part of the row, no channel"


def test_a_part_of_the_row_in_a_blob_is_of_no_channel_and_no_version() -> None:
    plan = plan_checkpoint(make_parts(checkpoint=raw(800_000), versions={"c": "1"}), counter())
    [copy] = plan.copies
    rows = [orjson.loads(bytes(line)) for line in copy.to_rows()]

    assert len(rows) == 2
    assert {(row["channel"], row["version"]) for row in rows} == {("", "")}


def test_ten_thousand_large_channels() -> None:
    values = many(names(10_000, 30, "x"), 40_000)
    plan = plan_checkpoint(make_parts(values=values), counter())
    row = checkpoint_from_row(from_kusto("Checkpoints", plan.row_json))

    assert isinstance(row.blobs, BlobRef)
    assert len(plan.copies) == 10_001
    # One copy of the list itself; all others are reachable through it.
    assert {copy.channel for copy in plan.copies} == {*values, None}
    from_list = {copy.ref.blob_id: copy.value for copy in plan.copies}
    refs, _ = refs_from_json(decode_value(from_list[row.blobs.blob_id], "refs"), "refs")
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

    assert plan.copies[0].version == character * 4_096


def test_a_large_state() -> None:
    plan = check_plan(make_parts(values={"c": raw(10 * CHUNK_BYTES), "d": raw(CHUNK_BYTES)}))

    assert [copy.ref.chunks for copy in plan.copies] == [1, 10] or [
        copy.ref.chunks for copy in plan.copies
    ] == [10, 1]


def _ref(bases: st.SearchStrategy[BlobRef | None]) -> st.SearchStrategy[BlobRef]:
    return st.builds(
        BlobRef,
        st.uuids().map(lambda item: "b" + item.hex),
        st.integers(1, 9),
        st.integers(0, 2**40),
        st.integers(0, 3_155_378_975_999_999_999),
    ).flatmap(
        lambda ref: bases.map(
            lambda base: ref if base is None else replace(ref, base=base, spent=ref.chunks)
        )
    )


keyframes = _ref(st.none())
chains = keyframes | _ref(keyframes) | _ref(_ref(keyframes))


def _frame(size: int, base: BlobRef) -> Encoded:
    return replace(raw(size, size), encoding=FRAME, base=base, spent=size + 1)


values_strategy = st.dictionaries(
    ANY_TEXT, st.integers(0, 120).map(lambda size: raw(size, size)), max_size=12
)
framed_strategy = st.dictionaries(
    ANY_TEXT,
    st.integers(0, 120).map(lambda size: raw(size, size))
    | st.builds(_frame, st.integers(0, 120), chains),
    max_size=12,
)
refs_strategy = st.dictionaries(ANY_TEXT.map(lambda name: "reused " + name), chains, max_size=6)


@given(
    values=framed_strategy,
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

    size = len(orjson.dumps(text.decode())) - len('""')

    assert _rows._is_over(text, size - 1)
    assert not _rows._is_over(text, size)
    assert not _rows._is_over(text, 2 * len(text))


@given(refs_strategy)
def test_refs_round_trip(refs: dict[str, BlobRef]) -> None:
    assert refs_from_json(refs_to_json(refs, {}), "x") == (refs, {})
    assert refs_from_json(refs_to_json({}, refs), "x") == ({}, refs)
