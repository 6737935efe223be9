"""Words, names and literals of management commands.

Lives here: cutting text into tokens, lazily, because what follows `<|` may be anything; splitting a
script into commands; renaming the source of a view's query. Does not live here: what the words mean
(`cursor`, `commands`), and the query language (`kql`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import ServiceError, syntax_error

_SKIPPED = re.compile(r"(?:\s+|//[^\n]*)+")
# Command words may hold hyphens: create-merge, materialized-view, set-or-append.
_WORD = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*(?:-[A-Za-z][A-Za-z0-9_]*)*")
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
_NUMBER = re.compile(r"\d+(?:\.\d+)?[A-Za-z]*")
_PLAIN_STRING = re.compile(r"[hH]?(?:\"((?:[^\"\\\n]|\\.)*)\"|'((?:[^'\\\n]|\\.)*)')")
_VERBATIM = re.compile(r"(?:[hH]?@|@[hH])(?:\"((?:[^\"]|\"\")*)\"|'((?:[^']|'')*)')")
_MULTI_LINE = re.compile(r"[hH]?(?:```(.*?)```|~~~(.*?)~~~)", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "a": "\a"}
_OPENING = "([{"
_CLOSING = ")]}"


@dataclass(frozen=True)
class Token:
    """A piece of text; `value` is the content of a string literal, else the text itself."""

    kind: str  # word, string, number, guid, sign, end
    text: str
    value: str
    start: int
    end: int


def token_at(text: str, position: int) -> Token:
    """Return the token at or after a position, past spaces and comments.

    Raises:
        ServiceError: a string literal is not closed.
    """
    skipped = _SKIPPED.match(text, position)
    start = skipped.end() if skipped else position
    if start >= len(text):
        return Token("end", "", "", len(text), len(text))
    string = _string_at(text, start)
    if string is not None:
        return string
    for kind, pattern in (("word", _WORD), ("guid", _GUID), ("number", _NUMBER)):
        found = pattern.match(text, start)
        if found and (kind != "word" or not _GUID.match(text, start)):
            return Token(kind, found.group(), found.group(), start, found.end())
    if text[start] in "\"'":
        raise error_at(text, start, "A string literal is not closed.")
    sign = text[start : start + 2] if text[start : start + 2] in ("<|", "..") else text[start]
    return Token("sign", sign, sign, start, start + len(sign))


def tokens(text: str, position: int = 0) -> Iterator[Token]:
    """Yield all tokens, without the end."""
    token = token_at(text, position)
    while token.kind != "end":
        yield token
        token = token_at(text, token.end)


def error_at(text: str, position: int, problem: str) -> ServiceError:
    """Return the syntax error for a place in a text."""
    before = text[:position]
    line = before.count("\n") + 1
    return syntax_error(
        problem, line=line, position=position - (before.rfind("\n") + 1) + 1, text=text
    )


def block_end(text: str, start: int) -> int:
    """Return the position after the bracket that closes the one at `start`."""
    depth = 0
    for token in tokens(text, start):
        if token.kind == "sign" and token.text in _OPENING:
            depth += 1
        elif token.kind == "sign" and token.text in _CLOSING:
            depth -= 1
            if depth == 0:
                return token.end
    raise error_at(text, start, f"The '{text[start]}' is not closed.")


def split_script(text: str) -> list[str]:
    """Return the commands of a script: each begins at a line that begins with a dot.

    Dots at line starts inside string literals and brackets do not count.
    """
    starts: list[int] = []
    depth = 0
    end = 0
    for token in tokens(text):
        at_line_start = not text[text.rfind("\n", 0, token.start) + 1 : token.start].strip()
        if token.text == "." and depth == 0 and at_line_start:
            starts.append(token.start)
        elif token.kind == "sign" and token.text in _OPENING:
            depth += 1
        elif token.kind == "sign" and token.text in _CLOSING:
            depth = max(0, depth - 1)
        elif not starts:
            raise error_at(text, token.start, "A script's command must begin with a dot.")
        end = token.end
    # What stands between the last token and the next command is comment.
    cuts = [*starts[1:], end]
    return (
        [text[start:cut].rstrip() for start, cut in zip(starts, cuts, strict=True)]
        if starts
        else []
    )


def renamed_source(query: str, source: str, replacement: str) -> str:
    """Return a query with the table its statements begin with replaced by another name."""
    pieces: list[str] = []
    copied = 0
    at_start = True
    for token in tokens(query):
        if at_start and token.kind == "word" and token.text == source:
            pieces += [query[copied : token.start], f"['{replacement}']"]
            copied = token.end
        elif at_start and token.text == "[":
            end = block_end(query, token.start)
            if token_at(query, token.end).value == source:
                pieces += [query[copied : token.start], f"['{replacement}']"]
                copied = end
        at_start = token.text == ";"
    return "".join(pieces) + query[copied:]


def _string_at(text: str, start: int) -> Token | None:
    for pattern, unescape in (
        (_MULTI_LINE, _as_is),
        (_VERBATIM, _undoubled),
        (_PLAIN_STRING, _unescaped),
    ):
        found = pattern.match(text, start)
        if found:
            content = next((group for group in found.groups() if group is not None), "")
            quote = found.group()[-1]
            return Token("string", found.group(), unescape(content, quote), start, found.end())
    return None


def _as_is(content: str, quote: str) -> str:
    return content


def _undoubled(content: str, quote: str) -> str:
    return content.replace(quote * 2, quote)


def _unescaped(content: str, quote: str) -> str:
    return _ESCAPE.sub(_unescape, content) if "\\" in content else content


def _unescape(found: re.Match[str]) -> str:
    code = found.group(1)
    if code[0] in "uUx" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code[0].isdigit():
        return chr(int(code, 8))
    return _ESCAPED.get(code, code)
