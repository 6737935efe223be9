"""Operators that choose, name and order columns: `project` and its kin, `distinct`."""

from __future__ import annotations

from collections.abc import Iterable

from langgraph.checkpoint.kusto.local.kql import nodes, operator_nodes
from langgraph.checkpoint.kusto.local.kql.errors import (
    duplicate_column,
    forbidden_dynamic,
    unresolved_name,
)
from langgraph.checkpoint.kusto.local.kql.interface import Column, Row
from langgraph.checkpoint.kusto.local.kql.names import NameTable, explicit_name, matcher
from langgraph.checkpoint.kusto.local.kql.operators.registry import operator, row_count
from langgraph.checkpoint.kusto.local.kql.operators.rows import Windowed, windowed_scope
from langgraph.checkpoint.kusto.local.kql.plan import Plan, Project, Take, visible
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar, Values
from langgraph.checkpoint.kusto.local.kql.scalar import column as column_scalar
from langgraph.checkpoint.kusto.local.kql.scope import Scope


def keep(source: Plan, positions: Iterable[int], renamed: dict[int, str] | None = None) -> Plan:
    """A projection onto existing columns, some under other names."""
    renames = renamed or {}
    chosen = list(positions)
    if not renames and chosen == list(range(len(source.columns))):
        return source
    columns = tuple(
        Column(renames.get(at, source.columns[at].name), source.columns[at].type) for at in chosen
    )
    items = [column_scalar(at, source.columns[at].type, source.columns[at].name) for at in chosen]
    return Project(source, columns, items)


def _bind_items(
    source: Plan, expressions: Iterable[nodes.Expression], scope: Scope, name: str
) -> tuple[Plan, list[Column], list[Scalar]]:
    inner, window = windowed_scope(source, scope, name)
    names = NameTable()
    columns, items = [], []
    for expression in expressions:
        explicit, body = explicit_name(expression)
        item = scope.binder.scalar(body, inner)
        chosen = names.choose(explicit, item.name, item.column is not None)
        columns.append(Column(chosen, item.type))
        items.append(item)
    return (Windowed(source, window) if window.calls else source), columns, items


@operator(operator_nodes.Project)
def _project(source: Plan, node: operator_nodes.Project, scope: Scope) -> Plan:
    below, columns, items = _bind_items(source, node.expressions, scope, "project")
    return Project(below, tuple(columns), items)


def _matching(source: Plan, pattern: str, operator_name: str) -> list[int]:
    """Positions of the columns a pattern names; a plain name must exist."""
    compiled = matcher(pattern)
    found = [at for at in visible(source.columns) if compiled.fullmatch(source.columns[at].name)]
    if not found and "*" not in pattern:
        raise unresolved_name(operator_name, pattern)
    return found


@operator(operator_nodes.ProjectAway)
def _project_away(source: Plan, node: operator_nodes.ProjectAway, scope: Scope) -> Plan:
    away = {at for pattern in node.patterns for at in _matching(source, pattern, "project-away")}
    return keep(source, [at for at in range(len(source.columns)) if at not in away])


@operator(operator_nodes.ProjectKeep)
def _project_keep(source: Plan, node: operator_nodes.ProjectKeep, scope: Scope) -> Plan:
    kept = {at for pattern in node.patterns for at in _matching(source, pattern, "project-keep")}
    return keep(source, sorted(kept))


@operator(operator_nodes.ProjectRename)
def _project_rename(source: Plan, node: operator_nodes.ProjectRename, scope: Scope) -> Plan:
    renames: dict[int, str] = {}
    for new, old in node.renames:
        [at] = _matching(source, old, "project-rename")
        if new in {column.name for column in source.columns} | set(renames.values()):
            raise duplicate_column(new)
        renames[at] = new
    return keep(source, range(len(source.columns)), renames)


@operator(operator_nodes.ProjectReorder)
def _project_reorder(source: Plan, node: operator_nodes.ProjectReorder, scope: Scope) -> Plan:
    order: list[int] = []
    for pattern, direction in node.patterns:
        found = [at for at in _matching(source, pattern, "project-reorder") if at not in order]
        if direction:
            found.sort(key=lambda at: source.columns[at].name, reverse=direction.endswith("desc"))
        order += found
    order += [at for at in range(len(source.columns)) if at not in order]
    return keep(source, order)


class Distinct(Plan):
    """`distinct`: each combination of values once."""

    def __init__(self, source: Plan) -> None:
        super().__init__(source.columns)
        self._source = source

    def need(self, wanted: frozenset[int]) -> None:
        # Every column decides what is distinct, looked at or not.
        self._source.need_all()

    def restrict(self, position: int, values: Values) -> bool:
        return self._source.restrict(position, values)

    def rows(self, run: Run) -> Iterable[Row]:
        return run.unordered(list(dict.fromkeys(self._source.rows(run))))


@operator(operator_nodes.Distinct)
def _distinct(source: Plan, node: operator_nodes.Distinct, scope: Scope) -> Plan:
    if node.expressions == (nodes.Star(),):
        projected = keep(source, visible(source.columns))
    else:
        below, columns, items = _bind_items(source, node.expressions, scope, "distinct")
        projected = Project(below, tuple(columns), items)
    if any(column.type == "dynamic" for column in projected.columns):
        raise forbidden_dynamic()
    return Distinct(projected)


@operator(operator_nodes.SampleDistinct)
def _sample_distinct(source: Plan, node: operator_nodes.SampleDistinct, scope: Scope) -> Plan:
    distinct = _distinct(source, operator_nodes.Distinct((node.expression,)), scope)
    return Take(distinct, row_count(node.count, scope, "sample-distinct"))
