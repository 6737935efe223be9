"""Long histories: listing many checkpoints, and rebuilding a delta channel from its writes."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from langgraph.checkpoint.serde.types import _DeltaSnapshot

from .bench import Bench
from .chats import checkpoint_of
from .meter import highest_bytes, resident_bytes

_AT_A_TIME = 100


async def prepare_list(bench: Bench, *, checkpoints: int) -> tuple[int, int]:
    """Put the checkpoints of one thread, and of another a tenth of them."""
    few = max(checkpoints // 10, 1)
    for count in (few, checkpoints):
        await _put_many(bench, count)
    return few, checkpoints


async def _put_many(bench: Bench, count: int) -> None:
    """Put so many checkpoints, each the child of the one before."""
    place = bench.thread(f"listed {count}")
    config, puts = place, []
    for number in range(count):
        versions = {"turn": f"{number + 1:032}.0"}
        body = checkpoint_of({"turn": number, "note": "small"}, versions, {}, ["turn"])
        metadata = {"source": "loop", "step": number, "parents": {}}
        puts.append(partial(bench.saver.aput, config, body, metadata, versions))
        config = {"configurable": {**place["configurable"], "checkpoint_id": body["id"]}}
    await puts[0]()  # it starts the thread; the others inherit from it
    for start in range(1, count, _AT_A_TIME):
        await bench.driver.together(puts[start : start + _AT_A_TIME])


async def run_list(bench: Bench, prepared: tuple[int, int]) -> None:
    """List the few, then all, holding one at a time; notes what the client grew by until then."""
    few, checkpoints = prepared
    resident = resident_bytes()
    for count, name in ((few, "few"), (checkpoints, "all")):
        queries = bench.queries()
        began = time.perf_counter()
        expected = count - 1
        async for found in bench.saver.alist(bench.thread(f"listed {count}")):
            if expected == count - 1:
                bench.meter.note(f"first of {name}", time.perf_counter() - began)
                if queries is not None:
                    bench.notes["queries_before_first"] = (bench.queries() or 0) - queries
            if found.checkpoint["channel_values"]["turn"] != expected:
                raise ValueError(f"{found.checkpoint['channel_values']} is not number {expected}")
            expected -= 1
        if expected != -1:
            raise ValueError(f"{expected + 1} checkpoints were not listed")
        bench.meter.note(name, time.perf_counter() - began)
        bench.notes[f"growth_bytes_{name}"] = highest_bytes() - resident
    bench.meter.add_units(few + checkpoints)


async def prepare_delta(bench: Bench, *, steps: int, repeat: int) -> tuple[Any, int, int]:
    """Write a thread whose delta channel has its value in the first checkpoint only."""
    config: Any = bench.thread("delta")
    for number in range(steps + 1):
        if number:
            writes = [("log", f"entry {number}")]
            await bench.saver.aput_writes(config, writes, f"task {number:06}", "~a")
        values = {} if number else {"log": _DeltaSnapshot(["begin"])}
        versions = {"log": f"{number + 1:032}.0"}
        body = checkpoint_of(values, versions, {}, ["log"])
        metadata = {
            "source": "loop",
            "step": number,
            "parents": {},
            "counters_since_delta_snapshot": {"log": [number, number]},
        }
        new = versions if number == 0 else {}
        config = await bench.saver.aput(config, body, metadata, new)
    return config, steps, repeat


async def run_delta(bench: Bench, prepared: tuple[Any, int, int]) -> None:
    """Read the history and compare every write."""
    config, steps, repeat = prepared
    expected = [f"entry {number}" for number in range(1, steps + 1)]
    for _ in range(repeat):
        work = bench.saver.aget_delta_channel_history(config=config, channels=["log"])
        found = (await bench.meter.timed("history", work))["log"]
        if [write[2] for write in found["writes"]] != expected:
            raise ValueError(f"{len(found['writes'])} other writes")
