"""From the parse tree to the syntax tree: the operators after a pipe.

One method for each rule of `grammar.lark`; they run while Lark parses. Expressions and
statements have files of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lark import Token, Transformer

from langgraph.checkpoint.kusto.local.kql import literals, nodes, operator_nodes, words
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

    def sort_key(self, items: list[Any]) -> operator_nodes.SortKey:
        tokens = [item for item in items if isinstance(item, Token)]
        order = next((str(token) for token in tokens if token.type == "ORDER"), "desc")
        descending = order.endswith("desc")
        place = next((str(token) for token in tokens if token.type == "FIRST_LAST"), None)
        # Kusto: nulls are last when descending and first when ascending, unless told.
        nulls_first = place == "first" if place else not descending
        return operator_nodes.SortKey(items[0], descending, nulls_first)

    def limit(self, items: list[Any]) -> _Limit:
        return _Limit(items[1])

    def expand(self, items: list[Any]) -> operator_nodes.Expand:
        parts = without_words(items)
        name = None
        if isinstance(parts[0], str):
            name = str(parts.pop(0))
        type_name = None
        if len(parts) > 1:
            type_name = parts[1].types[0]
        return operator_nodes.Expand(name, parts[0], type_name)

    def parse_star(self, items: list[Any]) -> operator_nodes.ParsePart:
        return operator_nodes.ParsePart()

    def parse_text(self, items: list[Any]) -> operator_nodes.ParsePart:
        return operator_nodes.ParsePart(text=literals.parse_string(items[0]))

    def parse_column(self, items: list[Any]) -> operator_nodes.ParsePart:
        token = items[0]
        if token.type == "QUOTED_NAME":
            name = literals.parse_string(token[1:-1].strip())
        else:
            name = str(token)
            words.check_declaration(name)
        type_name = str(items[1]) if len(items) > 1 else "string"
        return operator_nodes.ParsePart(column=nodes.ColumnSchema(name, type_name))

    # ------------------------------------------------------------ operators

    def where(self, items: list[Any]) -> operator_nodes.Where:
        return operator_nodes.Where(items[1])

    def project(self, items: list[Any]) -> operator_nodes.Project:
        return operator_nodes.Project(operands_of(items))

    def extend(self, items: list[Any]) -> operator_nodes.Extend:
        return operator_nodes.Extend(operands_of(items))

    def serialize(self, items: list[Any]) -> operator_nodes.Serialize:
        return operator_nodes.Serialize(operands_of(items))

    def project_away(self, items: list[Any]) -> operator_nodes.ProjectAway:
        return operator_nodes.ProjectAway(operands_of(items))

    def project_keep(self, items: list[Any]) -> operator_nodes.ProjectKeep:
        return operator_nodes.ProjectKeep(operands_of(items))

    def project_rename(self, items: list[Any]) -> operator_nodes.ProjectRename:
        return operator_nodes.ProjectRename(operands_of(items))

    def project_reorder(self, items: list[Any]) -> operator_nodes.ProjectReorder:
        return operator_nodes.ProjectReorder(operands_of(items))

    def summarize(self, items: list[Any]) -> operator_nodes.Summarize:
        aggregates = _only(items, _Aggregates)
        keys = _only(items, _Keys)
        return operator_nodes.Summarize(
            aggregates.items if aggregates else (), keys.items if keys else ()
        )

    def distinct(self, items: list[Any]) -> operator_nodes.Distinct:
        return operator_nodes.Distinct(operands_of(items))

    def sort(self, items: list[Any]) -> operator_nodes.Sort:
        return operator_nodes.Sort(operands_of(items))

    def top(self, items: list[Any]) -> operator_nodes.Top:
        count, key = operands_of(items)
        return operator_nodes.Top(count, key)

    def take(self, items: list[Any]) -> operator_nodes.Take:
        return operator_nodes.Take("take", items[1])

    def sample(self, items: list[Any]) -> operator_nodes.Take:
        return operator_nodes.Take("sample", items[1])

    def sample_distinct(self, items: list[Any]) -> operator_nodes.SampleDistinct:
        count, expression = without_words(items)
        return operator_nodes.SampleDistinct(count, expression)

    def count(self, items: list[Any]) -> operator_nodes.Count:
        names = without_words(items)
        return operator_nodes.Count(str(names[0]) if names else "Count")

    def join(self, items: list[Any]) -> operator_nodes.Join:
        right, *keys = operands_of(items)
        return operator_nodes.Join(str(items[0]), options_of(items), right, tuple(keys))

    def mv_expand(self, items: list[Any]) -> operator_nodes.MvExpand:
        limit = _only(items, _Limit)
        columns = tuple(item for item in items if isinstance(item, operator_nodes.Expand))
        return operator_nodes.MvExpand(options_of(items), columns, limit.count if limit else None)

    def mv_apply(self, items: list[Any]) -> operator_nodes.MvApply:
        limit = _only(items, _Limit)
        columns = tuple(item for item in items if isinstance(item, operator_nodes.Expand))
        operators = _only(items, _Operators).items
        return operator_nodes.MvApply(
            options_of(items), columns, limit.count if limit else None, operators
        )

    def parse(self, items: list[Any]) -> operator_nodes.Parse:
        expression, *parts = operands_of(items)
        return operator_nodes.Parse(str(items[0]), options_of(items), expression, tuple(parts))

    def partition(self, items: list[Any]) -> operator_nodes.Partition:
        name, operators = operands_of(items)
        return operator_nodes.Partition(str(name), operators.items, None)

    def partition_query(self, items: list[Any]) -> operator_nodes.Partition:
        name, query = operands_of(items)
        return operator_nodes.Partition(str(name), None, query)

    def as_name(self, items: list[Any]) -> operator_nodes.As:
        return operator_nodes.As(str(operands_of(items)[0]))

    def getschema(self, items: list[Any]) -> operator_nodes.GetSchema:
        return operator_nodes.GetSchema()

    def render(self, items: list[Any]) -> operator_nodes.Render:
        return operator_nodes.Render()

    def invoke(self, items: list[Any]) -> operator_nodes.Invoke:
        return operator_nodes.Invoke(items[1])

    def evaluate(self, items: list[Any]) -> operator_nodes.Evaluate:
        return operator_nodes.Evaluate(operands_of(items)[0])
