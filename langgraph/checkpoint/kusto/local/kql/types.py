"""Static types: which types go together, and what comes out.

Types are their Kusto names as text. Nothing here has a value.
"""

from __future__ import annotations

from collections.abc import Iterable

INTEGERS = frozenset({"int", "long"})
NUMBERS = frozenset({"int", "long", "real", "decimal"})
SUMMABLE = NUMBERS | {"datetime", "timespan"}
ORDERABLE = SUMMABLE | {"string", "bool"}
SCALARS = ORDERABLE | {"guid", "dynamic"}

CLR_TYPES = {
    "bool": "System.SByte",
    "int": "System.Int32",
    "long": "System.Int64",
    "real": "System.Double",
    "decimal": "System.Data.SqlTypes.SqlDecimal",
    "string": "System.String",
    "datetime": "System.DateTime",
    "timespan": "System.TimeSpan",
    "guid": "System.Guid",
    "dynamic": "System.Object",
}
"""The .NET types that `getschema` and the schemas of tables name."""

_WIDTH = {"int": 0, "long": 1, "real": 2, "decimal": 3}


def widest(types: Iterable[str]) -> str:
    """The widest of some number types; arithmetic on `int` gives `long`."""
    found = max(types, key=_WIDTH.__getitem__)
    return "long" if found == "int" else found


def converts(given: str, wanted: str) -> bool:
    """Whether a value of one type may stand where the other is declared."""
    if given == wanted:
        return True
    if wanted == "string":
        return given == "dynamic"
    return given in NUMBERS and wanted in NUMBERS and _WIDTH[given] < _WIDTH[wanted]


def common(types: Iterable[str]) -> str | None:
    """The one type that values of all these types fit in, or None."""
    kinds = set(types)
    if len(kinds) == 1:
        return kinds.pop()
    if kinds <= NUMBERS:
        return max(kinds, key=_WIDTH.__getitem__)
    return None


def comparable(left: str, right: str) -> bool:
    """Whether `==` between the two types has a meaning.

    The service is stricter than its published binder: it refuses `string == long`.
    """
    if left == right or "dynamic" in (left, right):
        return True
    numbers_or_bool = NUMBERS | {"bool"}
    if left in numbers_or_bool and right in numbers_or_bool:
        return True
    return {left, right} == {"string", "guid"}


def describe(names: frozenset[str]) -> list[str]:
    """Type names in a fixed order, for messages."""
    order = "bool int long real decimal string datetime timespan guid dynamic".split()
    return [name for name in order if name in names]
