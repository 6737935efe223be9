"""What a load needs of a cluster. Pure: a load, a cluster and what was measured in, figures out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from . import limits

Measured = Mapping[str, Any]
"""What `benchmarks.measured` wrote."""

_SECONDS_A_DAY = 86_400
SIZES = ((2, 2), (2, 4), (2, 8), (2, 16), (4, 16), (8, 16), (16, 16))
"""Clusters to choose from: nodes, cores of each."""


@dataclass(frozen=True)
class Load:
    """What agents do, at their peak."""

    chats_per_s: float = 1.0
    steps_per_chat: int = 20
    kb_per_step: float = 0.5
    read_every: float = 5.0
    mean_share: float = 1.0
    processes: int = 4
    max_in_flight: int = 8
    ingest_ms: float = 100.0
    query_ms: float = 50.0
    retention_days: int = 90
    hot_days: int = 30

    @property
    def steps_per_s(self) -> float:
        """Checkpoints put in a second."""
        return self.chats_per_s * self.steps_per_chat

    @property
    def reads_per_s(self) -> float:
        """Newest checkpoints read in a second."""
        return self.steps_per_s / self.read_every


@dataclass(frozen=True)
class Cluster:
    """Nodes, and the cores of each."""

    nodes: int = 2
    cores: int = 8

    @property
    def streams(self) -> float:
        """Streaming requests it takes at a time."""
        return limits.STREAMS_PER_CORE.value * self.nodes * self.cores

    @property
    def queries(self) -> float:
        """Queries it runs at a time; strong consistency plans all of them on one node."""
        return limits.QUERIES_PER_CORE.value * self.cores


@dataclass(frozen=True)
class Estimate:
    """What a load needs."""

    steps_per_s: float
    calls_per_s: float
    alone_requests_per_s: float
    """Ingest requests if no two calls shared one."""

    requests_per_s: float
    streams: float
    queries_per_s: float
    queries: float
    answer_mb_per_s: float
    gb_per_hour: Mapping[str, float]
    gb_per_million_steps: float
    packed_share: float
    """Of the bytes as sent, what gzip leaves: assumed of Kusto's own compression."""

    stored_gb: Mapping[str, float]
    hot_gb: Mapping[str, float]
    view_rows: float
    view_gb: float
    client_cores: float
    processes: int
    """Processes that the load needs, by CPU and by requests in flight."""

    databases: int
    cluster: Cluster | None
    """The smallest of `SIZES` that has room; None is that none of them has."""

    @property
    def table_gb_per_hour(self) -> float:
        """Into the busiest table of one of the databases."""
        return max(self.gb_per_hour.values()) / self.databases

    def packed_hot_gb(self, table: str) -> float:
        """The hot part of a table in each database, compressed as assumed."""
        return self.hot_gb[table] * self.packed_share / self.databases


def estimate(load: Load, measured: Measured) -> Estimate:
    """Compute what a load needs."""
    step = per_step(measured, load.steps_per_chat, load.kb_per_step * 1000)
    steps, sent = load.steps_per_s, step["bytes"]
    total = sum(sent.values())
    alone = steps * sum(step["requests"].values())
    requests = _requests(load, alone, steps * total)
    per_day = {
        table: steps * load.mean_share * each * _SECONDS_A_DAY for table, each in sent.items()
    }
    calls = 2 * steps + load.reads_per_s
    client_cores = calls * measured["client_us_per_call"] / 1e6
    rates = {table: steps * each * 3600 / 1e9 for table, each in sent.items()}
    streams = requests * load.ingest_ms / 1000
    queries = load.reads_per_s * step["queries_per_read"] * load.query_ms / 1000
    threads = load.chats_per_s * load.mean_share * _SECONDS_A_DAY * load.retention_days
    return Estimate(
        steps_per_s=steps,
        calls_per_s=calls,
        alone_requests_per_s=alone,
        requests_per_s=requests,
        streams=streams,
        queries_per_s=load.reads_per_s * step["queries_per_read"],
        queries=queries,
        answer_mb_per_s=load.reads_per_s * step["answer_bytes"] / 1e6,
        gb_per_hour=rates,
        gb_per_million_steps=total / 1000,
        packed_share=step["wire_bytes"] / total,
        stored_gb=_kept(per_day, load.retention_days, limits.SLACK_DAYS),
        hot_gb=_kept(per_day, load.hot_days, limits.SLACK_HOT_DAYS),
        view_rows=threads,
        view_gb=threads * step["view_row_bytes"] / 1e9,
        client_cores=client_cores,
        processes=_processes(load, client_cores, steps * total),
        databases=math.ceil(max(rates.values()) / limits.TABLE_GB_PER_HOUR.value),
        cluster=smallest(streams, queries),
    )


def _requests(load: Load, alone: float, bytes_per_s: float) -> float:
    """Ingest requests a second of all processes.

    While a saver has a slot free each call leaves at once. When `max_in_flight` requests are under
    way, calls share the next one: then there are as many as the answers let it send. A request
    holds 4 MiB.
    """
    shared = load.processes * load.max_in_flight / (load.ingest_ms / 1000)
    return max(min(alone, shared), bytes_per_s / limits.REQUEST_BYTES.value)


def _processes(load: Load, client_cores: float, bytes_per_s: float) -> int:
    """How many processes the calls take: of one core each, and of so many requests in flight."""
    by_cpu = client_cores / limits.HEADROOM
    full = bytes_per_s / limits.REQUEST_BYTES.value * load.ingest_ms / 1000
    return max(math.ceil(by_cpu), math.ceil(full / load.max_in_flight), 1)


def _kept(per_day: Mapping[str, float], days: int, slack: Mapping[str, int]) -> dict[str, float]:
    return {table: each * (days + slack[table]) / 1e9 for table, each in per_day.items()}


def smallest(streams: float, queries: float) -> Cluster | None:
    """The smallest cluster of the list with room for so much at a time."""
    return next(
        (each for each in (Cluster(*size) for size in SIZES) if room(each, streams, queries)), None
    )


def room(cluster: Cluster, streams: float, queries: float) -> bool:
    """Whether a cluster takes it and keeps its headroom."""
    return (
        streams <= limits.HEADROOM * cluster.streams
        and queries <= limits.HEADROOM * cluster.queries
    )


def partitions(found: Estimate, table: str) -> int:
    """How many hash partitions a table should have; 0 is none.

    The recommended number or nothing: with fewer than a GB in each, pruning shards gains less than
    partitioning them costs.
    """
    enough = limits.PARTITIONS.value * limits.PARTITION_GB.value
    keyed = found.view_rows / found.databases >= limits.PARTITION_VALUES.value
    return int(limits.PARTITIONS.value) if keyed and found.packed_hot_gb(table) >= enough else 0


def per_step(measured: Measured, steps: float, characters: float) -> dict[str, Any]:
    """What one step sends, between the chats that were measured.

    Longer chats than measured count as the longest; larger messages go on as the last two.
    """
    by_steps: dict[int, list[Any]] = {}
    for chat in measured["chats"]:
        by_steps.setdefault(chat["steps"], []).append(chat)
    of_size = [
        _between(
            sorted(chats, key=lambda chat: int(chat["message_characters"])),
            "message_characters",
            characters,
            True,
        )
        for _, chats in sorted(by_steps.items())
    ]
    found: dict[str, Any] = _between(of_size, "steps", steps, False)
    return found


def _between(rows: Sequence[Any], name: str, at: float, beyond: bool) -> Any:
    """What would have been measured at a place between two rows."""
    low, high = next((pair for pair in pairwise(rows) if at <= pair[1][name]), (rows[-2], rows[-1]))
    share = max((at - low[name]) / (high[name] - low[name]), 0.0)
    return _mixed(low, high, share if beyond else min(share, 1.0))


def _mixed(low: Any, high: Any, share: float) -> Any:
    if isinstance(low, Mapping):
        return {name: _mixed(low[name], high[name], share) for name in low}
    return low + (high - low) * share
