"""The newest row of each group: by jumps the same rows as by a walk, at a cost without the rest."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from langgraph.checkpoint.kusto.local.newest import FEW_GROUPS, by_groups, by_keys, fixed_first

BY = ("a", "b", "c")
INDEX = (*BY, "x", "ingested")
SELECT = "SELECT a, b, c, x, n FROM t"


@pytest.fixture
def rows() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (rid INTEGER PRIMARY KEY, ingested, a, b, c, x, n)")
    connection.execute(f"CREATE INDEX i ON t ({', '.join(INDEX)})")
    connection.execute("CREATE INDEX j ON t (a, b, x)")
    return connection


def where_of(fixed: Mapping[str, Sequence[str]], since: int) -> tuple[str, list[Any]]:
    terms = [f"{name} IN ({','.join('?' * len(values))})" for name, values in fixed.items()]
    values: list[Any] = [value for each in fixed.values() for value in each]
    return " WHERE " + " AND ".join([*terms, "ingested > ?"]), [*values, since]


def jumped(fixed: Mapping[str, Sequence[str]], since: int) -> tuple[str, list[Any]]:
    keys = fixed_first("x", BY, fixed, [INDEX])
    assert keys is not None
    rest = (" WHERE ingested > ?", [since])
    return by_keys(SELECT, "t", "x", keys, fixed, rest, where_of(fixed, since))


def walked(fixed: Mapping[str, Sequence[str]], since: int) -> tuple[str, list[Any]]:
    return by_groups(SELECT, "t", "x", BY, *where_of(fixed, since))


@pytest.mark.parametrize("seed", range(20))
def test_jumps_find_what_a_walk_finds(rows: sqlite3.Connection, seed: int) -> None:
    """Copies of the newest row, empty texts, groups all of whose rows are hidden."""
    chance = random.Random(seed)
    texts = ["", "p", "q", "\U0001f600"]
    for number in range(chance.choice([0, 5, 200])):
        values = (number, *(chance.choice(texts) for _ in range(4)), number)
        rows.execute("INSERT INTO t (ingested, a, b, c, x, n) VALUES (?, ?, ?, ?, ?, ?)", values)
    for named in (1, 2, 3):
        fixed = {
            name: sorted({chance.choice([*texts, "none"]) for _ in range(chance.randint(1, 4))})
            for name in BY[:named]
        }
        if named == 1:
            assert fixed_first("x", BY, fixed, [INDEX]) is None
            continue
        since = chance.choice([-1, 3, 150])
        found = sorted(rows.execute(*jumped(fixed, since)))
        assert found == sorted(rows.execute(*walked(fixed, since)))


def test_a_long_group_costs_what_a_short_one_costs(rows: sqlite3.Connection) -> None:
    steps = 0

    def stepped() -> int:
        nonlocal steps
        steps += 1
        return 0

    def cost(length: int) -> int:
        nonlocal steps
        rows.executemany(
            "INSERT INTO t (ingested, a, b, c, x) VALUES (1, 'p', '', ?, ?)",
            [(epoch, f"{number:06}") for epoch in "eg" for number in range(length)],
        )
        statement = jumped({"a": ["p"], "b": [""]}, 0)
        rows.set_progress_handler(stepped, 1)
        steps = 0
        found = rows.execute(*statement).fetchall()
        rows.set_progress_handler(None, 1)
        assert {row[3] for row in found} == {f"{length - 1:06}"}
        return steps

    few = cost(100)
    assert few < 500
    assert cost(5_000) <= few + 10


def test_jumps_need_an_index_and_named_groups() -> None:
    two = {"a": ["p"], "b": ["q"]}
    assert fixed_first("x", BY, two, [INDEX]) == BY
    assert fixed_first("x", ("c", "b", "a"), two, [INDEX]) == BY
    assert fixed_first("x", BY, {**two, "c": ["r"]}, [INDEX]) == BY
    assert fixed_first("x", ("a", "b"), {"a": ["p"]}, [("n", "x"), ("a", "b", "x")]) == ("a", "b")

    assert fixed_first("x", BY, two, []) is None
    assert fixed_first("n", BY, two, [INDEX]) is None
    assert fixed_first("x", ("a", "b"), two, [INDEX]) is None
    assert fixed_first("x", BY, {"a": ["p"], "c": ["q"]}, [INDEX]) is None
    assert fixed_first("x", BY, {}, [INDEX]) is None
    assert fixed_first("x", (), {}, [("x", "ingested")]) is None
    many = [str(number) for number in range(FEW_GROUPS)]
    assert fixed_first("x", BY, {"a": many, "b": ["q"]}, [INDEX]) == BY
    assert fixed_first("x", BY, {"a": many, "b": ["q", "r"]}, [INDEX]) is None
