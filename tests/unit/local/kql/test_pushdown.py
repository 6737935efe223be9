"""What the engine asks a table for: equalities on columns, needed columns, scans it can spare."""

import pytest

from langgraph.checkpoint.kusto.local.kql import ViewDef


def scans(catalog, kql, text, **parameters):
    """The equality sets each scan of Events was given."""
    catalog.tables["Events"].scans.clear()
    rows = kql.rows(text, **parameters)
    return [
        {name: set(values) for name, values in equals.items()}
        for equals, _ in catalog.tables["Events"].scans
    ], rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Events | where id == 'a'", {"id": {"a"}}),
        ("Events | where 'a' == id", {"id": {"a"}}),
        ("Events | where id in ('a', 'b')", {"id": {"a", "b"}}),
        ("Events | where id in (dynamic(['a', 'b', 5]))", {"id": {"a", "b"}}),
        ("Events | where id == strcat('', 'a')", {"id": {"a"}}),
        ("Events | where tostring(id) == 'a'", {"id": {"a"}}),
        (
            "Events | where id == 'a' and kind_name == 'x' and n > 0",
            {"id": {"a"}, "kind_name": {"x"}},
        ),
        ("Events | where id == 'a' | where kind_name == 'x'", {"id": {"a"}, "kind_name": {"x"}}),
        ("Events | where id in ('a', 'b') and id == 'b'", {"id": {"b"}}),
        ("Events | extend z = 1 | where id == 'a'", {"id": {"a"}}),
        ("Events | project who = id | where who == 'a'", {"id": {"a"}}),
        ("Events | project-rename who = id | where who == 'a'", {"id": {"a"}}),
        ("Events | order by n | where id == 'a'", {"id": {"a"}}),
        ("Events | serialize | where id == 'a'", {"id": {"a"}}),
        ("Events | summarize count() by id | where id == 'a'", {"id": {"a"}}),
        ("Events | summarize count() by who = id, n | where who == 'a'", {"id": {"a"}}),
        ("Events | distinct id, n | where id == 'a'", {"id": {"a"}}),
        ("Events | mv-expand data | where id == 'a'", {"id": {"a"}}),
        ("union Events, Owners | where id == 'a'", {"id": {"a"}}),
        ("Events | join kind=leftouter Owners on id | where id == 'a'", {"id": {"a"}}),
        ("Events | where id in (Owners | where weight == 10 | project id)", {"id": {"a"}}),
        (
            "let ids = materialize(Owners | distinct id); Events | where id in (ids)",
            {"id": {"a", "c", "z"}},
        ),
        ("Events | where id == toscalar(Owners | summarize min(id))", {"id": {"a"}}),
        (
            "Events | where id in (toscalar(Owners | summarize make_set(id)))",
            {"id": {"a", "c", "z"}},
        ),
        # What must not be pushed.
        ("Events | where id == 'a' or n == 2", {}),
        ("Events | where id != 'a'", {}),
        ("Events | where id !in ('a')", {}),
        ("Events | where id =~ 'a'", {}),
        ("Events | where not(id == 'a')", {}),
        ("Events | where n == 1", {}),
        ("Events | where id == kind_name", {}),
        ("Events | extend id = 'a' | where id == 'a'", {}),
        ("Events | project id = strcat(id, '') | where id == 'a'", {}),
        ("Events | take 2 | where id == 'b'", {}),
        ("Events | top 2 by n | where id == 'a'", {}),
        ("Events | summarize id = max(id) by n | where id == 'a'", {}),
        ("Events | join kind=rightouter Owners on id | where id == 'a'", {}),
        ("Events | partition by id (take 1) | where id == 'a'", {}),
    ],
)
def test_equalities_reach_the_table(kql, catalog, text, expected):
    found, rows = scans(catalog, kql, text)
    assert found == [expected]
    # The answer is the same without any help from the table.
    table = catalog.tables["Events"]
    whole = type(table).scan

    def scan_all(equals, columns, with_ingestion_time):
        return whole(table, {}, None, with_ingestion_time)

    table.scan = scan_all
    assert kql.rows(text) == rows


def test_parameters_reach_the_table(kql, catalog):
    text = (
        "declare query_parameters(wanted:string, several:dynamic, listed:string);"
        " Events | where id == wanted;"
        " Events | where id in (several);"
        " Events | where id in (split(listed, ','))"
    )
    found, _ = scans(catalog, kql, text, wanted="a", several='dynamic(["b", "c"])', listed="c,d")
    assert found == [{"id": {"a"}}, {"id": {"b", "c"}}, {"id": {"c", "d"}}]


def test_a_key_of_a_join_reaches_both_sides(kql, catalog):
    kql.rows("Events | join kind=inner Owners on id | where id == 'a'")
    [(equals, _)] = catalog.tables["Owners"].scans
    assert equals == {"id": frozenset({"a"})}


def test_an_empty_set_saves_the_scan(kql, catalog):
    found, rows = scans(catalog, kql, "Events | where id in (Owners | where false | project id)")
    assert (found, rows) == ([], [])


def test_a_condition_without_columns_saves_the_scan(kql, catalog):
    text = "let few = toscalar(Owners | count) < {}; Events | where few and id == 'a'"
    assert scans(catalog, kql, text.format(2)) == ([], [])
    found, rows = scans(catalog, kql, text.format(5))
    assert (found, len(rows)) == ([{"id": {"a"}}], 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Events | project id", {"id"}),
        ("Events | where n > 1 | project id", {"id", "n"}),
        ("Events | extend z = score * 2 | project id", {"id"}),
        ("Events | extend z = score * 2 | project z", {"score"}),
        ("Events | summarize max(n) by id", {"id", "n"}),
        ("Events | count", set()),
        ("Events | order by at | project id", {"id", "at"}),
        ("Events | join kind=inner Owners on id | project n, owner", {"id", "n"}),
        ("Events | mv-expand data | project id", {"id", "data"}),
        ("Events | mv-apply data on (take 1) | project id", {"id", "data"}),
        ("Events | summarize arg_max(n, *) by id | project id", None),
        ("Events | project pack_all()", None),
        ("print toscalar(Events | project id, n)", {"id"}),
        ("Owners | where id in (Events | project id, n)", {"id"}),
        ("Events", None),
    ],
)
def test_the_table_hears_which_columns_are_needed(kql, catalog, text, expected):
    kql.rows(text)
    [(_, columns)] = catalog.tables["Events"].scans
    everything = {column.name for column in catalog.tables["Events"].columns}
    assert columns == (everything if expected is None else expected)


def test_views_are_fresh_and_restricted(kql, catalog):
    catalog.views["Latest"] = ViewDef(
        "Latest", "Events", "Events | summarize arg_max(n, score) by kind_name"
    )
    assert kql.rows("Latest | where kind_name == 'x'") == [("x", 2, 2.5)]
    [(equals, columns)] = catalog.tables["Events"].scans
    assert equals == {"kind_name": frozenset({"x"})}
    assert columns == {"kind_name", "n", "score"}
    catalog.tables["Events"].data.append(("e", "x", 9, 9.5, True, 0, 0, None))
    assert kql.rows("materialized_view('Latest') | where kind_name == 'x'") == [("x", 9, 9.5)]
    assert kql.rows("Latest | where n > 2 | count") == [(2,)]
