"""`join` and `lookup`.

Keys match when they are equal and not null; strings match exactly. Columns of the right side
whose names are taken get a number; `lookup` leaves the right side's keys out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from langgraph.checkpoint.kusto.local.kql import nodes, operator_nodes, types
from langgraph.checkpoint.kusto.local.kql.errors import (
    forbidden_dynamic,
    semantic_error,
    unresolved_name,
)
from langgraph.checkpoint.kusto.local.kql.interface import Columns, Row
from langgraph.checkpoint.kusto.local.kql.names import NameTable
from langgraph.checkpoint.kusto.local.kql.operators.columns import keep
from langgraph.checkpoint.kusto.local.kql.operators.registry import operator, option
from langgraph.checkpoint.kusto.local.kql.operators.rows import column_of
from langgraph.checkpoint.kusto.local.kql.plan import Plan, visible
from langgraph.checkpoint.kusto.local.kql.row_makers import cells_at
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import Limit, Values
from langgraph.checkpoint.kusto.local.kql.scope import Scope
from langgraph.checkpoint.kusto.local.kql.values import missing_value

_KINDS = {
    "inner": "inner",
    "fullouter": "fullouter",
    "innerunique": "innerunique",
    "leftanti": "leftanti",
    "leftantisemi": "leftanti",
    "anti": "leftanti",
    "leftouter": "leftouter",
    "leftsemi": "leftsemi",
    "rightanti": "rightanti",
    "rightantisemi": "rightanti",
    "rightouter": "rightouter",
    "rightsemi": "rightsemi",
}
_ONE_SIDED = {"leftanti": 0, "leftsemi": 0, "rightanti": 1, "rightsemi": 1}
_OF_LEFT_ALONE = frozenset({"inner", "innerunique", "leftouter", "leftsemi", "leftanti"})
_FILTERS_LEFT = frozenset({"inner", "leftouter", "leftsemi", "leftanti"})


class _Key(NamedTuple):
    left: int
    right: int


class Join(Plan):
    """A bound join; the result holds both sides' columns, or one side's."""

    def __init__(
        self, left: Plan, right: Plan, kind: str, keys: list[_Key], columns: Columns
    ) -> None:
        super().__init__(columns)
        self._left, self._right = left, right
        self._kind = kind
        self._left_keys = [key.left for key in keys]
        self._right_keys = [key.right for key in keys]

    def need(self, wanted: frozenset[int]) -> None:
        width = len(self._left.columns)
        side = _ONE_SIDED.get(self._kind)
        left = {at for at in wanted if side == 0 or (side is None and at < width)}
        right = {at if side == 1 else at - width for at in wanted if at not in left}
        self._left.need(frozenset(left | set(self._left_keys)))
        self._right.need(frozenset(right | set(self._right_keys)))

    def restrict(self, position: int, values: Values) -> bool:
        if self._kind not in _FILTERS_LEFT or position >= len(self._left.columns):
            return False
        heard = self._left.restrict(position, values)
        if position in self._left_keys:
            # Only right rows of the same key can match.
            other = self._right_keys[self._left_keys.index(position)]
            if self._right.columns[other].type == "string":
                heard = self._right.restrict(other, values) or heard
        return heard

    def limit(self, limit: Limit) -> bool:
        inside = self._kind in _FILTERS_LEFT and limit.column < len(self._left.columns)
        return inside and self._left.limit(limit)

    def rows(self, run: Run) -> Iterable[Row]:
        left, right = list(self._left.rows(run)), list(self._right.rows(run))
        if not right and self._kind in _OF_LEFT_ALONE:
            return run.unordered(self._without_right(left))
        if self._kind in ("leftsemi", "leftanti"):
            found = _matching(left, self._left_keys, right, self._right_keys, self._kind)
        elif self._kind in ("rightsemi", "rightanti"):
            found = _matching(right, self._right_keys, left, self._left_keys, self._kind)
        else:
            found = self._pairs(left, right)
        return run.unordered(found)

    def _without_right(self, left: list[Row]) -> list[Row]:
        """What a side without partners gives."""
        if self._kind == "leftanti":
            return left
        empty_right = _empty(self._right.columns) if self._kind == "leftouter" else ()
        return [row + empty_right for row in left] if empty_right else []

    def _pairs(self, left: list[Row], right: list[Row]) -> list[Row]:
        left_key, right_key = cells_at(self._left_keys), cells_at(self._right_keys)
        if self._kind == "innerunique":
            left = list({left_key(row): row for row in reversed(left)}.values())[::-1]
        index: dict[Row, list[int]] = {}
        for at, row in enumerate(right):
            index.setdefault(right_key(row), []).append(at)
        matched: set[int] = set()
        found: list[Row] = []
        empty_right = _empty(self._right.columns)
        for row in left:
            key = left_key(row)
            partners = [] if None in key else index.get(key, [])
            matched.update(partners)
            found += [row + right[at] for at in partners]
            if not partners and self._kind in ("leftouter", "fullouter"):
                found.append(row + empty_right)
        if self._kind in ("rightouter", "fullouter"):
            empty_left = _empty(self._left.columns)
            found += [empty_left + row for at, row in enumerate(right) if at not in matched]
        return found


def _empty(columns: Columns) -> Row:
    return tuple(missing_value(column.type) for column in columns)


def _matching(
    rows: list[Row], keys: list[int], others: list[Row], other_keys: list[int], kind: str
) -> list[Row]:
    key_of = cells_at(keys)
    known = {key for key in map(cells_at(other_keys), others) if None not in key}
    wanted = kind.endswith("semi")
    return [row for row in rows if (key_of(row) in known) is wanted]


# ---------------------------------------------------------------- binding


@operator(operator_nodes.Join)
def _join(source: Plan, node: operator_nodes.Join, scope: Scope) -> Plan:
    if node.verb == "lookup":
        kind = option(node.options, "kind", ("leftouter", "inner"), "leftouter")
    else:
        kind = _KINDS[option(node.options, "kind", _KINDS, "innerunique")]
    left = keep(source, visible(source.columns))
    right = scope.binder.table(node.right, scope.outside())
    right = keep(right, visible(right.columns))
    keys = [_bind_key(key, left, right) for part in node.keys for key in _conditions(part)]
    if kind in _ONE_SIDED:
        side = (left, right)[_ONE_SIDED[kind]]
        return Join(left, right, kind, keys, side.columns)
    columns = _joined_columns(left, right)
    joined = Join(left, right, kind, keys, columns)
    return joined if node.verb == "join" else _without_right_keys(joined, left, right, keys)


def _joined_columns(left: Plan, right: Plan) -> Columns:
    names = NameTable({column.name for column in left.columns})
    renamed = [replace(column, name=names.derived(column.name)) for column in right.columns]
    return left.columns + tuple(renamed)


def _without_right_keys(joined: Plan, left: Plan, right: Plan, keys: list[_Key]) -> Plan:
    """What `lookup` shows: no right keys, and names as if they had never been there."""
    width = len(left.columns)
    away = {width + key.right for key in keys}
    names = NameTable({column.name for column in left.columns})
    positions = [at for at in range(len(joined.columns)) if at not in away]
    renamed = {at: names.derived(right.columns[at - width].name) for at in positions if at >= width}
    return keep(joined, positions, renamed)


def _conditions(node: nodes.Expression) -> list[nodes.Expression]:
    """Split `a and b`."""
    if isinstance(node, nodes.Binary) and node.operator == "and":
        return [*_conditions(node.left), *_conditions(node.right)]
    return [node]


def _bind_key(node: nodes.Expression, left: Plan, right: Plan) -> _Key:
    if isinstance(node, nodes.Name):
        key = _Key(_find(left, node.name), _find(right, node.name))
    elif isinstance(node, nodes.Binary) and node.operator == "==":
        key = _bind_equality(node, left, right)
    else:
        raise semantic_error(
            "KS182", "The join condition must be a column name or $left.<column> == $right.<column>"
        )
    kinds = (left.columns[key.left].type, right.columns[key.right].type)
    if "dynamic" in kinds:
        raise forbidden_dynamic()
    if kinds[0] != kinds[1] and not set(kinds) <= types.NUMBERS:
        raise semantic_error(
            "KS242", f"Inconsistent data types for join keys: ({kinds[0]}, {kinds[1]})"
        )
    return key


def _bind_equality(node: nodes.Binary, left: Plan, right: Plan) -> _Key:
    sides: dict[str, str] = {}
    for operand, expected in ((node.left, "$left"), (node.right, "$right")):
        if not isinstance(operand, nodes.Member) or operand.base != nodes.Name(expected):
            raise semantic_error(
                "KS183", f"The join condition operand must be: {expected}.<column>"
            )
        sides[expected] = operand.name
    return _Key(_find(left, sides["$left"]), _find(right, sides["$right"]))


def _find(side: Plan, name: str) -> int:
    if name not in {column.name for column in side.columns}:
        raise unresolved_name("join", name)
    return column_of(side, name)[0]
