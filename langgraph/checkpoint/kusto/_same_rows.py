"""Rows as they are stored, encoded to be sent again (pure).

Every column keeps its cell, `written_at` and the identities above all: a row that landed twice is
recognised, never counts as later than what was written meanwhile, and stays dead where a tombstone
killed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson

from ._clock import format_ticks, parse_ticks
from ._rows import Row
from ._schema import BLOBS, CHECKPOINTS, TABLE_BY_NAME, WRITES

IDENTITIES = {
    CHECKPOINTS: ("submission_id",),
    WRITES: ("submission_id", "submission_row"),
    BLOBS: ("blob_id", "chunk"),
}
"""What tells a row of a table from all others."""


def same_rows(table: str, records: Iterable[Row]) -> list[bytes]:
    """Encode rows that a query gave with all their columns, each once; `dynamic` ones as text."""
    found: dict[Sequence[object], bytes] = {}
    for record in records:
        identity = tuple(record[name] for name in IDENTITIES[table])
        if identity not in found:
            found[identity] = orjson.dumps(_body(table, record))
    return list(found.values())


def _body(table: str, record: Row) -> dict[str, object]:
    return {
        column.name: _cell(column.type, record[column.name])
        for column in TABLE_BY_NAME[table].columns
    }


def _cell(kind: str, value: object) -> object:
    if kind == "dynamic":
        return orjson.Fragment(str(value)) if value else None
    if kind == "datetime" and value is not None:
        return format_ticks(parse_ticks(str(value)))
    return value
