"""From the parse tree to the syntax tree: names, sources and expressions.

One method for each rule of `grammar.lark`; they run while Lark parses. Words that cannot be
names are refused here; everything that needs a schema is left to the binder.
"""

from __future__ import annotations

from typing import Any

from lark import Token, Transformer

from langgraph.checkpoint.kusto.local.kql import literals, nodes, words


class TypeName(str):
    """The name of a type, told apart from names of other things."""

    __slots__ = ()


def without_words(items: list[Any]) -> list[Any]:
    """Drop the keywords of a rule, keep what they stand between."""
    return [item for item in items if not isinstance(item, Token)]


def options_of(items: list[Any]) -> tuple[nodes.Option, ...]:
    """The options of an operator."""
    return tuple(item for item in items if isinstance(item, nodes.Option))


def operands_of(items: list[Any]) -> tuple[Any, ...]:
    """What is neither a keyword nor an option."""
    return tuple(item for item in without_words(items) if not isinstance(item, nodes.Option))


class ExpressionRules(Transformer[Token, Any]):
    """Rules of the sections `pipelines` (sources) and `expressions`."""

    def name(self, items: list[Any]) -> str:
        token = items[0]
        if token.type == "QUOTED_NAME":
            return words.QuotedName(literals.parse_string(token[1:-1].strip()))
        # A plain string: a Token would look like a keyword to `without_words`.
        return str(token)

    def name_expression(self, items: list[Any]) -> nodes.Name:
        words.check_reference(items[0])
        return nodes.Name(str(items[0]))

    def type_name(self, items: list[Any]) -> TypeName:
        return TypeName(literals.type_of_name(str(items[0])))

    def column_schema(self, items: list[Any]) -> nodes.ColumnSchema:
        words.check_declaration(items[0])
        return nodes.ColumnSchema(str(items[0]), str(items[1]))

    def named(self, items: list[Any]) -> nodes.Expression:
        *names, expression = items
        if not names:
            result: nodes.Expression = expression
            return result
        for name in names:
            words.check_declaration(name)
        return nodes.Named(tuple(str(name) for name in names), expression)

    def named_argument(self, items: list[Any]) -> nodes.Named:
        return nodes.Named((str(items[0]),), items[1])

    def star(self, items: list[Any]) -> nodes.Star:
        return nodes.Star()

    def parenthesised(self, items: list[Any]) -> nodes.Expression:
        # No node of their own: `(T) | take 1` and `T | take 1` are the same tree.
        inner: nodes.Expression = items[0]
        return inner

    def binary(self, items: list[Any]) -> nodes.Binary:
        left, operator, right = items
        text = "!=" if operator == "<>" else " ".join(operator.split())
        return nodes.Binary(text, left, right)

    def unary(self, items: list[Any]) -> nodes.Unary:
        return nodes.Unary(str(items[0]), items[1])

    def list_test(self, items: list[Any]) -> nodes.ListTest:
        left, operator, *rest = items
        return nodes.ListTest(str(operator), left, tuple(rest))

    def between(self, items: list[Any]) -> nodes.Between:
        operand, operator, low, high = items
        return nodes.Between(str(operator), operand, low, high)

    def member(self, items: list[Any]) -> nodes.Member:
        words.check_reference(items[1])
        return nodes.Member(items[0], str(items[1]))

    def member_call(self, items: list[Any]) -> nodes.MemberCall:
        return nodes.MemberCall(items[0], items[1])

    def index(self, items: list[Any]) -> nodes.Index:
        return nodes.Index(items[0], items[1])

    def call(self, items: list[Any]) -> nodes.Call:
        return nodes.Call(str(items[0]), tuple(items[1:]))

    def typeof(self, items: list[Any]) -> nodes.TypeLiteral:
        return nodes.TypeLiteral(tuple(str(item) for item in without_words(items)))

    # ------------------------------------------------------------ sources

    def pipe(self, items: list[Any]) -> nodes.Pipe:
        return nodes.Pipe(items[0], tuple(items[1:]))

    def datatable(self, items: list[Any]) -> nodes.Datatable:
        parts = without_words(items)
        columns = tuple(item for item in parts if isinstance(item, nodes.ColumnSchema))
        words.check_unique([column.name for column in columns])
        return nodes.Datatable(columns, tuple(parts[len(columns) :]))

    def print_source(self, items: list[Any]) -> nodes.Print:
        return nodes.Print(tuple(without_words(items)))

    def range_source(self, items: list[Any]) -> nodes.RangeSource:
        name, start, stop, step = without_words(items)
        words.check_declaration(name)
        return nodes.RangeSource(str(name), start, stop, step)

    def union(self, items: list[Any]) -> nodes.Union:
        return nodes.Union(options_of(items), operands_of(items))
