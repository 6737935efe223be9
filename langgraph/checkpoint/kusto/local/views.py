"""What follows from a materialized view's query text.

Lives here: whether new columns of the source break a view. Does not live here: checking the query,
which the KQL engine does, and the commands (`commands.views`).
"""

from __future__ import annotations

from .schema import View
from .text import tokens

_WHOLE_ROW = ("arg_max", "arg_min", "take_any", "any")


def takes_all_columns(query: str) -> bool:
    """Tell whether an aggregation takes every column: arg_max(x, *), arg_min(x, *), take_any(*)."""
    inside = ""
    depth = 0
    before = ""
    for token in tokens(query):
        if not inside:
            if token.text == "(" and before in _WHOLE_ROW:
                inside, depth = before, 1
        elif token.text == "(":
            depth += 1
        elif token.text == ")":
            depth -= 1
            inside = inside if depth else ""
        elif token.text == "*" and depth == 1 and before in ("(", ","):
            return True
        before = token.text
    return False


def newest_columns(query: str) -> tuple[str, ...]:
    """Return the columns `by` and then x of `Source | summarize arg_max(x, ...) by ...`, or none.

    Only of that plain form, in which every name is a column's.
    """
    words = [token.text for token in tokens(query)]
    if words[1:5] != ["|", "summarize", "arg_max", "("] or "by" not in words:
        return ()
    of, by = words[5], words[words.index("by") + 1 :]
    closed = words[words.index("by") - 1] == ")" and words.count(")") == 1
    plain = all(word == "," for word in by[1::2]) and len(by) % 2 == 1
    return (*by[::2], of) if closed and plain and words[6] in (",", ")") else ()


def disabled_by_new_columns(view: View) -> bool:
    """Tell whether a change of the source's columns disables the view.

    materialized-view-create.md: with `autoUpdateSchema=false`, changes of the source can make an
    `arg_max(x, *)` view mismatch its own schema, and a mismatch disables it. Here every change of
    columns does; its data is still served.
    """
    return not view.auto_update_schema and takes_all_columns(view.query)
