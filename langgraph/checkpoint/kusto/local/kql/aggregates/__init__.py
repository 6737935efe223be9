"""The aggregate functions, by family; importing this package declares all of them."""

from __future__ import annotations

from langgraph.checkpoint.kusto.local.kql.aggregates import collecting, extremes, numeric
from langgraph.checkpoint.kusto.local.kql.aggregates.registry import (
    Aggregate,
    bind_aggregate,
    is_aggregate,
    names,
)

__all__ = [
    "Aggregate",
    "bind_aggregate",
    "collecting",
    "extremes",
    "is_aggregate",
    "names",
    "numeric",
]
