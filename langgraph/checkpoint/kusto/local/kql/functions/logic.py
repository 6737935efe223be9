"""Functions that choose: `iff`, `case`, `coalesce`, null tests, `toscalar`, `assert`."""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.kusto.local.kql import nodes, types
from langgraph.checkpoint.kusto.local.kql.coerce import convert, dynamic_of, element_as, text_of
from langgraph.checkpoint.kusto.local.kql.errors import (
    runtime_error,
    semantic_error,
    wrong_argument_count,
)
from langgraph.checkpoint.kusto.local.kql.functions.registry import (
    bind_arguments,
    function,
    no_common_type,
    special,
)
from langgraph.checkpoint.kusto.local.kql.interface import Row
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import NO_ROW, Scalar, combined, once
from langgraph.checkpoint.kusto.local.kql.scope import Scope
from langgraph.checkpoint.kusto.local.kql.values import missing_value

_MOST_ARGUMENTS = 64


def unify(scalars: list[Scalar]) -> list[Scalar]:
    """Bring the branches of a choice into one type.

    A dynamic branch takes the type of the others, as the values of dynamics have no static
    type; branches that have no type in common become dynamic.
    """
    kinds = [scalar.type for scalar in scalars if scalar.type != "dynamic"]
    if not kinds:
        return scalars
    kind = types.common(kinds)
    if kind is None:
        return [
            Scalar("dynamic", item.evaluate, item.columns, item.fixed)
            for item in map(dynamic_of, scalars)
        ]
    return [_in_type(scalar, kind) for scalar in scalars]


def _in_type(scalar: Scalar, kind: str) -> Scalar:
    if scalar.type != "dynamic":
        return convert(scalar, kind)
    if kind == "string":
        return text_of(scalar)
    from_dynamic = element_as(kind)
    inner = scalar.evaluate
    return combined(kind, lambda row, run: from_dynamic(inner(row, run)), scalar)


def _predicate(scalar: Scalar) -> Scalar:
    if scalar.type != "bool":
        raise semantic_error("KS107", "A value of type bool expected.")
    return scalar


@special("iff", "iif")
def _iff(node: nodes.Call, scope: Scope) -> Scalar:
    if len(node.arguments) != 3:
        raise wrong_argument_count(node.name, 3, 3)
    return _choose(node, scope)


@special("case")
def _case(node: nodes.Call, scope: Scope) -> Scalar:
    if len(node.arguments) < 3:
        raise wrong_argument_count(node.name, 3, 65535)
    if len(node.arguments) % 2 == 0:
        raise semantic_error("KS121", "The function call has an incorrect number of arguments.")
    return _choose(node, scope)


def _choose(node: nodes.Call, scope: Scope) -> Scalar:
    arguments = list(bind_arguments(node, scope))
    tests = [_predicate(argument) for argument in arguments[:-1:2]]
    branches = unify([*arguments[1::2], arguments[-1]])
    pairs = [(t.evaluate, b.evaluate) for t, b in zip(tests, branches[:-1], strict=True)]
    otherwise = branches[-1].evaluate

    def evaluate(row: Row, run: Run) -> Any:
        for test, branch in pairs:
            if test(row, run):
                return branch(row, run)
        return otherwise(row, run)

    return combined(branches[0].type, evaluate, *tests, *branches)


@special("coalesce")
def _coalesce(node: nodes.Call, scope: Scope) -> Scalar:
    if not 2 <= len(node.arguments) <= _MOST_ARGUMENTS:
        raise wrong_argument_count(node.name, 2, _MOST_ARGUMENTS)
    arguments = bind_arguments(node, scope)
    kind = types.common(argument.type for argument in arguments)
    if kind is None:
        raise no_common_type()
    parts = [convert(argument, kind) for argument in arguments]
    closures = [part.evaluate for part in parts]

    def evaluate(row: Row, run: Run) -> Any:
        value = None
        for closure in closures:
            value = closure(row, run)
            # A string is never null: its empty value counts as missing.
            if value is not None and value != "":
                return value
        return value

    return combined(kind, evaluate, *parts)


@function("isnull(value: any) -> bool", strict=False)
def _isnull(value: Any) -> bool:
    return value is None


@function("isnotnull(value: any) -> bool", "notnull", strict=False)
def _isnotnull(value: Any) -> bool:
    return value is not None


@function("isempty(value: text) -> bool", strict=False)
def _isempty(value: str) -> bool:
    return value == ""


@function("isnotempty(value: text) -> bool", "notempty", strict=False)
def _isnotempty(value: str) -> bool:
    return value != ""


@function("not(value: bool) -> bool")
def _not(value: bool) -> bool:
    return not value


@special("assert")
def _assert(node: nodes.Call, scope: Scope) -> Scalar:
    arguments = bind_arguments(node, scope)
    if len(arguments) != 2:
        raise wrong_argument_count("assert", 2, 2)
    test, message = _predicate(arguments[0]), arguments[1]
    if not test.fixed or not message.is_literal or message.type != "string":
        raise semantic_error("KS129", "The arguments of assert() must be constants.")

    def evaluate(row: Row, run: Run) -> bool:
        if not test.evaluate(NO_ROW, run):
            raise runtime_error("SEM0530", f"assert() has failed with message: '{message.value}'")
        return True

    return combined("bool", evaluate, test)


@special("toscalar")
def _toscalar(node: nodes.Call, scope: Scope) -> Scalar:
    if len(node.arguments) != 1:
        raise wrong_argument_count("toscalar", 1, 1)
    argument = node.arguments[0]
    if not scope.binder.is_tabular(argument, scope):
        scalar = scope.binder.scalar(argument, scope)
        if not scalar.fixed:
            raise semantic_error("KS129", "The argument of toscalar() must not depend on the row.")
        return once(scalar)
    plan = scope.binder.table(argument, scope.outside())
    if not plan.columns:
        raise semantic_error("KS129", "The table given to toscalar() has no column.")
    plan.need(frozenset({0}))
    kind = plan.columns[0].type
    missing = missing_value(kind)

    def first(row: Row, run: Run) -> Any:
        return next((line[0] for line in plan.rows(run)), missing)

    return once(Scalar(kind, first, fixed=True))


@special("column_ifexists", "columnifexists")
def _column_ifexists(node: nodes.Call, scope: Scope) -> Scalar:
    if len(node.arguments) != 2:
        raise wrong_argument_count(node.name, 2, 2)
    name, default = bind_arguments(node, scope)
    if not name.is_literal or name.type != "string":
        raise semantic_error("KS129", "The expression must be a constant.")
    if scope.position(name.value) is None:
        return default.named("")
    return scope.binder.scalar(nodes.Name(name.value), scope)


@special("iscolumnexists")
def _iscolumnexists(node: nodes.Call, scope: Scope) -> Scalar:
    if len(node.arguments) != 1:
        raise wrong_argument_count(node.name, 1, 1)
    name = scope.binder.scalar(node.arguments[0], scope)
    if not name.is_literal or name.type != "string":
        raise semantic_error("KS129", "The expression must be a constant.")
    found = scope.position(name.value) is not None
    return Scalar("bool", lambda row, run: found, fixed=True)
