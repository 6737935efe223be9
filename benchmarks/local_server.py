"""The local server by itself: `python -m benchmarks.local_server [--tree BEFORE --tree AFTER]`.

Sends what a saver sends (recorded once, then replayed without it) and prints, for each kind of
request, the median time and the server's CPU. With several source trees each serves in turn, in
one run, and the last column says how many times less the last one takes than the first.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import ClientSession, TCPConnector

from langgraph.checkpoint.kusto import AsyncKustoSaver
from langgraph.checkpoint.kusto._transport import SdkTransport, Table, parse_endpoint

from .bench import Bench
from .chats import Chat
from .histories import prepare_delta, prepare_list, run_delta

if TYPE_CHECKING:
    from typing_extensions import LiteralString

ROOT = Path(__file__).parents[1]
TOGETHER = 64
_LISTED, _CHAIN, _CHATS, _STEPS = 5_000, 1_000, 20, 5
_KINDS = {"p_local": "latest", "p_mark0": "chain", "p_heads": "history", "p_submissions": "payload"}


@dataclass
class Recorder(SdkTransport):
    """A transport that keeps what it sends."""

    uri: str
    database: str
    queries: dict[str, tuple[str, dict[str, str | int]]] = field(default_factory=dict)
    rows: list[tuple[str, str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(parse_endpoint(self.uri, self.database))

    async def query(self, text: LiteralString, parameters: Mapping[str, str | int]) -> list[Table]:
        """Keep the last of each kind."""
        kind = next((name for mark, name in _KINDS.items() if mark in parameters), "")
        if "p_cursor_id" in parameters:
            kind = "page"
        self.queries[kind] = (text, dict(parameters))
        return await super().query(text, parameters)

    async def ingest(self, table: str, mapping: str, payload: bytes) -> None:
        """Keep the rows."""
        self.rows.append((table, mapping, payload))
        await super().ingest(table, mapping, payload)


class Server:
    """A server of one source tree, and the connection to it."""

    def __init__(self, process: subprocess.Popen[str], address: Mapping[str, str]) -> None:
        self._process = process
        self.uri, self.database = address["uri"], address["database"]

    def cpu_seconds(self) -> float:
        """What it has used so far."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(json.loads(self._process.stdout.readline())["server_cpu_seconds"])


@contextmanager
def served(tree: Path) -> Iterator[Server]:
    """A server in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.kusto_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tree,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Server(process, json.loads(process.stdout.readline()))
        process.stdin.close()


@dataclass(frozen=True)
class Sent:
    """One kind of request; `together` of them at a time."""

    name: str
    path: str
    body: bytes
    headers: Mapping[str, str]
    count: int
    together: int = 1

    async def run(self, session: ClientSession, server: Server) -> tuple[float, float]:
        """Send all of them; give the median of the time each took, and the mean of its CPU."""
        took: list[float] = []
        count = max(self.count, 1)
        await self._send(session, server)  # what is kept for the next is not measured
        before = server.cpu_seconds()
        for _ in range(count):
            began = time.perf_counter()
            await asyncio.gather(*(self._send(session, server) for _ in range(self.together)))
            took.append((time.perf_counter() - began) / self.together)
        used = (server.cpu_seconds() - before) / count / self.together
        return statistics.median(took) * 1000, used * 1000

    async def _send(self, session: ClientSession, server: Server) -> None:
        url = server.uri + self.path
        async with session.post(url, data=self.body, headers=self.headers) as answer:
            body = await answer.read()
            if answer.status != 200 or b'"HasErrors":true' in body:
                raise RuntimeError(body[:500].decode())


def _query(recorder: Recorder, kind: str, count: int) -> Sent:
    text, parameters = recorder.queries[kind]
    body = {"db": recorder.database, "csl": text, "properties": {"Parameters": parameters}}
    headers = {"Content-Type": "application/json"}
    return Sent(kind, "/v2/rest/query", orjson.dumps(body), headers, count)


def _ingest(recorder: Recorder, rows: int, count: int, together: int = 1) -> Sent:
    table, mapping, payload = next(each for each in recorder.rows if each[0] == "Checkpoints")
    row = orjson.loads(payload.splitlines()[0]) | {"thread_id": "ingested"}
    path = f"/v1/rest/ingest/{recorder.database}/{table}?streamFormat=multijson&mappingName="
    body = gzip.compress(b"\n".join([orjson.dumps(row)] * rows), 1)
    name = f"ingest {rows}" + (f", {together} at a time" if together > 1 else "")
    return Sent(name, path + mapping, body, {"Content-Encoding": "gzip"}, count, together)


async def recorded(server: Server, scale: float) -> Recorder:
    """Write and read what the benchmark is about; keep what was sent."""
    recorder = Recorder(server.uri, server.database)
    async with AsyncKustoSaver(transport=recorder) as saver:
        await saver.setup(create=True)
        bench = Bench(saver, saver)
        for number in range(_CHATS):
            await Chat(bench, f"chat {number}", _STEPS).run()
        await prepare_list(bench, checkpoints=int(_LISTED * scale))
        delta = await prepare_delta(bench, steps=int(_CHAIN * scale), repeat=1)
    async with AsyncKustoSaver(transport=recorder) as saver:  # one that knows of none of it
        bench = Bench(saver, saver)
        listed: Any = bench.thread(f"listed {int(_LISTED * scale)}")
        await saver.aget_tuple(listed)
        recorder.queries["latest of many"] = recorder.queries["latest"]
        short: Any = bench.thread("chat 0")
        await saver.aget_tuple(short)
        # The second page: the first has no cursor.
        async for _ in saver.alist(listed, limit=250):
            pass
        await run_delta(bench, delta)
    return recorder


async def _load(recorder: Recorder, server: Server) -> None:
    """Give another server what the recorded one has."""
    transport = SdkTransport(parse_endpoint(server.uri, server.database))
    async with AsyncKustoSaver(transport=transport) as saver:
        await saver.setup(create=True)
        for table, mapping, payload in recorder.rows:
            await transport.ingest(table, mapping, payload)


async def measure(servers: Sequence[Server], scale: float, times: float) -> list[list[Any]]:
    """Rows of a table: kind, and for each server the time and the CPU in milliseconds."""
    recorder = await recorded(servers[0], scale)
    rows: list[list[Any]] = []
    async with ClientSession(connector=TCPConnector(limit=TOGETHER)) as session:
        for server in servers[1:]:
            await _load(recorder, server)
        kinds = [
            _ingest(recorder, 1, int(200 * times)),
            _ingest(recorder, 100, int(30 * times)),
            _ingest(recorder, 1, int(15 * times), TOGETHER),
            _query(recorder, "latest", int(100 * times)),
            _query(recorder, "latest of many", int(20 * times)),
            _query(recorder, "payload", int(20 * times)),
            _query(recorder, "page", int(6 * times)),
            _query(recorder, "chain", int(6 * times)),
            _query(recorder, "history", int(6 * times)),
        ]
        for kind in kinds:
            found = [await kind.run(session, server) for server in servers]
            rows.append([kind.name, *(value for pair in found for value in pair)])
    return rows


def table(rows: Sequence[Sequence[Any]], trees: Sequence[Path]) -> str:
    """The rows as text, with how many times less time and CPU the last tree takes than the first.

    Args:
        rows: What `measure` gave.
        trees: The source tree of each server.
    """
    head = "".join(f"{'ms':>10}{'CPU ms':>10}" for _ in trees)
    lines = [f"{'request':24}{head}" + (f"{'ratio':>10}{'of CPU':>10}" if trees[1:] else "")]
    for name, *values in rows:
        line = f"{name:24}" + "".join(f"{value:10.2f}" for value in values)
        if trees[1:]:
            line += f"{values[0] / values[-2]:10.2f}{values[1] / max(values[-1], 1e-3):10.2f}"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", action="append", type=Path, help="a source tree; repeatable")
    parser.add_argument("--scale", type=float, default=1.0, help="of the stored data")
    parser.add_argument("--times", type=float, default=1.0, help="of the requests")
    asked = parser.parse_args()
    trees = asked.tree or [ROOT]
    with ExitStack() as stack:
        servers = [stack.enter_context(served(tree)) for tree in trees]
        rows = asyncio.run(measure(servers, asked.scale, asked.times))
    print(table(rows, trees))


if __name__ == "__main__":
    main()
