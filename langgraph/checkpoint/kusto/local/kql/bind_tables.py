"""Binding of tabular expressions: sources, names that mean tables, pipelines.

Operators bind themselves (`operators`); this file finds the source and walks the pipe.
"""

from __future__ import annotations

from dataclasses import replace

from langgraph.checkpoint.kusto.local.kql import nodes, operator_nodes, types
from langgraph.checkpoint.kusto.local.kql.bind_functions import (
    bind_table_function,
    is_table_function,
)
from langgraph.checkpoint.kusto.local.kql.coerce import assignable, convert
from langgraph.checkpoint.kusto.local.kql.errors import (
    misplaced_materialize,
    semantic_error,
    unknown_function,
    unresolved_table,
    wrong_argument_count,
)
from langgraph.checkpoint.kusto.local.kql.functions import is_builtin
from langgraph.checkpoint.kusto.local.kql.interface import Column
from langgraph.checkpoint.kusto.local.kql.literals import parse_literal
from langgraph.checkpoint.kusto.local.kql.names import NameTable, explicit_name
from langgraph.checkpoint.kusto.local.kql.operators import bind_operator, bind_union
from langgraph.checkpoint.kusto.local.kql.parser import parse_query
from langgraph.checkpoint.kusto.local.kql.plan import Constant, Plan, Scan
from langgraph.checkpoint.kusto.local.kql.ranges import Range
from langgraph.checkpoint.kusto.local.kql.scalar import Scalar, literal
from langgraph.checkpoint.kusto.local.kql.scope import (
    FunctionVariable,
    ScalarVariable,
    Scope,
    SharedTable,
    TabularVariable,
)
from langgraph.checkpoint.kusto.local.kql.values import missing_value

_TABLE_CALLS = frozenset({"materialize", "table", "materialized_view"})


def is_tabular(node: nodes.Expression, scope: Scope) -> bool:
    """Whether an expression gives a table; columns hide variables, variables hide tables."""
    match node:
        case nodes.Pipe() | nodes.Datatable() | nodes.Print() | nodes.RangeSource():
            return True
        case nodes.Union():
            return True
        case nodes.Name():
            return _name_is_tabular(node.name, scope)
        case nodes.Call():
            if scope.function(node.name) is not None:
                return is_table_function(node, scope)
            return node.name in _TABLE_CALLS
        case nodes.Member() | nodes.MemberCall():
            return isinstance(node.base, nodes.Call) and node.base.name == "database"
        case _:
            return False


def _name_is_tabular(name: str, scope: Scope) -> bool:
    if scope.position(name) is not None:
        return False
    variable = scope.variables.get(name)
    if variable is not None and not isinstance(variable, FunctionVariable):
        return not isinstance(variable, ScalarVariable)
    if scope.function(name) is not None:
        return is_table_function(nodes.Call(name, ()), scope)
    return scope.catalog.table(name) is not None or scope.view(name) is not None


def bind_table(node: nodes.Expression, scope: Scope) -> Plan:
    """Bind an expression that gives a table.

    Raises:
        KqlError: A name is unknown, types do not fit, or the expression is a scalar.
    """
    match node:
        case nodes.Pipe():
            return _bind_pipe(node, scope)
        case nodes.Name():
            return _bind_name(node.name, scope)
        case nodes.Call():
            return _bind_call(node, scope)
        case nodes.Datatable():
            return _bind_datatable(node, scope)
        case nodes.Print():
            return _bind_print(node, scope)
        case nodes.RangeSource():
            return _bind_range(node, scope)
        case nodes.Union():
            return bind_union(None, node, scope)
        case nodes.Member():
            _check_database(node.base, scope)
            return _bind_name(node.name, replace(scope, variables={}))
        case nodes.MemberCall():
            _check_database(node.base, scope)
            return bind_table_function(node.call, replace(scope, variables={}))
        case _:
            raise semantic_error("SEM0219", "A tabular expression is expected here.")


# ---------------------------------------------------------------- names


def _bind_name(name: str, scope: Scope) -> Plan:
    variable = scope.variables.get(name)
    if isinstance(variable, SharedTable):
        return variable.plan
    if isinstance(variable, TabularVariable):
        return bind_table(variable.expression, variable.scope)
    if isinstance(variable, ScalarVariable):
        raise semantic_error("SEM0219", f"'{name}' is a scalar; a table is expected here.")
    if scope.function(name) is not None:
        return bind_table_function(nodes.Call(name, ()), scope)
    return bind_stored_table(name, scope)


def bind_stored_table(name: str, scope: Scope) -> Plan:
    """Bind a table or a materialized view of the database."""
    table = scope.catalog.table(name)
    if table is not None:
        return Scan(name, tuple(table.columns), scope.with_ingestion_time)
    return bind_view(name, scope)


def bind_view(name: str, scope: Scope) -> Plan:
    """Bind a materialized view: its query over the source, so it is always fresh."""
    view = scope.view(name)
    if view is None:
        raise unresolved_table(scope.operator or "table", name)
    statements = parse_query(view.query)
    expression = statements[-1]
    if len(statements) != 1 or not isinstance(expression, nodes.Query):
        raise semantic_error("SEM0100", f"The materialized view '{name}' is not one query.")
    inner = replace(scope.outside(), variables={}, operator="", with_ingestion_time=False)
    return bind_table(expression.expression, inner)


def _check_database(base: nodes.Expression, scope: Scope) -> None:
    if not isinstance(base, nodes.Call) or base.name != "database" or len(base.arguments) > 1:
        raise semantic_error("SEM0219", "A tabular expression is expected here.")
    if not base.arguments:
        return
    name = scope.binder.scalar(base.arguments[0], scope)
    if not name.is_literal or name.type != "string":
        raise semantic_error("KS131", "The expression must be a literal.")
    if name.value.lower() not in (scope.catalog.database.lower(), ""):
        raise semantic_error(
            "SEM0100", f"'database': Failed to resolve a database named '{name.value}'"
        )


# ---------------------------------------------------------------- calls


def _bind_call(node: nodes.Call, scope: Scope) -> Plan:
    if scope.function(node.name) is not None:
        return bind_table_function(node, scope)
    if node.name == "materialize":
        raise misplaced_materialize()
    if node.name in ("table", "materialized_view"):
        return _bind_by_text(node, scope)
    if is_builtin(node.name):
        raise semantic_error("SEM0219", f"'{node.name}' gives a scalar; a table is expected here.")
    raise unknown_function(node.name)


def _bind_by_text(node: nodes.Call, scope: Scope) -> Plan:
    if not 1 <= len(node.arguments) <= 2:
        raise wrong_argument_count(node.name, 1, 2)
    name = scope.binder.scalar(node.arguments[0], scope)
    if not name.is_literal or name.type != "string":
        raise semantic_error("KS131", "The expression must be a literal.")
    if node.name == "materialized_view":
        if scope.view(name.value) is None:
            raise semantic_error(
                "KS210",
                f"The name '{name.value}' does not refer to any known materialized view.",
            )
        return bind_view(name.value, scope)
    return bind_stored_table(name.value, scope)


# ---------------------------------------------------------------- sources


def _bind_datatable(node: nodes.Datatable, scope: Scope) -> Plan:
    columns = tuple(Column(column.name, column.type) for column in node.columns)
    cells = [scope.binder.scalar(value, scope) for value in node.values]
    if len(cells) % len(columns):
        raise semantic_error(
            "SEM0016", "datatable: the number of values is no multiple of the number of columns."
        )
    rows = []
    for at in range(0, len(cells), len(columns)):
        pairs = zip(cells[at : at + len(columns)], columns, strict=True)
        rows.append([_cell(cell, column) for cell, column in pairs])
    return Constant(columns, rows)


def _cell(cell: Scalar, column: Column) -> Scalar:
    """A value of a datatable: a constant, brought into the column's type."""
    if not cell.is_literal and not cell.fixed:
        raise semantic_error("KS129", "The expression must be a constant.")
    if cell.type == column.type:
        return cell
    if column.type == "dynamic" and cell.is_literal:
        return literal(cell.value, "dynamic")
    if cell.is_literal and cell.value is None:
        return literal(missing_value(column.type), column.type)
    if assignable(cell, column.type):
        return convert(cell, column.type)
    if cell.is_literal and cell.type == "string":
        return literal(parse_literal(cell.value, column.type), column.type)
    if cell.is_literal and cell.type in types.INTEGERS and column.type == "bool":
        return literal(bool(cell.value), "bool")
    raise semantic_error("KS107", f"A value of type {column.type} expected.")


def _bind_print(node: nodes.Print, scope: Scope) -> Plan:
    names = NameTable()
    inner = replace(scope.outside(), operator="print")
    columns, cells = [], []
    for at, expression in enumerate(node.expressions):
        explicit, body = explicit_name(expression)
        cell = scope.binder.scalar(body, inner)
        name = names.given(explicit) if explicit else names.derived(f"print_{at}")
        columns.append(Column(name, cell.type))
        cells.append(cell)
    return Constant(tuple(columns), [cells])


def _bind_range(node: nodes.RangeSource, scope: Scope) -> Plan:
    inner = replace(scope.outside(), operator="range")
    start, stop, step = (
        scope.binder.scalar(part, inner) for part in (node.start, node.stop, node.step)
    )
    return Range(node.name, start, stop, step)


# ---------------------------------------------------------------- pipelines


def _bind_pipe(node: nodes.Pipe, scope: Scope) -> Plan:
    plan = bind_table(node.source, scope)
    for at, operator in enumerate(node.operators):
        if isinstance(operator, operator_nodes.As):
            scope = scope.declaring(operator.name, prefix_variable(node, at, scope))
        elif isinstance(operator, operator_nodes.Invoke):
            plan = _bind_invoke(node, at, operator, scope)
        else:
            plan = bind_operator(plan, operator, scope)
    return plan


def prefix_variable(node: nodes.Pipe, end: int, scope: Scope) -> TabularVariable:
    """A variable for what a pipeline gives before its operator number `end`."""
    return TabularVariable(nodes.Pipe(node.source, node.operators[:end]), scope)


def _bind_invoke(node: nodes.Pipe, at: int, operator: operator_nodes.Invoke, scope: Scope) -> Plan:
    source = nodes.Pipe(node.source, node.operators[:at])
    call = nodes.Call(operator.call.name, (source, *operator.call.arguments))
    return bind_table_function(call, scope)
