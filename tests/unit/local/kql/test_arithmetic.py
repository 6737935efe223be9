"""`+ - * / %`: the type and value for operands of each type, null, overflow, division by zero."""

import math
from decimal import Decimal

import pytest

DAY = 864_000_000_000
HOUR = DAY // 24


@pytest.mark.parametrize(
    ("expression", "kind", "expected"),
    [
        ("1 + 2 * 3", "long", 7),
        ("(1 + 2) * 3", "long", 9),
        ("int(2) * int(3)", "long", 6),
        ("7 / 2", "long", 3),
        ("-7 / 2", "long", -3),
        ("1 / 0", "long", None),
        ("1 % 0", "long", None),
        ("14 % 12", "long", 2),
        ("-14 % 12", "long", 10),
        ("14 % -12", "long", 2),
        ("-14 % -12", "long", 10),
        ("9223372036854775807 + 1", "long", -(2**63)),
        ("long(null) + 1", "long", None),
        ("1 + 1.5", "real", 2.5),
        ("1.0 / 2", "real", 0.5),
        ("1.0 / 0", "real", math.inf),
        ("-1.0 / 0", "real", -math.inf),
        ("decimal(0.1) + decimal(0.2)", "decimal", Decimal("0.3")),
        ("decimal(1) / 0", "decimal", None),
        ("1 + decimal(0.5)", "decimal", Decimal("1.5")),
        ("-(-5)", "long", 5),
        ("-(1h)", "timespan", -HOUR),
        ("1d + 2h", "timespan", DAY + 2 * HOUR),
        ("1h * 2.5", "timespan", HOUR * 5 // 2),
        ("2 * 1h", "timespan", 2 * HOUR),
        ("1d / 2h", "real", 12.0),
        ("1d / 4", "timespan", 6 * HOUR),
        ("1d % 7h", "timespan", 3 * HOUR),
        ("1h / 0", "timespan", None),
        ("dynamic(5) + 1", "long", 6),
        ("dynamic('5') + 1", "long", None),
        ("dynamic(5) * 1.5", "real", 7.5),
    ],
)
def test_arithmetic(kql, expression, kind, expected):
    assert kql.typed(expression) == (kind, expected)


def test_arithmetic_with_moments(kql):
    assert kql.typed("datetime(2026-01-02) - datetime(2026-01-01)") == ("timespan", DAY)
    assert kql.value("tostring(datetime(2026-01-31) + 1d)") == "2026-02-01T00:00:00.0000000Z"
    assert kql.value("tostring(datetime(2026-01-01) - 1tick)") == "2025-12-31T23:59:59.9999999Z"
    assert kql.value("datetime(9999-12-31) + 1d") is None
    assert kql.value("now() - ago(1h)") == HOUR


def test_zero_by_zero_is_nan(kql):
    assert math.isnan(kql.value("0.0 / 0"))
    assert math.isnan(kql.value("1.0 % 0"))
