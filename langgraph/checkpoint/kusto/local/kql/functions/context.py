"""Functions of the moment and the place: `now`, `ago`, `rand`, `new_guid`, `ingestion_time`."""

from __future__ import annotations

from dataclasses import replace

from langgraph.checkpoint.kusto.local.kql import nodes
from langgraph.checkpoint.kusto.local.kql.errors import unsupported, wrong_argument_count
from langgraph.checkpoint.kusto.local.kql.functions.registry import (
    Special,
    context_function,
    special,
)
from langgraph.checkpoint.kusto.local.kql.plan import INGESTION_TIME
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar, column
from langgraph.checkpoint.kusto.local.kql.scope import Scope
from langgraph.checkpoint.kusto.local.kql.values import valid_ticks


@context_function("now(offset?: timespan) -> datetime")
def _now(run: Run, offset: int | None = 0) -> int | None:
    """The moment the query began, the same throughout the query."""
    return None if offset is None else valid_ticks(run.now + offset)


@context_function("ago(offset: timespan) -> datetime")
def _ago(run: Run, offset: int | None) -> int | None:
    return None if offset is None else valid_ticks(run.now - offset)


@context_function("rand(limit?: integer) -> real")
def _rand(run: Run, limit: int | None = None) -> float:
    """A number from 0 up to 1, or a whole number from 0 up to the limit."""
    if limit is None or limit < 1:
        return run.chance()
    return float(int(run.chance() * limit))


@context_function("new_guid() -> guid")
def _new_guid(run: Run) -> str:
    return run.guid()


@context_function("current_database() -> string")
def _current_database(run: Run) -> str:
    return run.catalog.database


@special("ingestion_time")
def _ingestion_time(node: nodes.Call, scope: Scope) -> Scalar:
    if node.arguments:
        raise wrong_argument_count("ingestion_time", 0, 0)
    for at, each in enumerate(scope.columns or ()):
        if each.name == INGESTION_TIME:
            return replace(column(at, "datetime", ""), column=None, name="$IngestionTime")
    # Behind a summarize, join or project the rows have no ingestion time of their own.
    return Scalar("datetime", lambda row, run: None, fixed=True, name="$IngestionTime")


def _refuse(remedy: str) -> Special:
    def bind(node: nodes.Call, scope: Scope) -> Scalar:
        raise unsupported(f"the function '{node.name}'", remedy)

    return bind


special("cursor_after", "cursor_before_or_at", "cursor_current", "current_cursor")(
    _refuse("filter by ingestion_time()")
)
special("extent_id", "extentid", "extent_tags", "row_id")(
    _refuse("there are no extents; use a column of your own")
)
special("current_principal", "current_principal_details", "current_principal_is_member_of")(
    _refuse("there are no principals")
)
