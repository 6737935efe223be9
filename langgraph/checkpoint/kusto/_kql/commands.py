"""Management commands and what setup asks."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from typing_extensions import LiteralString

SHOW_SCHEMA: LiteralString = ".show database schema as json"
"""Tables with their columns, functions and views of the database."""

COUNT_CHECKPOINTS: LiteralString = "Checkpoints | take 1 | count"
"""Whether the table has rows, so that the view has to be built from them."""


SHOW_TABLES: LiteralString = (
    ".show tables (Checkpoints, CheckpointWrites, CheckpointBlobs, CheckpointTombstones) details"
)
"""Among others the retention policy in effect for each table."""

SHOW_VIEW: LiteralString = ".show materialized-view LatestCheckpoints details"
"""Among others the retention policy in effect for the view."""


def show_mappings(table: str) -> str:
    """List the ingestion mappings of one of our tables."""
    return f".show table {quote_name(table)} ingestion json mappings"


def show_streaming(table: str) -> str:
    """Show the streaming policy of one of our tables."""
    return f".show table {quote_name(table)} policy streamingingestion"


def show_database_streaming(database: str) -> str:
    """Show the streaming policy that holds where a table has none."""
    return f".show database {quote_name(database)} policy streamingingestion"


def show_operation(operation_id: str) -> str:
    """Show how an operation in the background is doing; the id is Kusto's own."""
    return f".show operations {UUID(operation_id)}"


def ingest_inline(table: str, mapping: str) -> str:
    """Ingest rows that stand in the command itself: JSON objects follow, one on each line.

    Kusto reads what follows `<|` as data, never as KQL (ingest-inline), and JSON escapes the ends
    of lines, so no value can end the data or begin a command.
    """
    return (
        f".ingest inline into table {quote_name(table)}"
        f" with (format='multijson', ingestionMappingReference='{mapping}') <|\n"
    )


def quote_name(name: str) -> str:
    """Quote an entity name for a management command, the only texts that take no parameters."""
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{escaped}']"
