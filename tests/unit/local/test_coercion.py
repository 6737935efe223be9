"""Coercion: what an ingested value becomes in a column of each type; silent truncation."""

from __future__ import annotations

from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.coercion import (
    MEBIBYTE,
    ValueTooLargeError,
    from_json,
    from_text,
)
from langgraph.checkpoint.kusto.local.schema import ColumnSchema


def column(type_: str, profile: str | None = None) -> ColumnSchema:
    policies = {"encoding": {"Profile": profile}} if profile else {}
    return ColumnSchema(1, "c", type_, policies=policies)


@pytest.mark.parametrize(
    ("type_", "value", "cell"),
    [
        ("string", "x", "x"),
        ("string", None, ""),
        ("string", 5, "5"),
        ("string", True, "true"),
        ("string", {"b": 1, "a": 2}, '{"a":2,"b":1}'),
        ("string", "lone \ud800 surrogate", "lone \ufffd surrogate"),
        ("bool", True, 1),
        ("bool", "false", 0),
        ("bool", "maybe", None),
        ("int", 7, 7),
        ("int", 2**31, None),
        ("int", 1.5, None),
        ("int", "12", 12),
        ("int", True, None),
        ("long", 2**63 - 1, 2**63 - 1),
        ("long", 2**63, None),
        ("long", "x", None),
        ("long", [1], None),
        ("real", 1, 1.0),
        ("real", "0.5", 0.5),
        ("real", {}, None),
        ("decimal", 3, "3"),
        ("decimal", "1.10", "1.10"),
        ("decimal", "x", None),
        ("datetime", "2026-01-02T03:04:05.1234567Z", 639_029_198_451_234_567),
        ("datetime", "soon", None),
        ("datetime", 5, None),
        ("timespan", "1.02:03:04.5", 937_845_000_000),
        ("timespan", "long", None),
        ("guid", "11111111-2222-3333-4444-55555555AAAA", "11111111-2222-3333-4444-55555555aaaa"),
        ("guid", "no", None),
        ("dynamic", {"z": 118.0, "a": None}, '{"a":null,"z":118}'),
        ("dynamic", "text", '"text"'),
        ("dynamic", None, None),
    ],
)
def test_json_values(type_: str, value: Any, cell: Any) -> None:
    found = from_json(column(type_))(value)
    assert found == cell
    assert type(found) is type(cell)


@pytest.mark.parametrize(
    ("type_", "text", "cell"),
    [
        ("string", "x", "x"),
        ("string", "", ""),
        ("long", "5", 5),
        ("long", "", None),
        ("long", "5.5", None),
        ("bool", "true", 1),
        ("dynamic", '{"b":1,"a":2}', '{"a":2,"b":1}'),
        ("dynamic", "plain", '"plain"'),
        ("dynamic", "", None),
        ("real", "nan", "NaN"),
    ],
)
def test_text_values(type_: str, text: str, cell: Any) -> None:
    assert from_text(column(type_))(text) == cell


@pytest.mark.parametrize(
    ("profile", "limit"),
    [
        (None, MEBIBYTE),
        ("Identifier", MEBIBYTE),
        ("BigObject", 2 * MEBIBYTE),
        ("BigObject32", 32 * MEBIBYTE),
    ],
)
def test_a_long_string_is_cut_silently_at_the_limit_of_its_encoding(
    profile: str | None, limit: int
) -> None:
    convert = from_json(column("string", profile))
    assert convert("x" * limit) == "x" * limit
    assert convert("x" * (limit + 5)) == "x" * limit


def test_the_limit_counts_bytes_of_utf8_and_cuts_at_a_character() -> None:
    convert = from_json(column("string"))
    assert convert("\u20ac" * 349_525) == "\u20ac" * 349_525  # 1,048,575 bytes
    cut = convert("\u20ac" * 349_526)
    assert cut == "\u20ac" * 349_525


def test_a_large_dynamic_is_null_silently() -> None:
    fits = "x" * (MEBIBYTE - 2)  # with its quotes exactly 2**20 bytes
    assert from_json(column("dynamic"))(fits) == f'"{fits}"'
    assert from_json(column("dynamic"))(fits + "x") is None
    assert from_json(column("dynamic", "BigObject"))(fits + "x") == f'"{fits}x"'


def test_a_value_over_64_megabytes_fails() -> None:
    with pytest.raises(ValueTooLargeError):
        from_json(column("string"))("x" * (64 * MEBIBYTE + 1))
