"""Binding of calls to the user's own functions, `let` or stored.

A call is bound by binding the function's body anew with its parameters as variables: the
body sees its own arguments and what stood before it, never the caller's columns.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from langgraph.checkpoint.kusto.local.kql import nodes
from langgraph.checkpoint.kusto.local.kql.coerce import assignable, convert
from langgraph.checkpoint.kusto.local.kql.errors import (
    semantic_error,
    unknown_function,
    wrong_argument_count,
)
from langgraph.checkpoint.kusto.local.kql.parser import parse_function
from langgraph.checkpoint.kusto.local.kql.plan import Materialized, Plan
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar
from langgraph.checkpoint.kusto.local.kql.scope import (
    FunctionVariable,
    ScalarVariable,
    Scope,
    SharedTable,
    TabularVariable,
    Variable,
)

_DEEPEST_CALL = 32


class _Body(NamedTuple):
    """The last expression of a function, and the scope it is bound in."""

    expression: nodes.Expression
    scope: Scope


def find_function(name: str, scope: Scope) -> FunctionVariable:
    """Return the user's function of this name.

    Raises:
        KqlError: There is none.
    """
    found = scope.function(name)
    if found is None:
        raise unknown_function(name)
    if isinstance(found, FunctionVariable):
        return found
    definition = parse_function(found.parameters, found.body)
    # A stored function sees the catalog and nothing of the query that calls it.
    outer = replace(scope.outside(), variables={}, operator="")
    return FunctionVariable(definition, outer)


def bind_scalar_function(node: nodes.Call, scope: Scope) -> Scalar:
    """Bind a call that gives one value."""
    body = _enter(node, scope)
    return scope.binder.scalar(body.expression, body.scope).named("")


def bind_table_function(node: nodes.Call, scope: Scope) -> Plan:
    """Bind a call that gives a table."""
    body = _enter(node, scope)
    return scope.binder.table(body.expression, body.scope)


def is_table_function(node: nodes.Call, scope: Scope) -> bool:
    """Whether a call gives a table."""
    body = _enter(node, scope)
    return scope.binder.is_tabular(body.expression, body.scope)


def _enter(node: nodes.Call, scope: Scope) -> _Body:
    """Bind the arguments, declare the parameters, go through the body's statements."""
    function = find_function(node.name, scope)
    calls = (*scope.calls, node.name)
    if len(calls) > _DEEPEST_CALL:
        raise semantic_error(
            "SEM0250", f"Function '{node.name}' calls itself: recursion is not supported."
        )
    arguments = _arguments(node, function.definition.parameters)
    variables: dict[str, Variable] = dict(function.scope.variables)
    for parameter, argument in zip(function.definition.parameters, arguments, strict=True):
        # A default is an expression of the function's own place, an argument of the caller's.
        place = function.scope if argument is parameter.default else scope
        variables[parameter.name] = _argument(node.name, parameter, argument, place)
    inner = replace(
        function.scope,
        variables=variables,
        columns=None,
        row=scope.row,
        calls=calls,
        with_ingestion_time=scope.with_ingestion_time,
    )
    return last_expression(function.definition.body, inner)


def last_expression(body: tuple[nodes.Statement, ...], scope: Scope) -> _Body:
    """Declare the `let` statements of a body and return its one expression."""
    *before, last = body or (None,)
    for statement in before:
        if not isinstance(statement, nodes.Let):
            raise semantic_error("KS177", "A function's body is let statements and one expression.")
        scope = declare_let(statement, scope)
    if not isinstance(last, nodes.Query):
        raise semantic_error("KS177", "A function's body must end with an expression.")
    return _Body(last.expression, scope)


def declare_let(statement: nodes.Let, scope: Scope) -> Scope:
    """Return the scope after a `let` statement."""
    expression = statement.expression
    variable: Variable
    if isinstance(expression, nodes.Lambda):
        variable = FunctionVariable(expression, scope)
    elif isinstance(expression, nodes.Call) and expression.name == "materialize":
        variable = _materialize(expression, scope)
    elif scope.binder.is_tabular(expression, scope):
        # Bound here for its errors; bound anew at each use, as Kusto evaluates it anew.
        scope.binder.table(expression, scope)
        variable = TabularVariable(expression, scope)
    else:
        scalar = scope.binder.scalar(expression, scope)
        variable = ScalarVariable(scalar.named(""), scope.row if scalar.columns else None)
    if isinstance(variable, FunctionVariable):
        check_defaults(variable)
    return scope.declaring(statement.name, variable)


def _materialize(call: nodes.Call, scope: Scope) -> Variable:
    if len(call.arguments) != 1:
        raise wrong_argument_count("materialize", 1, 1)
    return SharedTable(Materialized(scope.binder.table(call.arguments[0], scope)))


def check_defaults(function: FunctionVariable) -> None:
    """Refuse a parameter without default after one with, and defaults of the wrong type."""
    had_default = False
    for parameter in function.definition.parameters:
        if parameter.default is None:
            if had_default:
                raise semantic_error(
                    "KS152", f"The parameter '{parameter.name}' must have a default value too."
                )
            continue
        had_default = True
        default = function.scope.binder.scalar(parameter.default, function.scope)
        if not assignable(default, parameter.type):
            raise semantic_error("KS107", f"A value of type {parameter.type} expected.")


def _arguments(node: nodes.Call, parameters: tuple[nodes.Parameter, ...]) -> list[nodes.Expression]:
    """One expression for each parameter, by position, by name or by default."""
    given: dict[str, nodes.Expression] = {}
    names = [parameter.name for parameter in parameters]
    needed = sum(1 for parameter in parameters if parameter.default is None)
    if not needed <= len(node.arguments) <= len(parameters):
        raise wrong_argument_count(node.name, needed, len(parameters))
    for at, argument in enumerate(node.arguments):
        name = names[at]
        if isinstance(argument, nodes.Named):
            name, argument = argument.names[0], argument.expression
            if name not in names:
                raise semantic_error(
                    "KS196", f"The function '{node.name}' has no parameter named '{name}'."
                )
        if name in given:
            raise semantic_error("KS151", f"The parameter '{name}' is given twice.")
        given[name] = argument
    found: list[nodes.Expression] = []
    for parameter in parameters:
        argument_or_default = given.get(parameter.name, parameter.default)
        if argument_or_default is None:
            raise wrong_argument_count(node.name, needed, len(parameters))
        found.append(argument_or_default)
    return found


def _argument(
    function: str, parameter: nodes.Parameter, argument: nodes.Expression, scope: Scope
) -> Variable:
    if parameter.columns is not None:
        return _tabular_argument(function, parameter, argument, scope)
    scalar = scope.binder.scalar(argument, scope)
    if not assignable(scalar, parameter.type):
        raise semantic_error(
            "KS107",
            f"A value of type {parameter.type} expected"
            f" (parameter '{parameter.name}' of '{function}').",
        )
    return ScalarVariable(convert(scalar, parameter.type), scope.row if scalar.columns else None)


def _tabular_argument(
    function: str, parameter: nodes.Parameter, argument: nodes.Expression, scope: Scope
) -> Variable:
    plan = scope.binder.table(argument, scope.outside())
    held = {column.name: column.type for column in plan.columns}
    for wanted in parameter.columns or ():
        if held.get(wanted.name) != wanted.type:
            raise semantic_error(
                "KS240",
                f"The table given to '{function}' has no column"
                f" '{wanted.name}' of type {wanted.type}.",
            )
    return TabularVariable(argument, scope.outside())
