"""Checkpoint rows whatever the state: exact round trips, and bounds that hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared.planned_rows import NOW, check_plan, counter, from_kusto, make_parts, raw

from langgraph.checkpoint.kusto import _rows, _values
from langgraph.checkpoint.kusto._batch import MAX_BATCH_BYTES
from langgraph.checkpoint.kusto._columns import kql_columns
from langgraph.checkpoint.kusto._row_cells import (
    inline_from_json,
    inline_to_json,
    refs_from_json,
    refs_to_json,
)
from langgraph.checkpoint.kusto._rows import (
    CheckpointKey,
    CheckpointPlan,
    checkpoint_from_row,
    plan_checkpoint,
)
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


def references(count: int, name: str = "") -> dict[str, BlobRef]:
    return {f"{name}{number}": BlobRef(f"b9{number:031x}", 1, 5, NOW) for number in range(count)}


def most(fits: Callable[[int], bool], step: int) -> int:
    """The greatest multiple of a step that fits."""
    count = step
    while fits(count + step):
        count += step
    return count


@cache
def most_references() -> int:
    """How many references stay in a row."""
    return most(
        lambda count: isinstance(
            plan_checkpoint(make_parts(reused=references(count)), counter()).row.blobs, Mapping
        ),
        100,
    )


@cache
def copies(text: str) -> dict[str, Any]:
    """The copies for people who write KQL, filled up to the last byte, with all left-out names."""
    large = {text[:90] + str(number): text[:4_096] for number in range(300)}
    small = {f"{number:03}": text[:100] for number in range(300)}
    return kql_columns({"source": text[:5_000], **large, **small}, {**large, **small})


@pytest.mark.parametrize("character", NASTY)
def test_everything_at_its_bound_at_once(character: str) -> None:
    """The worst row there is: the longest ids, each part just small enough to stay inside."""
    text = character * (LONGEST_ID // len(character.encode()))

    def values(count: int) -> dict[str, Encoded]:
        return many(names(count, 4_000, character), 10)

    inline = most(
        lambda count: isinstance(
            plan_checkpoint(make_parts(values=values(count)), counter()).row.inline, Mapping
        ),
        1,
    )
    listed = most_references()
    plan = check_plan(
        make_parts(
            key=CheckpointKey(text, text, text),
            parent_checkpoint_id=text,
            run_id=text,
            values=values(inline),
            reused=references(listed),
            checkpoint=raw(359_990),
            metadata=raw(360_000),
            columns=copies(text),
        )
    )

    assert isinstance(plan.row.inline, Mapping)
    assert isinstance(plan.row.blobs, Mapping)
    assert listed >= 2_500
    # Only ids in characters that JSON escapes sixfold leave too little room for all of it.
    assert isinstance(plan.row.checkpoint, Encoded)
    assert isinstance(plan.row.metadata, BlobRef) == (character == "\x01")
    assert 2_300_000 < len(plan.row_json) <= 4_000_000


@pytest.mark.parametrize("character", NASTY)
def test_what_never_leaves_the_row_fits(character: str) -> None:
    """Ids, values, references and copies at their bounds, with a body that is in a blob anyway."""
    text = character * (LONGEST_ID // len(character.encode()))
    plan = check_plan(
        make_parts(
            key=CheckpointKey(text, text, text),
            parent_checkpoint_id=text,
            run_id=text,
            values=many(names(16, 1_700, character), 23_750),
            reused=references(2_500),
            checkpoint=raw(400_000),
            metadata=raw(400_000),
            columns=copies(text),
        )
    )

    assert isinstance(plan.row.inline, Mapping)
    assert len(plan.row_json) < 3_500_000


def filled(size: int, checkpoint: int = 10, metadata: int = 10) -> CheckpointPlan:
    """A row with a column of some size."""
    return plan_checkpoint(
        make_parts(
            checkpoint=raw(checkpoint), metadata=raw(metadata), columns={"source": "x" * size}
        ),
        counter(),
    )


def test_a_row_has_up_to_four_million_bytes() -> None:
    rest = 4_000_000 - (len(filled(3_900_000, 1_000).row_json) - 3_900_000)
    exact, over = filled(rest, 1_000), filled(rest + 1, 1_000)

    assert _rows._ROW_BYTES == 4_000_000 < MAX_BATCH_BYTES
    assert (len(exact.row_json), exact.copies) == (4_000_000, ())
    assert len(over.copies) == 1
    assert over.row.direct_refs() == [over.copies[0].ref]


@pytest.mark.parametrize(
    ("size", "checkpoint", "metadata", "apart"),
    [
        (3_400_000, 200_000, 100_000, []),
        (3_800_000, 200_000, 100_000, ["checkpoint"]),
        (3_800_000, 100_000, 200_000, ["metadata"]),
        (3_900_000, 100_000, 200_000, ["checkpoint", "metadata"]),
        (5_000_000, 100, 200, ["checkpoint", "metadata"]),
    ],
)
def test_the_longer_of_body_and_metadata_leaves_a_long_row_first(
    size: int, checkpoint: int, metadata: int, apart: list[str]
) -> None:
    plan = filled(size, checkpoint, metadata)
    stored = {copy.ref: copy.value for copy in plan.copies}
    parts = {"checkpoint": raw(checkpoint), "metadata": raw(metadata)}

    assert [name for name in parts if isinstance(getattr(plan.row, name), BlobRef)] == apart
    assert [stored[getattr(plan.row, name)] for name in apart] == [parts[name] for name in apart]
    assert plan.row.direct_refs() == [getattr(plan.row, name) for name in apart]
    assert orjson.loads(plan.row_json)["blob_rows"] == len(apart)


ids_strategy = st.builds(
    lambda character, share: character * (LONGEST_ID // len(character.encode()) // share),
    st.sampled_from(NASTY),
    st.sampled_from([1, 1, 2, 1_000]),
)
sizes_strategy = st.sampled_from([0, 100, 200_000, 359_990, 360_000, 360_010, 800_000])


@settings(max_examples=25)
@given(
    ids=st.tuples(*[ids_strategy] * 5),
    inline=st.tuples(st.integers(0, 40), st.sampled_from([10, 1_700, 4_000, LONGEST_ID // 6])),
    size=st.sampled_from([0, 100, 23_750, 23_999, 24_100]),
    listed=st.tuples(st.sampled_from([0, 100, 2_500, 2_700]), ANY_TEXT),
    sizes=st.tuples(sizes_strategy, sizes_strategy),
    character=st.sampled_from(NASTY),
)
def test_any_row_fits_a_request(
    ids: tuple[str, ...],
    inline: tuple[int, int],
    size: int,
    listed: tuple[int, str],
    sizes: tuple[int, int],
    character: str,
) -> None:
    """States within the documented limits, most of them at some bound; `check_plan` measures."""
    count, length = inline
    check_plan(
        make_parts(
            key=CheckpointKey(ids[0], ids[1], ids[2]),
            parent_checkpoint_id=ids[3],
            run_id=ids[4],
            values=many(names(count, max(2, length // len(character.encode())), character), size),
            reused=references(listed[0], "reused " + listed[1]),
            checkpoint=raw(sizes[0], 1),
            metadata=raw(sizes[1], 2),
            versions=dict.fromkeys(names(count, 3, character), ids[0]),
            columns=copies(ids[0]),
        )
    )


@pytest.mark.parametrize("character", NASTY)
def test_the_longest_blob_row(character: str) -> None:
    text = character * (LONGEST_ID // len(character.encode()))
    plan = check_plan(
        make_parts(
            key=CheckpointKey(text, text, text),
            run_id=text,
            values={text: replace(raw(CHUNK_BYTES), value_type=character * 1_024)},
            versions={text: text},
        )
    )

    assert [copy.version for copy in plan.copies if copy.channel == text] == [text[:4_096]]


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
    bounds=st.tuples(*[st.integers(0, 400)] * 4, st.integers(0, 2_000)),
    ids=st.tuples(*[ANY_TEXT] * 6),
)
def test_any_state_with_bounds_anywhere(
    values: dict[str, Encoded],
    reused: dict[str, BlobRef],
    sizes: tuple[int, int],
    bounds: tuple[int, int, int, int, int],
    ids: tuple[str, ...],
) -> None:
    """With tiny bounds every mix of inline and spilled parts is small enough to try."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_rows, "_CELL_CHARS", bounds[0])
        patch.setattr(_rows, "_INLINE_CELL_CHARS", bounds[1])
        patch.setattr(_rows, "_REFS_CHARS", bounds[2])
        patch.setattr(_rows, "_ROW_BYTES", bounds[4])
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
    assert _rows._is_over(text, 2 * len(text)) is False


@given(refs_strategy)
def test_refs_round_trip(refs: dict[str, BlobRef]) -> None:
    assert refs_from_json(refs_to_json(refs, {}), "x") == (refs, {})
    assert refs_from_json(refs_to_json({}, refs), "x") == ({}, refs)
