"""The local server in a process of its own, which tells what it was sent.

`python -m benchmarks.kusto_server [--fault SPEC]...`: prints its address as JSON, then answers each
line on its standard input with what was counted so far; ends with its input. From a line `work` on
it also counts what SQLite does, which costs CPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from langgraph.checkpoint.kusto.local import LocalKusto
from langgraph.checkpoint.kusto.local.fault_specs import parse_fault
from langgraph.checkpoint.kusto.local.traffic import RequestLog

from .sqlite_work import watched

ENDPOINTS = ("query", "mgmt", "ingest")
WORK = "work"
TABLES = ("Checkpoints", "CheckpointBlobs", "CheckpointWrites")


def counted(requests: RequestLog) -> dict[str, float]:
    """Requests by endpoint and table, bytes ingested (unpacked, as sent), CPU used here."""
    return {
        **{name: requests.count(name) for name in ENDPOINTS},
        **{f"ingest_{name}": requests.count("ingest", name) for name in TABLES},
        "ingest_bytes": requests.body_bytes("ingest"),
        "ingest_wire_bytes": requests.wire_bytes("ingest"),
        "query_bytes": requests.body_bytes("query"),
        "answer_bytes": requests.answer_bytes("query"),
        "server_cpu_seconds": time.process_time(),
    }


def main() -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fault", action="append", default=[])
    asked = parser.parse_args()
    with watched() as work, LocalKusto() as local:
        for text in asked.fault:
            local.faults.add(**parse_fault(text))
        print(json.dumps({"uri": local.url, "database": local.database}), flush=True)
        for line in sys.stdin:
            if line.strip() == WORK:
                work.start()
            print(json.dumps({**counted(local.requests), **work.counted()}), flush=True)


if __name__ == "__main__":
    main()
