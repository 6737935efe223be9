"""How one Kusto value lies in one SQLite cell.

Lives here: encoding and decoding by column type, exact for every type. Does not live here: what an
ingest makes of foreign text (`coercion`).

A value is, as in the KQL engine: bool, int, float, `Decimal`, str, ticks, or plain JSON; None is
null. SQLite keeps integers, doubles and text exactly, but turns NaN into NULL and has no decimals
or bags: those become text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson

Decoder = Callable[[Any], Any]
_NAN = "NaN"


def encode(type_: str, value: Any) -> Any:
    """Return what to store for a value of the engine."""
    if type_ == "string":
        return value if value is not None else ""
    if value is None:
        return None
    if type_ == "bool":
        return int(value)
    if type_ == "real":
        return _NAN if math.isnan(value) else float(value)
    if type_ == "decimal":
        return str(value)
    if type_ == "dynamic":
        return dynamic_text(value)
    return value


def decoder(type_: str) -> Decoder | None:
    """Return the function that gives the engine's value back, or None: the cell is that value."""
    return _DECODERS.get(type_)


def dynamic_text(value: Any) -> str:
    """Return a dynamic value as canonical JSON text: sorted keys, no spaces."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        # A lone surrogate in some text, which orjson refuses.
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _decode_bool(cell: int | None) -> bool | None:
    return None if cell is None else bool(cell)


def _decode_real(cell: float | str | None) -> float | None:
    return math.nan if isinstance(cell, str) else cell  # the only text is NaN


def _decode_decimal(cell: str | None) -> Decimal | None:
    return None if cell is None else Decimal(cell)


def _decode_dynamic(cell: str | None) -> Any:
    return None if cell is None else orjson.loads(cell)


_DECODERS: dict[str, Decoder] = {
    "bool": _decode_bool,
    "real": _decode_real,
    "decimal": _decode_decimal,
    "dynamic": _decode_dynamic,
}
