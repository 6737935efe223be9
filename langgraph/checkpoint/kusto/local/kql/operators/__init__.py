"""The tabular operators, by family; importing this package declares all of them."""

from __future__ import annotations

from langgraph.checkpoint.kusto.local.kql.operators import (
    columns,
    expanding,
    grouping,
    joining,
    parsing,
    partitioning,
    rows,
    sorting,
    unions,
)
from langgraph.checkpoint.kusto.local.kql.operators.registry import bind_operator
from langgraph.checkpoint.kusto.local.kql.operators.unions import bind_union

__all__ = [
    "bind_operator",
    "bind_union",
    "columns",
    "expanding",
    "grouping",
    "joining",
    "parsing",
    "partitioning",
    "rows",
    "sorting",
    "unions",
]
