"""The transport protocol and the table it answers with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from typing_extensions import LiteralString


@dataclass(frozen=True)
class Table:
    """One result table."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]

    def records(self, *expected: str) -> list[dict[str, Any]]:
        """Give the rows by column name.

        Raises:
            KeyError: An expected column is not there: this is another table, if it has no rows too.
        """
        for name in expected:
            if name not in self.columns:
                raise KeyError(name)
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Transport(Protocol):
    """Speaks to one database of one cluster.

    All methods raise errors of `langgraph.checkpoint.kusto.errors` only; a `ServiceError` with
    `retriable` may be repeated by the caller, though a repeated `ingest` may land twice.
    """

    async def open(self) -> None:
        """Acquire what needs a running event loop; may be called again after `aclose`."""

    async def aclose(self) -> None:
        """Release it; closes only what `open` made."""

    async def query(self, text: LiteralString, parameters: Mapping[str, str | int]) -> list[Table]:
        """Run a query and return its result tables in the order of its statements.

        The answer is whole: an error anywhere in it raises.
        """

    async def command(self, text: str) -> Table:
        """Run one management command and return its (first) table."""

    async def ingest(self, table: str, mapping: str, payload: bytes) -> None:
        """Stream rows into a table; on return Kusto has acknowledged all of them.

        Args:
            table: The table.
            mapping: Name of its ingestion mapping.
            payload: JSON objects separated by newlines, uncompressed, at most 4 MiB.
        """
