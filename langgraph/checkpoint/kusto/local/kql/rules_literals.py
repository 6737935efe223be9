"""From the parse tree to the syntax tree: the constants, also inside of `dynamic(...)`.

One method for each rule of `grammar.lark`; they run while Lark parses. Expressions and
statements have files of their own.
"""

from __future__ import annotations

from typing import Any

from lark import Token, Transformer

from langgraph.checkpoint.kusto.local.kql import literals, nodes, values
from langgraph.checkpoint.kusto.local.kql.errors import semantic_error

_SMALLEST_LONG = "9223372036854775808"


def _integer(text: str) -> int:
    value = values.parse_long(text)
    if text == _SMALLEST_LONG:
        # Only a minus makes it a long; the binder refuses it without one.
        return 2**63
    if value is None:
        raise semantic_error("SEM0084", f"'{text}' is not a valid long literal.")
    return value


def _typed(text: str) -> nodes.Literal:
    name, _, rest = text.partition("(")
    type_name = literals.type_of_name(name.strip())
    return nodes.Literal(literals.parse_typed(type_name, rest.rstrip()[:-1]), type_name)


class LiteralRules(Transformer[Token, Any]):
    """Rules of the section `literals`."""

    def string(self, items: list[Any]) -> nodes.Literal:
        return nodes.Literal("".join(literals.parse_string(item) for item in items), "string")

    def long(self, items: list[Any]) -> nodes.Literal:
        return nodes.Literal(_integer(items[0]), "long")

    def real(self, items: list[Any]) -> nodes.Literal:
        return nodes.Literal(float(items[0]), "real")

    def timespan(self, items: list[Any]) -> nodes.Literal:
        return nodes.Literal(values.parse_timespan(str(items[0])), "timespan")

    def boolean(self, items: list[Any]) -> nodes.Literal:
        return nodes.Literal(items[0].lower() == "true", "bool")

    def typed(self, items: list[Any]) -> nodes.Literal:
        return _typed(str(items[0]))

    def dynamic(self, items: list[Any]) -> nodes.Literal:
        return nodes.Literal(values.normalise_dynamic(items[1]), "dynamic")

    def json_object(self, items: list[Any]) -> dict[str, Any]:
        return dict(items)

    def json_pair(self, items: list[Any]) -> tuple[str, Any]:
        return literals.parse_string(items[0]), items[1]

    def json_array(self, items: list[Any]) -> list[Any]:
        return items

    def json_nested(self, items: list[Any]) -> Any:
        return items[1]

    def json_string(self, items: list[Any]) -> str:
        return literals.parse_string(items[0])

    def json_integer(self, items: list[Any]) -> int:
        value = _integer(items[-1])
        return -value if items[0] == "-" else value

    def json_real(self, items: list[Any]) -> float:
        value = float(items[-1])
        return -value if items[0] == "-" else value

    def json_boolean(self, items: list[Any]) -> bool:
        return bool(items[0].lower() == "true")

    def json_null(self, items: list[Any]) -> None:
        return None

    def json_timespan(self, items: list[Any]) -> str:
        return values.format_timespan(values.parse_timespan(str(items[0])) or 0)

    def json_typed(self, items: list[Any]) -> Any:
        literal = _typed(str(items[0]))
        return values.to_dynamic(literal.value, literal.type)
