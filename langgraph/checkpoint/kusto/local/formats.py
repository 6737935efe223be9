"""Reading the records of an ingest body.

Lives here: `multijson`, `json` (one record per line) and the delimited text formats. Does not live
here: what a record's values become (`mappings`, `coercion`).

The two JSON formats fail differently (`data-explorer/ingest-json-formats.md`): a parse error in
`multijson` rejects the whole body, a line of `json` that is not valid is skipped in silence.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import orjson

JSON_FORMATS = frozenset({"json", "multijson", "singlejson"})
DELIMITERS = {
    "csv": ",",
    "tsv": "\t",
    "scsv": ";",
    "sohsv": "\x01",
    "psv": "|",
}
MAX_FIELD_CHARACTERS = 64 * 1024 * 1024
_BLANK = " \t\r\n"


class UnreadableError(Exception):
    """The body cannot be read in its format; the message is Kusto's."""


def decode(body: bytes) -> str:
    """Return a body as text; bytes that are not UTF-8 become U+FFFD."""
    return body.decode("utf-8", errors="replace").removeprefix("\ufeff")


def json_records(body: bytes, format_: str) -> list[dict[str, Any]]:
    """Return the records of a JSON body.

    Raises:
        UnreadableError: it is `multijson` and some of it is not JSON.
    """
    by_line = _records_by_line(body)
    if by_line is not None:
        return by_line
    if format_ == "json":
        return [record for line in body.splitlines() if (record := _line(line)) is not None]
    return list(_values(decode(body)))


def delimited_records(body: bytes, format_: str) -> list[list[str]]:
    """Return the records of a delimited text body, blank lines left out."""
    # The module's own bound of 128 kB is far below what a Kusto field may hold.
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    reader = csv.reader(
        io.StringIO(decode(body), newline=""), delimiter=DELIMITERS[format_], strict=True
    )
    try:
        return [row for row in reader if row]
    except csv.Error as error:
        raise UnreadableError(f"The {format_} text is malformed: {error}") from error


def _records_by_line(body: bytes) -> list[dict[str, Any]] | None:
    """Return the records when each line holds exactly one, which is how most writers send them."""
    records: list[dict[str, Any]] = []
    for line in body.split(b"\n"):
        if not line or line.isspace():
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(value, dict):
            return None
        records.append(value)
    return records


def _line(line: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(decode(line))
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _values(text: str) -> Iterator[dict[str, Any]]:
    """Yield records from bags and arrays of bags, one after the other, spaces between them."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    position = _past_blanks(text, 0)
    while position < len(text):
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            raise UnreadableError(f"JSON parsing error: {error}") from error
        for record in value if isinstance(value, list) else [value]:
            if not isinstance(record, dict):
                raise UnreadableError("JSON parsing error: a record is not a property bag")
            yield record
        position = _past_blanks(text, position)


def _past_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in _BLANK:
        position += 1
    return position


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")
