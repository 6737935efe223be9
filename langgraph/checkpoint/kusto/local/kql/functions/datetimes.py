"""Functions on moments and spans. Weeks begin on Sunday; ISO weeks only in `week_of_year`."""

from __future__ import annotations

import math
import re
from calendar import monthrange
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

from langgraph.checkpoint.kusto.local.kql import nodes, values
from langgraph.checkpoint.kusto.local.kql.errors import semantic_error, wrong_argument_count
from langgraph.checkpoint.kusto.local.kql.functions.registry import (
    bind_arguments,
    function,
    special,
)
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar, apply_strict, combined
from langgraph.checkpoint.kusto.local.kql.scope import Scope
from langgraph.checkpoint.kusto.local.kql.types import INTEGERS, NUMBERS
from langgraph.checkpoint.kusto.local.kql.values import (
    TICKS_PER_DAY,
    TICKS_PER_HOUR,
    TICKS_PER_MINUTE,
    TICKS_PER_SECOND,
    make_ticks,
    valid_ticks,
)

_MOST_DAYS = values.LONG_MAX // TICKS_PER_DAY - 1
_UNIX_EPOCH = (date(1970, 1, 1).toordinal() - 1) * TICKS_PER_DAY


def _date(ticks: int) -> date:
    return date.fromordinal(ticks // TICKS_PER_DAY + 1)


# ---------------------------------------------------------------- periods


def _start_of_day(ticks: int, offset: int = 0) -> int | None:
    return valid_ticks((ticks // TICKS_PER_DAY + offset) * TICKS_PER_DAY)


def _start_of_week(ticks: int, offset: int = 0) -> int | None:
    # Day 0 (0001-01-01) was a Monday.
    days = ticks // TICKS_PER_DAY
    return valid_ticks((days - (days + 1) % 7 + 7 * offset) * TICKS_PER_DAY)


def _start_of_month(ticks: int, offset: int = 0) -> int | None:
    day = _date(ticks)
    number = day.year * 12 + day.month - 1 + offset
    return make_ticks(number // 12, number % 12 + 1, 1)


def _start_of_year(ticks: int, offset: int = 0) -> int | None:
    return make_ticks(_date(ticks).year + offset, 1, 1)


def _declare_period(name: str, start: Callable[[int, int], int | None]) -> None:
    def end(ticks: int, offset: int = 0) -> int | None:
        following = start(ticks, offset + 1)
        if following is None:
            return values.MAX_TICKS if start(ticks, offset) is not None else None
        return following - 1

    naming = "first" if name == "day" else ""
    function(f"startof{name}(at: datetime, offset?: long) -> datetime", naming=naming)(start)
    function(f"endof{name}(at: datetime, offset?: long) -> datetime")(end)


_declare_period("day", _start_of_day)
_declare_period("week", _start_of_week)
_declare_period("month", _start_of_month)
_declare_period("year", _start_of_year)


# ---------------------------------------------------------------- parts

_PARTS: dict[str, Callable[[int], int]] = {
    "year": lambda ticks: _date(ticks).year,
    "quarter": lambda ticks: (_date(ticks).month + 2) // 3,
    "month": lambda ticks: _date(ticks).month,
    "week_of_year": lambda ticks: _date(ticks).isocalendar()[1],
    "weekofyear": lambda ticks: _date(ticks).isocalendar()[1],
    "day": lambda ticks: _date(ticks).day,
    "dayofyear": lambda ticks: _date(ticks).timetuple().tm_yday,
    "hour": lambda ticks: ticks // TICKS_PER_HOUR % 24,
    "minute": lambda ticks: ticks // TICKS_PER_MINUTE % 60,
    "second": lambda ticks: ticks // TICKS_PER_SECOND % 60,
    "millisecond": lambda ticks: ticks // 10_000 % 1_000,
    "microsecond": lambda ticks: ticks // 10 % 1_000_000,
    "nanosecond": lambda ticks: ticks % 10_000_000 * 100,
}
_UNITS: dict[str, int] = {
    "week": 7 * TICKS_PER_DAY,
    "day": TICKS_PER_DAY,
    "hour": TICKS_PER_HOUR,
    "minute": TICKS_PER_MINUTE,
    "second": TICKS_PER_SECOND,
    "millisecond": 10_000,
    "microsecond": 10,
}
_MONTHS = {"year": 12, "quarter": 3, "month": 1}


def _literal_part(node: nodes.Call, part: Scalar, known: list[str]) -> str:
    if not part.is_literal or part.type != "string":
        raise semantic_error("KS131", "The expression must be a literal.")
    name = str(part.value).lower()
    if name not in known:
        raise semantic_error(
            "KS140",
            f"The expression must be one of the values: {', '.join(known)} (in {node.name}()).",
        )
    return name


def _require(node: nodes.Call, arguments: tuple[Scalar, ...], kinds: list[frozenset[str]]) -> None:
    if len(arguments) != len(kinds):
        raise wrong_argument_count(node.name, len(kinds), len(kinds))
    for argument, allowed in zip(arguments, kinds, strict=True):
        if argument.type not in allowed:
            raise semantic_error(
                "KS107", f"A value of type {' or '.join(sorted(allowed))} expected."
            )


_TEXT, _WHEN = frozenset({"string"}), frozenset({"datetime"})


@special("datetime_part", "datepart")
def _datetime_part(node: nodes.Call, scope: Scope) -> Scalar:
    arguments = bind_arguments(node, scope)
    _require(node, arguments, [_TEXT, _WHEN])
    compute = _PARTS[_literal_part(node, arguments[0], list(_PARTS))]
    return combined("int", apply_strict(compute, arguments[1]), arguments[1])


@special("datetime_add")
def _datetime_add(node: nodes.Call, scope: Scope) -> Scalar:
    arguments = bind_arguments(node, scope)
    _require(node, arguments, [_TEXT, INTEGERS, _WHEN])
    unit = _literal_part(node, arguments[0], [*_MONTHS, *_UNITS, "nanosecond"])

    def compute(amount: int, ticks: int) -> int | None:
        if unit in _MONTHS:
            return _add_months(ticks, amount * _MONTHS[unit])
        if unit == "nanosecond":
            return valid_ticks(ticks + amount // 100)
        return valid_ticks(ticks + amount * _UNITS[unit])

    return combined("datetime", apply_strict(compute, *arguments[1:]), *arguments[1:])


def _add_months(ticks: int, months: int) -> int | None:
    """The same day of another month, or its last day when that month is shorter."""
    day = _date(ticks)
    number = day.year * 12 + day.month - 1 + months
    year, month = number // 12, number % 12 + 1
    if not 1 <= year <= 9999:
        return None
    last = monthrange(year, month)[1]
    return make_ticks(year, month, min(day.day, last), ticks % TICKS_PER_DAY)


@special("datetime_diff")
def _datetime_diff(node: nodes.Call, scope: Scope) -> Scalar:
    arguments = bind_arguments(node, scope)
    _require(node, arguments, [_TEXT, _WHEN, _WHEN])
    unit = _literal_part(node, arguments[0], [*_MONTHS, *_UNITS, "nanosecond"])

    def number(ticks: int) -> int:
        """How many whole periods lie before a moment."""
        if unit in _MONTHS:
            day = _date(ticks)
            return (day.year * 12 + day.month - 1) // _MONTHS[unit]
        if unit == "week":
            return (ticks // TICKS_PER_DAY + 1) // 7
        if unit == "nanosecond":
            return ticks * 100
        return ticks // _UNITS[unit]

    def compute(first: int, second: int) -> int:
        return number(first) - number(second)

    return combined("long", apply_strict(compute, *arguments[1:]), *arguments[1:])


@function("getyear(at: datetime) -> int")
def _getyear(at: int) -> int:
    return _date(at).year


@function("getmonth(at: datetime) -> int", "monthofyear")
def _getmonth(at: int) -> int:
    return _date(at).month


@function("dayofmonth(at: datetime) -> int")
def _dayofmonth(at: int) -> int:
    return _date(at).day


@function("dayofyear(at: datetime) -> int")
def _dayofyear(at: int) -> int:
    return _PARTS["dayofyear"](at)


@function("hourofday(at: datetime) -> int")
def _hourofday(at: int) -> int:
    return _PARTS["hour"](at)


@function("week_of_year(at: datetime) -> int", "weekofyear")
def _week_of_year(at: int) -> int:
    return _PARTS["week_of_year"](at)


@function("dayofweek(at: datetime) -> timespan")
def _dayofweek(at: int) -> int:
    """The span since Sunday, in whole days."""
    return (at // TICKS_PER_DAY + 1) % 7 * TICKS_PER_DAY


# ---------------------------------------------------------------- building


@special("make_datetime")
def _make_datetime(node: nodes.Call, scope: Scope) -> Scalar:
    arguments = bind_arguments(node, scope)
    if len(arguments) not in (1, 3, 5, 6):
        raise wrong_argument_count("make_datetime", 3, 6)
    if len(arguments) == 1:
        return scope.binder.scalar(nodes.Call("todatetime", node.arguments), scope)
    for argument in arguments:
        if argument.type not in NUMBERS:
            raise semantic_error("KS137", "The expression value must be a number.")
    return combined("datetime", apply_strict(_moment, *arguments), *arguments)


def _moment(
    year: Any, month: Any, day: Any, hour: Any = 0, minute: Any = 0, second: Any = 0
) -> int | None:
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second < 60):
        return None
    if not all(math.isfinite(part) for part in (year, month, day)):
        return None
    clock = int(hour) * TICKS_PER_HOUR + int(minute) * TICKS_PER_MINUTE
    return make_ticks(int(year), int(month), int(day), clock + round(second * TICKS_PER_SECOND))


@special("make_timespan")
def _make_timespan(node: nodes.Call, scope: Scope) -> Scalar:
    arguments = bind_arguments(node, scope)
    if len(arguments) == 1:
        return scope.binder.scalar(nodes.Call("totimespan", node.arguments), scope)
    if len(arguments) not in (2, 3, 4):
        raise wrong_argument_count("make_timespan", 2, 4)
    for argument in arguments:
        if argument.type not in INTEGERS:
            raise semantic_error("KS134", "The expression value must be an integer.")
    compute = _span if len(arguments) == 4 else partial(_span, 0)
    return combined("timespan", apply_strict(compute, *arguments), *arguments)


def _span(day: int, hour: int, minute: int, second: int = 0) -> int | None:
    if not (0 <= day <= _MOST_DAYS and 0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second < 60):
        return None
    clock = hour * TICKS_PER_HOUR + minute * TICKS_PER_MINUTE + second * TICKS_PER_SECOND
    return day * TICKS_PER_DAY + clock


def _declare_unix(unit: str, nanoseconds: int) -> None:
    def compute(number: Any) -> int | None:
        if isinstance(number, int):
            return valid_ticks(_UNIX_EPOCH + number * nanoseconds // 100)
        ticks = float(number) * nanoseconds / 100
        return valid_ticks(_UNIX_EPOCH + round(ticks)) if math.isfinite(ticks) else None

    function(f"unixtime_{unit}_todatetime(number: number) -> datetime")(compute)


_declare_unix("seconds", 1_000_000_000)
_declare_unix("milliseconds", 1_000_000)
_declare_unix("microseconds", 1_000)
_declare_unix("nanoseconds", 1)


# ---------------------------------------------------------------- formatting

_DATE_TOKEN = re.compile(r"d{1,2}|f{1,7}|F{1,7}|h{1,2}|H{1,2}|m{1,2}|M{1,2}|s{1,2}|tt|y{1,4}")
_SPAN_TOKEN = re.compile(r"d{1,8}|f{1,7}|F{1,7}|[hH]{1,2}|m{1,2}|s{1,2}")
_DELIMITERS = frozenset(" /-:,._[]")


def _check_format(pattern: str, token: re.Pattern[str], extra: str = "") -> None:
    for character in token.sub("", pattern):
        if character not in _DELIMITERS and character not in extra:
            raise semantic_error(
                "SEM0455", f"The format '{pattern}' holds '{character}', which stands for nothing."
            )


def _fraction(ticks: int, token: str) -> str:
    digits = f"{ticks % TICKS_PER_SECOND:07}"[: len(token)]
    return digits if token[0] == "f" else digits.rstrip("0")


def _format_date_token(token: str, ticks: int) -> str:
    kind, width = token[0], len(token)
    if kind in "fF":
        return _fraction(ticks, token)
    if token == "tt":
        return "AM" if _PARTS["hour"](ticks) < 12 else "PM"
    if kind == "y":
        year = _date(ticks).year
        return f"{year % 100:0{width}}" if width <= 2 else f"{year:0{width}}"
    number = {
        "d": lambda: _date(ticks).day,
        "M": lambda: _date(ticks).month,
        "H": lambda: _PARTS["hour"](ticks),
        "h": lambda: (_PARTS["hour"](ticks) + 11) % 12 + 1,
        "m": lambda: _PARTS["minute"](ticks),
        "s": lambda: _PARTS["second"](ticks),
    }[kind]()
    return f"{number:0{width}}"


def _format_span_token(token: str, ticks: int) -> str:
    kind, width = token[0], len(token)
    if kind in "fF":
        return _fraction(ticks, token)
    number = {
        "d": ticks // TICKS_PER_DAY,
        "h": ticks // TICKS_PER_HOUR % 24,
        "H": ticks // TICKS_PER_HOUR % 24,
        "m": ticks // TICKS_PER_MINUTE % 60,
        "s": ticks // TICKS_PER_SECOND % 60,
    }[kind]
    return f"{number:0{width}}"


@special("format_datetime")
def _format_datetime(node: nodes.Call, scope: Scope) -> Scalar:
    arguments = bind_arguments(node, scope)
    _require(node, arguments, [_WHEN, _TEXT])
    return _format(arguments, _DATE_TOKEN, _format_date_token)


@special("format_timespan")
def _format_timespan(node: nodes.Call, scope: Scope) -> Scalar:
    arguments = bind_arguments(node, scope)
    _require(node, arguments, [frozenset({"timespan"}), _TEXT])
    return _format(
        arguments, _SPAN_TOKEN, lambda token, ticks: _format_span_token(token, abs(ticks))
    )


def _format(
    arguments: tuple[Scalar, ...], token: re.Pattern[str], write: Callable[[str, int], str]
) -> Scalar:
    value, pattern = arguments
    if not pattern.is_literal or not pattern.value:
        raise semantic_error("KS131", "The expression must be a literal.")
    text: str = pattern.value
    _check_format(text, token)
    inner = value.evaluate

    def evaluate(row: Any, run: Any) -> str:
        ticks = inner(row, run)
        return "" if ticks is None else token.sub(lambda found: write(found[0], ticks), text)

    return combined("string", evaluate, value).named(value.name)
