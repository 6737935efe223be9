"""Turning an ingest body into rows, and rows into a write.

Lives here: the steps streaming ingestion and `.ingest inline` share. Does not live here: HTTP and
its limits (`app`), which table and mapping are meant (`cluster`, `commands`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from . import coercion, formats, mappings
from .clock import IngestionClock
from .errors import ServiceError, bad_request, mapping_not_found
from .schema import Database, IngestionMapping, Table
from .storage import Job

Row = tuple[Any, ...]
FORMATS = formats.JSON_FORMATS | frozenset(formats.DELIMITERS)
# Formats Kusto knows and this server does not read.
OTHER_FORMATS = frozenset("avro apacheavro parquet orc raw txt tsve w3clogfile sstream".split())


class IngestError(Exception):
    """The body cannot be ingested; the message is worded as Kusto words it."""


def format_named(name: str) -> str:
    """Return the canonical name of a data format, given in any case.

    Raises:
        ServiceError: Kusto has no such format, or this server does not read it.
    """
    lowered = name.lower()
    if lowered in FORMATS:
        return lowered
    known = ", ".join(sorted(FORMATS))
    problem = "is not supported by the local server" if lowered in OTHER_FORMATS else "is unknown"
    raise bad_request(
        f"The data format '{name}' {problem}; use one of {known}.",
        code="BadRequest_FormatNotSupported",
    )


def mapping_named(
    database: Database, table: Table, format_: str, name: str | None
) -> IngestionMapping | None:
    """Return the mapping of that name, of the table or else of the database.

    Raises:
        ServiceError: there is none.
    """
    if not name:
        return None
    kind = "json" if format_ in formats.JSON_FORMATS else "csv"
    found = table.mapping(kind, name) or database.mappings.get(f"{kind}/{name}")
    if found is None:
        raise mapping_not_found(name)
    return found


def rows_of(table: Table, mapping: IngestionMapping | None, format_: str, body: bytes) -> list[Row]:
    """Return the rows of a body, as cells in column order.

    Raises:
        IngestError: the body or the mapping is not valid, or a value is over 64 MB.
    """
    try:
        if format_ in formats.JSON_FORMATS:
            to_row = mappings.json_plan(table, mapping)
            rows = [to_row(record) for record in formats.json_records(body, format_)]
        else:
            of_fields = mappings.text_plan(table, mapping)
            rows = [of_fields(fields) for fields in formats.delimited_records(body, format_)]
    except (formats.UnreadableError, mappings.MappingError) as error:
        raise IngestError(str(error)) from error
    except coercion.ValueTooLargeError as error:
        raise IngestError("A value is larger than the maximum allowed size of 64 MB") from error
    _check_record_sizes(rows, len(body))
    return rows


def insert_job(
    table: Table,
    rows: list[Row],
    clock: IngestionClock,
    stamp: Callable[[], int] | None = None,
) -> Job[int]:
    """Return the job that writes rows with one ingestion time and answers their number.

    The time is `clock`'s next one, unless `stamp` gives it.
    """

    def job(writer: sqlite3.Connection) -> int:
        ingested = clock.next() if stamp is None else stamp()
        writer.executemany(insert_statement(table), [(ingested, *row) for row in rows])
        return len(rows)

    return job


@lru_cache(maxsize=512)
def insert_statement(table: Table) -> str:
    """Return the INSERT text for rows of cells in column order."""
    names = ", ".join(["ingested", *(column.physical for column in table.columns)])
    marks = ", ".join("?" * (len(table.columns) + 1))
    return f"INSERT INTO {table.physical} ({names}) VALUES ({marks})"


def refused(error: Exception) -> ServiceError:
    """Return the error for an ingest command that failed."""
    return bad_request(f"Ingestion failed: {error}", code="BadRequest_InvalidBlob")


def _check_record_sizes(rows: list[Row], body_bytes: int) -> None:
    if body_bytes <= coercion.MAX_RECORD_BYTES:
        return
    for row in rows:
        if sum(len(cell) for cell in row if isinstance(cell, str)) > coercion.MAX_RECORD_BYTES:
            raise IngestError("A record is larger than the maximum allowed size of 64 MB")
