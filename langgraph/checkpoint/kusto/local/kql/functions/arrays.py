"""Functions on dynamic arrays. Something that is no array gives null."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from langgraph.checkpoint.kusto.local.kql import nodes, types
from langgraph.checkpoint.kusto.local.kql.bind_text import has_term
from langgraph.checkpoint.kusto.local.kql.coerce import convert, dynamic_of, element_number, freeze
from langgraph.checkpoint.kusto.local.kql.errors import (
    not_summable,
    semantic_error,
    unsupported,
    wrong_argument_count,
)
from langgraph.checkpoint.kusto.local.kql.functions.registry import (
    bind_arguments,
    function,
    special,
)
from langgraph.checkpoint.kusto.local.kql.interface import Row
from langgraph.checkpoint.kusto.local.kql.ordering import dynamic_key
from langgraph.checkpoint.kusto.local.kql.plan import visible
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar, apply_strict, combined
from langgraph.checkpoint.kusto.local.kql.scope import Scope
from langgraph.checkpoint.kusto.local.kql.values import (
    TICKS_PER_HOUR,
    format_dynamic_as_text,
    to_dynamic,
)

_MOST_ELEMENTS = 1_048_576


def _is_list(*arguments: Any) -> bool:
    return all(isinstance(argument, list) for argument in arguments)


# ---------------------------------------------------------------- one array


@function("array_length(array: array) -> long", "arraylength")
def _array_length(array: Any) -> int | None:
    return len(array) if _is_list(array) else None


@function("array_reverse(array: array) -> dynamic")
def _array_reverse(array: Any) -> Any:
    return array[::-1] if _is_list(array) else None


@function("array_sum(array: array) -> real")
def _array_sum(array: Any) -> float | None:
    if not _is_list(array):
        return None
    numbers = [element_number(item) for item in array if item is not None]
    return None if None in numbers else float(sum(numbers))


@function("array_slice(array: array, start: integer, end: integer) -> dynamic")
def _array_slice(array: Any, start: int, end: int) -> Any:
    """The elements from `start` to `end`, both included; negative counts from the end."""
    if not _is_list(array):
        return None
    first = max(0, len(array) + start) if start < 0 else start
    last = len(array) + end if end < 0 else end
    return array[first : last + 1] if last >= first else []


@function("array_split(array: array, index: any) -> dynamic")
def _array_split(array: Any, index: Any) -> Any:
    """Cut an array before one or several positions."""
    if not _is_list(array):
        return None
    cuts = [index] if isinstance(index, int) else index
    if not _is_list(cuts):
        return None
    places = sorted(max(0, len(array) + cut) if cut < 0 else min(cut, len(array)) for cut in cuts)
    borders = [0, *places, len(array)]
    return [array[a:b] for a, b in pairwise(borders)]


@function(
    "array_index_of(array: array, value: element, start?: integer, length?: integer,"
    " occurrence?: integer/constant) -> long"
)
def _array_index_of(
    array: Any, value: Any, start: int = 0, length: int = -1, occurrence: int = 1
) -> int | None:
    """Position of the n-th equal element, -1 without one; null for a bad start or number."""
    if not _is_list(array):
        return None
    if start < 0:
        start = max(0, len(array) + start)
    if start > len(array) or occurrence < 1 or length < -1:
        return None
    stop = len(array) if length == -1 else min(len(array), start + length)
    wanted, seen = freeze(value), 0
    for at in range(start, stop):
        if freeze(array[at]) == wanted:
            seen += 1
            if seen == occurrence:
                return at
    return -1


@function("array_rotate_left(array: array, count: integer) -> dynamic")
def _rotate_left(array: Any, count: int) -> Any:
    if not _is_list(array):
        return None
    shift = count % len(array) if array else 0
    return array[shift:] + array[:shift]


@function("array_rotate_right(array: array, count: integer) -> dynamic")
def _rotate_right(array: Any, count: int) -> Any:
    return _rotate_left(array, -count)


@function("array_shift_left(array: array, count: integer, fill?: element) -> dynamic", strict=False)
def _shift_left(array: Any, count: int | None, fill: Any = None) -> Any:
    if not _is_list(array) or count is None:
        return None
    if count < 0:
        kept = max(0, len(array) + count)
        return [fill] * (len(array) - kept) + array[:kept]
    return array[count:] + [fill] * min(count, len(array))


@function(
    "array_shift_right(array: array, count: integer, fill?: element) -> dynamic", strict=False
)
def _shift_right(array: Any, count: int | None, fill: Any = None) -> Any:
    return None if count is None else _shift_left(array, -count, fill)


@function(
    "array_iff(test: array, when: element, otherwise: element) -> dynamic",
    "array_iif",
    strict=False,
)
def _array_iff(test: Any, when: Any, otherwise: Any) -> Any:
    if not _is_list(test):
        return None
    return [_pick(when if _truth(each) else otherwise, at) for at, each in enumerate(test)]


def _truth(value: Any) -> bool:
    return bool(value) if isinstance(value, (bool, int, float)) else False


def _pick(source: Any, at: int) -> Any:
    if not isinstance(source, list):
        return source
    return source[at] if at < len(source) else None


# ---------------------------------------------------------------- several arrays


@function("array_concat(array+: array) -> dynamic")
def _array_concat(*arrays: Any) -> Any:
    known = [array for array in arrays if isinstance(array, list)]
    return [item for array in known for item in array] if known else None


@function("zip(array{2,64}: array) -> dynamic")
def _zip(*arrays: Any) -> Any:
    if not _is_list(*arrays):
        return None
    longest = max(len(array) for array in arrays)
    return [[_pick(array, at) for array in arrays] for at in range(longest)]


def _sort(name: str, descending: bool) -> None:
    def bind(node: nodes.Call, scope: Scope) -> Scalar:
        arguments = list(bind_arguments(node, scope))
        if not arguments:
            raise wrong_argument_count(name, 1, 64)
        nulls_last = True
        if len(arguments) > 1 and arguments[-1].type == "bool":
            nulls_last = bool(arguments.pop().value)
        for argument in arguments:
            if argument.type != "dynamic":
                raise semantic_error("KS234", "The expression value must be a dynamic array.")
        if len(arguments) > 1:
            raise unsupported(f"{name}() with several arrays", "sort pairs made with zip()")

        def compute(array: Any) -> Any:
            if not _is_list(array):
                return None
            return [array[at] for at in _order(array, descending, nulls_last)]

        return combined("dynamic", apply_strict(compute, *arguments), *arguments)

    special(name)(bind)


def _order(array: list[Any], descending: bool, nulls_last: bool) -> list[int]:
    known = [at for at, item in enumerate(array) if item is not None]
    nulls = [at for at, item in enumerate(array) if item is None]
    known.sort(key=lambda at: dynamic_key(array[at]), reverse=descending)
    return known + nulls if nulls_last else nulls + known


_sort("array_sort_asc", descending=False)
_sort("array_sort_desc", descending=True)


# ---------------------------------------------------------------- sets


def _unique(items: list[Any]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for item in items:
        found.setdefault(freeze(item), item)
    return found


@function("set_union(set{2,64}: array) -> dynamic")
def _set_union(*sets: Any) -> Any:
    if not _is_list(*sets):
        return None
    return list(_unique([item for each in sets for item in each]).values())


@function("set_intersect(set{2,64}: array) -> dynamic")
def _set_intersect(first: Any, *others: Any) -> Any:
    if not _is_list(first, *others):
        return None
    keys = [set(_unique(other)) for other in others]
    return [item for key, item in _unique(first).items() if all(key in each for each in keys)]


@function("set_difference(set{2,64}: array) -> dynamic")
def _set_difference(first: Any, *others: Any) -> Any:
    if not _is_list(first, *others):
        return None
    away = {key for other in others for key in _unique(other)}
    return [item for key, item in _unique(first).items() if key not in away]


@function("set_has_element(set: array, value: element) -> bool")
def _set_has_element(each: Any, value: Any) -> bool | None:
    return freeze(value) in _unique(each) if _is_list(each) else None


@function("set_equals(first: array, second: array) -> bool")
def _set_equals(first: Any, second: Any) -> bool | None:
    return set(_unique(first)) == set(_unique(second)) if _is_list(first, second) else None


@function("jaccard_index(set{2,2}: array) -> dynamic")
def _jaccard_index(first: Any, second: Any) -> Any:
    if not _is_list(first, second):
        return None
    a, b = set(_unique(first)), set(_unique(second))
    return len(a & b) / len(a | b) if a | b else None


# ---------------------------------------------------------------- making


@special("pack_array")
def _pack_array(node: nodes.Call, scope: Scope) -> Scalar:
    if node.arguments == (nodes.Star(),):
        columns = scope.columns or ()
        arguments = tuple(
            scope.binder.scalar(nodes.Name(columns[at].name), scope) for at in visible(columns)
        )
    else:
        arguments = bind_arguments(node, scope)
    if not arguments:
        raise wrong_argument_count("pack_array", 1, 32767)
    parts = [dynamic_of(argument) for argument in arguments]
    closures = [part.evaluate for part in parts]

    def evaluate(row: Row, run: Run) -> list[Any]:
        return [closure(row, run) for closure in closures]

    return combined("dynamic", evaluate, *parts)


@special("range")
def _range(node: nodes.Call, scope: Scope) -> Scalar:
    arguments = bind_arguments(node, scope)
    if len(arguments) not in (2, 3):
        raise wrong_argument_count("range", 2, 3)
    for argument in arguments:
        if argument.type not in types.SUMMABLE:
            raise not_summable()
    kind = _range_type([argument.type for argument in arguments])
    parts = [convert(argument, kind) for argument in arguments]
    default = _DEFAULT_STEPS.get(kind, 1)

    def compute(start: Any, stop: Any, step: Any = default) -> list[Any] | None:
        return _steps(start, stop, step, kind) if step != 0 else None

    return combined("dynamic", apply_strict(compute, *parts), *parts)


_DEFAULT_STEPS = {"timespan": TICKS_PER_HOUR, "datetime": TICKS_PER_HOUR}


def _range_type(kinds: list[str]) -> str:
    """The type of the elements; moments and spans advance by a span."""
    if set(kinds) <= types.NUMBERS:
        return types.widest(kinds)
    if kinds[1] != kinds[0] or any(kind != "timespan" for kind in kinds[2:]):
        raise semantic_error("KS107", "range() over times takes two of a type and a timespan.")
    return kinds[0]


def _steps(start: Any, stop: Any, step: Any, kind: str) -> list[Any]:
    found = []
    for number in range(_MOST_ELEMENTS):
        value = start + number * step
        if value > stop if step > 0 else value < stop:
            break
        found.append(to_dynamic(value, kind))
    return found


@function("repeat(value: element, count: long) -> dynamic", strict=False)
def _repeat(value: Any, count: int | None) -> Any:
    return None if count is None or not 0 <= count <= _MOST_ELEMENTS else [value] * count


@function("has_any_index(source: strings, terms: array) -> long")
def _has_any_index(source: str, terms: Any) -> int | None:
    """Position of the first text that the source `has`, -1 without one."""
    if not _is_list(terms):
        return None
    texts = [format_dynamic_as_text(term) for term in terms]
    return next((at for at, text in enumerate(texts) if has_term(source, text, False)), -1)
