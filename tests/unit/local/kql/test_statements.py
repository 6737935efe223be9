"""Batches of statements: `let`, functions, `materialize`, query parameters."""

import pytest

from langgraph.checkpoint.kusto.local.kql import FunctionDef, KqlError


def test_a_batch_gives_one_result_for_each_statement(kql):
    results = kql.tables("Events | count; // first\n Owners | take 1 | project id;\n print 'end'")
    assert [result.name for result in results] == ["PrimaryResult"] * 3
    assert [result.rows for result in results] == [[(4,)], [("a",)], [("end",)]]


def test_lets(kql):
    assert kql.rows(
        """
        let least = 2;
        let big = Events | where n >= least;
        let twice = (x:long) { x * 2 };
        big | project id, twice(n)
        """
    ) == [("b", 4), ("c", 6)]


def test_a_column_hides_a_variable(kql):
    assert kql.rows("let n = 100; Events | where n == 1 | project id") == [("a",)]
    assert kql.rows("let id = 'b'; Events | where id == id | count") == [(4,)]


def test_a_variable_hides_a_table(kql):
    assert kql.rows("let Events = Owners; Events | count") == [(4,)]
    assert kql.schema("let Events = print x = 1; Events") == ["x:long"]


def test_set_is_accepted(kql):
    assert kql.rows("set notruncation; set truncationmaxrecords = 5; print 1") == [(1,)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("let f = () { 5 }; print f()", [(5,)]),
        ("let f = () { 5 }; print f", [(5,)]),
        (
            "let f = (a:long, b:long = 7) { a + b }; print f(1), f(1, 2), f(b = 1, a = 2)",
            [(8, 3, 3)],
        ),
        ("let f = (s:string) { let t = strcat(s, '!'); strlen(t) }; print f('ab')", [(3,)]),
        ("let f = (x:int) { x }; print f(5)", [(5,)]),
        ("let f = (x:real) { x }; print f(5)", [(5.0,)]),
        ("let f = (t:(id:string)) { t | count }; f(Events)", [(4,)]),
        ("let f = (t:(*)) { t | count }; f(Owners | take 1)", [(1,)]),
        (
            "let f = (t:(n:long), least:long) { t | where n >= least | project id };"
            " Events | invoke f(3)",
            [("c",)],
        ),
        ("let f = view () { Owners | take 1 | project id }; f", [("a",)]),
        (
            "let f = (wanted:string) { Owners | where id == wanted | project owner };"
            " f('c') | order by owner asc",
            [("cat",), ("cid",)],
        ),
        (
            "let f = (x:string) { toscalar(Owners | where id == 'a' | project owner) };"
            " print f('ignored')",
            [("ann",)],
        ),
        ("let g = (x:long) { x + 1 }; let f = (x:long) { g(g(x)) }; print f(1)", [(3,)]),
        ("let f = (x:long) { x * 10 }; Events | where n <= 2 | project f(n)", [(10,), (20,)]),
        ("let f = (t:(*)) { t | extend z = 1 }; f((Owners | take 1)) | project z", [(1,)]),
        ("let n = 5; let f = (x:long) { x + n }; print f(1)", [(6,)]),
    ],
)
def test_functions(kql, text, expected):
    assert kql.rows(text) == expected


def test_a_function_that_depends_on_the_row_cannot_hold_a_table(kql):
    text = "let f = (x:string) { toscalar(Owners | where id == x | count) }; Events | project f(id)"
    with pytest.raises(KqlError, match="depends on the row"):
        kql.rows(text)


def test_a_function_does_not_see_the_columns_of_its_caller(kql):
    with pytest.raises(KqlError, match="'n'"):
        kql.rows("let f = () { n }; Events | project f()")


def test_recursion_is_refused(kql, catalog):
    catalog.functions["Loop"] = FunctionDef("Loop", "()", "{ Loop() }")
    with pytest.raises(KqlError, match="recursion"):
        kql.rows("Loop()")


def test_stored_functions(kql, catalog):
    catalog.functions["Heavier"] = FunctionDef(
        "Heavier", "(least:long = 15)", "{ Owners | where weight > least }"
    )
    catalog.functions["Twice"] = FunctionDef("Twice", "(x:long)", "{ x * 2 }")
    assert kql.column("Heavier() | project owner") == ["cid", "cat", "zoe"]
    assert kql.column("Heavier | project owner") == ["cid", "cat", "zoe"]
    assert kql.column("Heavier(25) | project owner") == ["zoe"]
    assert kql.column("Events | where n == 2 | project Twice(n)") == [4]
    assert kql.column("database('TestDb').Heavier(25) | project owner") == ["zoe"]
    # A let of the caller is not seen by a stored function, and hides one of its name.
    assert kql.column("let Owners = print weight = 1; Heavier(25) | project owner") == ["zoe"]
    assert kql.rows("let Twice = (x:long) { x * 3 }; print Twice(2)") == [(6,)]


def test_a_stored_function_hides_a_table(kql, catalog):
    catalog.functions["Owners"] = FunctionDef("Owners", "()", "{ print hidden = 1 }")
    assert kql.schema("Owners") == ["hidden:long"]


# ---------------------------------------------------------------- evaluated once, or again


def test_a_let_is_evaluated_at_each_use(kql):
    [(first, second)] = kql.rows("let chance = new_guid(); print chance, chance")
    assert first != second
    [(first, second)] = kql.rows("let chance = toscalar(print new_guid()); print chance, chance")
    assert first == second


def test_materialize_is_evaluated_once(kql, catalog):
    text = "let kept = {}; kept | count; kept | count"
    kql.tables(text.format("Events | where n > 1"))
    assert len(catalog.tables["Events"].scans) == 2
    catalog.tables["Events"].scans.clear()
    results = kql.tables(text.format("materialize(Events | where n > 1)"))
    assert [result.rows for result in results] == [[(2,)], [(2,)]]
    assert len(catalog.tables["Events"].scans) == 1


def test_a_materialized_table_is_the_same_everywhere(kql):
    [first, second] = kql.tables(
        "let ids = materialize(range x from 1 to 3 step 1 | project g = new_guid()); ids; ids"
    )
    assert first.rows == second.rows


# ---------------------------------------------------------------- parameters


def test_query_parameters(kql):
    text = (
        "declare query_parameters(wanted:string, least:long = 1);"
        " Events | where kind_name == wanted and n > least | project id"
    )
    assert kql.column(text, wanted="x") == ["b"]
    assert kql.column(text, wanted="x", least="0") == ["a", "b"]
    assert kql.column(text, wanted="x", least=0) == ["a", "b"]
    assert kql.column(text, wanted="x' or true //") == []


@pytest.mark.parametrize(
    ("kind", "sent", "expected"),
    [
        ("string", "42", "42"),
        ("string", "dynamic(1)", "dynamic(1)"),
        ("long", "42", 42),
        ("long", 42, 42),
        ("int", "7", 7),
        ("real", "1.5", 1.5),
        ("real", 2, 2.0),
        ("bool", "true", True),
        ("bool", False, False),
        ("datetime", "datetime(2026-01-02T00:00:00Z)", 639_029_088_000_000_000),
        ("timespan", "timespan(1h)", 36_000_000_000),
        ("dynamic", 'dynamic(["a", "b"])', ["a", "b"]),
        ("dynamic", ["a"], ["a"]),
        ("dynamic", {"b": 1.0}, {"b": 1}),
        ("guid", "74BE27DE-1E4E-49d9-b579-fe0b331d3642", "74be27de-1e4e-49d9-b579-fe0b331d3642"),
        ("long", "null", None),
    ],
)
def test_parameters_of_every_type(kql, kind, sent, expected):
    assert kql.rows(f"declare query_parameters(p:{kind}); print p", p=sent) == [(expected,)]


def test_a_parameter_that_is_missing_or_wrong(kql):
    with pytest.raises(KqlError, match="'p'") as caught:
        kql.rows("declare query_parameters(p:string); print p")
    assert caught.value.code == "SEM0238"
    with pytest.raises(KqlError, match="long") as caught:
        kql.rows("declare query_parameters(p:long); print p", p="many")
    assert caught.value.code == "SEM0084"


def test_parameters_that_nobody_declared_are_ignored(kql):
    assert kql.rows("print 1", other="x") == [(1,)]


def test_string_parameters_keep_every_character(kql):
    for text in ("'", '"', "\\", "\n", "|", "é", "\U0001f600", "{{}}", "null", "", " x "):
        assert kql.rows("declare query_parameters(p:string); print p", p=text) == [(text,)]
