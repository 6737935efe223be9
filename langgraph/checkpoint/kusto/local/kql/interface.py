"""What the engine and its host say to each other: columns, tables, functions, the catalog.

Only shapes live here. The host (the local server, or a test) implements the protocols;
nothing in this file parses, binds or evaluates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Column:
    """A column: its name and its Kusto type (`string`, `long`, `datetime`, ...)."""

    name: str
    type: str


Columns = tuple[Column, ...]


@dataclass(frozen=True)
class ResultTable:
    """The answer of one tabular statement."""

    name: str
    columns: Columns
    rows: list[Row]


@dataclass(frozen=True)
class FunctionDef:
    """A stored function: parameters and body are KQL text, `(a:string)` and `{ ... }`."""

    name: str
    parameters: str
    body: str
    folder: str = ""
    docstring: str = ""


@dataclass(frozen=True)
class ViewDef:
    """A materialized view: `query` is `Source | summarize ... by ...`."""

    name: str
    source: str
    query: str


class TableSource(Protocol):
    """A table of the host.

    It may have a method `limited(limits)` that returns a table of the same columns, whose `scan`
    may leave out rows. A limit is the name of a string column, signs out of -1, 0 and 1, and a
    text: the engine drops rows whose column does not compare with the text by one of these signs.
    A method `newest(of, by)`, too, whose table may leave out rows that do not have the greatest
    text in the column `of` among those with the same texts in the columns `by`; equality sets are
    only for columns of `by` then.
    """

    @property
    def name(self) -> str:
        """The table's name."""
        ...

    @property
    def columns(self) -> Columns:
        """The columns in table order."""
        ...

    def scan(
        self,
        equals: Mapping[str, frozenset[str]],
        columns: frozenset[str] | None,
        with_ingestion_time: bool,
    ) -> Iterable[Row]:
        """Yield rows in table order of columns.

        Args:
            equals: For string columns, the values a row may have; the table must apply it.
            columns: The columns that are looked at; others may be None. None means all.
            with_ingestion_time: Append the ingestion time (ticks) as one more value.
        """
        ...


class Catalog(Protocol):
    """The database a query runs against.

    A catalog may have a hashable attribute `version`, equal only for catalogs in which every
    name means the same; with it, bound queries are kept and used again. One whose tables show
    different moments may have a method `fixing()`, a context in which a `materialize()` is
    computed.
    """

    @property
    def database(self) -> str:
        """The name of the database."""
        ...

    def table(self, name: str) -> TableSource | None:
        """Return the table of this name."""
        ...

    def function(self, name: str) -> FunctionDef | None:
        """Return the stored function of this name."""
        ...

    def view(self, name: str) -> ViewDef | None:
        """Return the materialized view of this name."""
        ...
