"""Two savers that are asked the same, and the exact comparison of what they answer.

No operation and no expectation stands here; `programs.py` and the tests have those.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from anyio.from_thread import BlockingPortal
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple

T = TypeVar("T")


@dataclass
class Answer:
    """What one saver answered: a value, or the error it raised."""

    value: Any = None
    error: BaseException | None = None


class Twins:
    """A Kusto saver and a Postgres saver, and the loop they live on."""

    def __init__(self, kusto: Any, postgres: Any, portal: BlockingPortal) -> None:
        self.kusto = kusto
        self.postgres = postgres
        self._portal = portal
        self._cases = 0
        self._threads: list[str] = []

    def with_kusto(self, saver: Any) -> Twins:
        """The same with another Kusto saver."""
        other = copy.copy(self)
        other.kusto = saver
        return other

    def new_case(self) -> str:
        """A text that no thread of the run begins with yet."""
        self._cases += 1
        return f"case-{self._cases}"

    def new_thread(self, suffix: str = "") -> str:
        """The id of a thread that `tidy` deletes."""
        self._threads.append(self.new_case() + suffix)
        return self._threads[-1]

    def tidy(self) -> None:
        """Delete the threads that `new_thread` named, as far as either saver takes the id."""
        for thread_id in self._threads:
            self.each(lambda saver, it=thread_id: saver.adelete_thread(it))
        self._threads.clear()

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run a coroutine on the loop of the savers."""
        return self._portal.call(work)

    def each(self, work: Callable[[Any], Awaitable[Any]]) -> tuple[Answer, Answer]:
        """Ask both the same, Kusto first; an error is an answer."""
        return self.run(lambda: self.ask(work))

    async def ask(self, work: Callable[[Any], Awaitable[Any]]) -> tuple[Answer, Answer]:
        """Ask both the same on their loop."""
        return await _answer(work, self.kusto), await _answer(work, self.postgres)

    async def both(self, work: Callable[[Any], Awaitable[Any]]) -> tuple[Any, Any]:
        """Do the same on both, on their loop; neither may raise."""
        return await work(self.kusto), await work(self.postgres)


async def _answer(work: Callable[[Any], Awaitable[Any]], saver: Any) -> Answer:
    try:
        return Answer(value=await work(saver))
    except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
        return Answer(error=error)


async def listed(saver: Any, config: RunnableConfig | None, **range_: Any) -> list[CheckpointTuple]:
    """Everything a list gives."""
    return [item async for item in saver.alist(config, **range_)]


def exact(value: Any) -> Any:
    """A form in which equal means: same types, same values, all the way down; NaN equals NaN."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return (type(value).__qualname__, [exact(item) for item in value])
    if isinstance(value, Mapping):
        items = [(exact(key), exact(item)) for key, item in value.items()]
        return (type(value).__name__, sorted(items, key=repr))
    if isinstance(value, list | tuple):
        return (type(value).__name__, [exact(item) for item in value])
    if isinstance(value, set | frozenset):
        return (type(value).__name__, sorted((exact(item) for item in value), key=repr))
    return (type(value).__name__, repr(value))


def visible(found: CheckpointTuple | None) -> Any:
    """All that a caller can see of a checkpoint."""
    if found is None:
        return None
    return {
        "config": exact(found.config),
        "parent": exact(found.parent_config),
        "metadata": exact(found.metadata),
        "checkpoint": exact(found.checkpoint),
        "writes": [exact(write) for write in found.pending_writes or ()],
    }
