"""`parse` and `parse-where`: columns cut out of a text by a pattern."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from langgraph.checkpoint.kusto.local.kql import operator_nodes, values
from langgraph.checkpoint.kusto.local.kql.coerce import text_of
from langgraph.checkpoint.kusto.local.kql.errors import (
    duplicate_column,
    semantic_error,
    unsupported,
    wrong_type,
)
from langgraph.checkpoint.kusto.local.kql.interface import Column, Columns, Row
from langgraph.checkpoint.kusto.local.kql.operators.registry import operator, option
from langgraph.checkpoint.kusto.local.kql.plan import Plan, visible
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar
from langgraph.checkpoint.kusto.local.kql.scope import Scope

_NUMBERS = {"int": r"\s*([+-]?\d+)", "long": r"\s*([+-]?\d+)"}


class Parse(Plan):
    """Rows with the columns of a pattern; `where` drops rows that do not match."""

    def __init__(
        self,
        source: Plan,
        columns: Columns,
        text: Scalar,
        pattern: re.Pattern[str],
        targets: list[tuple[int, str]],
        where: bool,
        relaxed: bool,
    ) -> None:
        super().__init__(columns, source.serialized)
        self._source, self._text, self._pattern = source, text, pattern
        self._targets, self._where, self._relaxed = targets, where, relaxed

    def need(self, wanted: frozenset[int]) -> None:
        made = {at for at, _ in self._targets}
        kept = {at for at in wanted if at not in made}
        self._source.need(frozenset(kept) | self._text.columns)

    def rows(self, run: Run) -> Iterable[Row]:
        for row in self._source.rows(run):
            match = self._pattern.fullmatch(self._text.evaluate(row, run))
            cells = list(row) + [None] * (len(self.columns) - len(row))
            found = self._read(match)
            if found is None and self._where:
                continue
            for number, (at, kind) in enumerate(self._targets):
                value = None if found is None else found[number]
                cells[at] = values.missing_value(kind) if value is None else value
            yield tuple(cells)

    def _read(self, match: re.Match[str] | None) -> list[Any] | None:
        """The values of all columns, or None: one that cannot be read spoils a strict match."""
        if match is None:
            return None
        found = [
            values.PARSERS[kind](text)
            for text, (_, kind) in zip(match.groups(), self._targets, strict=True)
        ]
        return None if None in found and not self._relaxed else found


@operator(operator_nodes.Parse)
def _parse(source: Plan, node: operator_nodes.Parse, scope: Scope) -> Plan:
    kind = option(node.options, "kind", ("simple", "regex", "relaxed"), "simple")
    if kind == "regex":
        raise unsupported(f"parse kind={kind}", "use extract()")
    inner = scope.over(source.columns, node.verb)
    _check(node.parts)
    text = inner.binder.scalar(node.expression, inner)
    if text.type not in ("string", "dynamic"):
        raise wrong_type(["string", "dynamic"])
    positions = {source.columns[at].name: at for at in visible(source.columns)}
    columns = list(source.columns)
    targets = []
    for part in node.parts:
        if part.column is None:
            continue
        column = Column(part.column.name, part.column.type)
        at = positions.setdefault(column.name, len(columns))
        columns[at : at + 1] = [column]
        targets.append((at, column.type))
    pattern = _pattern(node.parts, kind == "relaxed")
    where = node.verb == "parse-where"
    return Parse(source, tuple(columns), text_of(text), pattern, targets, where, kind == "relaxed")


def _check(parts: tuple[operator_nodes.ParsePart, ...]) -> None:
    """Refuse a pattern in which it would be open where a column begins or ends."""
    for before, part in pairwise(parts):
        if before.text is not None or part.text is not None:
            continue
        if before.column is None:
            raise semantic_error("KS102", "A string literal must follow a *")
        if part.column is not None:
            raise semantic_error("KS101", "The column name must follow a string literal")
        if before.column.type == "string":
            raise semantic_error("KS103", "Using * after parsing a string column is ambiguous.")
    names = [part.column.name for part in parts if part.column is not None]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise duplicate_column(name)


def _pattern(parts: tuple[operator_nodes.ParsePart, ...], relaxed: bool) -> re.Pattern[str]:
    """A regular expression: texts as they are, columns as short as they can be."""
    pieces = []
    for part in parts:
        if part.text is not None:
            pieces.append(re.escape(part.text))
        elif part.column is None:
            pieces.append(".*?")
        else:
            pieces.append("(.*?)" if relaxed else _NUMBERS.get(part.column.type, "(.*?)"))
    return re.compile("".join(pieces), re.DOTALL)
