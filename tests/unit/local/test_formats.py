"""Formats: bodies of json, multijson and csv as records, and what rejects a body."""

from __future__ import annotations

import pytest

from langgraph.checkpoint.kusto.local.formats import (
    UnreadableError,
    delimited_records,
    json_records,
)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1}\n{"a":2}',
        b'[{"a":1},{"a":2}]',
        b'[{"a":1}]\n[{"a":2}]',
        b'{"a":1}{"a":2}',
        b'\xef\xbb\xbf {\n "a":\n1 }\r\n\t{"a":2}\n',
    ],
)
def test_multijson_takes_bags_and_arrays_with_any_blanks(body: bytes) -> None:
    assert json_records(body, "multijson") == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    "body", [b'{"a":1}\n{"a":', b'{"a":1},{"a":2}', b'{"a":NaN}', b"5", b'{"a":1}\nnull']
)
def test_one_error_rejects_the_whole_of_multijson(body: bytes) -> None:
    with pytest.raises(UnreadableError, match="JSON parsing error"):
        json_records(body, "multijson")


def test_json_lines_skips_what_is_not_valid() -> None:
    body = b'{"a":1}\nnot json\n{"a":\n2}\n5\n\n{"a":3}'
    assert json_records(body, "json") == [{"a": 1}, {"a": 3}]


def test_an_empty_body_has_no_records() -> None:
    assert json_records(b" \n", "multijson") == []
    assert delimited_records(b"\n\n", "csv") == []


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    assert json_records(b'{"a":"x\xff"}', "multijson") == [{"a": "x\ufffd"}]


def test_csv_quotes_and_line_breaks() -> None:
    body = b'a,"b ""c"" , d"\r\n"two\nlines",e'
    assert delimited_records(body, "csv") == [["a", 'b "c" , d'], ["two\nlines", "e"]]


def test_other_delimiters() -> None:
    assert delimited_records(b"a\tb", "tsv") == [["a", "b"]]
    assert delimited_records(b"a|b", "psv") == [["a", "b"]]


def test_a_field_may_be_longer_than_the_csv_module_allows_by_itself() -> None:
    assert delimited_records(b"x" * 200_000, "csv") == [["x" * 200_000]]


def test_an_open_quote_is_refused() -> None:
    with pytest.raises(UnreadableError, match="malformed"):
        delimited_records(b'"open', "csv")
