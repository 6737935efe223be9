"""Binding of scalar expressions: names, paths, operators, calls.

The way from a syntax tree to a `Scalar`. Built-in functions bind themselves (`functions`),
operators have files of their own; this file decides which of them is meant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langgraph.checkpoint.kusto.local.kql import aggregates, nodes
from langgraph.checkpoint.kusto.local.kql.bind_arithmetic import bind_arithmetic, bind_sign
from langgraph.checkpoint.kusto.local.kql.bind_comparison import (
    bind_between,
    bind_equality,
    bind_folded_equality,
    bind_logic,
    bind_order,
)
from langgraph.checkpoint.kusto.local.kql.bind_functions import bind_scalar_function
from langgraph.checkpoint.kusto.local.kql.bind_lists import bind_list_test
from langgraph.checkpoint.kusto.local.kql.bind_text import bind_text_test
from langgraph.checkpoint.kusto.local.kql.errors import (
    misplaced_aggregate,
    misplaced_materialize,
    semantic_error,
    unknown_function,
    unresolved_name,
    unsupported,
)
from langgraph.checkpoint.kusto.local.kql.functions import (
    bind_builtin,
    check_known,
    is_builtin,
)
from langgraph.checkpoint.kusto.local.kql.scalar import (
    Scalar,
    apply_strict,
    column,
    combined,
    literal,
)
from langgraph.checkpoint.kusto.local.kql.scope import ScalarVariable, Scope
from langgraph.checkpoint.kusto.local.kql.values import LONG_MAX

_Bind = Callable[[str, Scalar, Scalar], Scalar]

_BINARY: dict[str, _Bind] = {
    **dict.fromkeys(("==", "!="), bind_equality),
    **dict.fromkeys(("=~", "!~"), bind_folded_equality),
    **dict.fromkeys(("<", "<=", ">", ">="), bind_order),
    **dict.fromkeys(("+", "-", "*", "/", "%"), bind_arithmetic),
}


def bind_scalar(node: nodes.Expression, scope: Scope) -> Scalar:
    """Bind an expression that gives one value.

    Raises:
        KqlError: A name is unknown, types do not fit, or the expression is a table.
    """
    match node:
        case nodes.Literal():
            return _bind_literal(node)
        case nodes.Name():
            return _bind_name(node, scope)
        case nodes.Member():
            return _bind_member(node, scope)
        case nodes.Index():
            return _bind_index(node, scope)
        case nodes.Call():
            return _bind_call(node, scope)
        case nodes.Unary():
            return _bind_unary(node, scope)
        case nodes.Binary():
            return _bind_binary(node, scope)
        case nodes.ListTest():
            return bind_list_test(node, scope)
        case nodes.Between():
            return bind_between(node, scope)
        case nodes.Star():
            raise semantic_error("KS191", "The * syntax is not allowed here.")
        case nodes.TypeLiteral():
            raise semantic_error("KS147", "typeof() is not allowed in this context.")
        case nodes.Named():
            raise semantic_error(
                "KS147", f"The name '{node.names[0]}' is not allowed in this context."
            )
        case _:
            raise _tabular_in_scalar_place()


def _bind_literal(node: nodes.Literal) -> Scalar:
    if node.type == "long" and node.value is not None and node.value > LONG_MAX:
        raise semantic_error("SEM0084", f"'{node.value}' is not a valid long literal.")
    return literal(node.value, node.type)


def _bind_unary(node: nodes.Unary, scope: Scope) -> Scalar:
    match node:
        case nodes.Unary("-", nodes.Literal(int() as value, "long")):
            # The smallest long has no positive counterpart.
            return literal(-value, "long")
    return bind_sign(node.operator, bind_scalar(node.operand, scope))


def _tabular_in_scalar_place() -> Exception:
    return semantic_error(
        "SEM0219", "A scalar expression is expected here, not a table. Use toscalar()."
    )


def _bind_name(node: nodes.Name, scope: Scope) -> Scalar:
    position = scope.position(node.name)
    if position is not None and scope.columns is not None:
        return column(position, scope.columns[position].type, node.name)
    variable = scope.variables.get(node.name)
    if isinstance(variable, ScalarVariable):
        if variable.row is not None and variable.row is not scope.row:
            raise unsupported(
                f"the argument '{node.name}', which depends on the row, inside of a table",
                "use join instead of a function for each row",
            )
        return variable.scalar.named(node.name) if variable.scalar.columns else variable.scalar
    if scope.binder.is_tabular(node, scope):
        raise _tabular_in_scalar_place()
    if scope.function(node.name) is not None:
        return bind_scalar_function(nodes.Call(node.name, ()), scope)
    raise unresolved_name(scope.operator or "print", node.name)


# ---------------------------------------------------------------- paths


def _bind_member(node: nodes.Member, scope: Scope) -> Scalar:
    if isinstance(node.base, nodes.Name) and node.base.name in ("$left", "$right"):
        raise semantic_error(
            "KS183", f"{node.base.name} is only allowed in the conditions of a join."
        )
    base = bind_scalar(node.base, scope)
    if base.type != "dynamic":
        raise unresolved_name(scope.operator or "print", node.name)
    return _property(base, node.name)


def _property(base: Scalar, key: str) -> Scalar:
    def read(value: Any) -> Any:
        return value.get(key) if isinstance(value, dict) else None

    bound = combined("dynamic", apply_strict(read, base), base)
    return bound.named(f"{base.name}_{key}" if base.name else "")


def _bind_index(node: nodes.Index, scope: Scope) -> Scalar:
    base = bind_scalar(node.base, scope)
    if base.type != "dynamic":
        raise semantic_error(
            "KS147", "The element access operator [] is not allowed in this context."
        )
    index = bind_scalar(node.index, scope)
    if index.type not in ("string", "int", "long", "dynamic"):
        raise semantic_error("KS134", "The index must be an integer or a string.")
    if index.is_literal and isinstance(index.value, str):
        return _property(base, index.value)
    bound = combined("dynamic", apply_strict(_element, base, index), base, index)
    if index.is_literal and base.name:
        return bound.named(f"{base.name}_{index.value if index.value >= 0 else ''}")
    return bound


def _element(value: Any, index: Any) -> Any:
    if isinstance(value, dict):
        return value.get(index) if isinstance(index, str) else None
    if isinstance(value, list) and isinstance(index, int) and not isinstance(index, bool):
        # A negative index counts from the end.
        return value[index] if -len(value) <= index < len(value) else None
    return None


# ---------------------------------------------------------------- operators and calls


def _bind_binary(node: nodes.Binary, scope: Scope) -> Scalar:
    if node.operator in ("and", "or"):
        operands = [bind_scalar(operand, scope) for operand in _chain(node)]
        return bind_logic(node.operator, operands)
    left = bind_scalar(node.left, scope)
    right = bind_scalar(node.right, scope)
    bind = _BINARY.get(node.operator, bind_text_test)
    return bind(node.operator, left, right)


def _chain(node: nodes.Binary) -> list[nodes.Expression]:
    """The operands of `a and b and c`, in order."""
    operands: list[nodes.Expression] = []
    left: nodes.Expression = node
    while isinstance(left, nodes.Binary) and left.operator == node.operator:
        operands.append(left.right)
        left = left.left
    return [left, *reversed(operands)]


def _bind_call(node: nodes.Call, scope: Scope) -> Scalar:
    if scope.function(node.name) is not None:
        return bind_scalar_function(node, scope)
    if is_builtin(node.name):
        return bind_builtin(node, scope)
    if aggregates.is_aggregate(node.name):
        raise misplaced_aggregate(node.name)
    if node.name == "materialize":
        raise misplaced_materialize()
    if scope.binder.is_tabular(node, scope):
        raise _tabular_in_scalar_place()
    check_known(node.name)
    raise unknown_function(node.name)
