"""The table of aggregate functions: signatures, names of their columns, binding.

An aggregate takes the rows of one group and gives one value, or several (`arg_max`,
`percentiles`). Simple ones are declared by a signature and a function from the values of
their first argument to the result; the rest bind themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from langgraph.checkpoint.kusto.local.kql import nodes, types
from langgraph.checkpoint.kusto.local.kql.errors import semantic_error, wrong_argument_count
from langgraph.checkpoint.kusto.local.kql.functions.registry import (
    Parameter,
    match_parameters,
    parse_signature,
    prepare,
)
from langgraph.checkpoint.kusto.local.kql.interface import Column, Row
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar
from langgraph.checkpoint.kusto.local.kql.scope import Scope

Compute = Callable[[list[Row], Run], Any]
F = TypeVar("F", bound=Callable[..., Any])
Special = Callable[[nodes.Call, Scope, frozenset[str]], "Aggregate"]


@dataclass(frozen=True)
class Aggregate:
    """A bound aggregate.

    Attributes:
        columns: The automatic names and the types of its results.
        compute: From the rows of a group to the value; to a tuple when `several`.
        looked_at: Positions of the source's columns it looks at.
        several: It gives more than one value; not allowed inside of an expression.
        narrowed: Gives a `compute` for when only some of several values are looked at.
        greatest: The position of a text column, when only the rows matter that have its greatest.
    """

    columns: tuple[Column, ...]
    compute: Compute
    looked_at: frozenset[int]
    several: bool = False
    narrowed: Callable[[frozenset[int]], Compute] | None = None
    greatest: int | None = None


@dataclass(frozen=True)
class _Simple:
    name: str
    parameters: tuple[Parameter, ...]
    result: str
    prefix: str
    function: Callable[..., Any]
    options: int
    with_if: bool


_SIMPLE: dict[str, _Simple] = {}
_SPECIAL: dict[str, Special] = {}


def aggregate(
    signature: str, prefix: str | None = None, if_name: str | None = None, if_prefix: str = ""
) -> Callable[[F], F]:
    """Declare an aggregate of the values of its first argument (null ones left out).

    Args:
        signature: `sum(value: summable) -> long`; further parameters must be constants and
            are given to the function after the list of values. The result `same` is the
            type of the argument, `sum` its type with `int` widened.
        prefix: The automatic column name is this, `_` and the argument's name; the
            function's name when None, the argument's name alone when empty.
        if_name: Declare a variant that takes a predicate after the value.
        if_prefix: The variant's prefix; its name when empty.
    """
    name, parameters, result = parse_signature(signature)

    def declare(implementation: F) -> F:
        chosen = name if prefix is None else prefix
        _SIMPLE[name] = _Simple(
            name, parameters, result, chosen, implementation, len(parameters) - 1, False
        )
        if if_name is not None:
            first, *others = parameters
            with_test = (first, Parameter("predicate", "bool", 1, 1, ""), *others)
            _SIMPLE[if_name] = _Simple(
                if_name,
                with_test,
                result,
                if_prefix or if_name,
                implementation,
                len(others),
                True,
            )
        return implementation

    return declare


def special(*names: str) -> Callable[[Special], Special]:
    """Declare an aggregate that binds itself from its syntax."""

    def declare(bind: Special) -> Special:
        for name in names:
            _SPECIAL[name] = bind
        return bind

    return declare


def is_aggregate(name: str) -> bool:
    """Whether an aggregate function has this name."""
    return name in _SIMPLE or name in _SPECIAL


def names() -> frozenset[str]:
    """The names of all aggregate functions."""
    return frozenset(_SIMPLE) | frozenset(_SPECIAL)


def bind_aggregate(node: nodes.Call, scope: Scope, keys: frozenset[str]) -> Aggregate:
    """Bind a call of an aggregate over the rows of `scope`; `keys` are the group's columns."""
    bind = _SPECIAL.get(node.name)
    if bind is not None:
        return bind(node, scope, keys)
    return _bind_simple(_SIMPLE[node.name], node, scope)


def bind_values(node: nodes.Call, scope: Scope) -> list[Scalar]:
    """Bind the arguments of an aggregate; an aggregate inside of one is refused."""
    return [scope.binder.scalar(argument, scope) for argument in node.arguments]


def require_count(node: nodes.Call, low: int, high: int) -> None:
    """Refuse a wrong number of arguments."""
    if not low <= len(node.arguments) <= high:
        raise wrong_argument_count(node.name, low, high)


def result_type(declared: str, argument: Scalar) -> str:
    """The type of a result that is declared in terms of the argument."""
    if declared == "same":
        return argument.type
    if declared == "sum":
        return "long" if argument.type == "int" else argument.type
    return declared


def _bind_simple(simple: _Simple, node: nodes.Call, scope: Scope) -> Aggregate:
    arguments = bind_values(node, scope)
    matched = match_parameters(simple.name, simple.parameters, len(arguments))
    prepared = [prepare(a, p) for a, p in zip(arguments, matched, strict=True)]
    value = prepared[0]
    test = prepared[1] if simple.with_if else None
    options = prepared[2 if simple.with_if else 1 :]
    for option in options:
        if not option.fixed:
            raise semantic_error("KS129", "The expression must be a constant.")
    kind = result_type(simple.result, value)
    name = arguments[0].name
    automatic = f"{simple.prefix}_{name}" if simple.prefix else name
    function, values_of = simple.function, _values_of(value)
    takes_type = simple.result in ("same", "sum", "typed")

    def compute(rows: list[Row], run: Run) -> Any:
        if test is not None:
            rows = [row for row in rows if test.evaluate(row, run)]
        found = values_of(rows, run)
        settings = [option.evaluate((), run) for option in options]
        if takes_type:
            return function(found, value.type, *settings)
        return function(found, *settings)

    looked_at = value.columns | (test.columns if test else frozenset())
    return Aggregate((Column(automatic, kind),), compute, looked_at)


def _values_of(scalar: Scalar) -> Callable[[list[Row], Run], list[Any]]:
    """What an expression is for some rows, without nulls."""
    evaluate = scalar.evaluate
    if scalar.column is not None:
        at: int = scalar.column
        return lambda rows, run: [row[at] for row in rows if row[at] is not None]
    return lambda rows, run: [item for row in rows if (item := evaluate(row, run)) is not None]


def require_orderable(scalar: Scalar) -> Scalar:
    """Refuse a value that has no order."""
    if scalar.type not in types.ORDERABLE:
        raise semantic_error(
            "KS206",
            "The argument value must be orderable:"
            " a number, timespan, datetime, string or boolean.",
        )
    return scalar
