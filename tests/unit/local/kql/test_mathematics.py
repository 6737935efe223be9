"""Functions of numbers: rounding, logarithms, bits, `bin`, `rand`."""

import math
from decimal import Decimal

import pytest

HOUR = 36_000_000_000


@pytest.mark.parametrize(
    ("expression", "kind", "expected"),
    [
        ("abs(-5)", "long", 5),
        ("abs(int(-5))", "long", 5),
        ("abs(-1.5)", "real", 1.5),
        ("abs(-1h)", "timespan", HOUR),
        ("sqrt(16)", "real", 4.0),
        ("pow(2, 10)", "real", 1024.0),
        ("exp(0)", "real", 1.0),
        ("log(1)", "real", 0.0),
        ("log10(1000)", "real", 3.0),
        ("log2(8)", "real", 3.0),
        ("log(0)", "real", -math.inf),
        ("sign(-3)", "real", -1.0),
        ("ceiling(1.2)", "real", 2.0),
        ("ceiling(7)", "long", 7),
        ("round(2.5)", "real", 3.0),
        ("round(-2.5)", "real", -3.0),
        ("round(2.567, 2)", "real", 2.57),
        ("round(1234, -2)", "long", 1200),
        ("bin(4.5, 1)", "real", 4.0),
        ("bin(-3, 2)", "long", -4),
        ("bin(int(7), 5)", "long", 5),
        ("bin(7, 0)", "long", None),
        ("bin(90m, 1h)", "timespan", HOUR),
        ("floor(7, 5)", "long", 5),
        ("bin_at(6, 5, 2)", "long", 2),
        ("bin_at(7, 5, 2)", "long", 7),
        ("max_of(10, 1, -3, 17)", "long", 17),
        ("min_of(10, 1.5)", "real", 1.5),
        ("max_of(long(null), 2)", "long", 2),
        ("max_of(long(null), long(null))", "long", None),
        ('max_of("a", "b")', "string", "b"),
        ("binary_and(6, 3)", "long", 2),
        ("binary_or(6, 3)", "long", 7),
        ("binary_xor(6, 3)", "long", 5),
        ("binary_not(0)", "long", -1),
        ("binary_shift_left(1, 3)", "long", 8),
        ("binary_shift_right(8, 3)", "long", 1),
        ("bitset_count_ones(7)", "long", 3),
        ("isnan(real(nan))", "bool", True),
        ("isinf(real(-inf))", "bool", True),
        ("isfinite(1)", "bool", True),
        ("round(decimal(2.345), 2)", "decimal", Decimal("2.35")),
        ("sqrt(long(null))", "real", None),
    ],
)
def test_mathematics(kql, expression, kind, expected):
    assert kql.typed(expression) == (kind, expected)


def test_what_has_no_value_is_nan(kql):
    assert math.isnan(kql.value("sqrt(-1)"))
    assert math.isnan(kql.value("log(-1)"))
    assert math.isnan(kql.value("pow(-1, 0.5)"))
    assert kql.value("pow(10, 400)") == math.inf


def test_bin_of_moments(kql):
    assert kql.value("tostring(bin(datetime(2026-01-02 03:04:05), 1h))") == (
        "2026-01-02T03:00:00.0000000Z"
    )
    assert kql.value(
        "tostring(bin_at(datetime(2026-01-02 03:04:05), 1d, datetime(2026-01-01 12:00)))"
    ) == ("2026-01-01T12:00:00.0000000Z")


def test_rand(kql):
    assert 0 <= kql.value("rand()") < 1
    assert kql.value("rand(10)") in range(10)
