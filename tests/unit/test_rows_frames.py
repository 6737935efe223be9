"""Checkpoint rows and blob rows of values that were stored against earlier ones."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from shared.planned_rows import KEY, NOW, check_plan, from_kusto, make_parts, raw

from langgraph.checkpoint.kusto._row_cells import ref_to_list
from langgraph.checkpoint.kusto._rows import StoredCheckpoint, all_of_chains
from langgraph.checkpoint.kusto._values import (
    INLINE_FRAME_CHARS,
    INLINE_VALUE_CHARS,
    BlobRef,
    base64_chars,
    encode_frame,
)

K = BlobRef("k", 3, 2_000_000, NOW - 9)
M = BlobRef("m", 1, 900, NOW - 5, K, 900)
OTHER = BlobRef("other", 2, 800_000, NOW - 7)
FRAME = replace(encode_frame("msgpack", b"the next value", b"the value before", M), spent=77)


def test_a_frame_that_rides_names_its_base_beside_the_references() -> None:
    plan = check_plan(make_parts(values={"f": FRAME, "small": raw(5)}, reused={"c": OTHER}))
    body = orjson.loads(plan.row_json)

    assert plan.copies == ()
    assert orjson.loads(body["blob_refs"]) == {
        "values": {"c": ref_to_list(OTHER)},
        "bases": {"f": ref_to_list(M)},
    }
    assert body["blob_ids"] == "other,m,k", "one query fetches all that is needed to read it"
    assert body["blob_rows"] == 2 + 1 + 3
    assert plan.bases == [M]
    assert plan.riding == {"f": FRAME, "small": raw(5)}


def test_a_row_without_frames_says_nothing_of_bases() -> None:
    plan = check_plan(make_parts(values={"small": raw(5)}))
    assert orjson.loads(plan.row_json)["blob_refs"] == '{"values":{}}'
    assert plan.bases == []
    row = StoredCheckpoint(KEY, "", "e1", "", "s1", NOW, raw(1), raw(1), {}, {})
    assert row.bases == {}


def test_a_frame_that_goes_to_a_blob_tells_what_it_was_stored_against() -> None:
    plan = check_plan(make_parts(values={"f": FRAME, "g": FRAME}, apart=frozenset("f")))
    (copy,) = plan.copies
    (line,) = copy.to_rows()
    row = from_kusto("CheckpointBlobs", line)

    assert (copy.channel, copy.ref.base, copy.ref.spent) == ("f", M, 77)
    assert (row["encoding"], row["base_blob_id"], row["frame_depth"]) == ("zstd-prefix", "m", 2)
    assert plan.row.blobs == {"f": copy.ref}
    assert plan.row.inline == plan.riding == {"g": FRAME}
    assert [ref.blob_id for ref in plan.row.direct_refs()] == [copy.ref.blob_id, "m", "k"]


@pytest.mark.parametrize(
    ("chars", "base", "rides"),
    [
        (INLINE_VALUE_CHARS + 4, M, True),
        (INLINE_VALUE_CHARS + 4, None, False),
        (INLINE_FRAME_CHARS, M, True),
        (INLINE_FRAME_CHARS + 4, M, False),
    ],
)
def test_a_frame_may_be_larger_than_a_value_in_the_row(
    chars: int, base: BlobRef | None, rides: bool
) -> None:
    value = replace(raw(chars // 4 * 3), base=base)
    assert value.chars == chars
    plan = check_plan(make_parts(values={"c": value}))
    assert (plan.riding == {"c": value}) is rides
    assert [copy.channel for copy in plan.copies] == ([] if rides else ["c"])


def test_values_apart_take_no_room_in_the_row() -> None:
    values = {f"v{number:02}": raw(20_000, number) for number in range(30)}
    apart = frozenset(sorted(values)[:12])
    plan = check_plan(make_parts(values=values, apart=apart))
    assert {copy.channel for copy in plan.copies} == apart


def test_bases_of_a_list_that_spilled_stand_in_it_and_are_counted() -> None:
    reused = {f"c{number}": BlobRef(f"x{number:032x}", 1, 5, NOW) for number in range(4_000)}
    plan = check_plan(make_parts(values={"f": FRAME}, reused=reused))
    body = orjson.loads(plan.row_json)
    refs = plan.row.blobs

    assert isinstance(refs, BlobRef)
    assert plan.row.bases == {}
    assert body["blob_ids"] == refs.blob_id
    assert body["blob_rows"] == refs.chunks + 4_000 + 1 + 3
    assert body["total_bytes"] > body["row_bytes"] + base64_chars(refs.stored_bytes + 2_000_900)
    assert plan.bases == [M]


def test_what_a_chain_needs_is_named_once() -> None:
    assert all_of_chains([M, K, OTHER, replace(M)]) == [M, K, OTHER]
    assert all_of_chains([]) == []
