"""Cursor: the pieces of a command, names, types, strings, properties, literals, blocks."""

from __future__ import annotations

import pytest

from langgraph.checkpoint.kusto.local.cursor import Cursor, as_bool
from langgraph.checkpoint.kusto.local.errors import ServiceError


def test_names_are_words_or_bracketed_literals() -> None:
    cursor = Cursor("plain ['with space'] [\"it's\"]")
    assert [cursor.name(), cursor.name(), cursor.name()] == ["plain", "with space", "it's"]


def test_columns_know_aliases_of_types() -> None:
    assert Cursor("(a:string, ['b c']:double, d:date)").columns() == [
        ("a", "string"),
        ("b c", "real"),
        ("d", "datetime"),
    ]


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ServiceError, match="Expected a scalar type, found 'text'"):
        Cursor("(a:text)").columns()


def test_adjacent_strings_concatenate() -> None:
    assert Cursor("'a' \"b\"\n'c'").string() == "abc"


def test_properties_are_found_whatever_their_case() -> None:
    known = {"docstring": "docstring", "folder": "folder"}
    cursor = Cursor("with (DocString='x', folder=\"y\")")
    assert cursor.properties(known) == {"docstring": "x", "folder": "y"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("with (color='x')", "The property 'color' is not known here"),
        ("with (folder='x', Folder='y')", "The property 'Folder' is given twice"),
        ("with (folder 'x')", "Expected '='"),
        ("with folder='x'", "Expected '\\('"),
    ],
)
def test_wrong_properties_are_refused(text: str, problem: str) -> None:
    with pytest.raises(ServiceError, match=problem):
        Cursor(text).properties({"folder": "folder"})


def test_blocks_and_the_rest_are_taken_as_they_are() -> None:
    cursor = Cursor("(a:string, b:long=5) { T // x }\n } <|  any 'thing")
    assert cursor.block("(") == "(a:string, b:long=5)"
    assert cursor.block("{") == "{ T // x }\n }"
    assert cursor.rest() == "  any 'thing"
    cursor.end()


def test_the_end_may_have_a_semicolon_and_nothing_else() -> None:
    Cursor(" ; // done").end()
    with pytest.raises(ServiceError, match="Expected the end of the command, found 'more'"):
        Cursor("more").end()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("30d", "30d"),
        ("time(1.00:00:00)", "1.00:00:00"),
        ("datetime(2026-01-02)", "2026-01-02"),
        ("true", True),
        ("'t'", "t"),
        ("multijson", "multijson"),
    ],
)
def test_literals(text: str, value: object) -> None:
    assert Cursor(text).literal() == value


def test_bools_may_be_text() -> None:
    assert as_bool("True")
    assert as_bool(True)
    assert not as_bool("no")
