"""The words that are no names, as Microsoft's parser has them.

Kusto has three kinds of them: words that can be no name at all, words that may be declared
as a column but not referred to without brackets, and words that may be referred to but not
declared. Found by giving each word to Microsoft's own parser.
"""

from __future__ import annotations

from langgraph.checkpoint.kusto.local.kql.errors import KqlError, semantic_error, syntax_error

_NEVER = frozenset(
    """
    and asc bagexpansion between boolean byte char date datetime decimal decodeblocks desc double
    dynamic endswith expandoutput false first flags float has_all has_any int int16 int32 int64
    int8 isfuzzy last like long missing nooptimization or project real relaxed simple startswith
    string time timespan true uint uint16 uint32 uint64 uint8 ulong union uniqueid with_itemindex
    """.split()
)
_ONLY_DECLARED = frozenset(
    """
    accumulate as by contains datatable earliest externaldata find has in invoke latest
    materialize of print sample search set title to toscalar where
    """.split()
)
_ONLY_REFERRED = frozenset({"kind", "withsource"})


class QuotedName(str):
    """A name that stood in `['...']`: never a keyword."""

    __slots__ = ()


def _refuse(name: str) -> KqlError:
    return syntax_error(f"The word '{name}' is not allowed here; write ['{name}'].", 1, 1, name)


def check_reference(name: str) -> None:
    """Refuse a word that cannot refer to anything without brackets."""
    if isinstance(name, QuotedName):
        return
    if name in _NEVER or name in _ONLY_DECLARED:
        raise _refuse(name)


def check_declaration(name: str) -> None:
    """Refuse a word that cannot be the name of a new column or parameter."""
    if isinstance(name, QuotedName):
        return
    if name in _NEVER or name in _ONLY_REFERRED:
        raise _refuse(name)


def check_let(name: str) -> None:
    """Refuse a word that cannot be the name of a `let` statement."""
    if isinstance(name, QuotedName):
        return
    check_reference(name)
    check_declaration(name)


def check_unique(names: list[str]) -> None:
    """Refuse a parameter list that names one parameter twice."""
    for position, name in enumerate(names):
        if name in names[:position]:
            raise semantic_error(
                "KS201", f"A variable with the name '{name}' has already been declared."
            )
