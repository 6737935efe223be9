"""The process that forks local servers: `python -m crash.servers`.

Each child is the local server's own command line. Beside that it notes in a file which fault met a
request: a server that is killed can be asked nothing any more. No test stands here.
"""

from __future__ import annotations

import os
from typing import Any

from langgraph.checkpoint.kusto.local import (
    LocalKusto,  # noqa: F401 - all of the server is imported before the first fork
)
from langgraph.checkpoint.kusto.local import __main__ as command_line
from langgraph.checkpoint.kusto.local.faults import Fault, Faults

from .forks import Order, serve


def note_faults(path: str, names: list[str]) -> None:
    """Write the name of a fault into a file whenever a request meets it."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    really_add, really_met = Faults.add, Fault.met
    named: dict[int, bytes] = {}

    def add(self: Faults, action: str, **settings: Any) -> Fault:
        fault = really_add(self, action, **settings)
        named[id(fault)] = names[len(named)].encode() + b"\n"
        return fault

    def met(self: Fault) -> None:
        really_met(self)
        os.write(file, named[id(self)])

    Faults.add, Fault.met = add, met  # type: ignore[method-assign]


def run(order: Order) -> None:
    """Be a server."""
    note_faults(order["hits"], [name for name, _ in order["faults"]])
    options = [word for _, spec in order["faults"] for word in ("--fault", spec)]
    raise SystemExit(command_line.main([*order["arguments"], *options]))


if __name__ == "__main__":
    serve(run)
