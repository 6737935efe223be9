"""What the demo asks Kusto itself, with Microsoft's client and plain KQL: no code of the saver.

Needs the tables and functions of `provision.kql`, and Database Viewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from azure.kusto.data import ClientRequestProperties, KustoClient, KustoConnectionStringBuilder

# A row per task whose result is there, all of its rows: LangGraph does not run such a task again. A
# negative `idx` is a mark (a question to a human, its answer), not a result.
TASK_RESULTS = """
declare query_parameters(thread:string);
CheckpointWrites
| where thread_id == thread
| summarize rows = count_distinct(submission_row), all_rows = max(submission_rows),
    results = countif(idx >= 0)
    by checkpoint_id, task_id, task_path, submission_id
| where rows == all_rows and results > 0
| distinct checkpoint_id, task_id, task_path
"""

TIMELINE = """
declare query_parameters(thread:string);
ThreadTimeline(thread)
"""


def ask(uri: str, database: str, query: str, thread: str) -> list[dict[str, Any]]:
    """Run a query with the thread as its parameter; return the rows."""
    properties = ClientRequestProperties()  # type: ignore[no-untyped-call]
    properties.set_parameter("thread", thread)
    with KustoClient(KustoConnectionStringBuilder(uri)) as client:
        answer = client.execute(database, query, properties)
        return [row.to_dict() for row in answer.primary_results[0]]


def results_by_node(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Count the results of each node; a task's path ends with its node's name."""
    counts: dict[str, int] = {}
    for row in rows:
        node = row["task_path"].rpartition(", ")[2]
        counts[node] = counts.get(node, 0) + 1
    return counts


def print_timeline(rows: list[dict[str, Any]]) -> None:
    """Print the interesting columns of `ThreadTimeline`."""
    head = ("written_at", "after", "namespace", "step", "source", "tasks", "interrupts", "bytes")
    table: list[tuple[str, ...]] = [head]
    for row in rows:
        namespace = row["checkpoint_ns"].partition(":")[0] or "(root)"
        numbers = (row["step"], row["source"], row["tasks"], row["interrupts"], row["total_bytes"])
        table.append(
            (clock(row["written_at"]), gap(row["since_previous"]), namespace, *map(str, numbers))
        )
    print_table(table)


def print_table(table: Sequence[tuple[str, ...]]) -> None:
    """Print rows under their heading, columns aligned."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    print("\n".join(f"   {line}" for line in lines), flush=True)


def clock(moment: datetime) -> str:
    """Show a time of day with milliseconds."""
    return moment.strftime("%H:%M:%S.%f")[:-3]


def gap(duration: timedelta | None) -> str:
    """Show a duration in milliseconds."""
    return "" if duration is None else f"{duration.total_seconds() * 1000:.0f} ms"
