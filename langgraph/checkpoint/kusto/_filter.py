"""Metadata filters of `list`, with the meaning of Postgres' JSON containment (pure).

`metadata @> filter`: every key of the filter is there with a value that contains the filter's;
objects contain by key, arrays contain when each item is contained in some item, scalars are equal
and of the same JSON kind (1 equals 1.0, but not True). A missing key is not null. A number is what
its JSON text says, so the float 1e23 is 10**23, which its binary value is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .errors import UnsupportedFilterError


def check_filter(wanted: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Refuse a filter that JSON containment has no meaning for.

    Raises:
        UnsupportedFilterError: A key is not text, or a value is not JSON.
    """
    if wanted is None:
        return None
    if not isinstance(wanted, Mapping):
        raise UnsupportedFilterError(
            f"filter must be a dict, not {type(wanted).__name__}; pass the metadata to look for"
        )
    if not wanted:
        return None
    try:
        _check(wanted, "filter")
    except RecursionError:
        raise UnsupportedFilterError("filter is nested too deeply; use a flatter one") from None
    return dict(wanted)


def _check(value: Any, where: str) -> None:
    if value is None or isinstance(value, str | bool | int):
        return
    if isinstance(value, float):
        if math.isfinite(value):
            return
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise UnsupportedFilterError(f"{where} has the key {key!r}; keys must be text")
            _check(item, f"{where}[{key!r}]")
        return
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check(item, f"{where}[{index}]")
        return
    raise UnsupportedFilterError(
        f"{where} is {value!r} ({type(value).__name__}), which cannot be compared exactly; use"
        " text, numbers, booleans, None, lists and dicts of them"
    )


def contains(value: Any, wanted: Any) -> bool:
    """Whether a metadata value contains a filter value."""
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and all(
            key in value and contains(value[key], item) for key, item in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        return isinstance(value, list | tuple) and all(
            any(contains(candidate, item) for candidate in value) for item in wanted
        )
    if wanted is None or isinstance(wanted, bool):
        return value is wanted
    if isinstance(wanted, int | float):
        return isinstance(value, int | float) and _same_number(value, wanted)
    return isinstance(value, str) and value == wanted


def _same_number(value: int | float, wanted: int | float) -> bool:
    if isinstance(value, bool):
        return False
    return value == wanted if type(value) is type(wanted) else _decimal(value) == _decimal(wanted)


def _decimal(number: int | float) -> Decimal:
    """The number that JSON text says; of a float, the shortest that reads back as it."""
    return Decimal(float.__repr__(number) if isinstance(number, float) else number)
