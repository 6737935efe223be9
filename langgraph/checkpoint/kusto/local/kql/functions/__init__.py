"""The built-in scalar functions, by family; importing this package declares all of them."""

from __future__ import annotations

from langgraph.checkpoint.kusto.local.kql.functions import (
    arrays,
    bags,
    context,
    conversion,
    datetimes,
    encoding,
    hashing,
    logic,
    mathematics,
    strings,
    windows,
)
from langgraph.checkpoint.kusto.local.kql.functions.registry import (
    bind_builtin,
    is_builtin,
    names,
    require_known,
)
from langgraph.checkpoint.kusto.local.kql.functions.unsupported import check_known

__all__ = [
    "arrays",
    "bags",
    "bind_builtin",
    "check_known",
    "context",
    "conversion",
    "datetimes",
    "encoding",
    "hashing",
    "is_builtin",
    "logic",
    "mathematics",
    "names",
    "require_known",
    "strings",
    "windows",
]
