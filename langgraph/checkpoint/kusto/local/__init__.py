"""A local server that speaks Kusto's REST protocol, for development and tests.

`LocalKusto` runs it inside a program, `python -m langgraph.checkpoint.kusto.local` as a process of
its own. It shares no code with the checkpoint saver, on purpose: a stand-in that used the saver's
row codec would agree with its mistakes. Needs the extra `local` (aiohttp and lark).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import LocalKustoError
    from .faults import Fault, Faults
    from .server import LocalKusto
    from .traffic import RequestLog, RequestRecord

__all__ = ["Fault", "Faults", "LocalKusto", "LocalKustoError", "RequestLog", "RequestRecord"]

_HOMES = {
    "Fault": "faults",
    "Faults": "faults",
    "LocalKusto": "server",
    "LocalKustoError": "errors",
    "RequestLog": "traffic",
    "RequestRecord": "traffic",
}
INSTALL = 'pip install "langgraph-checkpoint-kusto[local]"'


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that a missing extra is named clearly."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    try:
        return getattr(import_module(f".{home}", __name__), name)
    except ModuleNotFoundError as error:
        if error.name not in ("aiohttp", "lark"):
            raise
        raise ModuleNotFoundError(
            f"The local Kusto server needs {error.name}: {INSTALL}", name=error.name
        ) from error


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
