"""The table of built-in scalar functions: signatures, how arguments are prepared, names.

A function is declared by its signature in a small notation:

    substring(source: text, start: integer, length?: integer) -> string

`name?` is optional, `name+` stands for 1 to 64 arguments, `name{2,64}` for 2 to 64. Kinds of
parameters are type names and the words of `_KINDS`; `/constant` behind one asks for a value
that is the same for every row, `/literal` for one that stands in the text. Unless declared
with `strict=False`, a null argument makes the result null without a call; a null that would
be a `string` is "". What needs more than values (the expression itself, the scope) is
declared with `special`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from langgraph.checkpoint.kusto.local.kql import nodes, types
from langgraph.checkpoint.kusto.local.kql.coerce import convert, dynamic_of, text_of
from langgraph.checkpoint.kusto.local.kql.errors import (
    KqlError,
    forbidden_dynamic,
    not_summable,
    semantic_error,
    unknown_function,
    wrong_argument_count,
    wrong_type,
)
from langgraph.checkpoint.kusto.local.kql.functions.unsupported import check_known
from langgraph.checkpoint.kusto.local.kql.interface import Row
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import (
    Evaluate,
    Scalar,
    apply,
    apply_strict,
    combined,
)
from langgraph.checkpoint.kusto.local.kql.scope import Scope
from langgraph.checkpoint.kusto.local.kql.types import NUMBERS, ORDERABLE, SCALARS, SUMMABLE

F = TypeVar("F", bound=Callable[..., Any])
Special = Callable[[nodes.Call, Scope], Scalar]

_KINDS: dict[str, frozenset[str]] = {
    "any": SCALARS,
    "text": SCALARS,
    "element": SCALARS,
    "strings": frozenset({"string", "dynamic"}),
    "integer": types.INTEGERS,
    "number": NUMBERS,
    "double": NUMBERS,
    "summable": SUMMABLE,
    "orderable": ORDERABLE,
    "common": ORDERABLE,
    "notdynamic": SCALARS - {"dynamic"},
    "codepoints": types.INTEGERS | {"dynamic"},
    "array": frozenset({"dynamic"}),
    "bag": frozenset({"dynamic"}),
}
_SIGNATURE = re.compile(r"(\w+)\((.*)\)\s*->\s*(\w+)", re.DOTALL)
_PARAMETER = re.compile(r"(\w+)(\?|\+|\{(\d+),(\d+)\})?:\s*(\w+)(/constant|/literal)?")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a built-in function, or a run of equal ones."""

    name: str
    kind: str
    low: int
    high: int
    needs: str


@dataclass(frozen=True)
class Builtin:
    """A built-in function of plain values."""

    name: str
    parameters: tuple[Parameter, ...]
    result: str
    function: Callable[..., Any]
    strict: bool
    naming: str


_BUILTINS: dict[str, Builtin] = {}
_SPECIALS: dict[str, Special] = {}
_CONTEXTS: set[str] = set()


def parse_signature(text: str) -> tuple[str, tuple[Parameter, ...], str]:
    """Read a signature: name, parameters, result."""
    match = _SIGNATURE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a signature: {text}")
    parameters = []
    for part in re.split(r",(?!\d)", match[2]) if match[2].strip() else ():
        found = _PARAMETER.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"not a parameter: {part}")
        name, mark, low, high, kind, needs = found.groups()
        least, most = (
            (int(low), int(high)) if low else {"?": (0, 1), "+": (1, 64)}.get(mark or "", (1, 1))
        )
        parameters.append(Parameter(name, kind, least, most, (needs or "").lstrip("/")))
    return match[1], tuple(parameters), match[3]


def function(
    signature: str, *aliases: str, strict: bool = True, naming: str = ""
) -> Callable[[F], F]:
    """Declare a built-in function of plain values.

    Args:
        signature: See the head of this file.
        aliases: Other names of the same function.
        strict: Null arguments make the result null without a call.
        naming: `first` names the column like the first argument; a text that ends with `_`
            is put in front of that name; empty gives no name.
    """
    name, parameters, result = parse_signature(signature)

    def declare(implementation: F) -> F:
        for each in (name, *aliases):
            _BUILTINS[each] = Builtin(each, parameters, result, implementation, strict, naming)
        return implementation

    return declare


def context_function(signature: str, *aliases: str) -> Callable[[F], F]:
    """Declare a function that takes the run before its arguments (`now`, `rand`)."""

    def mark(implementation: F) -> F:
        name = parse_signature(signature)[0]
        _CONTEXTS.update((name, *aliases))
        return function(signature, *aliases)(implementation)

    return mark


def special(*names: str) -> Callable[[Special], Special]:
    """Declare a function that binds itself from its syntax."""

    def declare(bind: Special) -> Special:
        for name in names:
            _SPECIALS[name] = bind
        return bind

    return declare


def is_builtin(name: str) -> bool:
    """Whether a built-in scalar function has this name."""
    return name in _BUILTINS or name in _SPECIALS


def require_known(name: str) -> None:
    """Refuse a name that is no built-in scalar function."""
    if not is_builtin(name):
        check_known(name)
        raise unknown_function(name)


def names() -> frozenset[str]:
    """The names of all built-in scalar functions."""
    return frozenset(_BUILTINS) | frozenset(_SPECIALS)


# ---------------------------------------------------------------- binding


def bind_builtin(node: nodes.Call, scope: Scope) -> Scalar:
    """Bind a call of a built-in function."""
    bind = _SPECIALS.get(node.name)
    if bind is not None:
        return bind(node, scope)
    builtin = _BUILTINS[node.name]
    arguments = bind_arguments(node, scope)
    parameters = match_parameters(builtin.name, builtin.parameters, len(arguments))
    prepared = tuple(
        prepare(argument, parameter)
        for argument, parameter in zip(arguments, parameters, strict=True)
    )
    prepared = _to_common(prepared, parameters)
    name = _column_name(builtin.naming, arguments)
    return _call(builtin, prepared).named(name)


def bind_arguments(node: nodes.Call, scope: Scope) -> tuple[Scalar, ...]:
    """Bind the arguments of a call as scalars."""
    return tuple(scope.binder.scalar(argument, scope) for argument in node.arguments)


def match_parameters(
    name: str, parameters: tuple[Parameter, ...], count: int
) -> tuple[Parameter, ...]:
    """Give each argument its parameter."""
    low = sum(parameter.low for parameter in parameters)
    high = sum(parameter.high for parameter in parameters)
    if not low <= count <= high:
        raise wrong_argument_count(name, low, high)
    spare = count - low
    matched: list[Parameter] = []
    for parameter in parameters:
        extra = min(spare, parameter.high - parameter.low)
        matched += [parameter] * (parameter.low + extra)
        spare -= extra
    return tuple(matched)


def prepare(argument: Scalar, parameter: Parameter) -> Scalar:
    """Check an argument against its parameter and bring it into the type it takes."""
    if parameter.needs == "literal" and not argument.is_literal:
        raise semantic_error("KS131", "The expression must be a literal.")
    if parameter.needs == "constant" and not argument.fixed:
        raise semantic_error("KS129", "The expression must be a constant.")
    kind = parameter.kind
    allowed = _KINDS.get(kind)
    if allowed is None:
        if not types.converts(argument.type, kind):
            raise semantic_error(
                "KS107", f"A value of type {kind} expected (parameter '{parameter.name}')."
            )
        return convert(argument, kind)
    if argument.type not in allowed:
        raise _refused(kind, allowed)
    if kind in ("text", "strings"):
        return text_of(argument)
    if kind == "element":
        return dynamic_of(argument)
    if kind == "double":
        return convert(argument, "real") if argument.type != "decimal" else argument
    return argument


def _refused(kind: str, allowed: frozenset[str]) -> KqlError:
    if kind == "array":
        return semantic_error("KS234", "The expression value must be a dynamic array.")
    if kind == "bag":
        return semantic_error("KS235", "The expression must be a dynamic bag.")
    if kind == "integer":
        return semantic_error("KS134", "The expression value must be an integer.")
    if kind in ("number", "double"):
        return semantic_error("KS137", "The expression value must be a number.")
    if kind in ("orderable", "common"):
        return semantic_error(
            "KS206",
            "The argument value must be orderable:"
            " a number, timespan, datetime, string or boolean.",
        )
    if kind == "summable":
        return not_summable()
    if kind == "notdynamic":
        return forbidden_dynamic()
    return wrong_type(types.describe(allowed))


def _to_common(
    arguments: tuple[Scalar, ...], parameters: tuple[Parameter, ...]
) -> tuple[Scalar, ...]:
    shared = [a.type for a, p in zip(arguments, parameters, strict=True) if p.kind == "common"]
    if not shared:
        return arguments
    kind = types.common(shared)
    if kind is None:
        raise no_common_type()
    return tuple(
        convert(argument, kind) if parameter.kind == "common" else argument
        for argument, parameter in zip(arguments, parameters, strict=True)
    )


def no_common_type() -> KqlError:
    """Word arguments that fit no one type."""
    return semantic_error("KS232", "No common type can be determined from the arguments.")


def _column_name(naming: str, arguments: tuple[Scalar, ...]) -> str:
    if not naming or not arguments:
        return ""
    first = arguments[0].name
    return first if naming == "first" else naming + first


def _result_type(builtin: Builtin, arguments: tuple[Scalar, ...]) -> str:
    if builtin.result == "same":
        return arguments[0].type
    if builtin.result == "common":
        return next(a.type for a in arguments)
    return builtin.result


def _call(builtin: Builtin, arguments: tuple[Scalar, ...]) -> Scalar:
    result = _result_type(builtin, arguments)
    if builtin.name in _CONTEXTS:
        return _call_with_run(builtin, arguments, result)
    wrap = apply_strict if builtin.strict and arguments else apply
    if not arguments:
        implementation = builtin.function
        return Scalar(result, lambda row, run: implementation(), fixed=True)
    evaluate = wrap(builtin.function, *arguments)
    if result == "string":
        evaluate = never_null(evaluate)
    bound = combined(result, evaluate, *arguments)
    if builtin.name == "strcmp" and arguments[0].column is not None and arguments[1].fixed:
        return replace(bound, compares=(arguments[0].column, arguments[1].evaluate))
    return bound


def _call_with_run(builtin: Builtin, arguments: tuple[Scalar, ...], result: str) -> Scalar:
    implementation = builtin.function
    closures = [argument.evaluate for argument in arguments]

    def evaluate(row: Row, run: Run) -> Any:
        return implementation(run, *[closure(row, run) for closure in closures])

    bound = combined(result, evaluate, *arguments)
    # Chance differs from row to row; the moment does not.
    steady = builtin.name in ("now", "ago", "current_database")
    return Scalar(result, evaluate, bound.columns, bound.fixed and steady)


def never_null(evaluate: Evaluate) -> Evaluate:
    """Strings have no null: give "" in its place."""

    def text(row: Row, run: Run) -> Any:
        value = evaluate(row, run)
        return "" if value is None else value

    return text
