"""Other threads in the database, by the hundred thousand: rows that a saver wrote, with new ids.

Written in large requests and without a saver, which takes seconds where calls would take minutes.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from langgraph.checkpoint.base.id import uuid6

from langgraph.checkpoint.kusto import AsyncKustoSaver

from .bench import Bench
from .chats import Chat
from .local_server import Recorder

_AT_A_TIME = 4
_THREADS_A_REQUEST = 500  # well under 4 MiB
_IDS = ("thread_id", "checkpoint_id", "epoch", "submission_id")

Rows = Mapping[tuple[str, str], list[dict[str, Any]]]
"""By table and mapping."""


async def write_others(uri: str, database: str, count: int) -> None:
    """Write so many threads of one checkpoint with its pending writes."""
    recorder = Recorder(uri, database)
    async with AsyncKustoSaver(transport=recorder) as saver:
        await Chat(Bench(saver, saver), "other", 1).run()
        template: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for table, mapping, payload in recorder.rows:
            template.setdefault((table, mapping), []).extend(
                orjson.loads(line) for line in payload.splitlines()
            )
        requests = _requests(template, count)
        sent = recorder.rows
        recorder.rows = []

        async def send() -> None:
            for table, mapping, payload in requests:
                await recorder.ingest(table, mapping, payload)
                recorder.rows.clear()  # what it keeps would be all of them

        await asyncio.gather(*(send() for _ in range(_AT_A_TIME)))
        recorder.rows = sent


def _requests(template: Rows, count: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield table, mapping and rows of threads with ids of their own."""
    for start in range(0, count, _THREADS_A_REQUEST):
        numbers = range(start, min(start + _THREADS_A_REQUEST, count))
        copies = [_copy(template, f"other {number}") for number in numbers]
        for table, mapping in template:
            rows = [orjson.dumps(row) for copy in copies for row in copy[table, mapping]]
            yield table, mapping, b"\n".join(rows)


def _copy(template: Rows, thread_id: str) -> Rows:
    made: dict[str, str] = {}

    def new(name: str, old: str) -> str:
        if name == "thread_id":
            return thread_id
        if old not in made:
            made[old] = str(uuid6(clock_seq=-1)) if name == "checkpoint_id" else uuid.uuid4().hex
        return made[old]

    return {
        place: [
            {**row, **{name: new(name, row[name]) for name in _IDS if row.get(name)}}
            for row in rows
        ]
        for place, rows in template.items()
    }
