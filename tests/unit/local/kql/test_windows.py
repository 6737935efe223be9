"""Functions over the rows around, `row_number`, `prev`, `next` and their kin."""

import pytest

from langgraph.checkpoint.kusto.local.kql import KqlError

SOURCE = "datatable(g:string, v:long)['a', 5, 'a', 7, 'b', 1, 'b', 1, 'b', 4] | serialize"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("row_number()", [1, 2, 3, 4, 5]),
        ("row_number(10)", [10, 11, 12, 13, 14]),
        ("row_number(1, g != prev(g))", [1, 2, 1, 2, 3]),
        ("row_cumsum(v)", [5, 12, 13, 14, 18]),
        ("row_cumsum(v, g != prev(g))", [5, 12, 1, 2, 6]),
        ("prev(v)", [None, 5, 7, 1, 1]),
        ("prev(v, 2)", [None, None, 5, 7, 1]),
        ("prev(v, 1, -1)", [-1, 5, 7, 1, 1]),
        ("prev(g)", ["", "a", "a", "b", "b"]),
        ("next(v)", [7, 1, 1, 4, None]),
        ("next(v, 1, 0) - v", [2, -6, 0, 3, -4]),
        ("row_rank_dense(v, g != prev(g))", [1, 2, 1, 1, 2]),
        ("row_rank_min(v, g != prev(g))", [1, 2, 1, 1, 3]),
    ],
)
def test_windows(kql, expression, expected):
    assert kql.column(f"{SOURCE} | extend x = {expression} | project x") == expected
    assert kql.column(f"{SOURCE} | project {expression}") == expected


def test_windows_after_a_sort(kql):
    assert kql.rows("Events | order by n asc | extend i = row_number() | project i, id") == [
        (1, "d"),
        (2, "a"),
        (3, "b"),
        (4, "c"),
    ]
    assert kql.column("Events | order by n asc | where row_number() > 2 | project id") == ["b", "c"]
    assert kql.schema("Owners | serialize weight = row_number()") == [
        "id:string",
        "owner:string",
        "weight:int",
        "weight1:long",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Events | extend i = row_number()",
        "Events | order by n | summarize by id | extend prev(id)",
        "Events | extend x = prev(n)",
    ],
)
def test_windows_need_an_order(kql, text):
    with pytest.raises(KqlError, match="serialized"):
        kql.rows(text)


def test_windows_do_not_show(kql):
    assert kql.schema("range x from 1 to 2 step 1 | where row_number() == 1") == ["x:long"]
