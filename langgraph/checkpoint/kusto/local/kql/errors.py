"""The one error of the query engine, and the makers that word it as Kusto does.

Codes beginning with `SYN` and `SEM` are those the service is known to send. Where the
service's own code is not public, the code and the sentence of Microsoft's binder (`KS...`)
stand in. No parsing, binding or evaluation lives here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

ErrorKind = Literal["syntax", "semantic", "runtime", "limits"]


class KqlError(Exception):
    """A query that Kusto would refuse, or that failed while it ran.

    Attributes:
        message: The text in Kusto's wording, with its code.
        code: The code alone, for example `SEM0100`.
        kind: `syntax`, `semantic`, `runtime` or `limits`.
    """

    def __init__(self, message: str, code: str, kind: ErrorKind) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.kind: ErrorKind = kind


def syntax_error(what: str, line: int, position: int, token: str = "") -> KqlError:
    """Word a text the parser cannot read; `line` and `position` count from one."""
    text = f"Syntax error: SYN0002: {what} [line:position={line}:{position}]"
    if token:
        text += f"\n\nToken: {token}\nLine: {line}\nPosition: {position}"
    return KqlError(text, "SYN0002", "syntax")


def semantic_error(code: str, sentence: str) -> KqlError:
    """Word a text that parses but means nothing."""
    return KqlError(f"Semantic error: {code}: {sentence}", code, "semantic")


def runtime_error(code: str, sentence: str) -> KqlError:
    """Word a failure that only the values of the rows can cause."""
    return KqlError(f"Query execution error: {code}: {sentence}", code, "runtime")


def limits_error(code: str, sentence: str) -> KqlError:
    """Word a result or a working set that is larger than Kusto allows."""
    return KqlError(f"Query execution lacks resources: {code}: {sentence}", code, "limits")


def too_complex() -> KqlError:
    """Word an expression that is nested too deeply to be bound or evaluated."""
    return limits_error(
        "E_QUERY_TOO_COMPLEX", "The query is nested too deeply. Use in (...) for long lists."
    )


def unsupported(what: str, remedy: str) -> KqlError:
    """Refuse real KQL that this engine does not know, and say what to use instead."""
    return semantic_error(
        "LOCAL0001", f"{what} is not supported by the local Kusto server: {remedy}"
    )


def unresolved_name(operator: str, name: str) -> KqlError:
    """Word a name that is no column, variable or function of the scope."""
    return semantic_error(
        "SEM0100",
        f"'{operator}' operator: Failed to resolve column or scalar expression named '{name}'",
    )


def unresolved_table(operator: str, name: str) -> KqlError:
    """Word a name that is no table, view, tabular variable or function."""
    return semantic_error(
        "SEM0100", f"'{operator}' operator: Failed to resolve table expression named '{name}'"
    )


def unknown_function(name: str) -> KqlError:
    """Word a call of a function that does not exist."""
    return semantic_error("SEM0260", f"Unknown function: '{name}'.")


def incomparable(left: str, right: str, operator: str) -> KqlError:
    """Word a comparison of two types that have none, such as `string < string`."""
    remedy = " Use strcmp()." if left == right == "string" else ""
    return semantic_error(
        "SEM0064",
        f"Cannot compare values of types {left} and {right}. Try adding explicit casts."
        f" (KS106: The operator '{operator}' is not defined for the operand types"
        f" {left} and {right}.{remedy})",
    )


def undefined_operator(operator: str, types: Sequence[str]) -> KqlError:
    """Word an operator applied to types it does not take."""
    noun = "type" if len(types) == 1 else "types"
    listed = ", ".join(types[:-1]) + (" and " if len(types) > 1 else "") + types[-1]
    return semantic_error(
        "KS106", f"The operator '{operator}' is not defined for the operand {noun} {listed}."
    )


def wrong_arithmetic(operator: str, left: str, right: str) -> KqlError:
    """Word arithmetic between types that have none."""
    return semantic_error(
        "SEM0001",
        f"Arithmetic expression cannot be carried-out between {left} and {right}."
        f" (KS106: The operator '{operator}' is not defined for the operand types"
        f" {left} and {right}.)",
    )


def wrong_type(expected: Sequence[str]) -> KqlError:
    """Word an expression whose type does not fit its place."""
    if len(expected) == 1:
        return semantic_error("KS141", f"The expression must have the type {expected[0]}.")
    listed = ", ".join(expected[:-1]) + " or " + expected[-1]
    return semantic_error("KS141", f"The expression must have one of the types: {listed}.")


def not_summable() -> KqlError:
    """Word a value that cannot be added up."""
    return semantic_error(
        "KS138", "The argument value must be summable: a number, timespan or datetime."
    )


def duplicate_column(name: str) -> KqlError:
    """Word a second column of the same name in one result."""
    return semantic_error("KS171", f"A column with the name '{name}' is already declared.")


def forbidden_dynamic() -> KqlError:
    """Word a dynamic value used as a key of grouping, ordering or joining."""
    return semantic_error(
        "KS116",
        "The value of type 'dynamic' is not allowed in this context."
        " Use an explicit cast, for example tostring(x).",
    )


def misplaced_materialize() -> KqlError:
    """Word a `materialize()` that is not the value of a `let`."""
    return syntax_error("materialize() must be the whole value of a let statement", 1, 1)


def wrong_argument_count(name: str, low: int, high: int) -> KqlError:
    """Word a call with too few or too many arguments."""
    if low == high:
        noun = "argument" if low == 1 else "arguments"
        return semantic_error("KS119", f"The function '{name}' expects {low} {noun}.")
    return semantic_error(
        "KS120", f"The function '{name}' expects between {low} and {high} arguments."
    )


def misplaced_aggregate(name: str) -> KqlError:
    """Word an aggregate outside of `summarize`."""
    return semantic_error(
        "KS144", f"The aggregate function '{name}' is not allowed in this context."
    )
