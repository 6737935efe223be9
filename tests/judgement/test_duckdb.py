"""The results computed by hand, against a second implementation: duckdb-kql, KQL upon DuckDB.

For development only: `make environment` installs it where Python is 3.11 or newer. Both versions
are pinned, for each changes where it differs.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from .database import EVENTS, OWNERS
from .right_queries import RIGHT
from .right_values import Right, Rows

duckdb_kql = pytest.importorskip("duckdb_kql", reason="duckdb-kql needs Python 3.11")

# Where it differs from Kusto's documentation, by which the results were computed.
DIFFERENT = {
    "all seven digits": "DuckDB keeps microseconds",
    "one tick later": "DuckDB keeps microseconds",
    "difference of one tick": "DuckDB keeps microseconds",
    "a whole real is a long": "118.0 stays 118.0; by the documentation of parse_json() it is 118",
    "types inside": "gettype(dynamic(1)) is int by the documentation of gettype()",
    "quotes and escapes": "h'...' is taken for text",
    "make_list passes null by": "the greatest size of make_list is ignored",
    "union of two types": "one column is made of both, where Kusto makes one for each type",
}
# Of those it can run.
LEAST_COMPARED = 95

TABLES = [
    'CREATE TABLE Events (id VARCHAR, family VARCHAR, n BIGINT, score DOUBLE, ok BOOLEAN, "at" '
    "TIMESTAMP_NS, data JSON, g UUID, i INTEGER, m DECIMAL(18, 2))",
    "CREATE TABLE Owners (id VARCHAR, owner VARCHAR, weight INTEGER)",
]


@pytest.fixture
def duckdb() -> Iterator[Any]:
    with duckdb_kql.connect() as connection:
        for text in TABLES:
            connection.sql(text)
        connection.executemany("INSERT INTO Events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", events())
        connection.executemany(
            "INSERT INTO Owners VALUES (?, ?, ?)", [list(owner.values()) for owner in OWNERS]
        )
        yield connection


def events() -> list[list[Any]]:
    return [
        [
            event["id"],
            event.get("family", ""),
            *(event.get(name) for name in ("n", "score", "ok")),
            event["at"].rstrip("Z") if "at" in event else None,
            json.dumps(event["data"]) if "data" in event else None,
            *(event.get(name) for name in ("g", "i", "m")),
        ]
        for event in EVENTS
    ]


def test_a_second_implementation_finds_the_same(duckdb: Any) -> None:
    compared, different = 0, set()
    for right in RIGHT:
        found = answer(duckdb, right)
        if found is None:
            continue
        compared += 1
        if comparable(found, right) != comparable(right.results[0], right):
            different.add(right.name)
    assert different == set(DIFFERENT)
    assert compared >= LEAST_COMPARED


def answer(duckdb: Any, right: Right) -> Rows | None:
    """The rows, or None for a text that it cannot run."""
    if right.parameters or len(right.results) > 1:
        return None
    try:
        return [list(row) for row in duckdb_kql.query(duckdb, right.text).fetchall()]
    except Exception:  # noqa: BLE001  # it has many ways to say that it cannot, asserts among them
        return None


def comparable(rows: Rows, right: Right) -> list[str]:
    """As text, without what tells the two notations apart; sorted where the order is open."""
    texts = [json.dumps([plain(value) for value in row], sort_keys=True) for row in rows]
    return texts if right.in_order else sorted(texts)


def plain(value: Any) -> Any:
    """A value in the notation of JSON; DuckDB's strings may be null, and its JSON is text."""
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S.%f}0Z"
    if isinstance(value, dt.timedelta):
        return timespan(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, float):
        return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(str(value), value)
    if not isinstance(value, str) or value in ("NaN", "Infinity", "-Infinity"):
        return value
    try:
        return plain(json.loads(value))
    except ValueError:
        return value


def timespan(value: dt.timedelta) -> str:
    """As Kusto writes it: `-1.02:03:04.5000000`."""
    seconds, fraction = divmod(abs(value) // dt.timedelta(microseconds=1), 1_000_000)
    days, seconds = divmod(seconds, 86_400)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    sign, whole = "-" if value < dt.timedelta(0) else "", f"{days}." if days else ""
    return sign + whole + text + (f".{fraction:06}0" if fraction else "")
