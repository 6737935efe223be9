"""`join` of every kind and `lookup`: rows, columns and their names."""

import pytest

LEFT = "(datatable(k:string, a:long)['x', 1, 'x', 2, 'y', 3, 'z', 4])"
RIGHT = "(datatable(k:string, b:long)['x', 10, 'y', 20, 'y', 30, 'w', 40])"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("", [("x", 1, "x", 10), ("y", 3, "y", 20), ("y", 3, "y", 30)]),
        ("kind=innerunique", [("x", 1, "x", 10), ("y", 3, "y", 20), ("y", 3, "y", 30)]),
        (
            "kind=inner",
            [("x", 1, "x", 10), ("x", 2, "x", 10), ("y", 3, "y", 20), ("y", 3, "y", 30)],
        ),
        (
            "kind=leftouter",
            [
                ("x", 1, "x", 10),
                ("x", 2, "x", 10),
                ("y", 3, "y", 20),
                ("y", 3, "y", 30),
                ("z", 4, "", None),
            ],
        ),
        (
            "kind=rightouter",
            [
                ("x", 1, "x", 10),
                ("x", 2, "x", 10),
                ("y", 3, "y", 20),
                ("y", 3, "y", 30),
                ("", None, "w", 40),
            ],
        ),
        (
            "kind=fullouter",
            [
                ("x", 1, "x", 10),
                ("x", 2, "x", 10),
                ("y", 3, "y", 20),
                ("y", 3, "y", 30),
                ("z", 4, "", None),
                ("", None, "w", 40),
            ],
        ),
        ("kind=leftsemi", [("x", 1), ("x", 2), ("y", 3)]),
        ("kind=leftanti", [("z", 4)]),
        ("kind=anti", [("z", 4)]),
        ("kind=leftantisemi", [("z", 4)]),
        ("kind=rightsemi", [("x", 10), ("y", 20), ("y", 30)]),
        ("kind=rightanti", [("w", 40)]),
        ("hint.strategy=broadcast kind=leftsemi", [("x", 1), ("x", 2), ("y", 3)]),
    ],
)
def test_join_kinds(kql, kind, expected):
    assert kql.rows(f"{LEFT} | join {kind} {RIGHT} on k") == expected


def test_join_schemas(kql):
    assert kql.schema(f"{LEFT} | join kind=inner {RIGHT} on k") == [
        "k:string",
        "a:long",
        "k1:string",
        "b:long",
    ]
    assert kql.schema(f"{LEFT} | extend k1 = 1 | join kind=inner {RIGHT} on k") == [
        "k:string",
        "a:long",
        "k1:long",
        "k2:string",
        "b:long",
    ]
    assert kql.schema(f"{LEFT} | join kind=rightsemi {RIGHT} on k") == ["k:string", "b:long"]


def test_join_on_expressions(kql):
    assert kql.rows(
        f"{LEFT} | join kind=inner {RIGHT} on $left.k == $right.k, $left.k == $right.k"
        " | where a == 3 and b == 20"
    ) == [("y", 3, "y", 20)]
    assert kql.rows(
        "print a = 1, s = 'x' | join kind=inner (print b = 1.0, t = 'x')"
        " on $left.a == $right.b and $left.s == $right.t"
    ) == [(1, "x", 1.0, "x")]


def test_null_keys_match_nothing(kql):
    left = "(datatable(k:long)[long(null), 1])"
    assert kql.rows(f"{left} | join kind=inner {left} on k") == [(1, 1)]
    assert kql.rows(f"{left} | join kind=leftanti {left} on k") == [(None,)]
    # The empty string is a value like any other.
    text = "(datatable(k:string)['', 'a'])"
    assert len(kql.rows(f"{text} | join kind=inner {text} on k")) == 2


def test_lookup(kql):
    assert kql.rows(f"{LEFT} | lookup {RIGHT} on k") == [
        ("x", 1, 10),
        ("x", 2, 10),
        ("y", 3, 20),
        ("y", 3, 30),
        ("z", 4, None),
    ]
    assert kql.rows(f"{LEFT} | lookup kind=inner {RIGHT} on k | count") == [(4,)]
    assert kql.schema("Events | project id, n | lookup Owners on id") == [
        "id:string",
        "n:long",
        "owner:string",
        "weight:int",
    ]
