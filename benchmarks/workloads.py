"""The list of workloads: their sizes, and the savers each runs over.

`tiny` is for tests, `quick` for `make bench-quick`, `full` for `make bench`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import chats, cold, graphs, histories, states
from .bench import FULL, QUICK, TINY, Workload
from .savers import ALL, ALONE, DELAYED, KUSTO, LATENCY, MEMORY, POSTGRES, SYNC

_OURS_DELAYED = (KUSTO + LATENCY, SYNC + LATENCY)


def _sizes(full: Any, quick: Any, tiny: Any) -> dict[str, Mapping[str, Any]]:
    return {FULL: full, QUICK: quick, TINY: tiny}


def _chats(name: str, about: str, savers: tuple[str, ...], *sizes: Mapping[str, int]) -> Workload:
    return Workload(
        name,
        about,
        "operation",
        _sizes(*sizes),
        savers,
        chats.prepare,
        chats.run,
        full_only=() if name == "chat_100" else DELAYED if name == "chat_500" else DELAYED[-1:],
    )


def _graph(durability: str) -> Workload:
    return Workload(
        f"graph_{durability}",
        "real graphs at the same time, two supersteps a round",
        "superstep",
        _sizes(
            {"threads": 20, "rounds": 10, "durability": durability},
            {"threads": 20, "rounds": 5, "durability": durability},
            {"threads": 2, "rounds": 2, "durability": durability},
        ),
        # Once is enough to see that a slow Postgres makes one call after the other.
        (*ALL, *(DELAYED if durability == "sync" else _OURS_DELAYED)),
        graphs.prepare_loop,
        graphs.run_loop,
        full_only=DELAYED[-1:],
    )


def _large(megabytes: int, repeat: int) -> Workload:
    # The quick run keeps the largest, because a target is about it.
    few = {"megabytes": megabytes, "repeat": 1}
    return Workload(
        f"large_{megabytes}mb",
        "put and get of one value that does not compress",
        "operation",
        _sizes({"megabytes": megabytes, "repeat": repeat}, few, {"megabytes": 1, "repeat": 1}),
        (*ALL, *DELAYED),
        states.prepare_large,
        states.run_large,
    )


def _growing(megabytes: int) -> Workload:
    return Workload(
        f"growing_{megabytes}mb",
        "a value that grows by 500 bytes a step",
        "operation",
        _sizes(
            {"megabytes": megabytes, "steps": 5},
            {"megabytes": megabytes, "steps": 2},
            {"megabytes": 1, "steps": 2},
        ),
        (KUSTO, SYNC, *_OURS_DELAYED),
        states.prepare_growing,
        states.run_growing,
    )


_EVERYWHERE = (*ALL, *DELAYED, *ALONE)

_LISTED = [
    _chats(
        "chat_100",
        "one chat",
        _EVERYWHERE,
        {"chats": 1, "steps": 100},
        {"chats": 1, "steps": 40},
        {"chats": 1, "steps": 6},
    ),
    _chats(
        "chats_100",
        "100 chats at the same time",
        _EVERYWHERE,
        {"chats": 100, "steps": 20},
        {"chats": 100, "steps": 10},
        {"chats": 4, "steps": 6},
    ),
    _chats(
        "chats_500",
        "500 chats at the same time",
        # A slow Postgres would take half an hour: its saver makes one call after the other.
        (*ALL, *(name for name in DELAYED if name != POSTGRES + LATENCY), *ALONE),
        {"chats": 500, "steps": 20},
        {"chats": 500, "steps": 5},
        {"chats": 6, "steps": 6},
    ),
    _chats(
        "chat_500",
        "one long chat",
        _EVERYWHERE,
        {"chats": 1, "steps": 500},
        {"chats": 1, "steps": 200},
        {"chats": 1, "steps": 11},
    ),
    *map(_graph, ("sync", "async", "exit")),
    Workload(
        "fan_out",
        "parallel tasks in a superstep of a real graph",
        "task",
        _sizes(
            {"tasks": 200, "repeat": 10}, {"tasks": 200, "repeat": 2}, {"tasks": 5, "repeat": 1}
        ),
        (*ALL, *DELAYED),
        graphs.prepare_fan_out,
        graphs.run_fan_out,
        full_only=DELAYED[-1:],
    ),
    _large(1, 20),
    _large(10, 5),
    _large(100, 1),
    *map(_growing, (1, 8, 50)),
    Workload(
        "list",
        "listing the checkpoints of a thread, and of one with a tenth of them",
        "checkpoint",
        _sizes({"checkpoints": 10_000}, {"checkpoints": 1_000}, {"checkpoints": 25}),
        (*ALL, *_OURS_DELAYED),
        histories.prepare_list,
        histories.run_list,
    ),
    Workload(
        "delta_history",
        "the history of a delta channel",
        "read",
        _sizes(
            {"steps": 1_000, "repeat": 10}, {"steps": 200, "repeat": 3}, {"steps": 8, "repeat": 1}
        ),
        ALL,  # to write it with latency would take minutes; to read it is two requests
        histories.prepare_delta,
        histories.run_delta,
    ),
    Workload(
        "cold_start",
        "from the start of a process to the first checkpoint read",
        "start",
        _sizes({"steps": 5}, {"steps": 5}, {"steps": 5}),
        (*(name for name in ALL if name != MEMORY), *DELAYED),
        cold.prepare,
        cold.run,
        cold=True,
    ),
]

WORKLOADS: Mapping[str, Workload] = {workload.name: workload for workload in _LISTED}

__all__ = ["WORKLOADS"]
