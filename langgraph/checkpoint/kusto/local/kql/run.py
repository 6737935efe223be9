"""What one execution of a bound query carries: parameters, the moment, chance, memory.

A bound query is kept and used many times, also at once by several threads; everything that
differs between two executions is here and nowhere else.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from langgraph.checkpoint.kusto.local.kql.interface import Catalog, Row

T = TypeVar("T")


class Run:
    """One execution.

    With `rng`, everything Kusto leaves open is decided by it: the order of rows, ties, which
    row `take_any` takes. Without it the order of the table decides.
    """

    __slots__ = ("catalog", "memory", "now", "parameters", "rng")

    def __init__(
        self,
        catalog: Catalog,
        parameters: Mapping[str, Any],
        now: int,
        rng: random.Random | None,
    ) -> None:
        self.catalog = catalog
        self.parameters = parameters
        self.now = now
        self.rng = rng
        self.memory: dict[object, Any] = {}

    def once(self, key: object, make: Callable[[], T]) -> T:
        """Return what `make` returned the first time it was asked for under `key`."""
        try:
            kept: T = self.memory[key]
        except KeyError:
            kept = self.memory[key] = make()
        return kept

    def fixed(self, make: Callable[[], T]) -> T:
        """Return what `make` returns, and let a host that has moments know: see `Catalog`."""
        fixing = getattr(self.catalog, "fixing", None)
        if fixing is None:
            return make()
        with fixing():
            return make()

    def unordered(self, rows: list[Row]) -> list[Row]:
        """Rows in an order nobody may rely on; the list is changed in place."""
        if self.rng is not None:
            self.rng.shuffle(rows)
        return rows

    def chance(self) -> float:
        """A number from 0 up to 1."""
        return random.random() if self.rng is None else self.rng.random()

    def guid(self) -> str:
        """A new guid."""
        if self.rng is None:
            return str(uuid.uuid4())
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
