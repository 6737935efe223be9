"""The names of result columns: given, taken from the expression, or made up.

A name that the text gives must be unique; a name taken from the expression gets a number
when it is in use; an expression without a name is called `Column1`, `Column2`, ...
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from langgraph.checkpoint.kusto.local.kql import nodes
from langgraph.checkpoint.kusto.local.kql.errors import duplicate_column, semantic_error


@dataclass
class NameTable:
    """The names of one result, in the order they are given out."""

    taken: set[str] = field(default_factory=set)

    def given(self, name: str) -> str:
        """Take a name the text gives."""
        if name in self.taken:
            raise duplicate_column(name)
        self.taken.add(name)
        return name

    def derived(self, name: str) -> str:
        """Take a name that comes from an expression; number it when it is in use."""
        candidate, number = name, 0
        while candidate in self.taken:
            number += 1
            candidate = f"{name}{number}"
        self.taken.add(candidate)
        return candidate

    def invented(self) -> str:
        """Take the first free `ColumnN`."""
        number = 1
        while f"Column{number}" in self.taken:
            number += 1
        return self.given(f"Column{number}")

    def choose(self, explicit: str | None, automatic: str, is_column: bool) -> str:
        """Take the right one of the three."""
        if explicit is not None:
            return self.given(explicit)
        if not automatic:
            return self.invented()
        return self.given(automatic) if is_column else self.derived(automatic)


def explicit_name(node: nodes.Expression) -> tuple[str | None, nodes.Expression]:
    """Split `name = expression`; several names are for aggregates only."""
    if not isinstance(node, nodes.Named):
        return None, node
    if len(node.names) != 1:
        raise semantic_error("KS149", "The expression does not have multiple named values.")
    return node.names[0], node.expression


def matcher(pattern: str) -> re.Pattern[str]:
    """A pattern of `project-away` and its kin: `*` stands for any characters."""
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)
