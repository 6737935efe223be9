"""Functions that choose or ask: `iff`, `case`, `coalesce`, `isnull`, `toscalar`, `assert`."""

import pytest

from langgraph.checkpoint.kusto.local.kql import KqlError


@pytest.mark.parametrize(
    ("expression", "kind", "expected"),
    [
        ("iff(true, 1, 2)", "long", 1),
        ("iif(bool(null), 1, 2)", "long", 2),
        ("iff(true, 1, 2.5)", "real", 1.0),
        ("iff(true, int(1), 2)", "long", 1),
        ("iff(false, 'a', dynamic('b'))", "string", "b"),
        ("iff(true, dynamic(5), 2)", "long", 5),
        ("iff(true, 1, 'a')", "dynamic", 1),
        ("case(false, 'a', true, 'b', 'c')", "string", "b"),
        ("case(false, 'a', bool(null), 'b', 'c')", "string", "c"),
        ("coalesce(long(null), 5, 6)", "long", 5),
        ("coalesce('', 'a')", "string", "a"),
        ("coalesce(long(null), 1.5)", "real", 1.5),
        ("coalesce(tolong('not a number'), tolong('42'), 33)", "long", 42),
        ("isnull(long(null))", "bool", True),
        ("isnull('')", "bool", False),
        ("isnotnull(dynamic(null))", "bool", False),
        ("not(true)", "bool", False),
        ("assert(1 + 1 == 2, 'fine')", "bool", True),
        ("toscalar(5)", "long", 5),
        ("toscalar(Events | count)", "long", 4),
        ("toscalar(Events | where false | project n)", "long", None),
        ("toscalar(Events | where false | project id)", "string", ""),
        ("current_database()", "string", "TestDb"),
    ],
)
def test_choices(kql, expression, kind, expected):
    assert kql.typed(expression) == (kind, expected)


def test_assert_fails_the_query(kql):
    with pytest.raises(KqlError, match="too many") as caught:
        kql.rows("print assert(toscalar(Events | count) < 3, 'too many')")
    assert caught.value.kind == "runtime"


def test_column_ifexists(kql):
    assert kql.column("Events | project column_ifexists('n', 0) | where isnotnull(n)") == [1, 2, 3]
    assert kql.column("Events | project x = column_ifexists('none', 'd') | take 1") == ["d"]


def test_new_guids_differ(kql):
    rows = kql.column("range x from 1 to 3 step 1 | project new_guid()")
    assert len(set(rows)) == 3
    assert all(len(guid) == 36 for guid in rows)
