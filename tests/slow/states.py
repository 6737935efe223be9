"""Large states, made anew from their name in each process, so that none has to be sent."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

State = dict[str, Any]

MB = 1_000_000


def _noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def _one_value() -> State:
    return {"value": _noise(200 * MB, 1)}


def _many_values() -> State:
    return {f"channel {number}": _noise(MB, number) for number in range(100)}


def _messages() -> State:
    """100 MB of text as chats have it, of which zstd leaves a third."""
    words = [_noise(random.Random(n).randint(2, 6), n).hex() for n in range(5_000)]
    choose = random.Random(7)
    texts = [" ".join(choose.choices(words, k=1_000)) for _ in range(100 * MB // 9_000)]
    return {"messages": [{"role": "user", "content": text, "n": n} for n, text in enumerate(texts)]}


def _channels() -> State:
    return {f"channel {number} {'x' * 50}": [number, str(number)] for number in range(10_000)}


STATES: dict[str, Callable[[], State]] = {
    "one value of 200 MB": _one_value,
    "100 values of 1 MB": _many_values,
    "100 MB of messages": _messages,
    "10,000 channels": _channels,
}

BOUNDED = ("one value of 200 MB", "100 values of 1 MB", "100 MB of messages")
"""States whose peak is held against `MOST`; in the others the bytes are not what takes room."""

MOST = 4.0
"""Resident growth of a client, divided by the serialised bytes of the state."""

WRITES = 100_000
METADATA_BYTES = 5 * MB
