"""Rows that are sent again are the rows that are there."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from langgraph.checkpoint.kusto import _kql
from langgraph.checkpoint.kusto._same_rows import IDENTITIES, same_rows
from langgraph.checkpoint.kusto._schema import BLOBS, CHECKPOINTS, TABLE_BY_NAME, WRITES

CELLS: dict[str, Any] = {
    "string": 'te"xt\n\N{GRINNING FACE}',
    "int": 0,
    "long": 2**63 - 1,
    "datetime": "2026-01-02T03:04:05.0000001Z",
    "dynamic": '{"b":1,"a":[1.50,null]}',
}


def record(table: str, **cells: Any) -> dict[str, Any]:
    columns = TABLE_BY_NAME[table].columns
    return {column.name: CELLS[column.type] for column in columns} | cells


@pytest.mark.parametrize("table", sorted(IDENTITIES))
def test_every_cell_stays(table: str) -> None:
    [row] = same_rows(table, [record(table)])
    body = orjson.loads(row)

    assert list(body) == [column.name for column in TABLE_BY_NAME[table].columns]
    for column in TABLE_BY_NAME[table].columns:
        cell = CELLS[column.type]
        assert body[column.name] == (orjson.loads(cell) if column.type == "dynamic" else cell)


def test_dynamic_text_travels_as_it_is() -> None:
    """Reading it as numbers and writing it again would change them."""
    [row] = same_rows(CHECKPOINTS, [record(CHECKPOINTS)])
    assert b'"metadata":{"b":1,"a":[1.50,null]}' in row


@pytest.mark.parametrize(
    ("name", "empty"), [("step", None), ("metadata", ""), ("written_at", None)]
)
def test_null_stays_null(name: str, empty: Any) -> None:
    [row] = same_rows(CHECKPOINTS, [record(CHECKPOINTS, **{name: empty})])
    assert orjson.loads(row)[name] is None


def test_a_moment_keeps_its_ticks_however_it_is_written() -> None:
    [row] = same_rows(CHECKPOINTS, [record(CHECKPOINTS, written_at="2026-01-02T03:04:05Z")])
    assert orjson.loads(row)["written_at"] == "2026-01-02T03:04:05.0000000Z"


@pytest.mark.parametrize(
    ("table", "identities", "kept"),
    [
        (CHECKPOINTS, [("s1",), ("s2",), ("s1",)], 2),
        (WRITES, [("s1", 0), ("s1", 1), ("s2", 0), ("s1", 1)], 3),
        (BLOBS, [("b1", 0), ("b1", 1), ("b1", 0)], 2),
    ],
)
def test_a_row_that_landed_twice_is_sent_once(
    table: str, identities: list[tuple[Any, ...]], kept: int
) -> None:
    names = IDENTITIES[table]
    records = [record(table, **dict(zip(names, item, strict=True))) for item in identities]
    rows = [orjson.loads(row) for row in same_rows(table, records)]
    assert [tuple(row[name] for name in names) for row in rows] == identities[:kept]


@pytest.mark.parametrize("table", sorted(IDENTITIES))
def test_the_query_gives_every_column(table: str) -> None:
    text = _kql.READ_AGAIN[table]
    given = text[text.index("| project ") + len("| project ") :].replace("\n", " ").split(", ")
    names = [item.split(" = ")[0].strip() for item in given]
    assert names == [column.name for column in TABLE_BY_NAME[table].columns]
    made = {item.split(" = ")[0].strip() for item in given if " = " in item}
    dynamic = {column.name for column in TABLE_BY_NAME[table].columns if column.type == "dynamic"}
    assert made == dynamic
    assert all(f"{name} = tostring({name})" in text for name in dynamic)
