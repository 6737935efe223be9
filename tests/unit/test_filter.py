"""Filters mean what Postgres' `@>` means, on exact values."""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph.checkpoint.kusto._filter import check_filter, contains
from langgraph.checkpoint.kusto.errors import UnsupportedFilterError

# What Postgres answers to `select '<left>'::jsonb @> '<right>'::jsonb`, with a dict on the right as
# in `list`: from the documentation (8.14.3 jsonb containment and existence) and the source
# (JsonbDeepContains).
POSTGRES = [
    ("{}", "{}", True),
    ('{"a": 1}', "{}", True),
    ('{"a": 1}', '{"a": 1}', True),
    ('{"a": 1, "b": 2}', '{"b": 2}', True),
    ('{"a": 1}', '{"a": 1, "b": 2}', False),
    ('{"a": 1}', '{"a": 2}', False),
    ("{}", '{"a": null}', False),
    ('{"a": null}', '{"a": null}', True),
    ('{"a": false}', '{"a": null}', False),
    ('{"a": 0}', '{"a": null}', False),
    # Scalars are equal and of the same kind.
    ('{"a": 1}', '{"a": 1.0}', True),
    ('{"a": 1.0}', '{"a": 1}', True),
    ('{"a": 1}', '{"a": true}', False),
    ('{"a": true}', '{"a": 1}', False),
    ('{"a": 0}', '{"a": false}', False),
    ('{"a": true}', '{"a": true}', True),
    ('{"a": "1"}', '{"a": 1}', False),
    ('{"a": 1}', '{"a": "1"}', False),
    ('{"a": "b"}', '{"a": "B"}', False),
    ('{"a": "bc"}', '{"a": "b"}', False),
    ('{"a": ""}', '{"a": ""}', True),
    ('{"a": 9007199254740993}', '{"a": 9007199254740992}', False),
    ('{"a": 0.1}', '{"a": 0.1}', True),
    ('{"a": 100000000000000000000000}', '{"a": 1e23}', True),
    ('{"a": 1e23}', '{"a": 99999999999999991611392}', False),
    # Objects contain by key, at every depth, but not across depths.
    ('{"foo": {"bar": "baz"}}', '{"bar": "baz"}', False),
    ('{"foo": {"bar": "baz"}}', '{"foo": {}}', True),
    ('{"foo": {"bar": "baz", "x": 1}}', '{"foo": {"bar": "baz"}}', True),
    ('{"foo": {"bar": {"q": [1, 2]}}}', '{"foo": {"bar": {"q": [2]}}}', True),
    ('{"foo": "bar"}', '{"foo": {}}', False),
    ('{"foo": {}}', '{"foo": "bar"}', False),
    ('{"foo": {}}', '{"foo": []}', False),
    ('{"foo": []}', '{"foo": {}}', False),
    ('{"foo": null}', '{"foo": {}}', False),
    # Arrays contain as sets, each item in some item.
    ('{"a": [1, 2, 3]}', '{"a": [1, 3]}', True),
    ('{"a": [1, 2, 3]}', '{"a": [3, 1]}', True),
    ('{"a": [1, 2, 3]}', '{"a": [1, 2, 2]}', True),
    ('{"a": [1, 2, 3]}', '{"a": [4]}', False),
    ('{"a": [1]}', '{"a": []}', True),
    ('{"a": []}', '{"a": []}', True),
    ('{"a": []}', '{"a": [1]}', False),
    ('{"a": [1, 2, [1, 3]]}', '{"a": [1, 3]}', False),
    ('{"a": [1, 2, [1, 3]]}', '{"a": [[1, 3]]}', True),
    ('{"a": [[1, 2, 3]]}', '{"a": [[1]]}', True),
    ('{"a": [{"b": 1, "c": 2}]}', '{"a": [{"c": 2}]}', True),
    ('{"a": [{"b": 1}, {"c": 2}]}', '{"a": [{"b": 1, "c": 2}]}', False),
    ('{"a": [null]}', '{"a": [null]}', True),
    ('{"a": [1]}', '{"a": [true]}', False),
    ('{"a": [1.0]}', '{"a": [1]}', True),
    # An array contains a primitive at the top of a document only, which a dict never is.
    ('{"a": ["x", "y"]}', '{"a": "x"}', False),
    ('{"a": "x"}', '{"a": ["x"]}', False),
]


@pytest.mark.parametrize(("left", "right", "expected"), POSTGRES)
def test_the_meaning_of_postgres(left: str, right: str, expected: bool) -> None:
    assert contains(json.loads(left), json.loads(right)) is expected


@pytest.mark.parametrize(
    ("value", "wanted", "expected"),
    [(True, 1, False), (1, True, False), (1.0, 1, True), (None, 0, False), ("1", 1, False)],
)
def test_scalars_alone(value: object, wanted: object, expected: bool) -> None:
    assert contains(value, wanted) is expected


def test_tuples_are_arrays() -> None:
    assert contains({"a": (1, 2)}, {"a": [2]})
    assert contains({"a": [1, 2]}, {"a": (2,)})
    assert not contains({"a": "ab"}, {"a": ("a",)})


def test_values_that_are_not_json_contain_nothing() -> None:
    """The serializer gives metadata back with its types: a set, a date, bytes."""
    metadata = {"a": {1, 2}, "b": datetime(2026, 1, 1), "c": b"x", "d": float("nan")}
    for wanted in ({"a": [1]}, {"b": "2026-01-01"}, {"c": "x"}, {"d": 0}, {"b": None}, {"b": {}}):
        assert not contains(metadata, wanted)


class Color(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


def test_enums_are_their_values() -> None:
    assert contains({"a": "red", "b": 1}, {"a": Color.RED, "b": Level.LOW})
    assert contains({"a": Color.RED, "b": Level.LOW}, {"a": "red", "b": 1})


# ------------------------------------------------------------------------- against a reference

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([0.0, 1.0, -1.0, 0.5]),
    st.sampled_from(["", "a", "1"]),
)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from("abc"), documents, max_size=3)


def reference(left: Any, right: Any) -> bool:
    """JsonbDeepContains, on documents normalised to (kind, value)."""
    (kind, value), (wanted_kind, wanted) = normal(left), normal(right)
    if kind != wanted_kind:
        return False
    if kind == "object":
        return all(key in value and reference(value[key], wanted[key]) for key in wanted)
    if kind == "array":
        return all(any(reference(item, want) for item in value) for want in wanted)
    return bool(value == wanted)


def normal(document: Any) -> tuple[str, Any]:
    if document is None:
        return "null", None
    for kind, types in (
        ("boolean", bool),
        ("number", (int, float)),
        ("string", str),
        ("object", dict),
        ("array", list),
    ):
        if isinstance(document, types):
            return kind, document
    raise AssertionError(document)


@given(objects, objects)
def test_against_the_reference(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert contains(left, right) is reference(left, right)


@given(objects, st.data())
def test_a_document_contains_its_parts(document: dict[str, Any], data: st.DataObject) -> None:
    def part_of(value: Any) -> Any:
        if isinstance(value, dict):
            keys = data.draw(st.lists(st.sampled_from(sorted(value)), unique=True)) if value else []
            return {key: part_of(value[key]) for key in keys}
        if isinstance(value, list):
            chosen = data.draw(st.lists(st.sampled_from(range(len(value))))) if value else []
            return [part_of(value[index]) for index in chosen]
        return value

    part = part_of(document)
    assert contains(document, part)
    assert contains(document, document)
    assert contains(part, {})


# ---------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize("nothing", [None, {}])
def test_no_filter(nothing: dict[str, Any] | None) -> None:
    assert check_filter(nothing) is None


@given(objects)
def test_json_is_taken_as_it_is(wanted: dict[str, Any]) -> None:
    assert check_filter(wanted) == (wanted or None)


def test_any_mapping_will_do() -> None:
    wanted = MappingProxyType({"a": MappingProxyType({"b": (1, Color.RED)})})

    assert check_filter(wanted) == {"a": {"b": (1, "red")}}


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        ({"a": {1, 2}}, "filter['a'] is {1, 2} (set)"),
        ({"a": b"x"}, "filter['a'] is b'x' (bytes)"),
        ({"a": math.nan}, "filter['a'] is nan (float)"),
        ({"a": -math.inf}, "filter['a'] is -inf (float)"),
        ({"a": [1, {"b": 1j}]}, "filter['a'][1]['b'] is 1j (complex)"),
        ({"a": {"b": datetime(2026, 1, 1)}}, "filter['a']['b'] is datetime"),
        ({"a": (object,)}, "filter['a'][0] is <class 'object'> (type)"),
        ({1: "a"}, "filter has the key 1; keys must be text"),
        ({"a": {None: 1}}, "filter['a'] has the key None; keys must be text"),
    ],
)
def test_what_cannot_be_compared_exactly(wanted: Mapping[Any, Any], place: str) -> None:
    with pytest.raises(UnsupportedFilterError) as caught:
        check_filter(wanted)
    assert str(caught.value).startswith(place)


@pytest.mark.parametrize("wanted", [["a"], "a", 1, {"a"}, [], (), "", 0, False])
def test_a_filter_is_a_dict(wanted: Any) -> None:
    kind = type(wanted).__name__
    message = rf"^filter must be a dict, not {kind}; pass the metadata to look for$"
    with pytest.raises(UnsupportedFilterError, match=message):
        check_filter(wanted)


def test_a_filter_that_is_nested_too_deeply_says_so() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(UnsupportedFilterError, match=r"nested too deeply; use a flatter one$"):
        check_filter(deep)


def test_what_only_claims_to_be_equal_is_not_contained() -> None:
    class Anything:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = object.__hash__

    assert not contains(Anything(), "text")
    assert not contains(Anything(), 1)
