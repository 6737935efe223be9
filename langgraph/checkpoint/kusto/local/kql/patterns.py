"""Regular expressions: Kusto's dialect (RE2) onto Python's, and rewrite texts.

RE2 knows neither back-references nor look-around; patterns with them are refused, as they
are by Kusto.
"""

from __future__ import annotations

import re
from functools import lru_cache

from langgraph.checkpoint.kusto.local.kql.errors import semantic_error

_UNKNOWN_TO_RE2 = re.compile(r"(?<!\\)(?:\\\\)*(\(\?(?:[=!]|<[=!]|\()|\\[1-9])")
_INLINE_FLAGS = re.compile(r"\(\?[imsU]+\)")
_CLASSES = {
    "[:alpha:]": "a-zA-Z",
    "[:digit:]": "0-9",
    "[:alnum:]": "a-zA-Z0-9",
    "[:upper:]": "A-Z",
    "[:lower:]": "a-z",
    "[:space:]": r"\s",
    "[:punct:]": r"!-/:-@\[-`{-~",
    "[:xdigit:]": "0-9A-Fa-f",
    "[:word:]": r"\w",
}
_GROUP_IN_REWRITE = re.compile(r"\\(\\|\d)|\$(\d+)")


@lru_cache(maxsize=256)
def compile_pattern(pattern: str, dot_all: bool = False) -> re.Pattern[str]:
    """Compile a pattern.

    Raises:
        KqlError: It is not a regular expression, or not one that Kusto knows.
    """
    unknown = _UNKNOWN_TO_RE2.search(pattern)
    if unknown:
        raise semantic_error(
            "SEM0420",
            f"The regular expression '{pattern}' is not valid: Kusto knows no '{unknown[1]}'.",
        )
    for name, characters in _CLASSES.items():
        pattern = pattern.replace(name, characters)
    pattern = pattern.replace(r"\z", r"\Z")
    flags = re.ASCII | (re.DOTALL if dot_all else 0)
    for found in _INLINE_FLAGS.findall(pattern):
        flags |= _flags_of(found)
    pattern = _INLINE_FLAGS.sub("", pattern)
    try:
        return re.compile(pattern, flags)
    except re.error as error:
        raise semantic_error(
            "SEM0420", f"The regular expression '{pattern}' is not valid: {error}."
        ) from None


def _flags_of(group: str) -> int:
    flags = 0
    if "i" in group:
        flags |= re.IGNORECASE
    if "m" in group:
        flags |= re.MULTILINE
    if "s" in group:
        flags |= re.DOTALL
    return flags


def expand_rewrite(rewrite: str, match: re.Match[str]) -> str:
    r"""Put the groups of a match into a rewrite text (`\1` or `$1`, `\0` for the whole)."""

    def group(reference: re.Match[str]) -> str:
        if reference[1] == "\\":
            return "\\"
        number = int(reference[1] or reference[2])
        try:
            return match[number] or ""
        except IndexError:
            raise semantic_error(
                "SEM0420", f"The rewrite pattern '{rewrite}' names a group that is not there."
            ) from None

    return _GROUP_IN_REWRITE.sub(group, rewrite)
