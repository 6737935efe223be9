"""Query texts about whole tables that are right, and their results, computed by hand.

Here: joins, aggregates, expanding, ordering, union, views and stored functions. No test stands
here.
"""

from __future__ import annotations

from typing import Any

from .right_values import Right, a_set, rows

LEFT_AND_RIGHT = (
    "let L = datatable(k:string, l:long)['a', 1, 'a', 2, 'b', 3];"
    "let R = datatable(k:string, r:long)['a', 10, 'a', 20, 'c', 30];"
)
PAIRS: list[list[Any]] = [
    ["a", 1, "a", 10],
    ["a", 1, "a", 20],
    ["a", 2, "a", 10],
    ["a", 2, "a", 20],
]
LEFT_ALONE = ["b", 3, "", None]
RIGHT_ALONE = ["", None, "c", 30]


def joined(kind: str, *expected: list[Any]) -> Right:
    """A join of the two small tables."""
    return a_set(f"join kind={kind}", f"{LEFT_AND_RIGHT} L | join kind={kind} R on k", *expected)


JOINS = [
    joined("inner", *PAIRS),
    joined("leftouter", *PAIRS, LEFT_ALONE),
    joined("rightouter", *PAIRS, RIGHT_ALONE),
    joined("fullouter", *PAIRS, LEFT_ALONE, RIGHT_ALONE),
    joined("leftsemi", ["a", 1], ["a", 2]),
    joined("leftanti", ["b", 3]),
    joined("anti", ["b", 3]),
    joined("rightsemi", ["a", 10], ["a", 20]),
    joined("rightanti", ["c", 30]),
    a_set(
        "join without a kind is innerunique",
        f"{LEFT_AND_RIGHT} L | join R on k | project k, r",
        *(["a", 10], ["a", 20]),
    ),
    a_set(
        "join on columns of two names",
        f"{LEFT_AND_RIGHT} L | join kind=inner (R | project name = k, r) on $left.k == $right.name"
        " | where l == 1",
        *(["a", 1, "a", 10], ["a", 1, "a", 20]),
    ),
    a_set(
        "join on two keys",
        "Owners | join kind=inner (Owners | where weight > 10) on id, owner"
        " | project owner, weight1",
        *(["cid", 20], ["cat", 25], ["zoe", 30]),
    ),
    a_set(
        "lookup keeps one key",
        "Events | where n < 4 | project id, n | lookup Owners on id",
        *(["a", 1, "ann", 10], ["b", 2, "", None], ["c", 3, "cid", 20], ["c", 3, "cat", 25]),
    ),
    a_set(
        "lookup kind=inner",
        "Events | project id | lookup kind=inner (Owners | project id, owner) on id",
        *(["a", "ann"], ["c", "cid"], ["c", "cat"]),
    ),
]

AGGREGATES = [
    rows(
        "arg_max of some columns",
        "Events | summarize arg_max(n, id) by family | order by family asc",
        *(["", 5, "e"], ["x", 2, "b"], ["y", 3, "c"]),
    ),
    rows(
        "arg_max of all columns",
        "Owners | summarize arg_max(weight, *) by id | order by id asc",
        *(["a", 10, "ann"], ["c", 25, "cat"], ["z", 30, "zoe"]),
    ),
    rows(
        "arg_max by one tick",
        "Events | where family == 'x' | summarize arg_max(at, id) | project id",
        ["b"],
    ),
    rows(
        "arg_max of nulls only", "Events | where id == 'd' | summarize arg_max(n, id)", [None, "d"]
    ),
    rows("arg_min passes null by", "Events | summarize arg_min(n, id)", [1, "a"]),
    rows("arg_max of a string", "Owners | summarize arg_max(owner, weight)", ["zoe", 30]),
    rows(
        "take_any of equal values",
        "Owners | where id == 'c' | summarize take_any(id), n = count()",
        ["c", 2],
    ),
    rows(
        "take_any of a whole row",
        "Owners | where id == 'c' | summarize take_any(*)"
        " | join kind=inner Owners on id, owner, weight | count",
        [1],
    ),
    rows(
        "make_list in order",
        "Events | order by id desc | summarize make_list(id)",
        [["e", "d", "c", "b", "a"]],
    ),
    rows(
        "make_list passes null by",
        "Events | order by id asc | summarize make_list(n), make_list(n, 2)",
        [[1, 2, 3, 5], [1, 2]],
    ),
    rows("make_set", "Events | summarize array_sort_asc(make_set(family))", [["", "x", "y"]]),
    rows(
        "make_bag",
        "Owners | where id != 'c' | summarize make_bag(bag_pack(id, weight))",
        [{"a": 10, "z": 30}],
    ),
    rows(
        "conditional aggregates",
        "Events | summarize countif(ok), sumif(n, ok), dcountif(family, n > 1), make_set_if(n, ok)",
        [2, 1, 3, [1]],
    ),
    rows(
        "names it gives",
        "Events | summarize count(), max(n), make_list(ok) by bin(n, 10) | project-away list_ok"
        " | where max_n == 5 | project n, count_",
        [0, 4],
    ),
    rows("distinct", "Events | distinct family | order by family asc", [""], ["x"], ["y"]),
    rows("keys without aggregates", "Owners | summarize by id | count", [3]),
    rows("percentile", "range x from 1 to 100 step 1 | summarize percentile(x, 50)", [50]),
]

EXPANDING = [
    rows(
        "mv-expand with an index",
        "Events | where id == 'c' | mv-expand with_itemindex=place data to typeof(long)"
        " | order by place asc | project place, data",
        *([0, 10], [1, 20], [2, 30]),
    ),
    a_set(
        "mv-expand of two columns",
        "print a=dynamic([1, 2]), b=dynamic(['x']) | mv-expand a, b",
        *([1, "x"], [2, None]),
    ),
    a_set(
        "mv-expand of a bag", "print d=dynamic({'a':1,'b':2}) | mv-expand d", [{"a": 1}], [{"b": 2}]
    ),
    rows(
        "mv-expand of a scalar and null",
        "Events | where id in ('d', 'e') | mv-expand data | order by id asc | project data",
        ["text"],
        [None],
    ),
    rows(
        # "The operation of applying type is cast-only": no text is read as a number.
        "mv-expand to a type casts, and does not parse",
        "print d=dynamic([7, '1', 'x']) | mv-expand with_itemindex=at d to typeof(long)"
        " | order by at asc | project d",
        *([7], [None], [None]),
    ),
    rows(
        "mv-expand of nothing",
        "datatable(k:string, d:dynamic)['empty', dynamic([]), 'null', dynamic(null)]"
        " | mv-expand d | project k, d",
        ["null", None],
    ),
    rows(
        "mv-apply",
        "print l=dynamic([3, 1, 2])"
        " | mv-apply x=l to typeof(long) on (top 2 by x asc | summarize s=sum(x)) | project s",
        [3],
    ),
]

PIPELINES = [
    rows("ascending: null first", "Events | order by n asc | project id", *"dabce"),
    rows("descending by default: null last", "Events | order by n | project id", *"ecbad"),
    rows("null where it is put", "Events | order by n asc nulls last | project id", *"abced"),
    rows("two keys", "Events | order by family desc, n asc | project id", *"dcabe"),
    rows("top", "Events | top 2 by n | project id", *"ec"),
    rows("extend sees the old row", "print a = 1, b = 2 | extend a = b, b = a", [2, 1]),
    rows(
        "project-away and -rename",
        "Owners | where id == 'a' | project-rename who = owner | project-away id",
        ["ann", 10],
    ),
    rows(
        "row_number",
        "Owners | order by weight desc | extend at = row_number() | where at == 2 | project owner",
        ["cat"],
    ),
    rows(
        "prev and next",
        "range x from 1 to 3 step 1 | serialize | project prev(x), next(x)",
        [None, 2],
        [1, 3],
        [2, None],
    ),
    rows(
        "range of datetimes",
        "range t from datetime(2026-01-01) to datetime(2026-01-02) step 12h | count",
        [3],
    ),
    rows(
        "union of unlike tables",
        "union Events, Owners | summarize count(), sum(weight), countif(isempty(owner))",
        [9, 85, 5],
    ),
    a_set("union of two types", "union (print a = 1), (print a = 'x')", [1, ""], [None, "x"]),
    rows(
        "the view",
        "Latest | order by family asc | project family, n, id",
        ["", 5, "e"],
        ["x", 2, "b"],
        ["y", 3, "c"],
    ),
    rows("the view by function", "materialized_view('Latest') | count", [3]),
    rows(
        "a stored function of a table",
        "AtLeast(2) | union AtLeast(3, 'y') | order by id asc | project id",
        *"bc",
    ),
    rows("a stored function of a value", "print Twice(21), Twice(x=4)", [42, 8]),
    rows(
        "getschema",
        "Owners | getschema | project ColumnName, ColumnType",
        ["id", "string"],
        ["owner", "string"],
        ["weight", "int"],
    ),
    rows(
        "parse", "print s='k=5;v=abc' | parse s with 'k=' k:long ';v=' v | project k, v", [5, "abc"]
    ),
    rows(
        "parse with anything between",
        "print s='x k=5;v=abc' | parse s with * 'k=' k:long * 'v=' v | project k, v",
        [5, "abc"],
    ),
    a_set(
        "partition",
        "Owners | partition by id (top 1 by weight | project owner)",
        ["ann"],
        ["cat"],
        ["zoe"],
    ),
]

RIGHT_TABLES = [*JOINS, *AGGREGATES, *EXPANDING, *PIPELINES]
