"""The syntax tree of KQL: frozen dataclasses, no behaviour.

The parser makes these, the binder reads them. Names are not resolved here and nothing has
a type yet, except literals.
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


# ---------------------------------------------------------------- sources


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
class Pipe:
    """`source | operator | operator`; also a parenthesised expression with a pipe."""

    source: Expression
    operators: tuple[Operator, ...]


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


# ---------------------------------------------------------------- operators


@dataclass(frozen=True)
class Option:
    """`kind=inner`, `hint.strategy=shuffle` and the like."""

    name: str
    value: str


@dataclass(frozen=True)
class Where:
    """`where predicate`."""

    predicate: Expression


@dataclass(frozen=True)
class Project:
    """`project expressions`."""

    expressions: tuple[Expression, ...]


@dataclass(frozen=True)
class Extend:
    """`extend expressions`."""

    expressions: tuple[Expression, ...]


@dataclass(frozen=True)
class Serialize:
    """`serialize expressions`."""

    expressions: tuple[Expression, ...]


@dataclass(frozen=True)
class ProjectAway:
    """`project-away patterns`."""

    patterns: tuple[str, ...]


@dataclass(frozen=True)
class ProjectKeep:
    """`project-keep patterns`."""

    patterns: tuple[str, ...]


@dataclass(frozen=True)
class ProjectRename:
    """`project-rename new = old, ...`."""

    renames: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ProjectReorder:
    """`project-reorder pattern [asc|desc], ...`."""

    patterns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Summarize:
    """`summarize aggregates by keys`."""

    aggregates: tuple[Expression, ...]
    keys: tuple[Expression, ...]


@dataclass(frozen=True)
class Distinct:
    """`distinct expressions`."""

    expressions: tuple[Expression, ...]


@dataclass(frozen=True)
class SortKey:
    """`expression asc|desc nulls first|last`; None where the text says nothing."""

    expression: Expression
    descending: bool
    nulls_first: bool


@dataclass(frozen=True)
class Sort:
    """`order by keys`."""

    keys: tuple[SortKey, ...]


@dataclass(frozen=True)
class Top:
    """`top count by key`."""

    count: Expression
    key: SortKey


@dataclass(frozen=True)
class Take:
    """`take count` or `sample count`; `verb` says which."""

    verb: str
    count: Expression


@dataclass(frozen=True)
class SampleDistinct:
    """`sample-distinct count of expression`."""

    count: Expression
    expression: Expression


@dataclass(frozen=True)
class Count:
    """`count [as name]`."""

    name: str


@dataclass(frozen=True)
class Join:
    """`join` or `lookup`; `verb` says which."""

    verb: str
    options: tuple[Option, ...]
    right: Expression
    keys: tuple[Expression, ...]


@dataclass(frozen=True)
class Union:
    """`union options sources`; as a source or after a pipe."""

    options: tuple[Option, ...]
    sources: tuple[Expression, ...]


@dataclass(frozen=True)
class Expand:
    """One column of `mv-expand` or `mv-apply`."""

    name: str | None
    expression: Expression
    type: str | None


@dataclass(frozen=True)
class MvExpand:
    """`mv-expand options columns limit n`."""

    options: tuple[Option, ...]
    columns: tuple[Expand, ...]
    limit: Expression | None


@dataclass(frozen=True)
class MvApply:
    """`mv-apply options columns limit n on (operators)`."""

    options: tuple[Option, ...]
    columns: tuple[Expand, ...]
    limit: Expression | None
    operators: tuple[Operator, ...]


@dataclass(frozen=True)
class ParsePart:
    """A part of a parse pattern: a literal text, `*`, or a column."""

    text: str | None = None
    column: ColumnSchema | None = None


@dataclass(frozen=True)
class Parse:
    """`parse` or `parse-where` with a pattern."""

    verb: str
    options: tuple[Option, ...]
    expression: Expression
    parts: tuple[ParsePart, ...]


@dataclass(frozen=True)
class Partition:
    """`partition by column (operators)` or `{ query }`."""

    column: str
    operators: tuple[Operator, ...] | None
    query: Expression | None


@dataclass(frozen=True)
class As:
    """`as name`."""

    name: str


@dataclass(frozen=True)
class GetSchema:
    """`getschema`."""


@dataclass(frozen=True)
class Render:
    """`render ...`: accepted, says nothing about the rows."""


@dataclass(frozen=True)
class Invoke:
    """`invoke function(arguments)`."""

    call: Call


@dataclass(frozen=True)
class Evaluate:
    """`evaluate plugin(arguments)`."""

    call: Call


Operator = (
    Where
    | Project
    | Extend
    | Serialize
    | ProjectAway
    | ProjectKeep
    | ProjectRename
    | ProjectReorder
    | Summarize
    | Distinct
    | Sort
    | Top
    | Take
    | SampleDistinct
    | Count
    | Join
    | Union
    | MvExpand
    | MvApply
    | Parse
    | Partition
    | As
    | GetSchema
    | Render
    | Invoke
    | Evaluate
)

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
