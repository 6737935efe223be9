"""Fixtures of the local server's unit tests: a cluster on a file, and a way to run commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.cluster import Cluster, Settings
from langgraph.checkpoint.kusto.local.request import QueryRequest, RequestIds
from langgraph.checkpoint.kusto.local.storage import Storage

DATABASE = "Db"
Bag = dict[str, Any]


class Bench:
    """A cluster without HTTP, and shorthands for what tests do with it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def run(self, text: str, **options: Any) -> list[Bag]:
        """Run a command and return its rows as bags."""
        request = QueryRequest(DATABASE, text, {}, options)
        result = self.cluster.manage(request, RequestIds("test"))
        names = [column.name for column in result.columns]
        return [dict(zip(names, row, strict=True)) for row in result.rows]

    def columns(self, text: str) -> str:
        """Run a command and return its columns as `name:type name:type`."""
        result = self.cluster.manage(QueryRequest(DATABASE, text, {}, {}), RequestIds("test"))
        return " ".join(f"{column.name}:{column.type}" for column in result.columns)

    def query(self, text: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Run a query and return the rows of its first result."""
        request = QueryRequest(DATABASE, text, parameters, {})
        return [tuple(row) for row in self.cluster.query(request, RequestIds("test"))[0].rows]

    def ingest(
        self, table: str, body: str | bytes, format_: str = "multijson", mapping: str | None = None
    ) -> int:
        """Stream a body into a table and return the rows acknowledged."""
        data = body.encode() if isinstance(body, str) else body
        return self.cluster.ingest(DATABASE, table, format_, mapping, data).result(timeout=30)


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Make a cluster, on the same file again and again unless told otherwise."""
    opened: list[Cluster] = []

    def make(name: str = "kusto.db", **settings: Any) -> Bench:
        cluster = Cluster(Storage(tmp_path / name), Settings(database=DATABASE, **settings))
        cluster.open()
        opened.append(cluster)
        return Bench(cluster)

    yield make
    for cluster in opened:
        cluster.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()
