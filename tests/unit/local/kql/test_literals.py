"""Literals in a query, and values sent as text for query parameters."""

import math
from decimal import Decimal

import pytest

from langgraph.checkpoint.kusto.local.kql import KqlError, parse_literal
from langgraph.checkpoint.kusto.local.kql.values import parse_datetime

DAY = 864_000_000_000
HOUR = DAY // 24
MINUTE = HOUR // 60
SECOND = MINUTE // 60


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("42", ("long", 42)),
        ("0x1F", ("long", 31)),
        ("-9223372036854775808", ("long", -(2**63))),
        ("int(7)", ("int", 7)),
        ("int(null)", ("int", None)),
        ("long(null)", ("long", None)),
        ("1.5", ("real", 1.5)),
        ("5.", ("real", 5.0)),
        ("1e3", ("real", 1000.0)),
        ("real(+inf)", ("real", math.inf)),
        ("decimal(0.1)", ("decimal", Decimal("0.1"))),
        ("true", ("bool", True)),
        ("bool(0)", ("bool", False)),
        (
            "guid(74BE27DE-1E4E-49D9-B579-FE0B331D3642)",
            ("guid", "74be27de-1e4e-49d9-b579-fe0b331d3642"),
        ),
        ("1d", ("timespan", DAY)),
        ("2h", ("timespan", 2 * HOUR)),
        ("3m", ("timespan", 3 * MINUTE)),
        ("4s", ("timespan", 4 * SECOND)),
        ("1.5h", ("timespan", 90 * MINUTE)),
        ("5ms", ("timespan", 50_000)),
        ("6microseconds", ("timespan", 60)),
        ("7ticks", ("timespan", 7)),
        ("time(1.02:03:04.5)", ("timespan", DAY + 2 * HOUR + 3 * MINUTE + 4 * SECOND + 5_000_000)),
        ("timespan(2)", ("timespan", 2 * DAY)),
        ("time(15 seconds)", ("timespan", 15 * SECOND)),
        (
            "datetime(2026-01-02T03:04:05.1234567Z)",
            ("datetime", parse_datetime("2026-01-02 03:04:05.1234567")),
        ),
        ("datetime(null)", ("datetime", None)),
        ("'it\\'s'", ("string", "it's")),
        ('"tab\\t\\u0041\\x41\\101"', ("string", "tab\tAAA")),
        ('@"raw\\n""quoted"""', ("string", 'raw\\n"quoted"')),
        ("h'hidden'", ("string", "hidden")),
        ("h@'hid\\den'", ("string", "hid\\den")),
        ("\"one\" ' two'", ("string", "one two")),
        ('```line one\nline "two"```', ("string", 'line one\nline "two"')),
        ('"a // no comment"', ("string", "a // no comment")),
        ("dynamic(null)", ("dynamic", None)),
        (
            "dynamic({'b': [1, 2.5, -3, null, true], \"a\": 1d})",
            ("dynamic", {"a": "1.00:00:00", "b": [1, 2.5, -3, None, True]}),
        ),
        ("dynamic(118.0)", ("dynamic", 118)),
        ("dynamic([datetime(2026-01-02)])", ("dynamic", ["2026-01-02T00:00:00.0000000Z"])),
    ],
)
def test_literals(kql, text, expected):
    kind, value = kql.typed(text)
    assert (kind, value) == expected
    assert type(value) is type(expected[1])


def test_nan_is_a_real(kql):
    kind, value = kql.typed("real(nan)")
    assert kind == "real"
    assert math.isnan(value)


def test_a_surrogate_pair_of_escapes_is_one_character(kql):
    assert kql.value('"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("plain | text", "string", "plain | text"),
        ("42", "long", 42),
        ("long(42)", "long", 42),
        ("3", "int", 3),
        ("1.5", "real", 1.5),
        ("true", "bool", True),
        ("datetime(2026-01-02)", "datetime", parse_datetime("2026-01-02")),
        ("2026-01-02T00:00:00Z", "datetime", parse_datetime("2026-01-02")),
        ("timespan(1h)", "timespan", HOUR),
        ("time(1h)", "timespan", HOUR),
        ("null", "long", None),
        ('dynamic(["a", "b"])', "dynamic", ["a", "b"]),
        ('["a", {"b": 1.0}]', "dynamic", ["a", {"b": 1}]),
        ("dynamic('text')", "dynamic", "text"),
        ("dynamic(null)", "dynamic", None),
    ],
)
def test_parse_literal(text, kind, expected):
    assert parse_literal(text, kind) == expected


@pytest.mark.parametrize(
    ("text", "kind"),
    [("x", "long"), ("4294967296", "int"), ("[1", "dynamic"), ("2026-13-01", "datetime")],
)
def test_parse_literal_refuses(text, kind):
    with pytest.raises(KqlError) as caught:
        parse_literal(text, kind)
    assert caught.value.code == "SEM0084"
    assert kind in caught.value.message
