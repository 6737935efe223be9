"""The syntax tree of KQL: expressions, sources, functions, statements; frozen, no behaviour.

The parser makes these, the binder reads them. Names are not resolved here and nothing has
a type yet, except literals. The operators after a pipe are in `operator_nodes`, which builds
on this file; only `union` is here, because it may also begin a pipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# ---------------------------------------------------------------- expressions


@dataclass(frozen=True)
class Literal:
    """A value written in the text; `type` is its Kusto type."""

    value: Any
    type: str


@dataclass(frozen=True)
class Name:
    """A bare name: column, variable, parameter, table or function."""

    name: str


@dataclass(frozen=True)
class Star:
    """The `*` of `arg_max(x, *)`, `take_any(*)` and `distinct *`."""


@dataclass(frozen=True)
class TypeLiteral:
    """`typeof(type, ...)` as an argument."""

    types: tuple[str, ...]


@dataclass(frozen=True)
class Member:
    """`base.name`."""

    base: Expression
    name: str


@dataclass(frozen=True)
class Index:
    """`base[index]`."""

    base: Expression
    index: Expression


@dataclass(frozen=True)
class Call:
    """`name(arguments)`."""

    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class MemberCall:
    """`base.name(arguments)`, as in `database("x").f(1)`."""

    base: Expression
    call: Call


@dataclass(frozen=True)
class Unary:
    """`-x` or `+x`."""

    operator: str
    operand: Expression


@dataclass(frozen=True)
class Binary:
    """`left operator right`, arithmetic, comparison, string operator, `and`, `or`."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class ListTest:
    """`left in (items)`, `has_any`, `has_all` and their negations."""

    operator: str
    left: Expression
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Between:
    """`operand between (low .. high)`."""

    operator: str
    operand: Expression
    low: Expression
    high: Expression


@dataclass(frozen=True)
class Named:
    """`name = expression`; several names for `(a, b) = expression`."""

    names: tuple[str, ...]
    expression: Expression


# ---------------------------------------------------------------- tables and pipes


@dataclass(frozen=True)
class ColumnSchema:
    """`name:type` in a datatable, a parse pattern or a table parameter."""

    name: str
    type: str


@dataclass(frozen=True)
class Datatable:
    """`datatable (columns) [values]`."""

    columns: tuple[ColumnSchema, ...]
    values: tuple[Expression, ...]


@dataclass(frozen=True)
class Print:
    """`print expressions`."""

    expressions: tuple[Expression, ...]


@dataclass(frozen=True)
class RangeSource:
    """`range name from start to stop step step`."""

    name: str
    start: Expression
    stop: Expression
    step: Expression


@dataclass(frozen=True)
class Option:
    """`kind=inner`, `hint.strategy=shuffle` and the like."""

    name: str
    value: str


class Operator:
    """What stands after a pipe. The kinds are in `operator_nodes`, and `Union`."""


@dataclass(frozen=True)
class Pipe:
    """`source | operator | operator`; also a parenthesised expression with a pipe."""

    source: Expression
    operators: tuple[Operator, ...]


@dataclass(frozen=True)
class Union(Operator):
    """`union options sources`; as a source or after a pipe."""

    options: tuple[Option, ...]
    sources: tuple[Expression, ...]


# ---------------------------------------------------------------- functions


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function or a query; `columns` is set for a tabular one."""

    name: str
    type: str
    default: Expression | None = None
    columns: tuple[ColumnSchema, ...] | None = None


@dataclass(frozen=True)
class Lambda:
    """`(parameters) { statements }`."""

    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]


Expression = (
    Literal
    | Name
    | Star
    | TypeLiteral
    | Member
    | Index
    | Call
    | MemberCall
    | Unary
    | Binary
    | ListTest
    | Between
    | Named
    | Datatable
    | Print
    | RangeSource
    | Pipe
    | Union
    | Lambda
)

# ---------------------------------------------------------------- statements


@dataclass(frozen=True)
class Let:
    """`let name = expression`."""

    name: str
    expression: Expression


@dataclass(frozen=True)
class Declare:
    """`declare query_parameters(...)`."""

    parameters: tuple[Parameter, ...]


@dataclass(frozen=True)
class SetOption:
    """`set name = value`: accepted, the host decides what it means."""

    name: str
    value: Any


@dataclass(frozen=True)
class Query:
    """A tabular expression statement."""

    expression: Expression


Statement = Let | Declare | SetOption | Query
