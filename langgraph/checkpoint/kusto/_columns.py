"""The columns of a checkpoint row that are copies for people who write KQL (pure).

`dynamic` loses the order of keys and the form of numbers and turns a value over 1 MiB into null
without an error, so these copies are bounded and never read back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

COPY_BYTES = 64 * 1024
"""All of a copy, as JSON, with the names of what was left out."""

_TEXT_CHARS = 4_096
_LEFT_OUT_CHARS = 100
_LEFT_OUT_NAMES = 100
_LEFT_OUT_BYTES = 12 * 1024  # of COPY_BYTES, when something is left out
_DECIMAL_BITS = 2_000
_DEPTH = 12
_LONG = 2**63


def kql_columns(metadata: Mapping[str, Any], versions: Mapping[str, Any]) -> dict[str, Any]:
    """Give step, source, metadata and channel versions as KQL users see them."""
    step, source = metadata.get("step"), metadata.get("source")
    return {
        "step": step if _is_long(step) else None,
        "source": _plain(source, 0) if isinstance(source, str) else "",
        "metadata": _bounded(metadata),
        "channel_versions": _bounded(versions),
    }


def _is_long(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_LONG <= value < _LONG


def _bounded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Copy what fits; what does not is named under `_left_out`, as many as have room."""
    copy, left_out = _fitting(values, COPY_BYTES)
    if left_out:
        copy, left_out = _fitting(values, COPY_BYTES - _LEFT_OUT_BYTES)
        copy["_left_out"] = _shortened(left_out)
    return copy


def _fitting(values: Mapping[str, Any], room: int) -> tuple[dict[str, Any], list[str]]:
    """Copy entries while there is room; name the others."""
    copy: dict[str, Any] = {}
    left_out: list[str] = []
    for key, value in values.items():
        name, plain = _name(key), _plain(value, 0)
        size = len(orjson.dumps([name, plain]))  # no less than as an item of an object
        if size > room:
            left_out.append(name)
        else:
            copy[name] = plain
            room -= size
    return copy, left_out


def _shortened(names: list[str]) -> list[str]:
    """The first names, none of them long."""
    room = _LEFT_OUT_BYTES - len('"_left_out":[]')
    shown: list[str] = []
    for name in (name[:_LEFT_OUT_CHARS] for name in names[:_LEFT_OUT_NAMES]):
        room -= len(orjson.dumps(name)) + len(",")
        if room >= 0:
            shown.append(name)
    return shown


def _name(key: Any) -> str:
    return str(_plain(key, _DEPTH))


def _plain(value: Any, depth: int) -> Any:
    """Turn any value into JSON that Kusto can hold; what JSON has no form for becomes text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(value)  # orjson takes no subclasses, and NumPy's float64 is one
    if isinstance(value, str):
        text = value[:_TEXT_CHARS]
        return text.encode("utf-8", "replace").decode()
    if isinstance(value, int):
        if _is_long(value):
            return int(value)
        # Python itself refuses the decimal text of a very large one (sys.set_int_max_str_digits).
        return str(value) if value.bit_length() <= _DECIMAL_BITS else hex(value)[:_TEXT_CHARS]
    if depth >= _DEPTH:
        return f"<{type(value).__name__}>"
    if isinstance(value, Mapping):
        return {_name(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value[:1_000]]
    return f"<{type(value).__name__}>"
