"""Which function binds which operator, and what several of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from langgraph.checkpoint.kusto.local.kql import nodes, operator_nodes
from langgraph.checkpoint.kusto.local.kql.errors import (
    semantic_error,
    syntax_error,
    unsupported,
)
from langgraph.checkpoint.kusto.local.kql.plan import Plan
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar
from langgraph.checkpoint.kusto.local.kql.scope import Scope

Bind = Callable[[Plan, Any, Scope], Plan]

_OPERATORS: dict[type[Any], Bind] = {}


def operator(kind: type[Any]) -> Callable[[Bind], Bind]:
    """Declare the function that binds an operator."""

    def declare(bind: Bind) -> Bind:
        _OPERATORS[kind] = bind
        return bind

    return declare


def bind_operator(source: Plan, node: nodes.Operator, scope: Scope) -> Plan:
    """Bind one operator over its source."""
    return _OPERATORS[type(node)](source, node, scope)


def bind_operators(source: Plan, operators: Iterable[nodes.Operator], scope: Scope) -> Plan:
    """Bind a pipeline without a source of its own (`mv-apply`, `partition`)."""
    for each in operators:
        if isinstance(each, operator_nodes.Invoke):
            raise unsupported("'invoke' inside of a subquery", "write out what the function does")
        # The name that `as` gives is unknown outside, and the rows stay the same.
        if not isinstance(each, operator_nodes.As):
            source = bind_operator(source, each, scope)
    return source


def row_count(node: nodes.Expression, scope: Scope, operator_name: str) -> Scalar:
    """Bind the number of `take 5`: a constant integer."""
    count = scope.binder.scalar(node, replace(scope.outside(), operator=operator_name))
    if count.type not in ("int", "long"):
        raise semantic_error(
            "KS134", f"'{operator_name}' operator: The expression value must be an integer."
        )
    if not count.fixed:
        raise semantic_error("KS129", "The expression must be a constant.")
    return count


def option(options: Iterable[nodes.Option], name: str, allowed: Iterable[str], default: str) -> str:
    """The value of an option, one of the allowed ones."""
    choices = list(allowed)
    for each in options:
        if each.name == name:
            if each.value not in choices:
                raise syntax_error(
                    f"Expected one of: {', '.join(choices)}, not '{each.value}'", 1, 1, each.value
                )
            return each.value
    return default
