"""Ranges of texts, and the greatest of a group: what the engine lets a table leave out."""

from __future__ import annotations

from typing import Any

import pytest

LESS, UP_TO, EQUAL, FROM, MORE = (
    frozenset({-1}),
    frozenset({-1, 0}),
    frozenset({0}),
    frozenset({0, 1}),
    frozenset({1}),
)
HEAD = "declare query_parameters(p:string = 'x', all:bool = false); Events | where id in ('a','c')"


@pytest.fixture
def asked(catalog: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the table is told; it does not act on it."""
    table = catalog.tables["Events"]
    told: list[Any] = []

    def hear(*what: Any) -> Any:
        told.append(what[0] if len(what) == 1 else what)
        return table

    monkeypatch.setattr(type(table), "limited", lambda self, limits: hear(limits), raising=False)
    monkeypatch.setattr(type(table), "newest", lambda self, of, by: hear(of, by), raising=False)
    return told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("where strcmp(kind_name, 'x') < 0", [("kind_name", LESS, "x")]),
        ("where strcmp(kind_name, p) <= 0", [("kind_name", UP_TO, "x")]),
        ("where strcmp(kind_name, strcat(p, 'y')) == 0", [("kind_name", EQUAL, "xy")]),
        ("where strcmp(kind_name, p) >= 0 and n > 0", [("kind_name", FROM, "x")]),
        (
            "where strcmp(kind_name, 'a') > 0 | where strcmp(kind_name, 'z') <= 0",
            [("kind_name", MORE, "a"), ("kind_name", UP_TO, "z")],
        ),
        (
            "where strcmp(kind_name, p) < 0 or strcmp(kind_name, p) == 0",
            [("kind_name", UP_TO, "x")],
        ),
        ("where all or strcmp(kind_name, p) > 0", [("kind_name", MORE, "x")]),
        ("extend s = strcmp(kind_name, p) | where s < 0", [("kind_name", LESS, "x")]),
        (
            "extend s = strcmp(kind_name, p), t = strcmp(id, 'a')"
            " | where s < 0 or (s == 0 and t > 0)",
            [("kind_name", UP_TO, "x")],
        ),
        ("project k = kind_name | where strcmp(k, p) < 0", [("kind_name", LESS, "x")]),
        ("project s = strcmp(kind_name, p) | where s >= 0", [("kind_name", FROM, "x")]),
        (
            "join kind=leftouter Owners on id | where strcmp(kind_name, p) < 0",
            [("kind_name", LESS, "x")],
        ),
    ],
)
def test_ranges_reach_the_table(kql: Any, asked: list[Any], text: str, expected: Any) -> None:
    kql.rows(f"{HEAD} | {text}")
    assert [limit for limits in asked for limit in limits] == expected


@pytest.mark.parametrize(
    "text",
    [
        "where strcmp(kind_name, p) != 0",
        "where strcmp(kind_name, p) < 1",
        "where strcmp(kind_name, id) < 0",
        "where strcmp(p, kind_name) < 0",
        "where not(strcmp(kind_name, p) < 0)",
        "where strcmp(kind_name, p) < 0 or n == 3",
        "where strcmp(kind_name, p) < 0 or strcmp(id, p) < 0",
        "where not(all) or strcmp(kind_name, p) > 0",
        "where n > 0",
        "extend kind_name = 'z' | where strcmp(kind_name, p) < 0",
        "take 1 | where strcmp(kind_name, p) < 0",
        "summarize kind_name = max(kind_name) by n | where strcmp(kind_name, p) < 0",
        "join kind=rightouter Owners on id | where strcmp(kind_name, p) < 0",
        "join kind=leftouter Owners on id | where strcmp(owner, p) < 0",
    ],
)
def test_what_is_no_range_of_the_table_does_not(kql: Any, asked: list[Any], text: str) -> None:
    kql.rows(f"{HEAD} | {text}")
    assert [limit for limits in asked for limit in limits] == []


def test_a_range_alone_is_not_worth_an_index(kql: Any, asked: list[Any]) -> None:
    assert kql.column("Events | where strcmp(kind_name, 'y') < 0 | project id") == ["a", "b"]
    assert asked == []


def test_the_rows_are_tested_whatever_the_table_leaves_out(kql: Any, asked: list[Any]) -> None:
    text = f"{HEAD} | where strcmp(kind_name, p) > 0 | project id"
    assert kql.column(text) == ["c"]
    assert kql.column(text, p="a") == ["a", "c"]
    assert asked == [[("kind_name", MORE, "x")], [("kind_name", MORE, "a")]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("summarize arg_max(id, n) by kind_name", [("id", ("kind_name",))]),
        ("summarize arg_max(id, *) by kind_name", [("id", ("kind_name",))]),
        ("summarize arg_max(id, n)", [("id", ())]),
        ("summarize arg_max(n, id) by kind_name", []),
        ("summarize arg_min(id, n) by kind_name", []),
        ("summarize arg_max(id, n), count() by kind_name", []),
        ("summarize arg_max(id, n) by n", []),
        ("summarize arg_max(id, n) by tolower(kind_name)", []),
        ("summarize arg_max(strcat(id, 'x'), n) by kind_name", []),
        ("where n > 1 | summarize arg_max(id, n) by kind_name", []),
    ],
)
def test_the_greatest_of_a_group_reach_the_table(
    kql: Any, asked: list[Any], text: str, expected: Any
) -> None:
    kql.rows(f"Events | {text}")
    assert asked == expected


def test_what_nobody_looks_at_of_a_greatest_row_is_left_out(kql: Any) -> None:
    text = "Events | summarize arg_max(strcat(id, tostring(at)), n, score) by kind_name"
    assert kql.rows(f"{text} | project kind_name, score | order by kind_name asc") == [
        ("x", 2.5),
        ("y", -1.0),
    ]
    assert kql.schema(f"{text} | project-away score") == [
        "kind_name:string",
        "max_:string",
        "n:long",
    ]


@pytest.mark.parametrize(
    ("predicate", "found"),
    [
        ("data or n == 3", ["c"]),
        ("n == 3 or all", ["c"]),
        ("not(all) or n == 3", ["a", "b", "c", "d"]),
        ("not(all) and n == 3", ["c"]),
        ("all and n == 3", []),
        ("n == long(null)", []),
        ("id !in (split('', ',')) and n < 3", ["a", "b"]),
        ("kind_name in ((Owners | where weight > 100 | project id))", []),
        ("kind_name !in ((Owners | where weight > 100 | project id))", ["a", "b", "c", "d"]),
        ("n !in (1, 2)", ["c", "d"]),
    ],
)
def test_what_is_the_same_for_every_row_is_decided_once(
    kql: Any, predicate: str, found: list[str]
) -> None:
    text = "declare query_parameters(all:bool = false); Events"
    expected = kql.column(f"{text} | extend r = ({predicate}) | where tostring(r) == 'true'")
    assert kql.column(f"{text} | where {predicate}") == expected == found
