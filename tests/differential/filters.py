"""Generated filters: parts of a document, parts that were changed a little, and others.

A filter drawn at random hardly ever matches, so most are cut out of the metadata they are asked of.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from .documents import HOSTILE, documents, keys, objects, scalars


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


# Numbers next to each other, and one number written in several ways.
TWINS = [
    0, -0.0, 0.0, False, 1, 1.0, True, -1, 10**16, 1e16, 2**53, 2**53 + 1, float(2**53), 10**22,
    1e22, 10**23, 1e23, int(1e23), 2**64, float(2**64), 2**70, float(2**70), 10**30, 1e30, 10**308,
    1e308, 0.1, 0.1 + 2**-56, 0.30000000000000004, 0.3, 5e-324, 1e-320, 123456789012345680,
    1.2345678901234568e17, "1", "1.0", "true", "null", None, "", [], {}, Level.LOW, Colour.RED,
    "red", (1, 2), [1, 2], [2, 1], [1, 2, 2], [[1, 2]], [{}], [[]], [None], {"": None}, {"a": {}},
    "é", "e\u0301", "ß", "ss", "İ", "i", "\U0001f600", "\\", '"', "\\u0041", "A", "a ", "a",
]  # fmt: skip
leaves = st.one_of(st.sampled_from(TWINS), scalars)
metadata = st.dictionaries(
    keys,
    st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=2).map(tuple),
            st.dictionaries(keys, inner, max_size=3),
        ),
        max_leaves=6,
    ),
    max_size=4,
)


@st.composite
def filters_of(draw: Callable[[Any], Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """A filter for a document: often one that it contains, or nearly contains."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return dict(draw(objects))
    part = _part(draw, document, changes=kind >= 5)
    assert isinstance(part, dict)
    if kind == 9:
        part = {**part, draw(st.one_of(st.just("missing"), keys)): draw(leaves)}
    return part


def _part(draw: Callable[[Any], Any], value: Any, *, changes: bool) -> Any:
    """Some of a document; with `changes`, now and then something else in its place."""
    if isinstance(value, Mapping):
        chosen = draw(st.lists(st.sampled_from(sorted(value)), unique=True)) if value else []
        return {key: _changed(draw, value[key], changes) for key in chosen}
    if isinstance(value, list | tuple):
        at = st.integers(0, max(len(value) - 1, 0))
        chosen = draw(st.lists(at, max_size=3)) if value else []
        return [_changed(draw, value[index], changes) for index in chosen]
    return value


def _changed(draw: Callable[[Any], Any], value: Any, changes: bool) -> Any:
    change = draw(st.integers(0, 11)) if changes else 11
    if change == 0:
        return draw(documents)
    if change == 1:
        return draw(st.sampled_from(TWINS))
    if change == 2:
        return [value]
    if change == 3:
        return {draw(st.sampled_from(HOSTILE)): value}
    if change == 4:
        return _respelt(value)
    return _part(draw, value, changes=changes)


def _respelt(value: Any) -> Any:
    """The same number in another type, or the same text in another case."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        return int(value)
    if isinstance(value, int):
        return float(value) if abs(value) < 2**1000 else str(Decimal(value))
    if isinstance(value, str):
        return value.swapcase()
    return value
