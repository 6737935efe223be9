"""What to set and what to change for a load: sentences, from an estimate. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

from . import limits
from .sizing import SIZES, Cluster, Estimate, Load, partitions, room

PARTITIONING = (
    ".alter table {table} policy partitioning '"
    '{{"PartitionKeys":[{{"ColumnName":"thread_id","Kind":"Hash","Properties":{{'
    '"Function":"XxHash64","MaxPartitionCount":{count},"Seed":1,'
    '"PartitionAssignmentMode":"Uniform"}}}}]}}\''
)
STREAMING = (
    ".alter table {table} policy streamingingestion '"
    '{{"IsEnabled":true,"HintAllocatedRate":{rate}}}\''
)


def advice(load: Load, cluster: Cluster, found: Estimate) -> Iterator[str]:
    """Yield what follows from an estimate."""
    yield from _cluster(cluster, found)
    yield from _clients(load, found)
    yield from _tables(found)
    yield from _partitioning(found)
    if found.gb_per_hour["Checkpoints"] > 3600 * limits.VIEW_GB_PER_SECOND.value:
        yield (
            "More goes into Checkpoints than a view is advised for"
            f" ({limits.VIEW_GB_PER_SECOND.page}): spread the threads over clusters."
        )


def _cluster(cluster: Cluster, found: Estimate) -> Iterator[str]:
    named = f"{cluster.nodes} x {cluster.cores} cores"
    if room(cluster, found.streams, found.queries):
        yield f"{named} are enough, with {1 - limits.HEADROOM:.0%} to spare."
        return
    if found.streams > limits.HEADROOM * cluster.streams:
        yield (
            f"{named} take {cluster.streams:g} streaming requests at a time"
            f" ({limits.STREAMS_PER_CORE.page}): add cores, or lower max_in_flight. Calls share"
            " requests then and wait longer; a 429 makes savers do it by themselves."
        )
    if found.queries > limits.HEADROOM * cluster.queries:
        yield (
            f"{named} run {cluster.queries:g} queries at a time ({limits.QUERIES_PER_CORE.page}):"
            " take nodes with more cores. More nodes do not help reads that must see the newest."
        )
    if found.cluster is None:
        nodes, cores = SIZES[-1]
        yield f"Nor are {nodes} x {cores} cores enough: spread the threads over clusters."
    else:
        yield f"The smallest that is enough: {found.cluster.nodes} x {found.cluster.cores} cores."


def _clients(load: Load, found: Estimate) -> Iterator[str]:
    if found.processes > load.processes:
        yield (
            f"{load.processes} processes are too few: the savers alone take"
            f" {found.client_cores:.2g} cores, and a process has one. Take {found.processes}."
        )
    if found.requests_per_s < found.alone_requests_per_s:
        each = found.alone_requests_per_s / found.requests_per_s
        yield (
            f"Calls share requests, {each:.1f} to one: a call waits up to"
            f" {2 * load.ingest_ms:g} ms. A larger max_in_flight shortens that, where the cluster"
            " has requests to spare."
        )


def _tables(found: Estimate) -> Iterator[str]:
    if found.databases > 1:
        yield (
            f"More than {limits.TABLE_GB_PER_HOUR.value:g} GB an hour into one table"
            f" ({limits.TABLE_GB_PER_HOUR.page}): spread the threads over {found.databases}"
            ' databases, with a saver for each, or take ingestion="queued".'
        )
    for table, rate in found.gb_per_hour.items():
        share = rate / found.databases
        if share > limits.HINT_GB_PER_HOUR.value:
            yield (
                f"Over 1 GB an hour ({limits.HINT_GB_PER_HOUR.page}): "
                + STREAMING.format(table=table, rate=math.ceil(share * 10) / 10)
            )


def _partitioning(found: Estimate) -> Iterator[str]:
    chosen = {table: count for table in found.hot_gb if (count := partitions(found, table))}
    for table, count in chosen.items():
        yield (
            f"{found.packed_hot_gb(table):,.0f} GB hot in {table} ({limits.PARTITIONS.page}): "
            + PARTITIONING.format(table=table, count=count)
        )
    if not chosen:
        yield (
            f"No partitioning policy: no table has {limits.PARTITION_GB.value:g} GB, hot and"
            f" compressed, for each of {limits.PARTITIONS.value:g} partitions"
            f" ({limits.PARTITIONS.page}). The row order policy of provision.kql is enough."
        )
