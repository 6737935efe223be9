"""A small database in memory, and ways to ask it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.kql import (
    Column,
    FunctionDef,
    ResultTable,
    ViewDef,
    run_query,
)
from langgraph.checkpoint.kusto.local.kql.values import parse_datetime

NOW = parse_datetime("2026-11-20T12:00:00Z")


@dataclass
class MemoryTable:
    name: str
    columns: tuple[Column, ...]
    data: list[tuple[Any, ...]]
    scans: list[tuple[dict[str, frozenset[str]], frozenset[str] | None]] = field(
        default_factory=list
    )

    def scan(
        self,
        equals: Mapping[str, frozenset[str]],
        columns: frozenset[str] | None,
        with_ingestion_time: bool,
    ) -> Iterable[tuple[Any, ...]]:
        self.scans.append((dict(equals), columns))
        places = {column.name: at for at, column in enumerate(self.columns)}
        for number, row in enumerate(self.data):
            if all(row[places[name]] in allowed for name, allowed in equals.items()):
                seen = tuple(
                    value if columns is None or column.name in columns else None
                    for column, value in zip(self.columns, row, strict=True)
                )
                yield (*seen, NOW + number) if with_ingestion_time else seen


class MemoryCatalog:
    database = "TestDb"

    def __init__(self) -> None:
        self.tables: dict[str, MemoryTable] = {}
        self.functions: dict[str, FunctionDef] = {}
        self.views: dict[str, ViewDef] = {}

    def table(self, name: str) -> MemoryTable | None:
        return self.tables.get(name)

    def function(self, name: str) -> FunctionDef | None:
        return self.functions.get(name)

    def view(self, name: str) -> ViewDef | None:
        return self.views.get(name)

    def add(self, name: str, schema: str, data: list[tuple[Any, ...]]) -> MemoryTable:
        columns = tuple(Column(*part.split(":")) for part in schema.split(","))
        self.tables[name] = MemoryTable(name, columns, data)
        return self.tables[name]


@dataclass
class Asker:
    catalog: MemoryCatalog

    def tables(self, text: str, seed: int | None = None, **parameters: Any) -> list[ResultTable]:
        rng = None if seed is None else random.Random(seed)
        return run_query(text, parameters, self.catalog, now_ticks=NOW, rng=rng)

    def rows(self, text: str, **parameters: Any) -> list[tuple[Any, ...]]:
        return self.tables(text, **parameters)[-1].rows

    def schema(self, text: str, **parameters: Any) -> list[str]:
        columns = self.tables(text, **parameters)[-1].columns
        return [f"{column.name}:{column.type}" for column in columns]

    def column(self, text: str, **parameters: Any) -> list[Any]:
        return [row[0] for row in self.rows(text, **parameters)]

    def value(self, expression: str, **parameters: Any) -> Any:
        return self.rows(f"print value = {expression}", **parameters)[0][0]

    def typed(self, expression: str) -> tuple[str, Any]:
        [table] = self.tables(f"print value = {expression}")
        return table.columns[0].type, table.rows[0][0]


@pytest.fixture
def catalog() -> MemoryCatalog:
    catalog = MemoryCatalog()
    catalog.add(
        "Events",
        "id:string,kind_name:string,n:long,score:real,ok:bool,at:datetime,span:timespan,data:dynamic",
        [
            ("a", "x", 1, 1.5, True, NOW, 10_000_000, {"k": 1, "list": [1, 2]}),
            ("b", "x", 2, 2.5, False, NOW + 10, 20_000_000, None),
            ("c", "y", 3, None, None, None, None, [10, 20, 30]),
            ("d", "y", None, -1.0, True, NOW - 864_000_000_000, 0, "text"),
        ],
    )
    catalog.add(
        "Owners",
        "id:string,owner:string,weight:int",
        [("a", "ann", 10), ("c", "cid", 20), ("c", "cat", 25), ("z", "zoe", 30)],
    )
    return catalog


@pytest.fixture
def kql(catalog: MemoryCatalog) -> Asker:
    return Asker(catalog)
