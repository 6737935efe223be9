"""The engine's entries: run a query, check a query, a stored function or a view.

Bound texts are kept and used again for every catalog of the same `version`: a host makes a
catalog for each request, and binding costs more than running.
"""

from __future__ import annotations

import random
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from langgraph.checkpoint.kusto.local.kql import nodes, operator_nodes
from langgraph.checkpoint.kusto.local.kql.bind_functions import (
    check_defaults,
    last_expression,
)
from langgraph.checkpoint.kusto.local.kql.errors import (
    semantic_error,
    too_complex,
    unresolved_table,
)
from langgraph.checkpoint.kusto.local.kql.feed import Feed
from langgraph.checkpoint.kusto.local.kql.interface import (
    Catalog,
    Column,
    Columns,
    FunctionDef,
    ResultTable,
    ViewDef,
)
from langgraph.checkpoint.kusto.local.kql.parser import parse_function, parse_query
from langgraph.checkpoint.kusto.local.kql.run import Run
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar
from langgraph.checkpoint.kusto.local.kql.scope import (
    FunctionVariable,
    ScalarVariable,
    SharedTable,
    Variable,
)
from langgraph.checkpoint.kusto.local.kql.statements import (
    Program,
    bind_program,
    root_scope,
    shown,
)

P = ParamSpec("P")
T = TypeVar("T")

_KEPT_PROGRAMS = 512

_VIEW_OPERATORS = (
    operator_nodes.Where,
    operator_nodes.Extend,
    operator_nodes.Project,
    operator_nodes.ProjectAway,
    operator_nodes.ProjectKeep,
    operator_nodes.ProjectRename,
    operator_nodes.ProjectReorder,
    operator_nodes.Parse,
    operator_nodes.MvExpand,
    operator_nodes.Summarize,
)
"""What may stand in the query of a materialized view."""

_kept: OrderedDict[tuple[Any, str], Program] = OrderedDict()
_lock = threading.Lock()


def _refuse_deep_nesting(entry: Callable[P, T]) -> Callable[P, T]:
    """Make a text that is nested beyond Python's stack an error of the text."""

    @wraps(entry)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return entry(*args, **kwargs)
        except RecursionError:
            raise too_complex() from None

    return guarded


@_refuse_deep_nesting
def run_query(
    text: str,
    parameters: Mapping[str, Any],
    catalog: Catalog,
    *,
    now_ticks: int,
    rng: random.Random | None = None,
) -> list[ResultTable]:
    """Run a batch of statements; one result for each tabular statement, in order.

    Args:
        text: The query.
        parameters: Query parameters as they were sent.
        catalog: The database.
        now_ticks: What `now()` is.
        rng: Decides everything Kusto leaves open; None leaves it to the order of the table.

    Raises:
        KqlError: The text is wrong, or a value made the query fail.
    """
    program = _program(text, catalog)
    run = Run(catalog, program.read(parameters), now_ticks, rng)
    return program.execute(run)


def _program(text: str, catalog: Catalog) -> Program:
    version = getattr(catalog, "version", None)
    if version is None:
        return bind_program(text, parse_query(text), catalog)
    key = (version, text)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    program = bind_program(text, parse_query(text), catalog)
    with _lock:
        _kept[key] = program
        if len(_kept) > _KEPT_PROGRAMS:
            _kept.popitem(last=False)
    return program


@_refuse_deep_nesting
def check_query(text: str, catalog: Catalog) -> tuple[Column, ...]:
    """Bind a text without running it; the columns of its last tabular statement."""
    return _program(text, catalog).statements[-1].columns


@_refuse_deep_nesting
def check_function(definition: FunctionDef, catalog: Catalog) -> tuple[Column, ...] | str:
    """Bind a stored function with values of its parameters' types.

    Returns:
        The columns of a function that gives a table, the type of one that gives a scalar.
    """
    function = parse_function(definition.parameters, definition.body)
    scope = root_scope(catalog, mentions_ingestion_time=False)
    check_defaults(FunctionVariable(function, scope))
    variables: dict[str, Variable] = {}
    for parameter in function.parameters:
        variables[parameter.name] = _placeholder(parameter)
    inner = replace(scope, variables=variables, calls=(definition.name,))
    body = last_expression(function.body, inner)
    if inner.binder.is_tabular(body.expression, body.scope):
        return shown(inner.binder.table(body.expression, body.scope).columns)
    return inner.binder.scalar(body.expression, body.scope).type


def _placeholder(parameter: nodes.Parameter) -> Variable:
    """A variable of the parameter's type; its value is never asked for."""
    if parameter.columns is not None:
        columns: Columns = tuple(Column(each.name, each.type) for each in parameter.columns)
        return SharedTable(Feed(columns))
    return ScalarVariable(Scalar(parameter.type, lambda row, run: None, fixed=True))


@_refuse_deep_nesting
def check_view(definition: ViewDef, catalog: Catalog) -> tuple[Column, ...]:
    """Bind a materialized view: one source table, one summarize, which comes last.

    Raises:
        KqlError: The query is no query of a materialized view, or is wrong in itself.
    """
    statements = parse_query(definition.query)
    last = statements[-1] if statements else None
    if not isinstance(last, nodes.Query) or not isinstance(last.expression, nodes.Pipe):
        raise _no_view("it must be one query over the source table")
    pipe = last.expression
    summaries = [each for each in pipe.operators if isinstance(each, operator_nodes.Summarize)]
    if len(summaries) != 1 or pipe.operators[-1] is not summaries[0]:
        raise _no_view("summarize must be in it once, as its last operator")
    if not isinstance(pipe.source, nodes.Name) or pipe.source.name != definition.source:
        raise _no_view(f"it must begin with its source table '{definition.source}'")
    if catalog.table(definition.source) is None:
        raise unresolved_table("materialized-view", definition.source)
    for operator in pipe.operators:
        if not isinstance(operator, _VIEW_OPERATORS):
            raise _no_view(f"the operator {type(operator).__name__} is not allowed in it")
    return bind_program(definition.query, statements, catalog).statements[-1].columns


def _no_view(why: str) -> Exception:
    return semantic_error("SEM0520", f"The query of a materialized view is not valid: {why}.")
