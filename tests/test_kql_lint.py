"""The judge of `tools/kql_lint.py` bites, follows the schema, and accepts all the library sends.

Wrong texts are written here on purpose; no text of the library is.
"""

from __future__ import annotations

import kql_lint
import pytest

SCHEMA = [
    ("table", ".create-merge table T (id:string, ['kind']:string, n:long, bag:dynamic)"),
    ("more", "// a second time, with a column more\n.create-merge table T (at:datetime)"),
    ("two", ".create tables A (x:int), B (y:real)"),
    ("view", ".create materialized-view V on table T { T | summarize arg_max(n, at) by id }"),
    (
        "function",
        ".create-or-alter function F(wanted:string, least:long=5) { V | where n > least }",
    ),
    ("policy", ".alter table T policy streamingingestion enable"),
    ("mapping", """.create-or-alter table T ingestion json mapping "M" '[]'"""),
]

WRONG_QUERIES = [
    ("string < string", "T | where id < 'b'", "KS106"),
    ("string between", "T | where id between ('a' .. 'b')", "KS106"),
    ("long + string", "T | extend x = n + 'a'", "KS106"),
    ("unknown column", "T | where nope == 1", "KS142"),
    ("unknown table", "Nope | take 1", "KS204"),
    ("unknown function", "T | extend x = nope(n)", "KS211"),
    ("argument count", "T | extend x = strcmp(id)", "KS119"),
    ("argument type", "T | extend x = substring(id, bag)", "KS134"),
    ("where is not bool", "T | where n", "KS141"),
    ("aggregate in where", "T | where count() > 1", "KS144"),
    ("group by dynamic", "T | summarize count() by bag", "KS116"),
    ("order by dynamic", "T | order by bag", "KS116"),
    ("undeclared parameter", "T | where id == wanted", "KS142"),
    ("wrong parameter type", "declare query_parameters(p:strng); T | where id == p", "KS160"),
    ("wrong join kind", "T | join kind=some (T) on id", "KS005"),
    ("no semicolon", "let x = 1 T | take x", "KS005"),
    ("no pipe", "T where n == 1", "KS005"),
    ("column the view has not", "V | project bag", "KS142"),
    ("column the function has not", "F('x') | project bag", "KS142"),
    ("too many function arguments", "F('x', 1, 2)", "KS119"),
    ("policy of an unknown table", ".show table Nope policy retention", "KS204"),
]

RIGHT_QUERIES = [
    ("strcmp", "declare query_parameters(p:string); T | where strcmp(id, p) < 0 | project id, at"),
    ("quoted column", "T | project ['kind']"),
    ("both tables of one command", "A | union B | project x, y"),
    ("columns of the view", "V | project id, n, at"),
    ("columns of the function", "F('x') | project id, n, at"),
    ("command, not query", ".show materialized-view V policy retention"),
]

WRONG_COMMANDS = [
    ("misspelt keyword", ".create tabel X (a:string)", "KS005"),
    ("misspelt type", ".create table X (a:strin)", "KS005"),
    ("alter retention", ".alter table T policy retention softdelete = 3d", "KS005"),
    ("unknown policy", ".alter table T policy streaming enable", "KS005"),
    ("policy of an unknown table", ".alter table X policy streamingingestion enable", "KS204"),
    ("unknown column in a function", ".create-or-alter function G() { T | project nope }", "KS142"),
    (
        "unknown column in a view",
        ".create materialized-view W on table T { T | summarize arg_max(n, nope) by id }",
        "KS142",
    ),
    ("view without summarize", ".create materialized-view W on table T { T | take 1 }", "VIEW01"),
    (
        "summarize is not last",
        ".create materialized-view W on table T { T | summarize max(n) by id | take 1 }",
        "VIEW01",
    ),
    ("a change the judge cannot follow", ".drop table A", "LINT01"),
]


def codes(diagnostics: list[kql_lint.Diagnostic]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for diagnostic in diagnostics:
        found.setdefault(diagnostic.name, []).append(diagnostic.code)
    return found


def test_wrong_queries_are_rejected() -> None:
    found = codes(kql_lint.lint([(name, text) for name, text, _ in WRONG_QUERIES], SCHEMA))

    missed = {
        name: found.get(name) for name, _, code in WRONG_QUERIES if code not in found.get(name, [])
    }
    assert missed == {}
    # And nothing but them: the schema commands themselves are in order.
    assert set(found) == {name for name, _, _ in WRONG_QUERIES}


def test_right_queries_see_the_schema_the_commands_made() -> None:
    assert kql_lint.lint(RIGHT_QUERIES, SCHEMA) == []


def test_wrong_commands_are_rejected() -> None:
    commands = [*SCHEMA, *((name, text) for name, text, _ in WRONG_COMMANDS)]

    found = codes(kql_lint.lint([], commands))

    missed = {
        name: found.get(name) for name, _, code in WRONG_COMMANDS if code not in found.get(name, [])
    }
    assert missed == {}
    assert set(found) == {name for name, _, _ in WRONG_COMMANDS}


def test_a_command_before_the_table_it_needs_is_rejected() -> None:
    commands = [SCHEMA[3], *SCHEMA[:3]]

    assert codes(kql_lint.lint([], commands))["view"] == ["KS204", "KS204"]


def test_a_diagnostic_says_where() -> None:
    text = "// first\nT\n| where id < 'b'"

    (diagnostic,) = kql_lint.lint([("query", text)], SCHEMA)

    assert (diagnostic.line, diagnostic.column, diagnostic.severity) == (3, 12, "Error")
    assert str(diagnostic) == (
        "query:3:12: error KS106: "
        "The operator '<' is not defined for the operand types string and string."
    )


def test_two_texts_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        kql_lint.lint([("table", "T")], SCHEMA)


def test_a_script_is_cut_into_commands() -> None:
    script = (
        "// head\n\n.create table T (\n  a:string)\n\n// about F\n.create function F() {\n  T\n}\n"
    )

    assert kql_lint.split_commands(script, "s.kql") == [
        ("s.kql:3", ".create table T (\n  a:string)"),
        ("s.kql:7", ".create function F() {\n  T\n}"),
    ]


def test_a_script_without_commands_is_refused() -> None:
    with pytest.raises(ValueError, match=r"empty\.kql holds no management command"):
        kql_lint.split_commands("// nothing\nT | take 1\n", "empty.kql")


def test_everything_the_library_can_send_is_accepted() -> None:
    commands, texts = kql_lint.provision_commands(), list(kql_lint.library_texts())

    assert len(commands) > 20
    assert len(texts) > 5
    assert [str(diagnostic) for diagnostic in kql_lint.lint(texts, commands)] == []
