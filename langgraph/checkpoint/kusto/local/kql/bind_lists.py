"""Binding of `in`, `!in`, `in~`, `!in~`, `has_any` and `has_all`.

The list may be constants, dynamic arrays (their elements count) or one table (its first
column counts). A list that is the same for every row becomes a set once in a run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

from langgraph.checkpoint.kusto.local.kql import nodes, types
from langgraph.checkpoint.kusto.local.kql.bind_comparison import (
    comparison_key,
    fold,
    with_restrictions,
)
from langgraph.checkpoint.kusto.local.kql.bind_text import has_term
from langgraph.checkpoint.kusto.local.kql.coerce import text_of
from langgraph.checkpoint.kusto.local.kql.errors import (
    incomparable,
    semantic_error,
    undefined_operator,
    wrong_type,
)
from langgraph.checkpoint.kusto.local.kql.interface import Row
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import NO_ROW, Evaluate, Scalar, combined
from langgraph.checkpoint.kusto.local.kql.scope import Scope

_Elements = Callable[[Row, Run], list[Any]]


def bind_list_test(node: nodes.ListTest, scope: Scope) -> Scalar:
    """Bind one of the list operators."""
    left = scope.binder.scalar(node.left, scope)
    if node.operator in ("has_any", "has_all"):
        return _bind_has(node, left, scope)
    folded = node.operator.endswith("~")
    if folded and left.type not in ("string", "dynamic"):
        raise undefined_operator(node.operator, [left.type])
    elements, columns, fixed = _elements(node, left, scope)
    key = comparison_key(left.type, left.type)
    finish: Callable[[Any], Any] = fold if folded and left.type == "string" else key
    inner, negated = left.evaluate, node.operator.startswith("!")
    memory = object()

    def members(row: Row, run: Run) -> Collection[Any]:
        if not fixed:
            return [finish(item) for item in elements(row, run)]
        found: frozenset[Any] | None = run.memory.get(memory)
        if found is None:
            found = run.memory[memory] = frozenset(map(finish, elements(NO_ROW, run)))
        return found

    def test(row: Row, run: Run) -> bool:
        value = inner(row, run)
        found = value is not None and finish(value) in members(row, run)
        return found is not negated

    def test_in_place(row: Row, run: Run) -> bool:
        value = row[at]
        return (value is not None and value in members(row, run)) is not negated

    at = -1 if left.column is None else left.column  # looked at only where there is one
    plain = left.column is not None and left.type != "dynamic" and not folded
    evaluate = test_in_place if plain else test
    bound = Scalar("bool", evaluate, left.columns | columns, left.fixed and fixed)
    if plain and fixed:
        bound = replace(bound, decide=lambda run: _decided_list(at, members(NO_ROW, run), negated))
    if node.operator == "in" and fixed and left.column is not None and left.type == "string":
        # `fixed` says that the members are a frozenset of strings.
        values = ((left.column, lambda run: frozenset(members(NO_ROW, run))),)
        return with_restrictions(bound, values)
    return bound


def _decided_list(at: int, members: Collection[Any], negated: bool) -> Evaluate | bool:
    """The test of a column for a list that is known; nulls are in no list."""
    if not members:
        return negated
    if negated:
        return lambda row, run: row[at] not in members
    return lambda row, run: row[at] in members


def _elements(
    node: nodes.ListTest, left: Scalar, scope: Scope
) -> tuple[_Elements, frozenset[int], bool]:
    """What the list holds, in the left side's type; which columns it looks at; if it is fixed."""
    if len(node.items) == 1 and scope.binder.is_tabular(node.items[0], scope):
        return _table_elements(node, left, scope), frozenset(), True
    items = [scope.binder.scalar(item, scope) for item in node.items]
    for item in items:
        if not types.comparable(left.type, item.type):
            raise incomparable(left.type, item.type, node.operator)
    readers = [(item.evaluate, _reader(item.type, left.type)) for item in items]

    def evaluate(row: Row, run: Run) -> list[Any]:
        return [each for value, read in readers for each in read(value(row, run))]

    columns: frozenset[int] = frozenset().union(*(item.columns for item in items))
    return evaluate, columns, all(item.fixed for item in items)


def _table_elements(node: nodes.ListTest, left: Scalar, scope: Scope) -> _Elements:
    plan = scope.binder.table(node.items[0], scope.outside())
    if not plan.columns:
        raise semantic_error("KS141", f"The table after '{node.operator}' has no column.")
    kind = plan.columns[0].type
    if not types.comparable(left.type, kind):
        raise incomparable(left.type, kind, node.operator)
    plan.need(frozenset({0}))
    read = _reader(kind, left.type)

    def evaluate(row: Row, run: Run) -> list[Any]:
        return [each for line in plan.rows(run) for each in read(line[0])]

    return evaluate


def _reader(kind: str, wanted: str) -> Callable[[Any], Iterator[Any]]:
    """What a value of type `kind` adds to a list for values of type `wanted`; no nulls."""
    key = comparison_key(kind, wanted)

    def read(value: Any) -> Iterator[Any]:
        several = kind == "dynamic" and isinstance(value, list)
        for element in value if several else (value,):
            # The elements for a dynamic are brought into comparable form by who asked.
            member = element if wanted == "dynamic" else key(element)
            if member is not None:
                yield member

    return read


def _bind_has(node: nodes.ListTest, left: Scalar, scope: Scope) -> Scalar:
    if left.type not in ("string", "dynamic"):
        raise wrong_type(["string", "dynamic"])
    source = text_of(left)
    elements, columns, fixed = _elements(node, source, scope)
    decide = any if node.operator == "has_any" else all
    memory = object()

    def terms(row: Row, run: Run) -> list[Any]:
        if fixed:
            return run.once(memory, lambda: elements(NO_ROW, run))
        return elements(row, run)

    def test(row: Row, run: Run) -> bool:
        text = source.evaluate(row, run)
        return decide(has_term(text, term, False) for term in terms(row, run))

    bound = combined("bool", test, source)
    return Scalar("bool", test, bound.columns | columns, bound.fixed and fixed)
