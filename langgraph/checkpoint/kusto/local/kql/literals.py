"""Literals of KQL texts: what stands between the quotes and parentheses, and its value.

Used by the parser for literals in a query and by the host for query parameters. Reading of
values that are data, not query text, lives in `values`.
"""

from __future__ import annotations

import re
from typing import Any

from langgraph.checkpoint.kusto.local.kql import values
from langgraph.checkpoint.kusto.local.kql.errors import KqlError, semantic_error

TYPE_NAMES: dict[str, str] = {
    "bool": "bool",
    "boolean": "bool",
    "int": "int",
    "int32": "int",
    "long": "long",
    "int64": "long",
    "real": "real",
    "double": "real",
    "decimal": "decimal",
    "string": "string",
    "datetime": "datetime",
    "date": "datetime",
    "timespan": "timespan",
    "time": "timespan",
    "guid": "guid",
    "uuid": "guid",
    "uniqueid": "guid",
    "dynamic": "dynamic",
}
"""Every type name of the language with the type it stands for."""

_ESCAPES = {
    "\\": "\\",
    '"': '"',
    "'": "'",
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
}
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})|(.))", re.DOTALL
)

_YEAR = re.compile(r"\d{4}")


def type_of_name(name: str) -> str:
    """Return the type a name stands for.

    Raises:
        KqlError: There is no such type.
    """
    found = TYPE_NAMES.get(name)
    if found is None:
        raise semantic_error(
            "KS160", f"The name '{name}' is not a valid type name that can be used here."
        )
    return found


def _unescape(match: re.Match[str]) -> str:
    for code in match.groups()[:3]:
        if code is not None:
            return chr(int(code, 16))
    if match[4] is not None:
        return chr(int(match[4], 8))
    character = match[5]
    if character not in _ESCAPES:
        raise semantic_error("SYN0002", f"Unknown escape sequence '\\{character}' in a string.")
    return _ESCAPES[character]


def parse_string(text: str) -> str:
    """Return the value of a string literal of any kind, quotes and prefixes included."""
    if text[0] in "hH":
        text = text[1:]
    if text[0] == "@":
        quote = text[1]
        return text[2:-1].replace(quote * 2, quote)
    if text[:3] in ("```", "~~~"):
        return text[3:-3]
    body = text[1:-1]
    if "\\" not in body:
        return body
    # A pair of \u escapes may spell one character beyond 16 bits.
    raw = _ESCAPE.sub(_unescape, body)
    return raw.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def parse_typed(type_name: str, text: str) -> Any:
    """Return the value of `type(text)`, for example of `datetime(2026-01-02)`.

    Raises:
        KqlError: The text is no value of the type.
    """
    content = text.strip()
    if content == "null":
        return None
    if len(content) >= 2 and content[0] in "\"'" and content[-1] == content[0]:
        content = parse_string(content)
    if type_name == "datetime" and _YEAR.fullmatch(content):
        content += "-01-01"
    value = values.PARSERS[type_name](content)
    if value is None:
        raise semantic_error("SEM0084", f"'{content}' is not a valid {type_name} literal.")
    return value


_TYPED_TEXT = re.compile(r"([a-z0-9]+)\s*\((.*)\)", re.DOTALL)


def parse_literal(text: str, type_name: str) -> Any:
    """Return the value of a literal of any type but `dynamic` that comes as a text.

    A `string` is taken as it is. Every other type is written as a literal of KQL
    (`datetime(2026-01-02)`, `42`); a bare value of the type is accepted too.

    Raises:
        KqlError: The text is no literal of the type.
    """
    if type_name == "string":
        return text
    content = text.strip()
    match = _TYPED_TEXT.fullmatch(content)
    if match and TYPE_NAMES.get(match[1]) == type_name:
        content = match[2].strip()
    try:
        return parse_typed(type_name, content)
    except KqlError:
        raise semantic_error(
            "SEM0084", f"The text '{text[:100]}' is not a valid literal of type {type_name}."
        ) from None
