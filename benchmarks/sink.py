"""A null transport: an HTTP server that acknowledges at once, to measure the client alone.

`python -m benchmarks.sink` prints its address as JSON and answers each line on its standard input
with what was counted. It keeps no history: of each thread and namespace only the newest checkpoint
with its blobs and writes, which it answers to a read of the newest, of one thread or of several,
and it says of whatever it is asked about that it is visible. Everything else is refused.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson
from aiohttp import web

from langgraph.checkpoint.kusto._kql.clauses import (
    BLOB_COLUMNS,
    CHECKPOINT_COLUMNS,
    TOMBSTONE_COLUMNS,
    WRITE_COLUMNS,
)
from langgraph.checkpoint.kusto.local.traffic import RequestLog, RequestRecord

from .kusto_server import counted

DATABASE = "Null"
_ACKNOWLEDGED = orjson.dumps(
    {"Tables": [{"TableName": "Table_0", "Columns": [{"ColumnName": "ConsumedRecordsCount"}],
                 "Rows": [[0]]}]}
)  # fmt: skip
_TYPES = {bool: "bool", int: "long", str: "string", type(None): "datetime"}
_LARGEST_BODY = 64 * 1024 * 1024
_IDENTITIES = {"CheckpointBlobs": "blob_id", "CheckpointWrites": "submission_id"}
_JSON = {"Content-Type": "application/json"}
_MARKS = ("wanted_id", "seen_id", "fits", "hidden", "present", "haunted", "last_delete")

Row = dict[str, Any]
Table = tuple[Sequence[str], list[list[Any]]]


def _names(columns: str) -> list[str]:
    """The names of the columns a query projects."""
    return [part.partition("=")[0].strip() for part in columns.split(",")]


_HEADS, _BLOBS = _names(CHECKPOINT_COLUMNS), _names(BLOB_COLUMNS)
_SHARED_BLOBS = ["thread_id", *_BLOBS]
_WRITES, _STONES = _names(WRITE_COLUMNS), _names(TOMBSTONE_COLUMNS)


class Sink:
    """What was sent last, by thread, and how much of it there was."""

    def __init__(self) -> None:
        self.requests = RequestLog()
        self._newest: dict[tuple[str, str], Row] = {}
        self._blobs: dict[str, dict[str, list[Row]]] = {}
        self._writes: dict[tuple[str, str, str], list[Row]] = {}
        self._rows = Counter[str]()

    async def ingest(self, request: web.Request) -> web.Response:
        """Take rows."""
        wire = await request.read()
        body = gzip.decompress(wire)
        table = request.match_info["table"]
        rows = [orjson.loads(line) for line in body.splitlines()]
        for row in rows:
            self._take(table, row)
        self._count("ingest", table, len(wire), len(body), len(rows))
        return web.Response(body=_ACKNOWLEDGED, headers=_JSON)

    def _take(self, table: str, row: Row) -> None:
        thread_id = row["thread_id"]
        identity = _IDENTITIES.get(table)
        if identity is not None:
            self._rows[row[identity]] += 1
        if table == "CheckpointBlobs":
            blobs = self._blobs.setdefault(thread_id, {})
            blobs.setdefault(row["blob_id"], []).append(row)
            return
        if table not in ("Checkpoints", "CheckpointWrites"):
            return
        place = (thread_id, row["checkpoint_ns"])
        if table == "CheckpointWrites":
            self._writes.setdefault((*place, row["checkpoint_id"]), []).append(row)
            return
        before = self._newest.get(place)
        self._newest[place] = row
        if before is not None:
            self._writes.pop((*place, before["checkpoint_id"]), None)
            gone = set(before["blob_ids"].split(",")) - set(row["blob_ids"].split(","))
            for blob_id in gone:
                self._blobs.get(thread_id, {}).pop(blob_id, None)

    async def query(self, request: web.Request) -> web.Response:
        """Answer a read of the newest checkpoint, or what is visible: everything."""
        wire = await request.read()
        asked = orjson.loads(wire)
        properties = asked["properties"]
        if isinstance(properties, str):
            properties = orjson.loads(properties)
        given = properties.get("Parameters", {})
        if "p_local" in given:
            tables = self._latest(given)
        elif "p_questions" in given:
            tables = self._shared(given)
        elif "p_checkpoints" in given:
            tables = self._shown(given)
        else:
            raise web.HTTPBadRequest(text="a sink reads the newest checkpoints only")
        self._count("query", "", len(wire), len(wire), 0)
        return web.Response(body=_frames(tables), headers=_JSON)

    def _latest(self, given: Row) -> list[Table]:
        place = (given["p_thread"], given["p_ns"])
        head = self._newest.get(place)
        found = "" if head is None else head["checkpoint_id"]
        stored = self._blobs.get(place[0], {})
        wanted = [] if head is None else head["blob_ids"].split(",")
        blobs = [row for name in wanted for row in stored.get(name, [])]
        return [
            (_MARKS, [[found, found, True, False, head is not None, False, None]]),
            _table(_HEADS, [] if head is None else [head]),
            _table(_BLOBS, [{**row, "ingested": row["written_at"]} for row in blobs]),
            _table(_WRITES, self._writes.get((*place, found), [])),
            (_STONES, []),
        ]

    def _shared(self, given: Row) -> list[Table]:
        """The same of several threads: each row says whose it is."""
        marks: list[list[Any]] = []
        parts: list[Table] = [(_HEADS, []), (_SHARED_BLOBS, []), (_WRITES, []), (_STONES, [])]
        for item in given["p_questions"].split(";"):
            thread_id, namespace = (
                base64.b64decode(field[1:]).decode() for field in item.split("|")[:2]
            )
            (_, [mark]), heads, blobs, writes, _ = self._latest(
                {"p_thread": thread_id, "p_ns": namespace}
            )
            marks.append([thread_id, namespace, *mark, len(heads[1]), len(writes[1])])
            parts[0][1].extend(heads[1])
            parts[1][1].extend([thread_id, *row] for row in blobs[1])
            parts[2][1].extend(writes[1])
        return [(("thread_id", "checkpoint_ns", *_MARKS, "head_rows", "write_rows"), marks), *parts]

    def _shown(self, given: Row) -> list[Table]:
        """Everything that was asked about, with its rows; who knows that does not ask again."""
        asked = [
            [name for name in given[f"p_{what}"].split(",") if name]
            for what in ("checkpoints", "blobs", "writes", "tombstones")
        ]
        return [
            (("submission_id",), [[name] for name in asked[0]]),
            *(
                (("id", "row_count"), [[name, self._rows.pop(name, 0)] for name in names])
                for names in asked[1:]
            ),
        ]

    def _count(self, endpoint: str, table: str, wire: int, body: int, rows: int) -> None:
        self.requests.add(RequestRecord(endpoint, DATABASE, table, 200, wire, body, rows))


def _table(names: Sequence[str], rows: list[Row]) -> Table:
    return names, [[row[name] for name in names] for row in rows]


def _frames(tables: Sequence[Table]) -> bytes:
    frames: list[Row] = [{"FrameType": "DataSetHeader", "IsProgressive": False, "Version": "v2.0"}]
    for number, (names, rows) in enumerate(tables):
        first = rows[0] if rows else [""] * len(names)
        columns = [
            {"ColumnName": name, "ColumnType": _TYPES[type(cell)]}
            for name, cell in zip(names, first, strict=True)
        ]
        frames.append(
            {
                "FrameType": "DataTable",
                "TableId": number,
                "TableKind": "PrimaryResult",
                "TableName": f"Table_{number}",
                "Columns": columns,
                "Rows": rows,
            }
        )
    frames.append({"FrameType": "DataSetCompletion", "HasErrors": False, "Cancelled": False})
    return orjson.dumps(frames)


async def _serve(sink: Sink, ready: threading.Event, address: Row) -> None:
    app = web.Application(client_max_size=_LARGEST_BODY)
    app.router.add_post("/v1/rest/ingest/{database}/{table}", sink.ingest)
    app.router.add_post("/v2/rest/query", sink.query)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    address |= {"uri": f"http://{host}:{port}", "database": DATABASE}
    ready.set()
    await asyncio.Event().wait()


def main() -> None:
    """Serve until the input ends."""
    sink, ready = Sink(), threading.Event()
    address: Row = {}
    serving = threading.Thread(
        target=lambda: asyncio.run(_serve(sink, ready, address)), daemon=True
    )
    serving.start()
    ready.wait()
    print(json.dumps(address), flush=True)
    for _ in sys.stdin:
        print(json.dumps(counted(sink.requests)), flush=True)


if __name__ == "__main__":
    main()
