"""What names mean at a place of the text: columns, variables, functions, the catalog.

A scope never changes; inner places get a scope of their own. Binding itself is in
`bind_...`; a scope reaches it through `binder`, so that expressions may hold tables and
tables expressions without modules that import each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from langgraph.checkpoint.kusto.local.kql import nodes
from langgraph.checkpoint.kusto.local.kql.errors import semantic_error
from langgraph.checkpoint.kusto.local.kql.interface import Catalog, Columns, FunctionDef, ViewDef
from langgraph.checkpoint.kusto.local.kql.plan import Plan, visible
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar


class Binder(Protocol):
    """The two entries of binding."""

    def scalar(self, node: nodes.Expression, scope: Scope) -> Scalar:
        """Bind an expression that gives one value."""
        ...

    def table(self, node: nodes.Expression, scope: Scope) -> Plan:
        """Bind an expression that gives a table."""
        ...

    def is_tabular(self, node: nodes.Expression, scope: Scope) -> bool:
        """Whether an expression gives a table."""
        ...


class WindowSlots(Protocol):
    """Where functions over the rows around (`row_number`, `prev`) are computed."""

    def add(self, name: str, arguments: tuple[Scalar, ...]) -> Scalar:
        """Reserve a place behind the row; return the scalar that reads it."""
        ...


@dataclass(frozen=True)
class ScalarVariable:
    """A scalar `let`, a query parameter, or an argument of a function.

    `row` names the rows its value depends on, when it depends on any.
    """

    scalar: Scalar
    row: object | None = None


@dataclass(frozen=True)
class TabularVariable:
    """A tabular `let`, an `as`, or an argument of a function: bound anew at each use."""

    expression: nodes.Expression
    scope: Scope


@dataclass(frozen=True)
class SharedTable:
    """A plan that all its uses share: materialized, or what stands for a parameter."""

    plan: Plan


@dataclass(frozen=True)
class FunctionVariable:
    """A function of a `let` statement, with the scope it was written in."""

    definition: nodes.Lambda
    scope: Scope


Variable = ScalarVariable | TabularVariable | SharedTable | FunctionVariable


@dataclass(frozen=True)
class Sides:
    """The columns of `$left` and `$right` in the conditions of a join."""

    left: Columns
    right: Columns


@dataclass(frozen=True)
class Scope:
    """The meaning of names at one place."""

    binder: Binder
    catalog: Catalog
    variables: Mapping[str, Variable] = field(default_factory=dict)
    columns: Columns | None = None
    row: object | None = None
    sides: Sides | None = None
    operator: str = ""
    window: WindowSlots | None = None
    with_ingestion_time: bool = False
    calls: tuple[str, ...] = ()

    def over(self, columns: Columns, operator: str) -> Scope:
        """The scope of an operator's expressions: a row of its own."""
        return replace(
            self, columns=columns, row=object(), operator=operator, window=None, sides=None
        )

    def outside(self) -> Scope:
        """The scope of a tabular expression that stands inside of a row expression."""
        return replace(self, columns=None, row=None, sides=None, window=None)

    def declaring(self, name: str, variable: Variable) -> Scope:
        """The scope after a `let`."""
        if name in self.variables:
            raise semantic_error(
                "KS201", f"A variable with the name '{name}' has already been declared."
            )
        return replace(self, variables={**self.variables, name: variable})

    def position(self, name: str) -> int | None:
        """Where the column of this name is in the row."""
        if self.columns is None:
            return None
        for at in visible(self.columns):
            if self.columns[at].name == name:
                return at
        return None

    def function(self, name: str) -> FunctionVariable | FunctionDef | None:
        """The user's function of this name, `let` before stored."""
        variable = self.variables.get(name)
        if isinstance(variable, FunctionVariable):
            return variable
        return None if variable is not None else self.catalog.function(name)

    def view(self, name: str) -> ViewDef | None:
        """The materialized view of this name."""
        return self.catalog.view(name)
