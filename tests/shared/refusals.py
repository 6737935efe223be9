"""Asserting that something is refused: the very class of the error, and what its message says."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest

from langgraph.checkpoint.kusto import errors


def check_refusal(found: errors.KustoCheckpointError, name: str, *parts: str) -> None:
    """The class itself, not one above it, and every part of the message."""
    assert type(found).__name__ == name, f"{type(found).__name__}: {found}"
    assert type(found) is getattr(errors, name)
    message = str(found)
    for part in parts:
        assert part in message, f"{part!r} is not in {message!r}"


async def refused(
    call: Awaitable[Any], name: str, *parts: str, retriable: bool = False
) -> errors.KustoCheckpointError:
    """Await a call that must raise this error of ours."""
    with pytest.raises(errors.KustoCheckpointError) as caught:
        await call
    check_refusal(caught.value, name, *parts)
    assert caught.value.retriable is retriable
    return caught.value
