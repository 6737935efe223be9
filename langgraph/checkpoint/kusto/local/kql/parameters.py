"""Query parameters: what a text declares, and reading what a request sends.

Values come as texts that are KQL literals (`datetime(2026-01-02)`, `dynamic(["a"])`, `42`);
a `string` comes as it is. JSON numbers and booleans are accepted where they fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from langgraph.checkpoint.kusto.local.kql import literals, values
from langgraph.checkpoint.kusto.local.kql.errors import KqlError, semantic_error
from langgraph.checkpoint.kusto.local.kql.parser import parse_dynamic_literal


class Declared(NamedTuple):
    """A declared query parameter."""

    name: str
    type: str
    has_default: bool
    default: Any


def read_parameters(declared: tuple[Declared, ...], sent: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each declared parameter; what is sent beside them is ignored.

    Raises:
        KqlError: One is missing, or is no literal of its type.
    """
    found: dict[str, Any] = {}
    for parameter in declared:
        if parameter.name in sent:
            found[parameter.name] = read_value(sent[parameter.name], parameter.type)
        elif parameter.has_default:
            found[parameter.name] = parameter.default
        else:
            raise semantic_error(
                "SEM0238",
                f"No value was given for the query parameter '{parameter.name}'"
                f" of type {parameter.type}.",
            )
    return found


def read_value(sent: Any, type_name: str) -> Any:
    """Read one value as it was sent."""
    if isinstance(sent, str):
        return parse_literal(sent, type_name)
    if type_name == "string":
        return "" if sent is None else values.format_dynamic(sent)
    if type_name == "dynamic":
        return values.normalise_dynamic(sent)
    if sent is None:
        return None
    if isinstance(sent, bool):
        if type_name == "bool":
            return sent
    elif isinstance(sent, (int, float)):
        if type_name in ("real", "decimal"):
            return float(sent) if type_name == "real" else Decimal(str(sent))
        if type_name in ("int", "long") and float(sent).is_integer():
            return parse_literal(str(int(sent)), type_name)
    raise semantic_error(
        "SEM0084", f"The value '{sent}' is not a valid literal of type {type_name}."
    )


def parse_literal(text: str, type_name: str) -> Any:
    """Read a literal of KQL from its text; a `string` is taken as it is.

    Raises:
        KqlError: The text is no literal of the type.
    """
    if type_name != "dynamic":
        return literals.parse_literal(text, type_name)
    content = text.strip()
    if content.startswith("dynamic") and content.endswith(")"):
        content = content.removeprefix("dynamic").lstrip()[1:-1].strip()
    try:
        # JSON first: it is what clients send, and much faster than the grammar.
        return values.parse_json(content)
    except ValueError:
        pass
    try:
        return values.normalise_dynamic(parse_dynamic_literal(content))
    except KqlError:
        raise semantic_error(
            "SEM0084", f"The text '{text[:100]}' is not a valid literal of type dynamic."
        ) from None
