"""From the parse tree to the syntax tree: statements and the operators after a pipe.

One method for each rule of `grammar.lark`; they run while Lark parses. Expressions have a
file of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lark import Token, Transformer

from langgraph.checkpoint.kusto.local.kql import literals, nodes, words
from langgraph.checkpoint.kusto.local.kql.rules_expressions import (
    operands_of,
    options_of,
    without_words,
)


@dataclass(frozen=True)
class _Limit:
    """The `limit n` of mv-expand, told apart from the expanded columns."""

    count: nodes.Expression


@dataclass(frozen=True)
class _Operators:
    """A pipeline without a source."""

    items: tuple[nodes.Operator, ...]


@dataclass(frozen=True)
class _Keys:
    """What stands after `by`."""

    items: tuple[nodes.Expression, ...]


@dataclass(frozen=True)
class _Aggregates:
    """What `summarize` computes."""

    items: tuple[nodes.Expression, ...]


def _only(items: list[Any], kind: type[Any]) -> Any:
    return next((item for item in items if isinstance(item, kind)), None)


class StatementRules(Transformer[Token, Any]):
    """Rules of statements."""

    def start(self, items: list[Any]) -> tuple[nodes.Statement, ...]:
        return tuple(items)

    def let(self, items: list[Any]) -> nodes.Let:
        name, expression = without_words(items)
        words.check_let(name)
        return nodes.Let(str(name), expression)

    def query(self, items: list[Any]) -> nodes.Query:
        return nodes.Query(items[0])

    def declare(self, items: list[Any]) -> nodes.Declare:
        parameters = tuple(without_words(items))
        words.check_unique([parameter.name for parameter in parameters])
        return nodes.Declare(parameters)

    def set_option(self, items: list[Any]) -> nodes.SetOption:
        parts = without_words(items)
        return nodes.SetOption(str(parts[0]), parts[1] if len(parts) > 1 else None)

    def lambda_(self, items: list[Any]) -> nodes.Lambda:
        parameters, body = without_words(items)
        return nodes.Lambda(parameters, body)

    def parameters(self, items: list[Any]) -> tuple[nodes.Parameter, ...]:
        words.check_unique([parameter.name for parameter in items])
        return tuple(items)

    def body(self, items: list[Any]) -> tuple[nodes.Statement, ...]:
        return tuple(items)

    def scalar_parameter(self, items: list[Any]) -> nodes.Parameter:
        words.check_declaration(items[0])
        default = items[2] if len(items) > 2 else None
        return nodes.Parameter(str(items[0]), str(items[1]), default)

    def tabular_parameter(self, items: list[Any]) -> nodes.Parameter:
        words.check_declaration(items[0])
        return nodes.Parameter(str(items[0]), "table", None, tuple(items[1:]))

    def open_parameter(self, items: list[Any]) -> nodes.Parameter:
        words.check_declaration(items[0])
        return nodes.Parameter(str(items[0]), "table", None, ())


class OperatorRules(Transformer[Token, Any]):
    """Rules of the operators after a pipe."""

    def operators(self, items: list[Any]) -> _Operators:
        return _Operators(tuple(items))

    def option(self, items: list[Any]) -> nodes.Option:
        return nodes.Option(str(items[0]), items[1])

    def option_value(self, items: list[Any]) -> str:
        token = items[0]
        if token.type == "STRING":
            return literals.parse_string(token)
        if token.type == "QUOTED_NAME":
            return literals.parse_string(token[1:-1].strip())
        return str(token)

    def pattern(self, items: list[Any]) -> str:
        return str(items[0]) if items else "*"

    def rename(self, items: list[Any]) -> tuple[str, str]:
        words.check_declaration(items[0])
        words.check_reference(items[1])
        return str(items[0]), str(items[1])

    def reorder(self, items: list[Any]) -> tuple[str, str]:
        return items[0], str(items[1]) if len(items) > 1 else ""

    def aggregates(self, items: list[Any]) -> _Aggregates:
        return _Aggregates(tuple(items))

    def keys(self, items: list[Any]) -> _Keys:
        return _Keys(tuple(without_words(items)))

    def sort_key(self, items: list[Any]) -> nodes.SortKey:
        tokens = [item for item in items if isinstance(item, Token)]
        order = next((str(token) for token in tokens if token.type == "ORDER"), "desc")
        descending = order.endswith("desc")
        place = next((str(token) for token in tokens if token.type == "FIRST_LAST"), None)
        # Kusto: nulls are last when descending and first when ascending, unless told.
        nulls_first = place == "first" if place else not descending
        return nodes.SortKey(items[0], descending, nulls_first)

    def limit(self, items: list[Any]) -> _Limit:
        return _Limit(items[1])

    def expand(self, items: list[Any]) -> nodes.Expand:
        parts = without_words(items)
        name = None
        if isinstance(parts[0], str):
            name = str(parts.pop(0))
        type_name = None
        if len(parts) > 1:
            type_name = parts[1].types[0]
        return nodes.Expand(name, parts[0], type_name)

    def parse_star(self, items: list[Any]) -> nodes.ParsePart:
        return nodes.ParsePart()

    def parse_text(self, items: list[Any]) -> nodes.ParsePart:
        return nodes.ParsePart(text=literals.parse_string(items[0]))

    def parse_column(self, items: list[Any]) -> nodes.ParsePart:
        token = items[0]
        if token.type == "QUOTED_NAME":
            name = literals.parse_string(token[1:-1].strip())
        else:
            name = str(token)
            words.check_declaration(name)
        type_name = str(items[1]) if len(items) > 1 else "string"
        return nodes.ParsePart(column=nodes.ColumnSchema(name, type_name))

    # ------------------------------------------------------------ operators

    def where(self, items: list[Any]) -> nodes.Where:
        return nodes.Where(items[1])

    def project(self, items: list[Any]) -> nodes.Project:
        return nodes.Project(operands_of(items))

    def extend(self, items: list[Any]) -> nodes.Extend:
        return nodes.Extend(operands_of(items))

    def serialize(self, items: list[Any]) -> nodes.Serialize:
        return nodes.Serialize(operands_of(items))

    def project_away(self, items: list[Any]) -> nodes.ProjectAway:
        return nodes.ProjectAway(operands_of(items))

    def project_keep(self, items: list[Any]) -> nodes.ProjectKeep:
        return nodes.ProjectKeep(operands_of(items))

    def project_rename(self, items: list[Any]) -> nodes.ProjectRename:
        return nodes.ProjectRename(operands_of(items))

    def project_reorder(self, items: list[Any]) -> nodes.ProjectReorder:
        return nodes.ProjectReorder(operands_of(items))

    def summarize(self, items: list[Any]) -> nodes.Summarize:
        aggregates = _only(items, _Aggregates)
        keys = _only(items, _Keys)
        return nodes.Summarize(aggregates.items if aggregates else (), keys.items if keys else ())

    def distinct(self, items: list[Any]) -> nodes.Distinct:
        return nodes.Distinct(operands_of(items))

    def sort(self, items: list[Any]) -> nodes.Sort:
        return nodes.Sort(operands_of(items))

    def top(self, items: list[Any]) -> nodes.Top:
        count, key = operands_of(items)
        return nodes.Top(count, key)

    def take(self, items: list[Any]) -> nodes.Take:
        return nodes.Take("take", items[1])

    def sample(self, items: list[Any]) -> nodes.Take:
        return nodes.Take("sample", items[1])

    def sample_distinct(self, items: list[Any]) -> nodes.SampleDistinct:
        count, expression = without_words(items)
        return nodes.SampleDistinct(count, expression)

    def count(self, items: list[Any]) -> nodes.Count:
        names = without_words(items)
        return nodes.Count(str(names[0]) if names else "Count")

    def join(self, items: list[Any]) -> nodes.Join:
        right, *keys = operands_of(items)
        return nodes.Join(str(items[0]), options_of(items), right, tuple(keys))

    def mv_expand(self, items: list[Any]) -> nodes.MvExpand:
        limit = _only(items, _Limit)
        columns = tuple(item for item in items if isinstance(item, nodes.Expand))
        return nodes.MvExpand(options_of(items), columns, limit.count if limit else None)

    def mv_apply(self, items: list[Any]) -> nodes.MvApply:
        limit = _only(items, _Limit)
        columns = tuple(item for item in items if isinstance(item, nodes.Expand))
        operators = _only(items, _Operators).items
        return nodes.MvApply(options_of(items), columns, limit.count if limit else None, operators)

    def parse(self, items: list[Any]) -> nodes.Parse:
        expression, *parts = operands_of(items)
        return nodes.Parse(str(items[0]), options_of(items), expression, tuple(parts))

    def partition(self, items: list[Any]) -> nodes.Partition:
        name, operators = operands_of(items)
        return nodes.Partition(str(name), operators.items, None)

    def partition_query(self, items: list[Any]) -> nodes.Partition:
        name, query = operands_of(items)
        return nodes.Partition(str(name), None, query)

    def as_name(self, items: list[Any]) -> nodes.As:
        return nodes.As(str(operands_of(items)[0]))

    def getschema(self, items: list[Any]) -> nodes.GetSchema:
        return nodes.GetSchema()

    def render(self, items: list[Any]) -> nodes.Render:
        return nodes.Render()

    def invoke(self, items: list[Any]) -> nodes.Invoke:
        return nodes.Invoke(items[1])

    def evaluate(self, items: list[Any]) -> nodes.Evaluate:
        return nodes.Evaluate(operands_of(items)[0])
