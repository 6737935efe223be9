"""Our tables and our view in memory, and a way to run KQL over them: the local server's engine.

No HTTP and no encoding of rows: cells are what the queries look at, the rest is empty. No test
stands here.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from langgraph.checkpoint.kusto import _kql, _schema
from langgraph.checkpoint.kusto._clock import format_ticks, parse_ticks
from langgraph.checkpoint.kusto._shared_reads import Question, deal, shared_parameters
from langgraph.checkpoint.kusto._transport import Table
from langgraph.checkpoint.kusto.local.kql import (
    Column,
    FunctionDef,
    ResultTable,
    ViewDef,
    run_query,
)

Cells = dict[str, Any]

NOTHING_DEAD = {"p_dead": "", "p_since": "datetime(9999-12-31)"}
"""What a process without rows of its own tells a query."""


def encoded(text: str) -> str:
    """Any text as it travels in lists."""
    return "b" + base64.b64encode(text.encode()).decode()


def dead(scope: str, *items: str, thread_id: str = "t") -> str:
    """A tombstone that this process knows, for `p_dead`."""
    return f"{scope}|{encoded(thread_id)}|{','.join(items)}"


def checkpoint_item(checkpoint_id: str, epoch: str, through: int, checkpoint_ns: str = "") -> str:
    """A checkpoint of an epoch, dead as far as it was written up to a time."""
    names = (encoded(checkpoint_ns), encoded(checkpoint_id))
    return "@".join((*names, epoch, format_ticks(through)))


def moment(ticks: int) -> str:
    """A time as a literal."""
    return f"datetime({format_ticks(ticks)})"


@dataclass(frozen=True)
class Death:
    """One of the ways to be dead: what a doomed row has, and what its tombstone names."""

    scope: str
    epoch: str
    run_id: str

    def items(self, *keys: tuple[str, str], through: int = 1_000) -> list[str]:
        """Items of a tombstone that kills doomed rows of some (namespace, id)."""
        if self.scope == "epochs":
            return [self.epoch]
        if self.scope == "runs":
            return [encoded(self.run_id)]
        return [checkpoint_item(name, self.epoch, through, ns) for ns, name in keys]


DEATHS = (
    Death("epochs", "e0", "r1"),
    Death("runs", "e1", "r0"),
    Death("checkpoints", "e2", "r1"),
)
"""Rows of epoch e1 and run r1 live."""


_NUMBERS = {"submission_row": 0, "submission_rows": 1, "chunk": 0, "chunks": 1, "idx": 0}
_ONE_WRITE = {"channel": "c", "row_bytes": 1, **_NUMBERS}


class Rows:
    """One of our tables, in memory."""

    def __init__(self, table: _schema.Table) -> None:
        self.name = table.name
        self.columns = tuple(Column(column.name, column.type) for column in table.columns)
        self.data: list[tuple[Any, ...]] = []
        self.ingested: list[int | None] = []

    def add(self, cells: Cells) -> None:
        """Add a row, ingested when it was written unless told otherwise."""
        cells = {"ingested": cells.get("written_at"), **cells}
        self.ingested.append(cells.pop("ingested"))
        empty = {column.name: "" if column.type == "string" else None for column in self.columns}
        assert set(cells) <= set(empty)
        self.data.append(tuple({**empty, **cells}.values()))

    def scan(
        self,
        equals: Mapping[str, frozenset[str]],
        columns: frozenset[str] | None,
        with_ingestion_time: bool,
    ) -> Iterable[tuple[Any, ...]]:
        at = {column.name: place for place, column in enumerate(self.columns)}
        for row, ingested in zip(self.data, self.ingested, strict=True):
            if all(row[at[name]] in allowed for name, allowed in equals.items()):
                yield (*row, ingested) if with_ingestion_time else row


class Database:
    """Our tables and the view, and a way to ask."""

    database = "db"

    def __init__(self) -> None:
        self._tables = {table.name: Rows(table) for table in _schema.TABLES}
        self._now = 0
        self._view_lags = False
        query = _schema.create_view().partition("{\n")[2].removesuffix("\n}")
        self._view = ViewDef(_schema.LATEST, _schema.CHECKPOINTS, query)

    @property
    def version(self) -> tuple[str, bool]:
        """The schema, by which the engine keeps bound queries."""
        return ("kql_database", self._view_lags)

    def table(self, name: str) -> Rows | None:
        return self._tables.get(name)

    def function(self, name: str) -> FunctionDef | None:
        return None

    def view(self, name: str) -> ViewDef | None:
        return self._view if name == self._view.name and not self._view_lags else None

    def checkpoint(self, submission_id: str, checkpoint_id: str, epoch: str, **cells: Any) -> None:
        """Add a row, written after all others unless told otherwise."""
        self._add(
            _schema.CHECKPOINTS,
            {"checkpoint_id": checkpoint_id, "epoch": epoch, "submission_id": submission_id},
            {"row_bytes": 10, "total_bytes": 10, **cells},
        )

    def blob(self, blob_id: str, chunk: int = 0, **cells: Any) -> None:
        self._add(_schema.BLOBS, {"blob_id": blob_id, "chunk": chunk}, cells)

    def write(self, submission_id: str, checkpoint_id: str, epoch: str, **cells: Any) -> None:
        self._add(
            _schema.WRITES,
            {"checkpoint_id": checkpoint_id, "epoch": epoch, "submission_id": submission_id},
            {**_ONE_WRITE, "task_id": submission_id, **cells},
        )

    def kill(self, *items: str, parts: int = 1, **cells: Any) -> None:
        """Add one part of a tombstone, of epochs unless told otherwise."""
        self._add(
            _schema.TOMBSTONES,
            {"tombstone_id": f"t{self._now}", "scope": "epochs", "ids": ",".join(items)},
            {"part": 0, "parts": parts, **cells},
        )

    def let_view_lag(self) -> None:
        """Let the view show from now on what it shows now."""
        [rows] = self.ask(self._view.name)
        shown = Rows(_schema.TABLE_BY_NAME[self._view.source])
        for cells in rows:
            shown.add(cells)
        self._tables[self._view.name] = shown
        self._view_lags = True

    def ingest(self, table: str, lines: Iterable[bytes]) -> None:
        """Add rows as the library sends them."""
        for line in lines:
            body = orjson.loads(bytes(line))
            self._tables[table].add({**body, "written_at": parse_ticks(body["written_at"])})

    def _add(self, table: str, own: Cells, cells: Cells) -> None:
        self._now += 1
        self._tables[table].add({"thread_id": "t", "written_at": self._now, **own, **cells})

    def tables(self, text: str, **parameters: Any) -> list[Table]:
        """Run a text; what Kusto leaves open is decided by chance, which no test may feel."""
        namespace = {"p_encoded_ns": encoded(parameters.get("p_ns", ""))}
        found: list[ResultTable] = run_query(
            text, {**namespace, **parameters}, self, now_ticks=0, rng=random.Random(0)
        )
        return [Table(tuple(c.name for c in table.columns), table.rows) for table in found]

    def ask(self, text: str, **parameters: Any) -> list[list[Cells]]:
        """Run a text and give rows by the names of columns.

        The shared read asks about one thread, given as to `READ_LATEST`, and another beside it.
        """
        if text == _kql.READ_LATEST_SHARED:
            return self._ask_beside("other", **parameters)
        return [table.records() for table in self.tables(text, **parameters)]

    def _ask_beside(self, other: str, **given: Any) -> list[list[Cells]]:
        """The answer to one of two questions, as it is dealt; empty where it was not."""
        question = Question(
            thread_id=given["p_thread"],
            checkpoint_ns=given["p_ns"],
            local_id=given["p_local"],
            local_blobs=given["p_blobs"],
            local_bytes=0,
            dead=given["p_dead"],
            since=given["p_since"].removeprefix("datetime(").removesuffix(")"),
            budget_bytes=given["p_budget"],
            budget_rows=given["p_rows"],
        )
        beside = replace(question, thread_id=other, dead="", local_id="", local_blobs="")
        questions = [beside, question]
        answer = self.tables(_kql.READ_LATEST_SHARED, **shared_parameters(questions))
        dealt = deal(answer, questions, Table).get(question.thread_id)
        if dealt is None:
            marks = [mark for mark in answer[0].records() if mark["thread_id"] != other]
            dealt = [Table(tuple(marks[0]), [tuple(marks[0].values())]), *[Table((), [])] * 4]
        [mark], *parts = [table.records() for table in dealt]
        for name in ("thread_id", "checkpoint_ns", "head_rows", "write_rows"):
            del mark[name]
        return [[mark], *parts]

    def answer(self, text: str, **parameters: Any) -> list[list[Cells]]:
        """Ask, and give moments as text, as they come over HTTP."""
        return [
            [
                {
                    name: format_ticks(value) if name in ("written_at", "ingested") else value
                    for name, value in row.items()
                }
                for row in rows
            ]
            for rows in self.ask(text, **parameters)
        ]


def column(rows: list[Cells], name: str) -> list[Any]:
    return sorted(row[name] for row in rows)
