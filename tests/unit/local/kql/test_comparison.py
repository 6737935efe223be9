"""Comparisons, string operators, `and`, `or`, `in`, `between`: what is true, false or null."""

import pytest


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('"a" == "a"', True),
        ('"a" == "A"', False),
        ('"a" != "b"', True),
        ('"a" <> "b"', True),
        ('"aB" =~ "Ab"', True),
        ('"aB" !~ "Ab"', False),
        ('"é" =~ "É"', False),  # case-insensitive operators know ASCII only
        ("1 == 1.0", True),
        ("true == 1", True),
        ("1 < 2.5", True),
        ("2 >= 2", True),
        ("1h < 2h", True),
        ("datetime(2026-01-01) < datetime(2026-01-02)", True),
        ("long(null) == 1", False),
        ("long(null) != 1", True),
        ("long(null) == long(null)", None),
        ("long(null) != long(null)", None),
        ("long(null) < 1", None),
        ("real(nan) == real(nan)", False),
        ("dynamic(1) == 1", True),
        ("dynamic({'a':'x'}).a == 'x'", True),
        ("dynamic({'a':5}).a == '5'", False),
        ("dynamic([1]) == dynamic([1.0])", True),
        ("dynamic(true) == dynamic(1)", False),
        ("dynamic(5) > 4", True),
        ("dynamic('5') > 4", None),
        (
            "guid(74be27de-1e4e-49d9-b579-fe0b331d3642) == '74BE27DE-1e4e-49d9-b579-fe0b331d3642'",
            True,
        ),
        ("5 between (1 .. 5)", True),
        ("5 !between (1..5)", False),
        ("long(null) between (1 .. 5)", None),
        ("datetime(2026-01-03) between (datetime(2026-01-01) .. 2d)", True),
        ("datetime(2026-01-04) between (datetime(2026-01-01) .. 2d)", False),
        ("true and bool(null)", False),
        ("true or bool(null)", True),
        ("bool(null) or false", False),
        ("not(bool(null))", None),
        ("true or false and false", True),
        ("1 in (3, 2, 1)", True),
        ("1 !in (3, 2)", True),
        ('"a" in ("A")', False),
        ('"a" in~ ("A")', True),
        ('"a" !in~ ("A")', False),
        ('"a" in (dynamic(["x", "a"]))', True),
        ("5 in (dynamic([4, 5.0]))", True),
        ('5 in (dynamic(["5"]))', False),
        ('"b" in (dynamic(["a"]), "b")', True),
        ("long(null) in (1)", False),
        ("long(null) !in (1)", True),
        ("dynamic('a') in ('a')", True),
        ("datetime(2026-01-01) in (dynamic(['2026-01-01']))", True),
    ],
)
def test_comparisons(kql, expression, expected):
    assert kql.value(expression) is expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('"North America" has "america"', True),
        ('"North America" has_cs "america"', False),
        ('"North America" has "amer"', False),
        ('"North America" !has "amer"', True),
        ('"a_b" has "a"', True),
        ('"North America" has "North Am"', False),
        ('"x north america y" has "north america"', True),
        ('"North America" hasprefix "ame"', True),
        ('"North America" hasprefix_cs "ame"', False),
        ('"North America" hassuffix "ICA"', True),
        ('"North America" !hassuffix_cs "ica"', False),
        ('"FabriKam" contains "brik"', True),
        ('"FabriKam" contains_cs "brik"', False),
        ('"FabriKam" !contains_cs "brik"', True),
        ('"Fabrikam" startswith "fab"', True),
        ('"Fabrikam" startswith_cs "fab"', False),
        ('"Fabrikam" !startswith "x"', True),
        ('"Fabrikam" endswith "KAM"', True),
        ('"Fabrikam" !endswith_cs "KAM"', True),
        ('"abc123" matches regex @"\\d+$"', True),
        ('"abc" matches regex "^b"', False),
        ('"ABC" matches regex "(?i)b"', True),
        ('"one two three" has_any ("TWO", "x")', True),
        ('"one two three" has_all ("two", "three")', True),
        ('"one two three" has_all ("two", "x")', False),
        ('"one two" has_any (dynamic(["x", "one"]))', True),
        ('dynamic({"a": "one two"}) has "two"', True),
        ('dynamic("North") startswith "no"', True),
    ],
)
def test_text_tests(kql, expression, expected):
    assert kql.value(expression) is expected


def test_where_keeps_only_true(kql):
    assert kql.column("Events | where n > 1") == ["b", "c"]
    assert kql.column("Events | where n != 1") == ["b", "c", "d"]
    assert kql.column("Events | where not(n > 1)") == ["a"]
    assert kql.column("Events | where ok") == ["a", "d"]
    assert kql.column("Events | where ok == false") == ["b"]


def test_in_a_table_takes_its_first_column(kql):
    assert kql.column("Events | where id in (Owners)") == ["a", "c"]
    assert kql.column("Events | where id !in (Owners | where weight > 10)") == ["a", "b", "d"]
    assert kql.column("let ids = Owners | project id; Events | where id in (ids)") == ["a", "c"]
    assert kql.column(
        "let ids = toscalar(Owners | summarize make_set(id)); Events | where id in (ids)"
    ) == ["a", "c"]


def test_in_a_list_that_depends_on_the_row(kql):
    assert kql.column("Events | where id in (kind_name, 'b')") == ["b"]
    assert kql.column("Events | where 20 in (data)") == ["c"]
