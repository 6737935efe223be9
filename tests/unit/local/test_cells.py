"""Cells: what a value of each type becomes in SQLite, and that it comes back."""

from __future__ import annotations

import math
import sqlite3
from decimal import Decimal
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.cells import decoder, dynamic_text, encode


def through_sqlite(type_: str, value: Any) -> Any:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t (x)")
    db.execute("INSERT INTO t VALUES (?)", (encode(type_, value),))
    cell = db.execute("SELECT x FROM t").fetchone()[0]
    db.close()
    decode = decoder(type_)
    return cell if decode is None else decode(cell)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("bool", True),
        ("bool", False),
        ("int", -(2**31)),
        ("long", 2**63 - 1),
        ("long", -(2**63)),
        ("real", 0.1),
        ("real", math.inf),
        ("real", -0.0),
        ("decimal", Decimal("12345678901234567890.000000001")),
        ("string", "a\x00b \U0001f600 'quoted'"),
        ("string", "12"),
        ("datetime", 3_155_378_975_999_999_999),
        ("timespan", -1),
        ("guid", "11111111-2222-3333-4444-555555555555"),
        ("dynamic", {"b": [1, 2.5, None, "x"], "a": {"c": True}}),
        ("dynamic", "text"),
    ],
)
def test_a_value_comes_back_equal_and_of_its_type(type_: str, value: Any) -> None:
    back = through_sqlite(type_, value)
    assert back == value
    assert type(back) is type(value)


def test_nan_comes_back() -> None:
    assert math.isnan(through_sqlite("real", math.nan))


@pytest.mark.parametrize("type_", ["bool", "long", "real", "decimal", "datetime", "dynamic"])
def test_null_comes_back(type_: str) -> None:
    assert through_sqlite(type_, None) is None


def test_a_string_has_no_null() -> None:
    assert through_sqlite("string", None) == ""


def test_dynamic_text_is_canonical() -> None:
    assert dynamic_text({"b": 1, "a": [1, {"d": 2, "c": 3}]}) == '{"a":[1,{"c":3,"d":2}],"b":1}'
