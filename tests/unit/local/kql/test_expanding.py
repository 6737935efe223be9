"""`mv-expand` and `mv-apply`."""

import pytest

from langgraph.checkpoint.kusto.local.kql import KqlError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("print d = dynamic([10, 20]) | mv-expand d", [(10,), (20,)]),
        ("print d = dynamic([]) | mv-expand d", []),
        ("print d = dynamic(null) | mv-expand d", [(None,)]),
        ("print d = dynamic('x') | mv-expand d", [("x",)]),
        ("print d = dynamic({'a':1,'b':2}) | mv-expand d", [({"a": 1},), ({"b": 2},)]),
        ("print d = dynamic({'a':1,'b':2}) | mv-expand kind=array d", [(["a", 1],), (["b", 2],)]),
        ("print d = dynamic({'a':1}) | mv-expand bagexpansion=array d", [(["a", 1],)]),
        (
            "print d = dynamic([1, 'x', 2.5]) | mv-expand d to typeof(long)",
            [(1,), (None,), (None,)],
        ),
        ("print d = dynamic([1, 'x']) | mv-expand d to typeof(string)", [("",), ("x",)]),
        (
            "print d = dynamic(['2026-01-01']) | mv-expand d to typeof(datetime)"
            " | project d == datetime(2026-01-01)",
            [(True,)],
        ),
        ("print a = dynamic([1, 2]), b = dynamic(['x']) | mv-expand a, b", [(1, "x"), (2, None)]),
        ("print a = dynamic([1, 2]) | mv-expand with_itemindex=i a", [(1, 0), (2, 1)]),
        ("print a = dynamic([1, 2, 3]) | mv-expand a limit 2", [(1,), (2,)]),
        ("print k = 1 | mv-expand x = range(1, 2)", [(1, 1), (1, 2)]),
        (
            "print s = 'a,b' | mv-expand part = split(s, ',') to typeof(string)",
            [("a,b", "a"), ("a,b", "b")],
        ),
        (
            "print a = dynamic([1]), b = dynamic([2, 3]) | mv-expand a | mv-expand b",
            [(1, 2), (1, 3)],
        ),
    ],
)
def test_mv_expand(kql, text, expected):
    assert kql.rows(text) == expected


def test_mv_expand_keeps_the_other_columns(kql):
    assert kql.rows("Events | where id in ('a', 'b', 'c') | mv-expand data | project id, data") == [
        ("a", {"k": 1}),
        ("a", {"list": [1, 2]}),
        ("b", None),
        ("c", 10),
        ("c", 20),
        ("c", 30),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The examples of Kusto's documentation.
        (
            "datatable(i:int, a:dynamic)[0, dynamic([1, 5, 3]), 1, dynamic([10, 2, 5, 7])]"
            "| mv-apply best=a to typeof(long) on (top 1 by best) | project i, best",
            [(0, 5), (1, 10)],
        ),
        (
            "datatable(i:int, a:dynamic)[0, dynamic([5, 1, 3]), 1, dynamic([4, 10, 8, 7])]"
            "| mv-apply b=a to typeof(long) on (top 2 by b | summarize two=make_list(b))"
            "| project i, two",
            [(0, [5, 3]), (1, [10, 8])],
        ),
        (
            "datatable(r:int, a:dynamic)[0, dynamic([5, 1, 3]), 1, dynamic([4, 10, 8, 7])]"
            "| mv-apply with_itemindex=i v=a to typeof(long) on (where i >= 2) | project r, v, i",
            [(0, 3, 2), (1, 8, 2), (1, 7, 3)],
        ),
        (
            "print a = dynamic([1, 2]) | mv-apply a to typeof(long) on (summarize total = sum(a))",
            [(3,)],
        ),
        ("print k = 'x', a = dynamic([1, 2]) | mv-apply a on (project a)", [("x", 1), ("x", 2)]),
        (
            "datatable(i:long, a:dynamic)[1, dynamic([]), 2, dynamic([7])] | mv-apply a on (count)",
            [(1, 0), (2, 1)],
        ),
    ],
)
def test_mv_apply(kql, text, expected):
    assert kql.rows(text) == expected


def test_mv_apply_runs_a_pipeline_with_mv_expand(kql):
    text = """
        datatable(source:string, target:string, n:long)['555-1', '555-2', 46, '555-3', '', 1]
        | extend pack = pack_all()
        | mv-apply rest = pack on (
            mv-expand kind = array pack
            | where pack[1] !startswith "555"
            | summarize away = make_set(pack[0]))
        | project bag_remove_keys(pack, away)
    """
    assert kql.rows(text) == [({"source": "555-1", "target": "555-2"},), ({"source": "555-3"},)]


@pytest.mark.parametrize(
    "text",
    [
        "Events | where id == 'c' | mv-apply data on (invoke f())",
        "Events | partition by id (invoke f())",
    ],
)
def test_a_function_invoked_in_a_subquery_is_refused_not_left_out(kql, text):
    with pytest.raises(KqlError, match="'invoke' inside of a subquery is not supported"):
        kql.rows("let f = (t:(*)) { t | take 0 }; " + text)


def test_a_name_given_in_a_subquery_changes_nothing(kql):
    assert kql.rows("Events | where id == 'c' | mv-apply data on (as X) | count") == [(3,)]
