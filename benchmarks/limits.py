"""What Microsoft documents of Kusto's limits, each with its page, and what is assumed beside it.

Pages stand under https://learn.microsoft.com/. No measurement stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """A documented figure."""

    value: float
    what: str
    page: str


_STREAMING = "azure/data-explorer/ingest-data-streaming"
_POLICY = "kusto/management/streaming-ingestion-policy"
_PARTITIONING = "kusto/management/partitioning-policy"

STREAMS_PER_CORE = Limit(6, "streaming requests at a time per core of the cluster", _STREAMING)
REQUEST_BYTES = Limit(4 * 1024 * 1024, "bytes of a streaming request", _STREAMING)
TABLE_GB_PER_HOUR = Limit(
    4, "GB an hour into a table, above which queued ingestion is advised", _STREAMING
)
HINT_GB_PER_HOUR = Limit(1, "GB an hour above which HintAllocatedRate should be set", _POLICY)
QUERIES_PER_CORE = Limit(
    10, "queries at a time per core of a node, by default", "kusto/concepts/query-limits"
)
PARTITIONS = Limit(128, "partitions of a hash key, as recommended", _PARTITIONING)
PARTITION_GB = Limit(1, "GB, compressed, of a partition at the least", _PARTITIONING)
PARTITION_VALUES = Limit(10_000, "values of a partition key at the least", _PARTITIONING)
VIEW_GB_PER_SECOND = Limit(
    1,
    "GB a second into the table of a view, above which views are not advised (1 to 2)",
    "kusto/management/materialized-views/materialized-view-overview",
)
LIMITS = (
    STREAMS_PER_CORE,
    REQUEST_BYTES,
    TABLE_GB_PER_HOUR,
    HINT_GB_PER_HOUR,
    QUERIES_PER_CORE,
    PARTITIONS,
    PARTITION_GB,
    PARTITION_VALUES,
    VIEW_GB_PER_SECOND,
)

HEADROOM = 0.7
"""Assumed: of a limit no more than this is planned for."""

SLACK_DAYS: Mapping[str, int] = {
    "Checkpoints": 30,
    "CheckpointBlobs": 60,
    "CheckpointWrites": 60,
}
"""How many days longer than the view each table keeps its rows, as provisioned."""

SLACK_HOT_DAYS: Mapping[str, int] = {
    "Checkpoints": 0,
    "CheckpointBlobs": 30,
    "CheckpointWrites": 0,
}
"""How many days longer than the checkpoints each table is hot, as provisioned."""
