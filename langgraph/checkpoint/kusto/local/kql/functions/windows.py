"""Functions over the rows around: `row_number`, `row_cumsum`, `prev`, `next`, ranks.

They need rows in an order that means something, and are computed over all rows before the
expression around them; see `windows` of the engine for the computation.
"""

from __future__ import annotations

from langgraph.checkpoint.kusto.local.kql import nodes
from langgraph.checkpoint.kusto.local.kql.errors import semantic_error
from langgraph.checkpoint.kusto.local.kql.functions.registry import (
    Special,
    bind_arguments,
    match_parameters,
    parse_signature,
    prepare,
    special,
)
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar
from langgraph.checkpoint.kusto.local.kql.scope import Scope

_SIGNATURES = (
    "row_number(start?: long, restart?: bool) -> long",
    "row_cumsum(term: number, restart?: bool) -> same",
    "row_rank_dense(term: notdynamic, restart?: bool) -> long",
    "row_rank_min(term: notdynamic, restart?: bool) -> long",
    "prev(column: any, offset?: long/constant, default?: any/constant) -> same",
    "next(column: any, offset?: long/constant, default?: any/constant) -> same",
)


def _bind(signature: str) -> tuple[str, Special]:
    name, parameters, _ = parse_signature(signature)

    def bind(node: nodes.Call, scope: Scope) -> Scalar:
        if scope.window is None:
            raise semantic_error(
                "SEM0530",
                f"Function '{name}' cannot be invoked in current context."
                " Details: the row set must be serialized.",
            )
        arguments = bind_arguments(node, scope)
        matched = match_parameters(name, parameters, len(arguments))
        prepared = tuple(
            prepare(argument, parameter)
            for argument, parameter in zip(arguments, matched, strict=True)
        )
        if name in ("prev", "next") and prepared[0].column is None:
            raise semantic_error("KS109", "Column name expected.")
        return scope.window.add(name, prepared)

    return name, bind


for _signature in _SIGNATURES:
    _name, _special = _bind(_signature)
    special(_name)(_special)
