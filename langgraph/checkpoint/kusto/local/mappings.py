"""Ingestion mappings: which part of a record becomes which column.

Lives here: validating a mapping's JSON, and building the plan that turns records into rows. Does
not live here: storing mappings (`schema`), converting single values (`coercion`).

Paths begin with `$` (`data-explorer/kusto/management/json-mapping.md`); a value that does not is
taken as a constant. Without a mapping a column takes the property of its own name, case-sensitive.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from . import coercion
from .clock import UNIX_EPOCH_TICKS
from .kql import values as kql_values
from .schema import ColumnSchema, IngestionMapping, Table

Getter = Callable[[dict[str, Any]], Any]
Row = tuple[Any, ...]

_STEP = re.compile(r"\.?\['((?:[^'\\]|\\.)*)'\]|\.([^.\[\]]+)|\[(\d+)\]")
_ENTRY_KEYS = {"column", "datatype", "properties"}
_PROPERTY_KEYS = {
    "json": {"path", "constvalue", "transform"},
    "csv": {"ordinal", "constvalue"},
}
# Ticks of one unit, for the transforms DateTimeFromUnix<Unit>; 0 where 100 units make a tick.
_UNIX_TRANSFORMS = {
    "DateTimeFromUnixSeconds": 10_000_000,
    "DateTimeFromUnixMilliseconds": 10_000,
    "DateTimeFromUnixMicroseconds": 10,
    "DateTimeFromUnixNanoseconds": 0,
}


class MappingError(Exception):
    """A mapping that is not valid, or does not fit its table."""


@dataclass(frozen=True)
class Entry:
    """One column of a mapping."""

    column: str
    path: str | None = None
    ordinal: int | None = None
    constant: str | None = None
    transform: str | None = None


def parse(kind: str, text: str) -> list[Entry]:
    """Return the entries of a mapping's JSON.

    Raises:
        MappingError: it is not a list of column mappings of that kind.
    """
    try:
        listed = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MappingError(f"The mapping is not valid JSON: {error}") from error
    if not isinstance(listed, list) or not listed:
        raise MappingError("The mapping must be a list of column mappings that is not empty.")
    entries = [_entry(kind, item) for item in listed]
    names = [entry.column for entry in entries]
    if len(set(names)) != len(names):
        raise MappingError("A column is mapped twice.")
    return entries


@lru_cache(maxsize=512)
def json_plan(table: Table, mapping: IngestionMapping | None) -> Callable[[dict[str, Any]], Row]:
    """Return the function from a JSON record to a row of cells in column order.

    Raises:
        MappingError: the mapping names a column the table does not have.
    """
    getters: list[tuple[Getter, coercion.Coercion]] = []
    entries = _by_column(table, mapping)
    for column in table.columns:
        entry = entries.get(column.name)
        if mapping is not None and entry is None:
            getters.append((_nothing, _constant_cell(column)))
        else:
            getters.append((_getter(column, entry), _converter(column, entry)))
    frozen = tuple(getters)
    return lambda record: tuple([convert(get(record)) for get, convert in frozen])


@lru_cache(maxsize=512)
def text_plan(table: Table, mapping: IngestionMapping | None) -> Callable[[Sequence[str]], Row]:
    """Return the function from the fields of a text record to a row of cells in column order.

    Raises:
        MappingError: the mapping names a column the table does not have.
    """
    entries = _by_column(table, mapping)
    parts: list[tuple[int | None, str, coercion.Coercion]] = []
    for index, column in enumerate(table.columns):
        entry = entries.get(column.name)
        ordinal = index if mapping is None else (entry.ordinal if entry else None)
        constant = (entry.constant or "") if entry else ""
        parts.append((ordinal, constant, coercion.from_text(column)))
    frozen = tuple(parts)

    def row(fields: Sequence[str]) -> Row:
        return tuple(
            [
                convert(fields[at] if at is not None and at < len(fields) else constant)
                for at, constant, convert in frozen
            ]
        )

    return row


def _entry(kind: str, item: Any) -> Entry:
    keys = {key.lower(): value for key, value in item.items()} if isinstance(item, dict) else {}
    given = keys.get("properties") or {}
    named = isinstance(keys.get("column"), str) and isinstance(given, dict)
    if not named or set(keys) - _ENTRY_KEYS:
        raise MappingError(f"Not a column mapping: {orjson.dumps(item).decode()}")
    properties = {key.lower(): value for key, value in given.items()}
    strange = set(properties) - _PROPERTY_KEYS[kind]
    if strange:
        raise MappingError(f"Unknown mapping properties: {', '.join(sorted(strange))}")
    transform = properties.get("transform")
    if transform and transform != "None" and str(transform) not in _UNIX_TRANSFORMS:
        raise MappingError(
            f"The transform '{transform}' is not supported by the local server; it knows "
            + ", ".join(_UNIX_TRANSFORMS)
        )
    path, constant = properties.get("path"), properties.get("constvalue")
    if isinstance(path, str) and not path.startswith("$"):
        path, constant = None, path
    if path is not None:
        if not isinstance(path, str):
            raise MappingError(f"Not a JSON path: {orjson.dumps(path).decode()}")
        path_steps(path)
    if kind == "csv" and "ordinal" not in properties and constant is None:
        raise MappingError(f"The mapping of column '{keys['column']}' has no ordinal.")
    if kind == "json" and path is None and constant is None:
        raise MappingError(f"The mapping of column '{keys['column']}' has no path.")
    return Entry(
        keys["column"],
        path,
        _ordinal(properties.get("ordinal")),
        constant,
        None if transform == "None" else transform,
    )


def _ordinal(given: Any) -> int | None:
    """Return a position among the fields; Kusto takes it as text too."""
    if given is None:
        return None
    if not str(given).isascii() or not str(given).isdecimal():
        raise MappingError(f"Not an ordinal: {orjson.dumps(given).decode()}")
    return int(given)


def path_steps(path: str) -> list[str | int]:
    """Return the steps of a JSON path such as `$.a['b c'][0]`.

    Raises:
        MappingError: it is not a path of that form.
    """
    steps: list[str | int] = []
    position = 1
    while position < len(path):
        found = _STEP.match(path, position)
        if found is None:
            raise MappingError(f"Not a JSON path: '{path}'")
        quoted, plain, index = found.groups()
        if index is not None:
            steps.append(int(index))
        else:
            steps.append(plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        position = found.end()
    return steps


def _by_column(table: Table, mapping: IngestionMapping | None) -> Mapping[str, Entry]:
    if mapping is None:
        return {}
    entries = {entry.column: entry for entry in parse(mapping.kind, mapping.text)}
    missing = [name for name in entries if table.column(name) is None]
    if missing:
        raise MappingError(
            f"The mapping '{mapping.name}' names columns the table does not have: "
            + ", ".join(missing)
        )
    return entries


def _getter(column: ColumnSchema, entry: Entry | None) -> Getter:
    if entry is None:
        return _property(column.name)
    if entry.path is None:
        constant = entry.constant
        return lambda record: constant
    steps = path_steps(entry.path)
    if len(steps) == 1 and isinstance(steps[0], str):
        return _property(steps[0])
    return lambda record: _walk(record, steps)


def _property(name: str) -> Getter:
    return lambda record: record.get(name)


def _walk(value: Any, steps: list[str | int]) -> Any:
    for step in steps:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        elif isinstance(value, list) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def _converter(column: ColumnSchema, entry: Entry | None) -> coercion.Coercion:
    if entry is None or entry.transform is None or column.type != "datetime":
        return coercion.from_json(column)
    unit = _UNIX_TRANSFORMS[entry.transform]

    def from_unix(value: Any) -> int | None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        ticks = int(value // 100) if unit == 0 else int(value * unit)
        return kql_values.valid_ticks(ticks + UNIX_EPOCH_TICKS)

    return from_unix


def _constant_cell(column: ColumnSchema) -> coercion.Coercion:
    cell = kql_values.missing_value(column.type)
    return lambda value: cell


def _nothing(record: dict[str, Any]) -> Any:
    return None
