"""Binding of the operators that look inside of texts: `has`, `contains`, `startswith`, ...

Without `_cs` they ignore the case of ASCII letters. A term, for `has`, is a maximal run of
letters and digits; the operand of `has` may itself span several terms.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from langgraph.checkpoint.kusto.local.kql.bind_comparison import fold
from langgraph.checkpoint.kusto.local.kql.coerce import text_of
from langgraph.checkpoint.kusto.local.kql.errors import undefined_operator
from langgraph.checkpoint.kusto.local.kql.patterns import compile_pattern
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar, apply, combined, once

_Test = Callable[[str, str], bool]


def _is_term_character(character: str) -> bool:
    return character.isalnum()


def has_term(
    text: str, term: str, case_sensitive: bool, prefix: bool = True, suffix: bool = True
) -> bool:
    """Whether `term` occurs in `text` at borders of terms.

    Args:
        text: Where to look.
        term: What to look for.
        case_sensitive: Whether the case of ASCII letters matters.
        prefix: Whether a term must begin where the occurrence begins.
        suffix: Whether a term must end where the occurrence ends.
    """
    if not case_sensitive:
        text, term = fold(text), fold(term)
    if not term:
        return True
    at = text.find(term)
    while at >= 0:
        end = at + len(term)
        begins = not prefix or at == 0 or not _glued(text, at)
        ends = not suffix or end == len(text) or not _glued(text, end)
        if begins and ends:
            return True
        at = text.find(term, at + 1)
    return False


def _glued(text: str, border: int) -> bool:
    return _is_term_character(text[border - 1]) and _is_term_character(text[border])


def _has_cs(text: str, term: str) -> bool:
    return has_term(text, term, True)


def _hasprefix_cs(text: str, term: str) -> bool:
    return has_term(text, term, True, suffix=False)


def _hassuffix_cs(text: str, term: str) -> bool:
    return has_term(text, term, True, prefix=False)


def _contains_cs(text: str, part: str) -> bool:
    return part in text


_TESTS: dict[str, _Test] = {
    "has": _has_cs,
    "hasprefix": _hasprefix_cs,
    "hassuffix": _hassuffix_cs,
    "contains": _contains_cs,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


def bind_text_test(symbol: str, left: Scalar, right: Scalar) -> Scalar:
    """Bind a text operator between two strings (or dynamics that hold strings)."""
    for side in (left, right):
        if side.type not in ("string", "dynamic"):
            raise undefined_operator(symbol, [left.type, right.type])
    source, wanted = once(text_of(left)), once(text_of(right))
    if symbol == "matches regex":
        return _bind_regex(source, wanted)
    negated = symbol.startswith("!")
    name = symbol.removeprefix("!")
    test = _TESTS[name.removesuffix("_cs")]
    if not name.endswith("_cs"):
        test = _folded(test)
    if negated:
        return combined("bool", apply(_not(test), source, wanted), source, wanted)
    return combined("bool", apply(test, source, wanted), source, wanted)


def _folded(test: _Test) -> _Test:
    return lambda text, part: test(fold(text), fold(part))


def _not(test: _Test) -> _Test:
    return lambda text, part: not test(text, part)


def _bind_regex(source: Scalar, pattern: Scalar) -> Scalar:
    if pattern.is_literal:
        search = compile_pattern(pattern.value).search
        inner = source.evaluate
        return combined("bool", lambda row, run: search(inner(row, run)) is not None, source)

    def test(text: str, regex: str) -> bool:
        found: re.Match[str] | None = compile_pattern(regex).search(text)
        return found is not None

    return combined("bool", apply(test, source, pattern), source, pattern)
