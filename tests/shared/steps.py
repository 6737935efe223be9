"""Cancelling a coroutine at one await point after the other, and what a saver at rest looks like.

No test stands here.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import langgraph.checkpoint.kusto as package
from langgraph.checkpoint.kusto._core import Core

_HOME = str(Path(package.__file__).parent)


async def cancelled_at(
    step: int, work: Callable[[], Coroutine[Any, Any, Any]], *, answered: bool
) -> bool:
    """Run work as a task and cancel it where it awaits for the `step`-th time.

    Args:
        step: Which await, from 1.
        work: What to run.
        answered: Cancel when what it awaits is done, just before it hears so; else at once.

    Returns:
        Whether it was cancelled; False when it ended before.
    """
    task = asyncio.ensure_future(_counting(work(), step, answered))
    try:
        await task
    except asyncio.CancelledError:
        return True
    assert not task.cancelled()
    return False


async def _counting(work: Coroutine[Any, Any, Any], step: int, answered: bool) -> None:
    await _stepping(work, step, answered)


@types.coroutine
def _stepping(
    work: Coroutine[Any, Any, Any], step: int, answered: bool
) -> Generator[Any, None, None]:
    task: asyncio.Task[Any] | None = asyncio.current_task()
    assert task is not None
    left = step
    resume: Callable[[], Any] = lambda: work.send(None)  # noqa: E731 - replaced at each step
    while True:
        try:
            waits_for = resume()
        except StopIteration:
            return
        left -= 1
        if left == 0 and answered and waits_for is not None:
            # Registered before the task's own wake-up, hence called before it.
            waits_for.add_done_callback(lambda _: task.cancel())
        elif left == 0:
            task.cancel()
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001 - handed to the work, as a task would
            thrown = error
            resume = lambda: work.throw(thrown)  # noqa: B023, E731 - called before the next one
        else:
            resume = lambda: work.send(None)  # noqa: E731


def ours(task: asyncio.Task[Any]) -> bool:
    """Whether a task runs a coroutine of the library."""
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and code.co_filename.startswith(_HOME)


async def held_by(saver: Any) -> dict[str, Any]:
    """What a saver that was flushed still holds; all of it is nothing."""

    async def look(core: Core) -> dict[str, Any]:
        for _ in range(5):  # callbacks of tasks that just ended
            await asyncio.sleep(0)
        tasks = {task for task in asyncio.all_tasks() if ours(task)} - {asyncio.current_task()}
        commits, writer = core._commits, core._writer
        return {
            "intake": commits._intake.size_bytes,
            "waiting": len(commits._intake._waiters),
            "running": len(commits._running),
            "requests": writer.in_flight,
            "rows": writer.waiting_rows,
            "hurries": writer._urgent,
            "blobs": len(core._blob_answers),
            "queries": core.options.max_queries - core._queries._slots._value,
            "reads": len(core._queries._gathering),
            "confirming": commits._confirming.locked(),
            "tasks": sorted(str(task.get_coro()) for task in tasks),
        }

    found: dict[str, Any] = await saver._home.run(look)
    return {name: value for name, value in found.items() if value}
