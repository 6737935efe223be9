"""Pure conversions between texts and the Python values of Kusto's types.

`datetime` and `timespan` are int ticks of 100 ns (a datetime counts from year 1), `guid` is
lower-case text, `dynamic` is plain JSON-like Python. A function named `parse_...` answers
None for a text that is not of its type: that is what Kusto's `to...()` functions do. No
query, no column and no operator is known here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import date, datetime, timezone
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

TICKS_PER_SECOND = 10_000_000
TICKS_PER_MINUTE = 60 * TICKS_PER_SECOND
TICKS_PER_HOUR = 60 * TICKS_PER_MINUTE
TICKS_PER_DAY = 24 * TICKS_PER_HOUR
MAX_TICKS = 3_155_378_975_999_999_999
"""9999-12-31T23:59:59.9999999Z, the last datetime."""

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1

_DATETIME = re.compile(
    r"(\d{4})-(\d{1,2})(?:-(\d{1,2})"
    r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?"
    r"\s*(Z|[+-]\d{2}:?\d{2})?)?",
    re.IGNORECASE,
)
_AMERICAN = re.compile(
    r"(\d{1,2})/(\d{1,2})/(\d{4})(?: +(\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,7})?)?))?"
)
_CLOCK = re.compile(
    r"(-)?(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?",
)
_UNIT = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*([a-z]+)")
_GUID = re.compile(
    r"\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?"
)
_MOST_DIGITS = 1_000
_INTEGER = re.compile(r"[+-]?\d+")
_REAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)

TIMESPAN_UNITS: dict[str, int | Decimal] = {
    **dict.fromkeys(("d", "day", "days"), TICKS_PER_DAY),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), TICKS_PER_HOUR),
    **dict.fromkeys(("m", "min", "minute", "minutes"), TICKS_PER_MINUTE),
    **dict.fromkeys(("s", "sec", "second", "seconds"), TICKS_PER_SECOND),
    **dict.fromkeys(("ms", "milli", "millis", "millisec", "millisecond", "milliseconds"), 10_000),
    **dict.fromkeys(("micro", "micros", "microsec", "microsecond", "microseconds"), 10),
    **dict.fromkeys(("tick", "ticks"), 1),
    **dict.fromkeys(("nano", "nanosecond", "nanoseconds"), Decimal("0.01")),
}


def missing_value(type_name: str) -> str | None:
    """What stands where there is no value: strings have no null."""
    return "" if type_name == "string" else None


# ---------------------------------------------------------------- numbers


def wrap_long(value: int) -> int:
    """Wrap to 64 bits, as `long` arithmetic does."""
    if LONG_MIN <= value <= LONG_MAX:
        return value
    return (value + 2**63) % 2**64 - 2**63


def parse_long(text: str) -> int | None:
    """Read a 64-bit integer, decimal or `0x...`; None when it is none or too large."""
    text = text.strip()
    if text[:2].lower() == "0x":
        try:
            value = int(text, 16)
        except ValueError:
            return None
        return wrap_long(value) if value < 2**64 else None
    if not _INTEGER.fullmatch(text) or _too_long(text):
        return None
    value = int(text)
    return value if LONG_MIN <= value <= LONG_MAX else None


def _too_long(text: str) -> bool:
    """Tell whether Python would refuse to read the number: it has far more digits than any fits."""
    return len(text) > _MOST_DIGITS


def parse_int(text: str) -> int | None:
    """Read a 32-bit integer; None when it is none or too large."""
    value = parse_long(text)
    return value if value is not None and INT_MIN <= value <= INT_MAX else None


def parse_real(text: str) -> float | None:
    """Read a double; knows `nan`, `inf`, `Infinity` with a sign."""
    text = text.strip()
    special = text.lower()
    if special == "nan":
        return math.nan
    if special in ("inf", "+inf", "infinity", "+infinity"):
        return math.inf
    if special in ("-inf", "-infinity"):
        return -math.inf
    return float(text) if _REAL.fullmatch(text) else None


def parse_decimal(text: str) -> Decimal | None:
    """Read a decimal number."""
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def parse_bool(text: str) -> bool | None:
    """Read `true`, `false`, or a number (zero is false)."""
    text = text.strip().lower()
    if text in ("true", "false"):
        return text == "true"
    number = parse_long(text)
    return None if number is None else number != 0


def parse_guid(text: str) -> str | None:
    """Read a guid, with or without dashes and braces; the answer is lower case."""
    match = _GUID.fullmatch(text.strip().lower())
    return "-".join(match.groups()) if match else None


def format_real(value: float) -> str:
    """Write a double: `1.0`, `0.1`, `1e+20`, `NaN`, `Infinity`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


# ---------------------------------------------------------------- time


def make_ticks(year: int, month: int, day: int, ticks: int = 0) -> int | None:
    """Ticks of a day plus `ticks`; None for a day that does not exist."""
    try:
        days = date(year, month, day).toordinal() - 1
    except (ValueError, OverflowError):
        return None
    return valid_ticks(days * TICKS_PER_DAY + ticks)


def valid_ticks(ticks: int) -> int | None:
    """The ticks themselves, or None outside of years 1 to 9999."""
    return ticks if 0 <= ticks <= MAX_TICKS else None


def ticks_of_datetime(value: datetime) -> int:
    """Ticks of a Python datetime; a naive one counts as UTC."""
    utc = value if value.tzinfo is None else value.astimezone(timezone.utc)
    seconds = (utc.toordinal() - 1) * 86_400 + utc.hour * 3_600 + utc.minute * 60 + utc.second
    return seconds * TICKS_PER_SECOND + utc.microsecond * 10


def parse_datetime(text: str) -> int | None:
    """Read a datetime: ISO 8601, month/day/year, RFC 822; without an offset it is UTC."""
    text = text.strip()
    match = _DATETIME.fullmatch(text)
    if match is None:
        american = _AMERICAN.fullmatch(text)
        if american is None:
            return _parse_rfc822(text)
        month, day, year, clock = american.groups()
        return parse_datetime(f"{year}-{month}-{day} {clock or '00:00'}")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    hours, minutes, seconds = int(hour or 0), int(minute or 0), int(second or 0)
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    ticks = (hours * 3_600 + minutes * 60 + seconds) * TICKS_PER_SECOND
    ticks += int((fraction or "")[:7].ljust(7, "0"))
    if offset and offset not in "Zz":
        sign = -1 if offset[0] == "-" else 1
        shift = int(offset[1:3]) * TICKS_PER_HOUR + int(offset[-2:]) * TICKS_PER_MINUTE
        ticks -= sign * shift
    return make_ticks(int(year), int(month), int(day or 1), ticks)


def _parse_rfc822(text: str) -> int | None:
    if "," not in text and not text.endswith("GMT"):
        return None
    try:
        return ticks_of_datetime(parsedate_to_datetime(text))
    except (ValueError, TypeError, OverflowError):
        return None


def format_datetime(ticks: int) -> str:
    """Write a datetime as Kusto sends it: `2026-01-02T03:04:05.1234567Z`."""
    seconds, fraction = divmod(ticks, TICKS_PER_SECOND)
    return f"{_format_second(seconds)}.{fraction:07}Z"


@lru_cache(maxsize=4096)  # the rows of one answer are mostly of few seconds
def _format_second(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    day = date.fromordinal(days + 1)
    minutes, second = divmod(rest, 60)
    hour, minute = divmod(minutes, 60)
    return f"{day.year:04}-{day.month:02}-{day.day:02}T{hour:02}:{minute:02}:{second:02}"


def parse_timespan(text: str) -> int | None:
    """Read a timespan: `1.02:03:04.5`, `2h`, `15 seconds`, or a number of days."""
    text = text.strip().lower()
    if _too_long(text):
        return None
    match = _CLOCK.fullmatch(text)
    if match:
        minus, day, hour, minute, second, fraction = match.groups()
        if int(hour) > 23 or int(minute) > 59 or int(second or 0) > 59:
            return None
        seconds = int(hour) * 3_600 + int(minute) * 60 + int(second or 0)
        ticks = int(day or 0) * TICKS_PER_DAY + seconds * TICKS_PER_SECOND
        ticks += int((fraction or "").ljust(7, "0"))
        return -ticks if minus else ticks
    if _INTEGER.fullmatch(text):
        return int(text) * TICKS_PER_DAY
    unit = _UNIT.fullmatch(text)
    if unit is None or unit[2] not in TIMESPAN_UNITS:
        return None
    return int(Decimal(unit[1]) * TIMESPAN_UNITS[unit[2]])


def format_timespan(ticks: int) -> str:
    """Write a timespan as Kusto sends it: `1.02:03:04.5000000`, `00:00:01`."""
    sign = "-" if ticks < 0 else ""
    days, rest = divmod(abs(ticks), TICKS_PER_DAY)
    seconds, fraction = divmod(rest, TICKS_PER_SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    text = f"{hour:02}:{minute:02}:{second:02}"
    if days:
        text = f"{days}.{text}"
    return f"{sign}{text}.{fraction:07}" if fraction else sign + text


# ---------------------------------------------------------------- dynamic


def normalise_dynamic(value: Any) -> Any:
    """Bring a JSON-like value into the one form `dynamic` keeps.

    Kusto keeps neither the order of properties nor the form of numbers: keys come back
    sorted here, `118.0` as `118`, an integer beyond 64 bits as a double, and a double that
    JSON has no word for as a string.
    """
    if isinstance(value, dict):
        return {str(key): normalise_dynamic(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, (list, tuple)):
        return [normalise_dynamic(item) for item in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if LONG_MIN <= value <= LONG_MAX else _normalise_real(float(value))
    if isinstance(value, float):
        return _normalise_real(value)
    if isinstance(value, Decimal):
        return _normalise_real(float(value))
    raise TypeError(f"{type(value).__name__} is no value of a dynamic")


def _normalise_real(value: float) -> Any:
    if math.isnan(value) or math.isinf(value):
        return format_real(value)
    if abs(value) < 2.0**63 and value == int(value):
        return int(value)
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def parse_json(text: str) -> Any:
    """Read JSON into its dynamic form.

    Raises:
        ValueError: The text is not JSON.
    """
    try:
        return normalise_dynamic(json.loads(text, parse_constant=_refuse_constant))
    except RecursionError:
        raise ValueError("the JSON text is nested too deeply") from None


def parse_dynamic(text: str) -> Any:
    """Read a text as `parse_json()` and ingestion do: what is not JSON stays a string."""
    if not text.strip():
        return None
    try:
        return parse_json(text)
    except ValueError:
        return text


def format_dynamic(value: Any) -> str:
    """Write a dynamic value as compact JSON."""
    return _encode(value)


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def format_value(value: Any, type_name: str) -> str:
    """Write a value as `tostring()` does; null becomes the empty string."""
    if value is None:
        return ""
    if type_name in ("string", "guid"):
        return str(value)
    if type_name == "dynamic":
        return format_dynamic_as_text(value)
    if type_name == "datetime":
        return format_datetime(value)
    if type_name == "timespan":
        return format_timespan(value)
    if type_name == "bool":
        return "true" if value else "false"
    if type_name == "real":
        return format_real(value)
    return str(value)


def format_dynamic_as_text(value: Any) -> str:
    """Write a dynamic value as `tostring()` does: a string is itself, the rest is JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else format_dynamic(value)


PARSERS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "bool": parse_bool,
    "int": parse_int,
    "long": parse_long,
    "real": parse_real,
    "decimal": parse_decimal,
    "datetime": parse_datetime,
    "timespan": parse_timespan,
    "guid": parse_guid,
    "dynamic": parse_dynamic,
}
"""What reads a text as a value of each type."""


def to_dynamic(value: Any, type_name: str) -> Any:
    """Put a value of a static type into a dynamic, as `pack()` and `make_list()` do."""
    if value is None or type_name in ("string", "bool", "long", "int", "guid", "dynamic"):
        return value
    if type_name == "datetime":
        return format_datetime(value)
    if type_name == "timespan":
        return format_timespan(value)
    if type_name == "decimal":
        return str(value)
    return _normalise_real(value)
