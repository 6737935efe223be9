"""The order of values: for `sort`, `top`, `min`, `max`, `arg_max` and array sorting.

Strings are ordered by their characters' numbers (ordinal). NaN comes before every number.
Null is left to the caller: its place is a matter of `nulls first` and `nulls last`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


def sort_key(type_name: str) -> Callable[[Any], Any]:
    """A function that brings values of a type into a form Python orders as Kusto does."""
    if type_name == "real":
        return lambda value: (-1, 0.0) if math.isnan(value) else (0, value)
    if type_name == "dynamic":
        return dynamic_key
    return lambda value: value


_RANKS = ((bool, 1), (int, 2), (float, 2), (str, 3))


def dynamic_key(value: Any) -> Any:
    """Order of values inside of a dynamic: booleans, numbers, texts, then the rest."""
    for kind, rank in _RANKS:
        if isinstance(value, kind):
            return rank, value
    return 4, str(value)
