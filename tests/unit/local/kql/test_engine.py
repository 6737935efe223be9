"""The engine's entries: checking queries, functions and views, and plans that are kept."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from langgraph.checkpoint.kusto.local.kql import (
    Column,
    FunctionDef,
    KqlError,
    ViewDef,
    check_function,
    check_query,
    check_view,
    engine,
    nodes,
    operator_nodes,
    run_query,
)
from langgraph.checkpoint.kusto.local.kql.operators import registry


def names(columns):
    return [f"{column.name}:{column.type}" for column in columns]


def test_check_query_gives_the_last_schema(catalog):
    assert names(check_query("Events; Owners | project id, n = 1", catalog)) == [
        "id:string",
        "n:long",
    ]
    assert check_query("print x = 1", catalog) == (Column("x", "long"),)


def test_check_query_reads_no_rows(catalog):
    check_query("Events | where id in (Owners | project id)", catalog)
    assert catalog.tables["Events"].scans == []


@pytest.mark.parametrize(
    ("parameters", "body", "expected"),
    [
        ("()", "{ Owners }", ["id:string", "owner:string", "weight:int"]),
        ("(wanted:string)", "{ Owners | where id == wanted | project id }", ["id:string"]),
        ("(t:(n:long), least:long = 1)", "{ t | where n > least }", ["n:long"]),
        ("(x:long)", "{ x * 2 }", "long"),
        ("(s:string)", "{ let t = strcat(s, 'x'); split(t, ',') }", "dynamic"),
    ],
)
def test_check_function(catalog, parameters, body, expected):
    found = check_function(FunctionDef("F", parameters, body), catalog)
    assert (found if isinstance(found, str) else names(found)) == expected


@pytest.mark.parametrize(
    ("parameters", "body"),
    [
        ("()", "{ Nowhere }"),
        ("()", "{ Owners | where missing == 1 }"),
        ("(x:wrong)", "{ 1 }"),
        ("(x:long, x:long)", "{ 1 }"),
        ("(x:long = 'a')", "{ 1 }"),
        ("(x:long = 1, y:long)", "{ 1 }"),
        ("()", "{ }"),
        ("()", "{ let x = 1; }"),
        ("()", "no braces"),
    ],
)
def test_check_function_refuses(catalog, parameters, body):
    with pytest.raises(KqlError):
        check_function(FunctionDef("F", parameters, body), catalog)


def test_check_view(catalog):
    view = ViewDef("V", "Events", "Events | where n > 0 | summarize arg_max(n, score) by id")
    assert names(check_view(view, catalog)) == ["id:string", "n:long", "score:real"]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("Events", "one query"),
        ("Events | where n > 0", "summarize"),
        ("Events | summarize count() by id | where count_ > 1", "last operator"),
        ("Events | summarize count() by id | summarize count()", "once"),
        ("Owners | summarize count() by id", "source table 'Events'"),
        ("Events | join kind=inner Owners on id | summarize count() by id", "Join"),
        ("Events | take 5 | summarize count() by id", "Take"),
        ("let x = 1; Events | summarize count() by id", None),
        ("Events | summarize count() by missing", "missing"),
        ("Events | summarize", "parsed|expression"),
    ],
)
def test_check_view_refuses(catalog, query, why):
    if why is None:
        assert check_view(ViewDef("V", "Events", query), catalog)
        return
    with pytest.raises(KqlError, match=why):
        check_view(ViewDef("V", "Events", query), catalog)


def test_check_view_needs_its_source(catalog):
    with pytest.raises(KqlError, match="Gone"):
        check_view(ViewDef("V", "Gone", "Gone | summarize count() by id"), catalog)


# ---------------------------------------------------------------- plans that are kept


def test_a_kept_plan_follows_the_rows_and_the_parameters(kql, catalog):
    catalog.version = object()
    text = "declare query_parameters(least:long); Events | where n >= least | project id"
    assert kql.column(text, least=3) == ["c"]
    assert kql.column(text, least=2) == ["b", "c"]
    catalog.tables["Events"].data.append(("e", "x", 9, 9.5, True, 0, 0, None))
    assert kql.column(text, least=3) == ["c", "e"]


def test_a_new_version_is_bound_anew(kql, catalog):
    catalog.version = object()
    catalog.add("Thing", "id:string", [("a",)])
    assert kql.schema("Thing") == ["id:string"]
    catalog.add("Thing", "id:string,more:long", [("a", 1)])
    catalog.version = object()
    assert kql.schema("Thing") == ["id:string", "more:long"]


def test_one_plan_serves_many_threads(kql, catalog):
    catalog.version = object()
    text = (
        "declare query_parameters(wanted:string);"
        " let kept = materialize(Events | where id == wanted);"
        " kept | mv-apply data on (summarize make_list(data)) | project id, toscalar(kept | count)"
    )

    def ask(wanted):
        return kql.rows(text, wanted=wanted)

    wanted = ["a", "b", "c", "d"] * 25
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, wanted))
    assert answers == [[(each, 1)] for each in wanted]


def test_a_plan_is_kept_for_the_next_catalog_of_the_version(catalog, monkeypatch):
    catalog.version = object()
    other = type(catalog)()
    rows = [("z", "x", 7, 0.5, True, 0, 0, None)]
    schema = ",".join(f"{each.name}:{each.type}" for each in catalog.tables["Events"].columns)
    other.add("Events", schema, rows)
    other.version = catalog.version
    text = "Events | where n == 7 | project id"
    assert run_query(text, {}, catalog, now_ticks=0)[0].rows == []
    monkeypatch.setattr(engine, "bind_program", None)
    assert run_query(text, {}, other, now_ticks=0)[0].rows == [("z",)]


def test_a_kept_plan_does_not_hold_its_catalog(catalog):
    other = type(catalog)()
    other.tables = catalog.tables
    other.version = object()
    for text in (
        "Events | where id in (Owners | project id) | mv-apply data on (take 1)",
        "let f = (x:long) { x + toscalar(Owners | count) }; Events | project f(n), prev_ = n",
        "let kept = materialize(Events); kept | join kind=inner kept on id | as Named; Named",
        "declare query_parameters(p:long = 1); Events | order by n | extend i = row_number() + p",
    ):
        check_query(text, other)
    gone = weakref.ref(other)
    del other
    gc.collect()
    assert gone() is None


def test_rows_that_nobody_asks_for_are_not_computed(kql):
    # tolong() of a list would be null, strlen() of None would fail: the column is dead.
    assert kql.rows("Events | extend dead = strlen(kind_name) | project id | take 1") == [("a",)]


def test_every_operator_of_the_syntax_tree_is_bound():
    kinds = set(nodes.Operator.__subclasses__())
    walked = {operator_nodes.As, operator_nodes.Invoke}  # by whoever walks the pipe
    assert {nodes.Union, operator_nodes.Where} < kinds
    assert set(registry._OPERATORS) == kinds - walked
