"""What a step of a chat sends, measured for the calculator: `python -m benchmarks.measured`.

Writes `measured.json` beside this file, and the examples in docs/scaling.md: bytes by table for
chats of several lengths and sizes of message, what a read moves, how many requests concurrent calls
share, client CPU of a call.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from langgraph.checkpoint.kusto import AsyncKustoSaver
from langgraph.checkpoint.kusto.local import LocalKusto

from .bench import FULL, Bench
from .capacity import MEASURED, with_examples
from .chats import READ_EVERY, Chat
from .kusto_server import TABLES
from .local_server import Recorder
from .machine import described
from .places import Places
from .runs import measure
from .savers import KUSTO, LATENCY, NULL, OPTIONS
from .workloads import WORKLOADS

DOCUMENT = Path(__file__).parents[1] / "docs" / "scaling.md"
COMMAND = "PYTHONPATH=tests .venv/bin/python -m benchmarks.measured"
_STEPS = (10, 50, 200)
_CHARACTERS = (500, 2_000, 8_000, 32_000)
_VIEW = (
    "thread_id checkpoint_ns epoch checkpoint_id parent_checkpoint_id written_at step source run_id"
).split()


async def step(steps: int, characters: int) -> dict[str, Any]:
    """Bytes by table and requests for each step of one chat, and what a read of it moves."""
    with LocalKusto() as local:
        recorder = Recorder(local.url, local.database)
        async with AsyncKustoSaver(transport=recorder) as saver:
            await saver.setup(create=True)
            local.requests.reset()
            await Chat(Bench(saver, saver), "measured", steps, characters).run()
        sent, reads = local.requests, steps // READ_EVERY
        return {
            "steps": steps,
            "message_characters": characters,
            "bytes": {table: sent.body_bytes("ingest", table) / steps for table in TABLES},
            "wire_bytes": sent.wire_bytes("ingest") / steps,
            "rows": {table: sent.rows("ingest", table) / steps for table in TABLES},
            "requests": {table: sent.count("ingest", table) / steps for table in TABLES},
            "queries_per_read": sent.count("query") / reads,
            "query_bytes": sent.body_bytes("query") / reads,
            "answer_bytes": sent.answer_bytes("query") / reads,
            "view_row_bytes": _view_row_bytes(recorder),
        }


def _view_row_bytes(recorder: Recorder) -> int:
    """The bytes of the columns that the view keeps, of the last checkpoint, as sent."""
    rows = [payload for table, _, payload in recorder.rows if table == "Checkpoints"]
    row = orjson.loads(rows[-1].splitlines()[-1])
    return sum(len(str(row.get(name, ""))) for name in _VIEW)


def shared(found: Mapping[str, Any]) -> dict[str, Any]:
    """How many requests calls shared, beside what a slow server lets a saver send."""
    counts = found["counts"]
    return {
        "workload": "chats_500",
        "saver": KUSTO + LATENCY,
        "max_in_flight": OPTIONS[LATENCY]["max_in_flight"],
        "ingest_seconds": 0.1,
        "writes": found["operations"]["put"]["count"] + found["operations"]["put_writes"]["count"],
        "seconds": found["seconds"],
        "ingest_requests": counts["ingest"],
        "queries": counts["query"],
        "reads": found["operations"]["get_tuple"]["count"],
    }


def main() -> None:
    """Measure and write."""
    chats = []
    for steps in _STEPS:
        for characters in _CHARACTERS:
            print(f"{steps} steps, {characters} characters", file=sys.stderr, flush=True)
            chats.append(asyncio.run(step(steps, characters)))
    with Places() as places:
        slow = measure(places, WORKLOADS["chats_500"], KUSTO + LATENCY, FULL)
        client = measure(places, WORKLOADS["chats_100"], KUSTO + NULL, FULL)
    found = {
        "command": COMMAND,
        "machine": described(),
        "chats": chats,
        "shared": shared(slow),
        "client_us_per_call": client["cpu_us_per_unit"],
    }
    MEASURED.write_text(json.dumps(found, indent=1) + "\n")
    DOCUMENT.write_text(with_examples(DOCUMENT.read_text(), found))
    print(f"written: {MEASURED}, {DOCUMENT}")


if __name__ == "__main__":
    main()
