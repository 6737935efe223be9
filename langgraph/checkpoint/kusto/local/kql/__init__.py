"""A KQL engine in Python: parse, bind, evaluate over rows.

The host gives a `Catalog` of tables, functions and views and calls `run_query`. The engine
knows nothing of HTTP, storage or ingestion, and nothing of the rest of the package.

The way of a text: `parser` with `rules_...` (text to `nodes` and `operator_nodes`),
`statements` and `bind_...` (nodes to plans, with static types and names resolved), `plan` and
`operators` (plans to rows), `scalar`, `functions` and `aggregates` (values).
"""

from __future__ import annotations

from langgraph.checkpoint.kusto.local.kql.engine import (
    check_function,
    check_query,
    check_view,
    run_query,
)
from langgraph.checkpoint.kusto.local.kql.errors import KqlError
from langgraph.checkpoint.kusto.local.kql.interface import (
    Catalog,
    Column,
    FunctionDef,
    ResultTable,
    TableSource,
    ViewDef,
)
from langgraph.checkpoint.kusto.local.kql.parameters import parse_literal

__all__ = [
    "Catalog",
    "Column",
    "FunctionDef",
    "KqlError",
    "ResultTable",
    "TableSource",
    "ViewDef",
    "check_function",
    "check_query",
    "check_view",
    "parse_literal",
    "run_query",
]
