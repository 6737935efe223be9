"""From the parse tree to the syntax tree: statements, and the parameters of functions.

One method for each rule of `grammar.lark`; they run while Lark parses. Expressions and
operators have files of their own.
"""

from __future__ import annotations

from typing import Any

from lark import Token, Transformer

from langgraph.checkpoint.kusto.local.kql import nodes, words
from langgraph.checkpoint.kusto.local.kql.rules_expressions import without_words


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
