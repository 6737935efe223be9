"""LangGraph checkpoints in Kusto: Azure Data Explorer, Fabric Eventhouse, free clusters.

Public names only, imported when first used: `import langgraph.checkpoint.kusto` alone loads neither
Azure's SDK nor LangGraph.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._forks import Fork
    from ._pruning import ThreadPrune
    from ._serde import ExactSerializer
    from ._transport import Transport
    from .aio import AsyncKustoSaver
    from .errors import KustoCheckpointError
    from .options import SaverOptions
    from .sync import KustoSaver

__version__ = "0.1.0"

__all__ = [
    "AsyncKustoSaver",
    "ExactSerializer",
    "Fork",
    "KustoCheckpointError",
    "KustoSaver",
    "SaverOptions",
    "ThreadPrune",
    "Transport",
    "__version__",
]

_PLACES = {
    "AsyncKustoSaver": "aio",
    "ExactSerializer": "_serde",
    "Fork": "_forks",
    "KustoCheckpointError": "errors",
    "KustoSaver": "sync",
    "SaverOptions": "options",
    "ThreadPrune": "_pruning",
    "Transport": "_transport",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
