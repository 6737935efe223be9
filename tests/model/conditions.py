"""Conditions a world may set: clocks that are wrong, pages of a few rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from langgraph.checkpoint.kusto import _assembly, _copying, _history, _kql, _listing, _reader
from langgraph.checkpoint.kusto._clock import TICKS_PER_SECOND, HybridClock


class WrongClock(HybridClock):
    """The clock of a saver on a machine whose own clock is wrong."""

    def __init__(self, minutes: int) -> None:
        super().__init__()
        self._ahead = minutes * 60 * TICKS_PER_SECOND

    def issue(self, now: int) -> int:
        return super().issue(now + self._ahead)

    def observe(self, ticks: int, now: int) -> bool:
        return super().observe(ticks, now + self._ahead)


@contextmanager
def small_pages(*, wanted: bool) -> Iterator[None]:
    """Let a few rows fill a page, where what one result may hold is counted in code."""
    with ExitStack() as stack:
        for module, name, value in _SMALL_PAGES if wanted else ():
            stack.enter_context(patch.object(module, name, value))
        yield


_SMALL_PAGES = [
    *((module, "RESULT_BYTES", 60_000) for module in (_assembly, _listing, _reader, _history)),
    *((module, "RESULT_ROWS", 4) for module in (_assembly, _listing, _reader, _history)),
    *((module, "GROUP_BYTES", 50_000) for module in (_listing, _copying)),
    *((module, "GROUP_ROWS", 3) for module in (_listing, _copying)),
    (_listing, "FIRST_GROUP_ROWS", 2),
    (_kql, "LIST_PAGE_ROWS", 3),
    (_kql.lists, "_LIST_TAIL", _kql.lists._LIST_TAIL.replace("take 200", "take 3")),
    (_kql, "HISTORY_CHANNELS", 2),
]
