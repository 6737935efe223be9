"""Text to syntax tree: loads the grammar once, words parse errors, remembers parsed texts.

Nothing here knows a schema.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

from langgraph.checkpoint.kusto.local.kql import nodes
from langgraph.checkpoint.kusto.local.kql.errors import (
    KqlError,
    syntax_error,
    too_complex,
    unsupported,
)
from langgraph.checkpoint.kusto.local.kql.rules_expressions import ExpressionRules
from langgraph.checkpoint.kusto.local.kql.rules_literals import LiteralRules
from langgraph.checkpoint.kusto.local.kql.rules_operators import OperatorRules
from langgraph.checkpoint.kusto.local.kql.rules_statements import StatementRules

_CACHED_TEXTS = 512

# Operators and sources of real KQL that have no meaning here, with what to write instead.
_UNKNOWN_OPERATORS = {
    "consume": "remove it",
    "execute-and-cache": "remove it",
    "externaldata": "ingest the data into a table",
    "facet": "write one statement for each result, separated by ';'",
    "find": "name the tables with union and filter with where",
    "fork": "write one statement for each result, separated by ';'",
    "graph-match": "use join",
    "make-graph": "use join",
    "make-series": "use summarize ... by bin(...)",
    "macro-expand": "write the statements out",
    "mv-expandex": "use mv-expand",
    "parse-kv": "use extract() or parse",
    "project-by-names": "use project",
    "reduce": "use summarize",
    "scan": "use serialize with prev() and row_cumsum()",
    "search": "use where with has",
    "top-hitters": "use summarize count() and top",
    "top-nested": "use summarize and top",
}
_WORD = re.compile(r"[\w-]+|[=<>!~]+")
_FIRST_WORD = re.compile(r"(?:^|[|;(])\s*([\w-]+)\s*$")


class _Rules(LiteralRules, ExpressionRules, StatementRules, OperatorRules):
    """All rules of the grammar."""


@cache
def _lark() -> Lark:
    grammar = (
        files("langgraph.checkpoint.kusto.local.kql")
        .joinpath("grammar.lark")
        .read_text(encoding="utf-8")
    )
    return Lark(
        grammar,
        parser="lalr",
        lexer="contextual",
        maybe_placeholders=False,
        transformer=_Rules(),
        start=["start", "parameters", "body", "json"],
    )


def _position(text: str, offset: int) -> tuple[int, int]:
    line = text.count("\n", 0, offset) + 1
    return line, offset - (text.rfind("\n", 0, offset) + 1) + 1


def _error_at(text: str, offset: int) -> KqlError:
    word = _WORD.match(text, offset)
    token = word[0] if word else text[offset : offset + 1]
    # Read as a name, `search "x"` fails only behind its first word.
    before = _FIRST_WORD.search(text, 0, offset)
    for candidate in (token, before[1] if before else ""):
        if candidate in _UNKNOWN_OPERATORS:
            return unsupported(f"'{candidate}'", _UNKNOWN_OPERATORS[candidate])
    line, position = _position(text, offset)
    shown = token or "<end of text>"
    return syntax_error(f"Query could not be parsed at '{shown}'", line, position, shown)


def _parse(text: str, start: str) -> Any:
    try:
        return _lark().parse(text, start=start)
    except UnexpectedEOF:
        raise _error_at(text, len(text)) from None
    except UnexpectedToken as error:
        token: Token = error.token
        at = None if token.type == "$END" else token.start_pos
        raise _error_at(text, len(text) if at is None else at) from None
    except UnexpectedCharacters as error:
        offset: Any = error.pos_in_stream  # Lark's types say None, which it never is here
        raise _error_at(text, offset) from None
    except RecursionError:
        raise too_complex() from None


@lru_cache(maxsize=_CACHED_TEXTS)
def parse_query(text: str) -> tuple[nodes.Statement, ...]:
    """Parse a batch of statements.

    Raises:
        KqlError: The text is not KQL, or KQL this engine does not know.
    """
    statements: tuple[nodes.Statement, ...] = _parse(text, "start")
    return statements


@lru_cache(maxsize=_CACHED_TEXTS)
def parse_function(parameters: str, body: str) -> nodes.Lambda:
    """Parse a stored function: `(a:string)` and `{ ... }`."""
    return nodes.Lambda(_parse(parameters, "parameters"), _parse(body, "body"))


def parse_dynamic_literal(text: str) -> Any:
    """Parse what may stand between the parentheses of `dynamic(...)`."""
    return _parse(text, "json")
