"""Statements that read the newest row of each group, as a view shows it.

Lives here: their texts. Does not live here: which rows there are to choose from (`tables`).

SQLite computes `max` of a group by walking through all its rows. Where an index has the columns of
the groups and then the one that is maximised, and a query names the groups it wants but for one
column, `by_keys` jumps from one group to the next and reads the end of each: a thread of ten
thousand checkpoints costs what one of ten does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any

Members = Mapping[str, Sequence[str]]
Condition = tuple[str, list[Any]]
# Above so many named groups one walk through them costs no more than a jump to each.
FEW_GROUPS = 1_000


def by_groups(
    select: str, rows: str, of: str, by: Sequence[str], where: str, values: list[Any]
) -> Condition:
    """Return the statement for groups that nobody named."""
    named = "".join(f", {column} AS k{column}" for column in by)
    # The groups first, from an index where a view made one, then the few rows they point to.
    groups = (
        f"SELECT max({of}) AS newest{named} FROM {rows}{where} GROUP BY {', '.join(by) or 'NULL'}"
    )
    return _joined(select, rows, of, by, groups) + where, values + values


def fixed_first(
    of: str, by: Sequence[str], fixed: Members, indexed: Iterable[tuple[str, ...]]
) -> tuple[str, ...] | None:
    """Return the columns of groups, the named ones first, if `by_keys` can jump between them.

    Args:
        of: The column that is maximised.
        by: The columns of the groups.
        fixed: Columns, all of `by`, and the values that are asked for.
        indexed: The columns of each index that was made for a view.
    """
    if not fixed or len(by) - len(fixed) > 1 or prod(map(len, fixed.values())) > FEW_GROUPS:
        return None
    for index in indexed:
        keys, rest = index[: len(by)], index[len(by) :]
        if set(keys) == set(by) and set(keys[: len(fixed)]) == set(fixed) and rest[0] == of:
            return keys
    return None


def by_keys(
    select: str,
    rows: str,
    of: str,
    keys: Sequence[str],
    fixed: Members,
    rest: Condition,
    where: Condition,
) -> Condition:
    """Return the statement that jumps from group to group.

    Args:
        select: What is read.
        rows: The table.
        of: The column that is maximised.
        keys: The columns of the groups, those in `fixed` first.
        fixed: The values that are asked for.
        rest: What holds for every row beside the groups; it begins with WHERE, or is empty.
        where: The same with the groups.
    """
    named, free = list(keys[: len(fixed)]), keys[len(fixed) :]
    values: list[Any] = [member for column in named for member in fixed[column]]
    lists = ", ".join(
        f"(SELECT column1 AS k{column} FROM (VALUES {', '.join(['(?)'] * len(fixed[column]))}))"
        for column in named
    )
    names = ", ".join(f"k{column}" for column in keys)
    same = " AND ".join(f"{column} = k{column}" for column in named)
    groups = f"SELECT * FROM {lists}"
    for column in free:
        outer = names.rpartition(", ")[0]
        least = f"SELECT min({column}) FROM {rows} WHERE {same}"
        groups = (
            f"WITH RECURSIVE found({names}) AS (SELECT {outer}, ({least}) FROM ({groups})"
            f" UNION ALL SELECT {outer}, ({least} AND {column} > k{column}) FROM found"
            f" WHERE k{column} IS NOT NULL) SELECT * FROM found WHERE k{column} IS NOT NULL"
        )
    every = " AND ".join(f"{column} = k{column}" for column in keys)
    also = rest[0].replace(" WHERE ", " AND ", 1)
    groups = f"SELECT {names}, (SELECT max({of}) FROM {rows} WHERE {every}{also}) AS newest" + (
        f" FROM ({groups})"
    )
    # The list of values stands before the conditions, or beside them: as the text has its marks.
    text = _joined(select, rows, of, keys, groups) + where[0]
    return text, rest[1] + values + where[1]


def _joined(select: str, rows: str, of: str, by: Sequence[str], groups: str) -> str:
    return (
        f"{select.removesuffix(rows)}({groups}) AS groups CROSS JOIN {rows} ON {of} = newest"
        + "".join(f" AND {column} = k{column}" for column in by)
    )
