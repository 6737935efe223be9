"""`to...()` and `parse_...()`: values that convert, values that become null; `gettype`."""

from decimal import Decimal

import pytest

from langgraph.checkpoint.kusto.local.kql.values import parse_datetime

HOUR = 36_000_000_000


@pytest.mark.parametrize(
    ("expression", "kind", "expected"),
    [
        ('tolong("123")', "long", 123),
        ('tolong("x")', "long", None),
        ('tolong("9223372036854775808")', "long", None),
        ("tolong(1.9)", "long", 1),
        ("tolong(-1.9)", "long", -1),
        ("tolong(real(nan))", "long", None),
        ("tolong(dynamic('7'))", "long", 7),
        ("tolong(dynamic([1]))", "long", None),
        ("tolong(true)", "long", 1),
        ("toint(3000000000)", "int", None),
        ('toint("12")', "int", 12),
        ('todouble("1.5")', "real", 1.5),
        ("toreal(2)", "real", 2.0),
        ('todecimal("0.1")', "decimal", Decimal("0.1")),
        ('tobool("true")', "bool", True),
        ('tobool("0")', "bool", False),
        ('tobool("maybe")', "bool", None),
        ("tobool(5)", "bool", True),
        ('todatetime("2026-01-02T03:04:05Z")', "datetime", parse_datetime("2026-01-02 03:04:05")),
        ('todatetime("nonsense")', "datetime", None),
        ('totimespan("01:00:00")', "timespan", HOUR),
        ('totimespan("1h")', "timespan", HOUR),
        ('totimespan("x")', "timespan", None),
        (
            'toguid("74BE27DE-1E4E-49d9-b579-fe0b331d3642")',
            "guid",
            "74be27de-1e4e-49d9-b579-fe0b331d3642",
        ),
        ('toguid("x")', "guid", None),
        ("tostring(123)", "string", "123"),
        ("tostring(1.0)", "string", "1.0"),
        ("tostring(long(null))", "string", ""),
        ("tostring(true)", "string", "true"),
        ("tostring(datetime(2026-01-02))", "string", "2026-01-02T00:00:00.0000000Z"),
        ("tostring(90m)", "string", "01:30:00"),
        ('tostring(dynamic({"b":[1,"x"],"a":null}))', "string", '{"a":null,"b":[1,"x"]}'),
        ("tostring(dynamic('text'))", "string", "text"),
        ("tostring(dynamic(null))", "string", ""),
        ('parse_json("{\\"a\\": [1, 2.0]}")', "dynamic", {"a": [1, 2]}),
        ('parse_json("118.0")', "dynamic", 118),
        ('parse_json("not json")', "dynamic", "not json"),
        ('parse_json("")', "dynamic", None),
        ('parse_json(dynamic("[1]"))', "dynamic", "[1]"),
        ('todynamic("[1]")', "dynamic", [1]),
        ("dynamic_to_json(dynamic({'b':1,'a':'x'}))", "string", '{"a":"x","b":1}'),
        ("dynamic_to_json(dynamic('x'))", "string", '"x"'),
        ('gettype("a")', "string", "string"),
        ("gettype(111)", "string", "long"),
        ("gettype(1 == 1)", "string", "bool"),
        ("gettype(1s)", "string", "timespan"),
        ("gettype(parse_json('1'))", "string", "int"),
        ("gettype(parse_json('\"abc\"'))", "string", "string"),
        ("gettype(parse_json('{\"abc\":1}'))", "string", "dictionary"),
        ("gettype(parse_json('[1]'))", "string", "array"),
        ("gettype(parse_json('1.5'))", "string", "double"),
        ("gettype(parse_json(''))", "string", "null"),
        ("tohex(256)", "string", "100"),
        ("tohex(-1)", "string", "ffffffffffffffff"),
    ],
)
def test_conversions(kql, expression, kind, expected):
    assert kql.typed(expression) == (kind, expected)


def test_dynamic_properties_keep_a_text_that_is_json(kql):
    text = '{"a":"{\\"c\\":456}"}'
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    assert kql.value(f"parse_json(parse_json('{quoted}').a).c") is None
    assert kql.value(f"parse_json(tostring(parse_json('{quoted}').a)).c") == 456
