"""Large states: put and read back, and one that grows a little with each step."""

from __future__ import annotations

import hashlib
import random
from typing import Any

from .bench import Bench
from .chats import checkpoint_of
from .meter import highest_bytes, resident_bytes

_MB = 1_000_000
_GROWTH_BYTES = 500


def _noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


async def _put(bench: Bench, config: Any, value: bytes, version: Any) -> Any:
    versions = {"value": version}
    body = checkpoint_of({"value": value}, versions, {}, ["value"])
    metadata = {"source": "loop", "step": 0, "parents": {}}
    return await bench.meter.timed("put", bench.saver.aput(config, body, metadata, versions))


async def prepare_large(bench: Bench, *, megabytes: int, repeat: int) -> tuple[int, int]:
    """Nothing: a state is made when it is put, because it is part of what a client needs."""
    return megabytes * _MB, repeat


async def run_large(bench: Bench, prepared: tuple[int, int]) -> None:
    """Put a state, let go of it, read it back; notes the most that a client grew by, in states."""
    size, repeat = prepared
    before = resident_bytes()
    for number in range(repeat):
        place = bench.thread(f"large {number}")
        value = _noise(size, number)
        digest = hashlib.blake2b(value).digest()
        version = bench.saver.get_next_version(None, None)
        await _put(bench, place, value, version)
        del value
        found = await bench.meter.timed("get_tuple", bench.saver.aget_tuple(place))
        if hashlib.blake2b(found.checkpoint["channel_values"]["value"]).digest() != digest:
            raise ValueError(f"another value in {place}")
        del found
    bench.notes["peak_states"] = (highest_bytes() - before) / size


async def prepare_growing(bench: Bench, *, megabytes: int, steps: int) -> Any:
    """Put the first state, which is whole in any case."""
    value = _noise(megabytes * _MB, 1)
    config = bench.thread("growing")
    version = bench.saver.get_next_version(None, None)
    config = await _put(bench, config, value, version)
    return config, value, version, steps


async def run_growing(bench: Bench, prepared: Any) -> None:
    """Put what grew a little; notes the bytes ingested for each of these steps."""
    config, value, version, steps = prepared
    before = bench.ingested_bytes()
    for number in range(steps):
        value += _noise(_GROWTH_BYTES, 1_000 + number)
        version = bench.saver.get_next_version(version, None)
        config = await _put(bench, config, value, version)
    after = bench.ingested_bytes()
    if before is not None and after is not None:
        bench.notes["ingested_bytes_per_step"] = (after - before) / steps
    place = bench.thread("growing")
    found = await bench.meter.timed("get_tuple", bench.saver.aget_tuple(place))
    if found.checkpoint["channel_values"]["value"] != value:
        raise ValueError("another value than the last that was put")
