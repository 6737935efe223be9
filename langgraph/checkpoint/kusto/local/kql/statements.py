"""Binding of a whole text: its statements in order, the names they declare, the results.

Gives a `Program`: what to compute for each tabular statement, and the parameters the text
declares. A program holds nothing of one execution and may be used many times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langgraph.checkpoint.kusto.local.kql import (
    bind_expressions,
    bind_tables,
    nodes,
    operator_nodes,
)
from langgraph.checkpoint.kusto.local.kql.bind_functions import declare_let
from langgraph.checkpoint.kusto.local.kql.coerce import assignable, convert
from langgraph.checkpoint.kusto.local.kql.errors import semantic_error
from langgraph.checkpoint.kusto.local.kql.interface import (
    Catalog,
    Column,
    Columns,
    ResultTable,
)
from langgraph.checkpoint.kusto.local.kql.parameters import Declared, read_parameters
from langgraph.checkpoint.kusto.local.kql.plan import Plan, visible
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar
from langgraph.checkpoint.kusto.local.kql.scope import ScalarVariable, Scope


class QueryBinder:
    """The entries of binding, handed down in every scope."""

    def scalar(self, node: nodes.Expression, scope: Scope) -> Scalar:
        """Bind an expression that gives one value."""
        return bind_expressions.bind_scalar(node, scope)

    def table(self, node: nodes.Expression, scope: Scope) -> Plan:
        """Bind an expression that gives a table."""
        return bind_tables.bind_table(node, scope)

    def is_tabular(self, node: nodes.Expression, scope: Scope) -> bool:
        """Whether an expression gives a table."""
        return bind_tables.is_tabular(node, scope)


@dataclass(frozen=True)
class Statement:
    """One tabular statement: the name of its result and what computes it."""

    name: str
    plan: Plan

    @property
    def columns(self) -> Columns:
        """The columns a user sees."""
        return shown(self.plan.columns)

    def result(self, run: Run) -> ResultTable:
        """Compute the rows."""
        rows = self.plan.rows(run)
        seen = visible(self.plan.columns)
        if len(seen) != len(self.plan.columns):
            rows = (tuple([row[at] for at in seen]) for row in rows)
        return ResultTable(self.name, self.columns, list(rows))


@dataclass(frozen=True)
class Program:
    """A bound text."""

    statements: tuple[Statement, ...]
    parameters: tuple[Declared, ...]

    def execute(self, run: Run) -> list[ResultTable]:
        """Compute all results in order."""
        return [statement.result(run) for statement in self.statements]

    def read(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the declared parameters."""
        return read_parameters(self.parameters, sent)


def root_scope(catalog: Catalog, mentions_ingestion_time: bool) -> Scope:
    """The scope at the beginning of a text."""
    return Scope(QueryBinder(), catalog, with_ingestion_time=mentions_ingestion_time)


def bind_program(text: str, statements: tuple[nodes.Statement, ...], catalog: Catalog) -> Program:
    """Bind a text.

    Raises:
        KqlError: The text means nothing in this catalog.
    """
    scope = root_scope(catalog, "ingestion_time" in text)
    bound: list[Statement] = []
    declared: list[Declared] = []
    for statement in statements:
        match statement:
            case nodes.Let():
                scope = declare_let(statement, scope)
            case nodes.Declare():
                for parameter in statement.parameters:
                    entry, scope = _declare(parameter, scope)
                    declared.append(entry)
            case nodes.Query():
                bound.append(_bind_query(statement.expression, scope))
                scope = _declare_named(statement.expression, scope)
            case nodes.SetOption():
                pass
    if not bound:
        raise semantic_error(
            "SEM0139", "The query holds no tabular expression statement; add one after the let."
        )
    return Program(tuple(bound), tuple(declared))


def _bind_query(expression: nodes.Expression, scope: Scope) -> Statement:
    if not scope.binder.is_tabular(expression, scope):
        if isinstance(expression, (nodes.Name, nodes.Call)):
            # Lets the name be reported, when it is nothing at all.
            scope.binder.table(expression, scope)
        raise semantic_error(
            "SEM0219", "A tabular expression statement is expected; use print for a scalar."
        )
    plan = scope.binder.table(expression, scope)
    plan.need_all()
    name = "PrimaryResult"
    if isinstance(expression, nodes.Pipe):
        for operator in expression.operators:
            if isinstance(operator, operator_nodes.As):
                name = operator.name
    return Statement(name, plan)


def _declare_named(expression: nodes.Expression, scope: Scope) -> Scope:
    """Make the names of `as` known to the statements that follow."""
    if isinstance(expression, nodes.Pipe):
        for at, operator in enumerate(expression.operators):
            if isinstance(operator, operator_nodes.As):
                variable = bind_tables.prefix_variable(expression, at, scope)
                scope = scope.declaring(operator.name, variable)
    return scope


def _declare(parameter: nodes.Parameter, scope: Scope) -> tuple[Declared, Scope]:
    if parameter.columns is not None:
        raise semantic_error("KS160", "A query parameter cannot be a table.")
    name, kind = parameter.name, parameter.type
    default: Scalar | None = None
    if parameter.default is not None:
        if kind == "dynamic":
            raise semantic_error(
                "SEM0237", f"The query parameter '{name}' of type dynamic cannot have a default."
            )
        default = scope.binder.scalar(parameter.default, scope)
        if not default.is_literal or not assignable(default, kind):
            raise semantic_error("KS107", f"A literal of type {kind} expected.")
        default = convert(default, kind)
    scalar = Scalar(kind, lambda row, run: run.parameters[name], fixed=True)
    declared = Declared(name, kind, default is not None, default.value if default else None)
    return declared, scope.declaring(name, ScalarVariable(scalar))


def shown(columns: Columns) -> tuple[Column, ...]:
    """The columns a user sees."""
    return tuple(columns[at] for at in visible(columns))
