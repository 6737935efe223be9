"""Functions on texts: building, cutting, searching, replacing.

A string is a sequence of characters (code points) here, as it is for Kusto's functions.
"""

from __future__ import annotations

import re
from typing import Any

from langgraph.checkpoint.kusto.local.kql import nodes, values
from langgraph.checkpoint.kusto.local.kql.coerce import element_as
from langgraph.checkpoint.kusto.local.kql.errors import (
    semantic_error,
    wrong_argument_count,
)
from langgraph.checkpoint.kusto.local.kql.functions.registry import function, special
from langgraph.checkpoint.kusto.local.kql.interface import Row
from langgraph.checkpoint.kusto.local.kql.patterns import compile_pattern, expand_rewrite
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar, combined
from langgraph.checkpoint.kusto.local.kql.scope import Scope

_MOST_REPETITIONS = 1024

# ---------------------------------------------------------------- building


@function("strcat(argument+: text) -> string")
def _strcat(*parts: str) -> str:
    return "".join(parts)


@function("strcat_delim(delimiter: text, argument{2,64}: text) -> string")
def _strcat_delim(delimiter: str, *parts: str) -> str:
    return delimiter.join(parts)


@function("strcat_array(array: array, delimiter: text) -> string", "array_strcat")
def _strcat_array(array: Any, delimiter: str) -> str | None:
    if not isinstance(array, list):
        return None
    return delimiter.join(values.format_dynamic_as_text(item) for item in array)


@function("strrep(value: text, multiplier: long, delimiter?: text) -> string")
def _strrep(value: str, multiplier: int, delimiter: str = "") -> str:
    return delimiter.join([value] * max(0, min(multiplier, _MOST_REPETITIONS)))


@function("reverse(value: text) -> string")
def _reverse(value: str) -> str:
    return value[::-1]


@function("tolower(value: text) -> string")
def _tolower(value: str) -> str:
    return value.lower()


@function("toupper(value: text) -> string")
def _toupper(value: str) -> str:
    return value.upper()


@function("translate(search: string, replacement: string, source: string) -> string")
def _translate(search: str, replacement: str, source: str) -> str:
    """Replace characters one by one; a short replacement list repeats its last character."""
    table: dict[int, str] = {}
    for at, character in enumerate(search):
        wanted = replacement[min(at, len(replacement) - 1)] if replacement else ""
        table.setdefault(ord(character), wanted)
    return source.translate(table)


# ---------------------------------------------------------------- measuring


@function("strlen(source: strings) -> long", naming="strlen_")
def _strlen(source: str) -> int:
    return len(source)


@function("string_size(source: strings) -> long", naming="string_size_")
def _string_size(source: str) -> int:
    return len(source.encode("utf-8", "surrogatepass"))


@function("strcmp(first: text, second: text) -> long")
def _strcmp(first: str, second: str) -> int:
    """Ordinal order of two texts: -1, 0 or 1."""
    return (first > second) - (first < second)


@function("countof(source: string, search: string, kind?: string/literal) -> long")
def _countof(source: str, search: str, kind: str = "normal") -> int | None:
    """Occurrences of a text, overlapping ones too; of a regular expression, without overlap."""
    if not search:
        return 0
    if kind == "regex":
        return sum(1 for _ in compile_pattern(search).finditer(source))
    if kind != "normal":
        raise semantic_error("KS140", "The expression must be one of the values: normal or regex")
    found, at = 0, source.find(search)
    while at >= 0:
        found += 1
        at = source.find(search, at + 1)
    return found


# ---------------------------------------------------------------- cutting


@function("substring(source: text, start: integer, length?: integer) -> string")
def _substring(source: str, start: int, length: int | None = None) -> str:
    """Cut from a zero-based start; a negative start counts from the end."""
    if start < 0:
        start = max(0, len(source) + start)
    stop = len(source) if length is None or length < 0 else start + length
    return source[start:stop]


@function("split(source: text, delimiter: string, index?: integer) -> dynamic", naming="first")
def _split(source: str, delimiter: str, index: int | None = None) -> list[str]:
    """Split a text; with an index, an array of that one part (or of none)."""
    parts = source.split(delimiter) if delimiter else [source]
    if index is None:
        return parts
    return [parts[index]] if 0 <= index < len(parts) else []


@function("trim(regex: string/constant, source: string) -> string")
def _trim(regex: str, source: str) -> str:
    return _trim_end(regex, _trim_start(regex, source))


@function("trim_start(regex: string/constant, source: string) -> string")
def _trim_start(regex: str, source: str) -> str:
    match = compile_pattern(f"(?:{regex})").match(source)
    return source[match.end() :] if match else source


@function("trim_end(regex: string/constant, source: string) -> string")
def _trim_end(regex: str, source: str) -> str:
    match = compile_pattern(f"(?:{regex})\\z").search(source)
    return source[: match.start()] if match else source


# ---------------------------------------------------------------- searching


@function(
    "indexof(source: text, lookup: text, start?: integer, length?: integer,"
    " occurrence?: integer/constant) -> long"
)
def _indexof(
    source: str, lookup: str, start: int = 0, length: int = -1, occurrence: int = 1
) -> int | None:
    """Position of the n-th occurrence; -1 when there is none, null for a bad start or number."""
    if start < 0:
        start = max(0, len(source) + start)
    if start > len(source) or occurrence < 1 or length < -1:
        return None
    at = start - 1
    for _ in range(occurrence):
        # The length counts anew from behind each occurrence, as Kusto's documented example has it.
        stop = len(source) if length == -1 else at + 1 + length
        at = source.find(lookup, at + 1, stop)
        if at < 0:
            return -1
    return at


@function(
    "indexof_regex(source: text, lookup: text/constant, start?: integer, length?: integer,"
    " occurrence?: integer/constant) -> long"
)
def _indexof_regex(
    source: str, lookup: str, start: int = 0, length: int = -1, occurrence: int = 1
) -> int | None:
    """Like `indexof`, for a regular expression."""
    if start < 0 or start > len(source) or occurrence < 1:
        return None
    stop = len(source) if length == -1 else min(len(source), start + length)
    found = list(compile_pattern(lookup).finditer(source, start, stop))
    return found[occurrence - 1].start() if len(found) >= occurrence else -1


@special("extract")
def _extract(node: nodes.Call, scope: Scope) -> Scalar:
    """`extract(regex, group, source [, typeof(type)])`: "" or null without a match."""
    wanted = "string"
    arguments = list(node.arguments)
    if len(arguments) == 4 and isinstance(arguments[3], nodes.TypeLiteral):
        wanted = arguments[3].types[0]
        arguments.pop()
    if len(arguments) != 3:
        raise wrong_argument_count("extract", 3, 4)
    pattern, group, source = (scope.binder.scalar(argument, scope) for argument in arguments)
    if not pattern.is_literal or pattern.type != "string":
        raise semantic_error("KS129", "The expression must be a constant.")
    if group.type not in ("int", "long"):
        raise semantic_error("KS107", "A value of type long expected.")
    if source.type not in ("string", "dynamic"):
        raise semantic_error("KS107", "A value of type string expected.")
    search = compile_pattern(pattern.value).search
    read = values.PARSERS[wanted]

    def evaluate(row: Row, run: Run) -> Any:
        text, number = source.evaluate(row, run), group.evaluate(row, run)
        match = search(values.format_dynamic_as_text(text))
        if match is None or number is None or not 0 <= number <= (match.re.groups):
            return read("")
        return read(match[number] or "")

    return combined(wanted, evaluate, group, source)


@special("extract_all", "extractall")
def _extract_all(node: nodes.Call, scope: Scope) -> Scalar:
    """`extract_all(regex [, groups], source)`: an array of matches; of arrays for groups."""
    if len(node.arguments) not in (2, 3):
        raise wrong_argument_count(node.name, 2, 3)
    bound = [scope.binder.scalar(argument, scope) for argument in node.arguments]
    pattern, source = bound[0], bound[-1]
    chosen = bound[1] if len(bound) == 3 else None
    if not pattern.is_literal or pattern.type != "string":
        raise semantic_error("KS129", "The expression must be a constant.")
    if chosen is not None and chosen.type != "dynamic":
        raise semantic_error("KS234", "The expression value must be a dynamic array.")
    compiled = compile_pattern(pattern.value)
    if not compiled.groups:
        raise semantic_error("SEM0420", "extract_all() needs a pattern with a capture group.")

    def evaluate(row: Row, run: Run) -> Any:
        text = values.format_dynamic_as_text(source.evaluate(row, run))
        groups: Any = None if chosen is None else chosen.evaluate(row, run)
        if groups is not None and not isinstance(groups, list):
            return None
        found = [_groups(match, groups) for match in compiled.finditer(text)]
        return found or None

    return combined("dynamic", evaluate, *bound)


def _groups(match: re.Match[str], chosen: Any) -> Any:
    wanted = range(1, match.re.groups + 1) if chosen is None else chosen
    # Groups go by number or, named ones, by name; what is no group gives "".
    known = {*range(1, match.re.groups + 1), *match.re.groupindex}
    texts = [(match[group] or "") if group in known else "" for group in wanted]
    return texts[0] if len(texts) == 1 else texts


# ---------------------------------------------------------------- replacing


@function("replace_string(text: string, lookup: string, rewrite: string) -> string")
def _replace_string(text: str, lookup: str, rewrite: str) -> str:
    return text.replace(lookup, rewrite) if lookup else text


@function(
    "replace_regex(source: string, lookup: string/constant, rewrite: string/constant) -> string"
)
def _replace_regex(source: str, lookup: str, rewrite: str) -> str:
    return compile_pattern(lookup).sub(lambda match: expand_rewrite(rewrite, match), source)


@function("replace(regex: string/constant, rewrite: string/constant, source: string) -> string")
def _replace(regex: str, rewrite: str, source: str) -> str:
    return _replace_regex(source, regex, rewrite)


@function("replace_strings(text: string, lookups: array, rewrites: array) -> string")
def _replace_strings(text: str, lookups: Any, rewrites: Any) -> str | None:
    """Replace several texts; an occurrence taken by an earlier lookup is not seen again."""
    if not isinstance(lookups, list) or not isinstance(rewrites, list):
        return None
    as_text = element_as("string")
    pairs = {as_text(a): as_text(b) or "" for a, b in zip(lookups, rewrites, strict=False)}
    wanted = [re.escape(lookup) for lookup in pairs if lookup]
    if not wanted:
        return text
    return re.sub("|".join(wanted), lambda match: pairs[match[0]], text)


@function("regex_quote(text: text) -> string")
def _regex_quote(text: str) -> str:
    return re.sub(r"([^\w\s])", r"\\\1", text)


# ---------------------------------------------------------------- code points


@function("unicode_codepoints_from_string(value: text) -> dynamic", "to_utf8")
def _codepoints(value: str) -> list[int]:
    return [ord(character) for character in value]


@function("unicode_codepoints_to_string(value+: codepoints) -> string", "make_string", strict=False)
def _from_codepoints(*parts: Any) -> str | None:
    codes: list[Any] = []
    for part in parts:
        codes += part if isinstance(part, list) else [part]
    if not all(isinstance(code, int) and 0 <= code <= 0x10FFFF for code in codes):
        return None
    return "".join(map(chr, codes))


@function("isascii(value: text) -> bool")
def _isascii(value: str) -> bool:
    return value.isascii()


@function("isutf8(value: text) -> bool")
def _isutf8(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
