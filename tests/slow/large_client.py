"""A client process that puts or gets one large state and prints what it took, as JSON.

`python -m slow.large_client put URL DATABASE NAME`, or `get`. Growth is counted from the moment the
saver is connected: the state itself is part of it. Linux only (`/proc`).
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from shared.threads import config_of, new_checkpoint

from langgraph.checkpoint.kusto import AsyncKustoSaver, ExactSerializer

from .states import METADATA_BYTES, STATES, WRITES

_PAGE_BYTES = resource.getpagesize()


def resident() -> int:
    """Bytes resident now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


def highest() -> int:
    """The most bytes that were resident since `forget_highest`."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def forget_highest() -> None:
    """Let `highest` begin anew."""
    Path("/proc/self/clear_refs").write_text("5")


async def put(saver: AsyncKustoSaver, name: str) -> None:
    """Put a state; of the smallest in bytes, many pending writes and much metadata, too."""
    state = STATES[name]()
    checkpoint = new_checkpoint(state, checkpoint_id="1")
    metadata: Any = {"source": "loop", "step": 0}
    if name == "10,000 channels":
        metadata["note"] = "ü" * (METADATA_BYTES // 2)
    versions = checkpoint["channel_versions"]
    stored = await saver.aput(config_of(name), checkpoint, metadata, versions)
    if name == "10,000 channels":
        writes = [("channel 1", number) for number in range(WRITES)]
        await saver.aput_writes(stored, writes, "task")


async def get(saver: AsyncKustoSaver, name: str) -> None:
    """Get a state."""
    found = await saver.aget_tuple(config_of(name, "", "1"))
    assert found is not None
    print(json.dumps({"grown": highest() - _before}), flush=True)
    assert found.checkpoint["channel_values"] == STATES[name]()
    if name == "10,000 channels":
        assert found.metadata["note"] == "ü" * (METADATA_BYTES // 2)  # type: ignore[typeddict-item]
        assert found.pending_writes == [("task", "channel 1", number) for number in range(WRITES)]


_before = 0


async def main(what: str, url: str, database: str, name: str) -> None:
    """Do it and print the peak, the seconds, and the size of the state."""
    global _before
    async with AsyncKustoSaver(url, database, close_timeout=300.0) as saver:
        assert await saver.aget_tuple(config_of("nobody")) is None
        _before = resident()
        forget_highest()
        started = time.monotonic()
        await (put if what == "put" else get)(saver, name)
        if what == "put":
            print(json.dumps({"grown": highest() - _before}), flush=True)
        seconds = time.monotonic() - started
    serde = ExactSerializer()
    size = sum(len(serde.dumps_typed(value)[1]) for value in STATES[name]().values())
    print(json.dumps({"seconds": seconds, "bytes": size}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
