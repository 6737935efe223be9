"""`union`: the rows of several tables, as a source or after a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from langgraph.checkpoint.kusto.local.kql import nodes
from langgraph.checkpoint.kusto.local.kql.errors import KqlError
from langgraph.checkpoint.kusto.local.kql.interface import Column, Columns, Row
from langgraph.checkpoint.kusto.local.kql.operators.registry import operator, option
from langgraph.checkpoint.kusto.local.kql.plan import Plan, visible
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import Values
from langgraph.checkpoint.kusto.local.kql.scope import Scope
from langgraph.checkpoint.kusto.local.kql.values import missing_value


class Union(Plan):
    """The rows of all branches; `places[b][c]` is where column c is in branch b."""

    def __init__(
        self,
        branches: Sequence[Plan],
        columns: Columns,
        places: list[list[int | None]],
        labels: list[str] | None,
    ) -> None:
        super().__init__(columns)
        self._branches = branches
        self._places = places
        self._labels = labels

    def need(self, wanted: frozenset[int]) -> None:
        for branch, places in zip(self._branches, self._places, strict=True):
            at = (places[column] for column in wanted)
            branch.need(frozenset(place for place in at if place is not None))

    def restrict(self, position: int, values: Values) -> bool:
        heard = False
        for branch, places in zip(self._branches, self._places, strict=True):
            place = places[position]
            if place is not None:
                heard = branch.restrict(place, values) or heard
        return heard

    def rows(self, run: Run) -> Iterable[Row]:
        parts = (self._branch_rows(number, run) for number in range(len(self._branches)))
        merged = chain.from_iterable(parts)
        return merged if run.rng is None else run.unordered(list(merged))

    def _branch_rows(self, number: int, run: Run) -> Iterable[Row]:
        places = list(self._places[number])
        missing: list[Any] = [missing_value(column.type) for column in self.columns]
        if self._labels is not None:
            missing[0] = self._labels[number]
        if None not in places and places == list(range(len(self._branches[number].columns))):
            return self._branches[number].rows(run)
        pairs = list(zip(places, missing, strict=True))
        return (
            tuple([empty if at is None else row[at] for at, empty in pairs])
            for row in self._branches[number].rows(run)
        )


@operator(nodes.Union)
def _union(source: Plan, node: nodes.Union, scope: Scope) -> Plan:
    return bind_union(source, node, scope)


def bind_union(source: Plan | None, node: nodes.Union, scope: Scope) -> Plan:
    """Bind a union; `source` is the table before the pipe, if there is one."""
    kind = option(node.options, "kind", ("inner", "outer"), "outer")
    label = _label_name(node.options)
    fuzzy = option(node.options, "isfuzzy", ("true", "false"), "false") == "true"
    branches, labels = _branches(source, node, scope, fuzzy)
    columns, places = _shape(branches, kind)
    if label is not None:
        taken = {column.name for column in columns}
        while label in taken:
            label += "1"
        columns = [Column(label, "string"), *columns]
        places = [[None, *each] for each in places]
    return Union(branches, tuple(columns), places, labels if label is not None else None)


def _label_name(options: Iterable[nodes.Option]) -> str | None:
    for each in options:
        if each.name in ("withsource", "with_source"):
            return each.value
    return None


def _branches(
    source: Plan | None, node: nodes.Union, scope: Scope, fuzzy: bool
) -> tuple[list[Plan], list[str]]:
    branches = [] if source is None else [source]
    labels = [] if source is None else ["union_arg0"]
    for number, expression in enumerate(node.sources, start=len(branches)):
        try:
            plan = scope.binder.table(expression, scope)
        except KqlError:
            # isfuzzy: a table that is not there counts as not named, unless none is there.
            if fuzzy and isinstance(expression, nodes.Name) and (branches or len(node.sources) > 1):
                continue
            raise
        branches.append(plan)
        label = expression.name if isinstance(expression, nodes.Name) else f"union_arg{number}"
        labels.append(label)
    return branches, labels


def _shape(branches: list[Plan], kind: str) -> tuple[list[Column], list[list[int | None]]]:
    """The columns of the result: of any branch, or of all; one name with two types is split."""
    seen: dict[str, list[str]] = {}
    for branch in branches:
        for at in visible(branch.columns):
            column = branch.columns[at]
            kinds = seen.setdefault(column.name, [])
            if column.type not in kinds:
                kinds.append(column.type)
    wanted: list[tuple[str, str, str]] = []
    for name, kinds in seen.items():
        for type_name in kinds:
            label = name if len(kinds) == 1 else f"{name}_{type_name}"
            wanted.append((label, name, type_name))
    places = [[_place(branch, name, kind_) for _, name, kind_ in wanted] for branch in branches]
    if kind == "inner":
        common = [at for at in range(len(wanted)) if all(row[at] is not None for row in places)]
        wanted = [wanted[at] for at in common]
        places = [[row[at] for at in common] for row in places]
    return [Column(label, type_name) for label, _, type_name in wanted], places


def _place(branch: Plan, name: str, type_name: str) -> int | None:
    for at in visible(branch.columns):
        if branch.columns[at].name == name and branch.columns[at].type == type_name:
            return at
    return None
