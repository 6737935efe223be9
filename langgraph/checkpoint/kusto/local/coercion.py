"""What ingestion makes of a foreign value: Kusto's silent conversions, truncations and nulls.

Lives here: from JSON values and from text to SQLite cells, per column. Does not live here: reading
the body (`formats`), and where in a record a column's value stands (`mappings`).

The documents (`data-explorer/ingest-invalid-data.md`, `scalar-data-types/string.md` and
`dynamic.md`): a value of the wrong type becomes null without an error; a string over its limit is
truncated; a dynamic over its limit becomes null; a missing string is "". Only a value over 64 MB
fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from . import cells
from .kql import values as kql_values
from .schema import ColumnSchema

Coercion = Callable[[Any], Any]

MEBIBYTE = 1024 * 1024
MAX_RECORD_BYTES = 64 * MEBIBYTE
DEFAULT_VALUE_BYTES = MEBIBYTE
# alter-encoding-policy.md, property MaxValueSize.
PROFILE_VALUE_BYTES = {"BigObject": 2 * MEBIBYTE, "BigObject32": 32 * MEBIBYTE}
_SURROGATE = re.compile("[\ud800-\udfff]")
_INT_RANGE = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}


class ValueTooLargeError(Exception):
    """A value over 64 MB, the one size that fails an ingest."""


def max_value_bytes(column: ColumnSchema) -> int:
    """Return how many bytes of UTF-8 a cell of the column may hold."""
    return PROFILE_VALUE_BYTES.get(column.encoding or "", DEFAULT_VALUE_BYTES)


def from_json(column: ColumnSchema) -> Coercion:
    """Return the conversion of JSON values into a column's cells."""
    if column.type == "string":
        limit = max_value_bytes(column)
        return lambda value: _string_from_json(value, limit)
    if column.type == "dynamic":
        limit = max_value_bytes(column)
        return lambda value: _dynamic(value, limit)
    return _FROM_JSON[column.type]


def from_text(column: ColumnSchema) -> Coercion:
    """Return the conversion of CSV fields into a column's cells."""
    if column.type == "string":
        limit = max_value_bytes(column)
        return lambda text: _truncated(text, limit)
    if column.type == "dynamic":
        limit = max_value_bytes(column)
        return lambda text: _dynamic(kql_values.parse_dynamic(text), limit)
    convert = _FROM_TEXT[column.type]
    return lambda text: convert(text) if text else None


def from_engine(column: ColumnSchema) -> Coercion:
    """Return the conversion of query results into a column's cells, for `.set` and `.append`."""
    if column.type == "string":
        limit = max_value_bytes(column)
        return lambda value: _truncated(value or "", limit)
    if column.type == "dynamic":
        limit = max_value_bytes(column)
        return lambda value: _dynamic(value, limit)
    return lambda value: cells.encode(column.type, value)


def _truncated(text: str, limit: int) -> str:
    """Return text cut to a limit in UTF-8 bytes, at a character."""
    length = len(text)
    if length * 4 <= limit or (length <= limit and text.isascii()):
        # The common case, decided without encoding; ASCII cannot hold a surrogate either.
        return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
    clean = _SURROGATE.sub("\ufffd", text)
    encoded = clean.encode()
    if len(encoded) > MAX_RECORD_BYTES:
        raise ValueTooLargeError
    if len(encoded) <= limit:
        return clean
    return encoded[:limit].decode(errors="ignore")


def _string_from_json(value: Any, limit: int) -> str:
    if isinstance(value, str):
        return _truncated(value, limit)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return _truncated(cells.dynamic_text(value), limit)


def _dynamic(value: Any, limit: int) -> str | None:
    if value is None:
        return None
    text = _SURROGATE.sub("\ufffd", cells.dynamic_text(kql_values.normalise_dynamic(value)))
    if len(text) * 4 > limit and len(text.encode()) > limit:
        return None
    return text


def _bool(value: Any) -> int | None:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return int(value != 0)
    return _bool_text(value) if isinstance(value, str) else None


def _bool_text(text: str) -> int | None:
    parsed = kql_values.parse_bool(text)
    return None if parsed is None else int(parsed)


def _whole(type_: str) -> Coercion:
    low, high = _INT_RANGE[type_]
    parse = kql_values.parse_int if type_ == "int" else kql_values.parse_long

    def convert(value: Any) -> int | None:
        if isinstance(value, bool):
            return None
        if isinstance(value, int):
            return value if low <= value <= high else None
        # A number with a fraction is null, not rounded.
        return parse(value) if isinstance(value, str) else None

    return convert


def _real(value: Any) -> Any:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return cells.encode("real", float(value))
    return _real_text(value) if isinstance(value, str) else None


def _real_text(text: str) -> Any:
    parsed = kql_values.parse_real(text)
    return None if parsed is None else cells.encode("real", parsed)


def _decimal(value: Any) -> str | None:
    if isinstance(value, (bool, dict, list)) or value is None:
        return None
    if isinstance(value, int):
        return str(Decimal(value))
    return _decimal_text(value if isinstance(value, str) else repr(value))


def _decimal_text(text: str) -> str | None:
    parsed = kql_values.parse_decimal(text)
    return None if parsed is None else str(parsed)


def _of_text(parse: Callable[[str], Any]) -> Coercion:
    return lambda value: parse(value) if isinstance(value, str) else None


_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "bool": _bool_text,
    "int": kql_values.parse_int,
    "long": kql_values.parse_long,
    "real": _real_text,
    "decimal": _decimal_text,
    "datetime": kql_values.parse_datetime,
    "timespan": kql_values.parse_timespan,
    "guid": kql_values.parse_guid,
}
_FROM_JSON: dict[str, Coercion] = {
    "bool": _bool,
    "int": _whole("int"),
    "long": _whole("long"),
    "real": _real,
    "decimal": _decimal,
    "datetime": _of_text(kql_values.parse_datetime),
    "timespan": _of_text(kql_values.parse_timespan),
    "guid": _of_text(kql_values.parse_guid),
}
