"""Patience: try again what is visible and not whole yet, with backoff, within a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ._assembly import MissingPartsError
from ._core import Core
from ._transport import understood
from .errors import IncompleteCheckpointError

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0

T = TypeVar("T")


async def until_whole(core: Core, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """Run `attempt` until nothing is missing.

    Raises:
        IncompleteCheckpointError: Something still was after `visibility_timeout`.
    """
    await core.begin_read()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + core.options.visibility_timeout
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            with understood():
                return await attempt()
        except MissingPartsError as missing:
            if loop.time() + pause > deadline:
                raise IncompleteCheckpointError(
                    f"{what} is visible but not whole after"
                    f" {core.options.visibility_timeout:g} s: {missing}; read it again later, or,"
                    " if its rows are older than the retention period, delete the thread"
                ) from missing
            core.stats.add("incomplete_reads")
            logger.info("reading %s again in %.2f s: %s", what, pause, missing)
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
