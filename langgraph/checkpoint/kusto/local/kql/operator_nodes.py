"""The syntax tree of KQL: the operators after a pipe; frozen dataclasses, no behaviour.

What they are made of, expressions and column schemas, is in `nodes`, and so is `union`.
"""

from __future__ import annotations

from dataclasses import dataclass

from langgraph.checkpoint.kusto.local.kql.nodes import (
    Call,
    ColumnSchema,
    Expression,
    Operator,
    Option,
)


@dataclass(frozen=True)
class Where(Operator):
    """`where predicate`."""

    predicate: Expression


@dataclass(frozen=True)
class Project(Operator):
    """`project expressions`."""

    expressions: tuple[Expression, ...]


@dataclass(frozen=True)
class Extend(Operator):
    """`extend expressions`."""

    expressions: tuple[Expression, ...]


@dataclass(frozen=True)
class Serialize(Operator):
    """`serialize expressions`."""

    expressions: tuple[Expression, ...]


@dataclass(frozen=True)
class ProjectAway(Operator):
    """`project-away patterns`."""

    patterns: tuple[str, ...]


@dataclass(frozen=True)
class ProjectKeep(Operator):
    """`project-keep patterns`."""

    patterns: tuple[str, ...]


@dataclass(frozen=True)
class ProjectRename(Operator):
    """`project-rename new = old, ...`."""

    renames: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ProjectReorder(Operator):
    """`project-reorder pattern [asc|desc], ...`."""

    patterns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Summarize(Operator):
    """`summarize aggregates by keys`."""

    aggregates: tuple[Expression, ...]
    keys: tuple[Expression, ...]


@dataclass(frozen=True)
class Distinct(Operator):
    """`distinct expressions`."""

    expressions: tuple[Expression, ...]


@dataclass(frozen=True)
class SortKey:
    """`expression asc|desc nulls first|last`, with Kusto's own choice where the text has none."""

    expression: Expression
    descending: bool
    nulls_first: bool


@dataclass(frozen=True)
class Sort(Operator):
    """`order by keys`."""

    keys: tuple[SortKey, ...]


@dataclass(frozen=True)
class Top(Operator):
    """`top count by key`."""

    count: Expression
    key: SortKey


@dataclass(frozen=True)
class Take(Operator):
    """`take count` or `sample count`; `verb` says which."""

    verb: str
    count: Expression


@dataclass(frozen=True)
class SampleDistinct(Operator):
    """`sample-distinct count of expression`."""

    count: Expression
    expression: Expression


@dataclass(frozen=True)
class Count(Operator):
    """`count [as name]`."""

    name: str


@dataclass(frozen=True)
class Join(Operator):
    """`join` or `lookup`; `verb` says which."""

    verb: str
    options: tuple[Option, ...]
    right: Expression
    keys: tuple[Expression, ...]


@dataclass(frozen=True)
class Expand:
    """One column of `mv-expand` or `mv-apply`."""

    name: str | None
    expression: Expression
    type: str | None


@dataclass(frozen=True)
class MvExpand(Operator):
    """`mv-expand options columns limit n`."""

    options: tuple[Option, ...]
    columns: tuple[Expand, ...]
    limit: Expression | None


@dataclass(frozen=True)
class MvApply(Operator):
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
class Parse(Operator):
    """`parse` or `parse-where` with a pattern."""

    verb: str
    options: tuple[Option, ...]
    expression: Expression
    parts: tuple[ParsePart, ...]


@dataclass(frozen=True)
class Partition(Operator):
    """`partition by column (operators)` or `{ query }`."""

    column: str
    operators: tuple[Operator, ...] | None
    query: Expression | None


@dataclass(frozen=True)
class As(Operator):
    """`as name`."""

    name: str


@dataclass(frozen=True)
class GetSchema(Operator):
    """`getschema`."""


@dataclass(frozen=True)
class Render(Operator):
    """`render ...`: accepted, says nothing about the rows."""


@dataclass(frozen=True)
class Invoke(Operator):
    """`invoke function(arguments)`."""

    call: Call


@dataclass(frozen=True)
class Evaluate(Operator):
    """`evaluate plugin(arguments)`."""

    call: Call
