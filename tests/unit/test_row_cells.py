"""The JSON texts in the cells of a checkpoint row: written to the letter, and read back."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from langgraph.checkpoint.kusto._clock import parse_ticks
from langgraph.checkpoint.kusto._row_cells import (
    encoded_from_list,
    encoded_to_list,
    inline_from_json,
    inline_to_json,
    json_object,
    reading,
    ref_from_list,
    ref_of_channel,
    ref_to_list,
    refs_from_dict,
    refs_from_json,
    refs_to_dict,
    refs_to_json,
    spilled_refs,
    value_mark,
    with_bases,
)
from langgraph.checkpoint.kusto._values import BlobRef, Encoded
from langgraph.checkpoint.kusto.errors import CorruptValueError

AT = "2026-01-02T03:04:05.0000000Z"
K = BlobRef("k", 2, 900, parse_ticks(AT))
M = BlobRef("m", 1, 30, parse_ticks(AT), K, 30)
D = BlobRef("d", 1, 40, parse_ticks(AT), M, 70)
K_ITEM = ["k", 2, 900, AT]
M_ITEM = ["m", 1, 30, AT, K_ITEM, 30]
D_ITEM = ["d", 1, 40, AT, M_ITEM, 70]
VALUE = Encoded("msgpack", "raw", 3, "hash", b"abc")
VALUE_ITEM = ["msgpack", "raw", 3, "hash", "YWJj"]


@pytest.mark.parametrize(("ref", "item"), [(K, K_ITEM), (M, M_ITEM), (D, D_ITEM)])
def test_a_reference_holds_its_whole_chain(ref: BlobRef, item: list[object]) -> None:
    assert ref_to_list(ref) == item
    assert ref_from_list(item) == ref


def test_references_by_channel() -> None:
    assert refs_to_dict({"a": K, "": M}) == {"a": K_ITEM, "": M_ITEM}
    assert refs_from_dict({"a": K_ITEM, "": M_ITEM}) == {"a": K, "": M}
    assert refs_to_dict({}) == refs_from_dict({}) == {}


def test_a_list_of_references_that_spilled() -> None:
    text = refs_to_json({"a": K}, {"f": M})

    assert orjson.loads(text) == {"values": {"a": K_ITEM}, "bases": {"f": M_ITEM}}
    assert refs_from_json(text, "x") == ({"a": K}, {"f": M})
    assert refs_from_json(refs_to_json({}, {}), "x") == ({}, {})


@pytest.mark.parametrize("missing", ["values", "bases"])
def test_a_list_of_references_without_a_part(missing: str) -> None:
    body = {"values": {}, "bases": {}}
    del body[missing]
    with pytest.raises(CorruptValueError, match=f"a cell of row 7 has another shape.*{missing}"):
        refs_from_json(orjson.dumps(body), "row 7")


@pytest.mark.parametrize(("spent", "more"), [(0, []), (77, [77])])
def test_a_value_that_rides(spent: int, more: list[int]) -> None:
    """What frames have cost stands there for frames only: older rows have five items."""
    value = replace(VALUE, spent=spent)

    assert encoded_to_list(value) == [*VALUE_ITEM, *more]
    assert encoded_from_list([*VALUE_ITEM, *more], "x") == value
    assert inline_to_json({"c": value}) == orjson.dumps({"c": [*VALUE_ITEM, *more]})
    assert inline_from_json(orjson.dumps({"c": [*VALUE_ITEM, *more]}), "x") == {"c": value}


def test_what_a_frame_was_stored_against_stands_elsewhere() -> None:
    assert encoded_to_list(replace(VALUE, base=K)) == VALUE_ITEM


def test_a_value_that_is_no_base64_names_its_channel() -> None:
    item = [*VALUE_ITEM[:4], "no base64"]
    with pytest.raises(CorruptValueError, match="channel 'c' of row 7 is not base64"):
        inline_from_json(orjson.dumps({"c": item}), "row 7")
    with pytest.raises(CorruptValueError, match="row 7 is not base64"):
        encoded_from_list(item, "row 7")


def test_frames_are_told_their_bases() -> None:
    inline = {"c": VALUE, "f": replace(VALUE, spent=5)}

    assert with_bases(inline, {"f": M}, "x") == {"c": VALUE, "f": replace(VALUE, spent=5, base=M)}
    assert with_bases(inline, {}, "x") == inline
    with pytest.raises(CorruptValueError, match=r"a cell of row 7 names bases of \['a', 'b'\], wh"):
        with_bases(inline, {"b": M, "f": M, "a": K}, "row 7")


def test_where_one_channel_stands() -> None:
    cell = orjson.dumps({"values": {"a": K_ITEM}, "bases": {"f": M_ITEM}}).decode()

    assert ref_of_channel(cell, "a", "x") == K
    assert ref_of_channel(cell, "f", "x") == M
    assert ref_of_channel(cell, "other", "x") is None
    for part in ('{"values":{}}', '{"bases":null}', "{}"):
        assert ref_of_channel(part, "a", "x") is None
    with pytest.raises(CorruptValueError, match="a cell of row 7 has another shape"):
        ref_of_channel('{"values":{"a":["k"]}}', "a", "row 7")


def test_where_the_references_are_when_they_spilled() -> None:
    assert spilled_refs(orjson.dumps({"refs": K_ITEM}).decode(), "x") == K
    assert spilled_refs('{"values":{"refs":1}}', "x") is None
    with pytest.raises(CorruptValueError, match="a cell of row 7 has another shape"):
        spilled_refs('{"refs":["k"]}', "row 7")


def test_the_mark_of_a_value_is_how_its_key_begins() -> None:
    name = 'a"\\\n\u00e9'
    assert value_mark("messages") == '"messages":['
    assert value_mark(name).encode() in inline_to_json({name: VALUE})
    assert value_mark(name).encode() in refs_to_json({name: K}, {})


@pytest.mark.parametrize("text", ["", "{", '{"a":1', b"\xff"])
def test_a_cell_that_is_no_json(text: str | bytes) -> None:
    with pytest.raises(CorruptValueError, match=r"^a cell of row 7 is not JSON: "):
        json_object(text, "row 7")


@pytest.mark.parametrize("text", ["null", "[]", '"text"', "5"])
def test_a_cell_that_is_no_object(text: str) -> None:
    with pytest.raises(CorruptValueError, match=r"^a cell of row 7 is not a JSON object"):
        json_object(text, "row 7")


def test_a_cell_that_is_an_object() -> None:
    assert json_object('{"a":[1]}', "x") == json_object(b'{"a":[1]}', "x") == {"a": [1]}


@pytest.mark.parametrize(
    "error", [KeyError("k"), TypeError("t"), ValueError("v"), RecursionError()]
)
def test_another_shape_is_told_with_its_cause(error: Exception) -> None:
    with (
        pytest.raises(CorruptValueError, match="a cell of row 7 has another shape: ") as found,
        reading("row 7"),
    ):
        raise error
    assert found.value.__cause__ is error


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), reading("row 7"):
        raise ZeroDivisionError
