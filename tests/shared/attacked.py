"""A local server under attack: spoken to with bytes, looked at after each request.

No test stands here.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from langgraph.checkpoint.kusto.local import LocalKusto

COMMANDS = (
    ".create table T (a:string, b:long, d:dynamic)",
    ".alter table T policy streamingingestion enable",
    '.create table T ingestion json mapping "M" \'[{"column":"a","Properties":{"Path":"$.x"}}]\'',
    ".create materialized-view V on table T { T | summarize arg_max(b, *) by a }",
    ".create function F(x:string) { T | where a == x }",
)
JSON = {"Accept": "application/json", "Content-Type": "application/json"}
INGEST = "/v1/rest/ingest/Db/T?streamFormat=multijson"


class Attacked:
    """A server, spoken to with bytes."""

    def __init__(self, local: LocalKusto, caplog_handler: list[logging.LogRecord]) -> None:
        self.local = local
        self.records = caplog_handler
        parts = urlsplit(local.url)
        self.address = (parts.hostname or "", parts.port or 0)

    def raw(self, data: bytes, *, finish: bool = True) -> bytes:
        """Send bytes; give all that comes back until the connection ends."""
        with socket.create_connection(self.address, timeout=20) as connection:
            try:
                connection.sendall(data)
                if finish:
                    connection.shutdown(socket.SHUT_WR)
                pieces = []
                while piece := connection.recv(65536):
                    pieces.append(piece)
            except TimeoutError:
                raise
            except OSError:  # cut before all was said
                return b""
        return b"".join(pieces)

    def send(
        self, path: str, body: bytes, headers: dict[str, str] | None = None, method: str = "POST"
    ) -> tuple[int, bytes]:
        """Send a request that is right as HTTP; give status and body."""
        lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close"]
        lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name}: {value}" for name, value in {**JSON, **(headers or {})}.items()]
        head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
        return parsed(self.raw(head + body, finish=False))

    def check(self, found: tuple[int, bytes], *, nonsense: bool = True) -> None:
        """Look at an answer, then ask something right."""
        status, body = found
        assert (400 if nonsense else 200) <= status < 500, found
        assert b"Traceback" not in body
        assert self.records == []
        status, body = self.send("/v2/rest/query", query("print x = 1"))
        assert status == 200
        assert b"[1]" in body

    def rows(self) -> int:
        _, body = self.send("/v2/rest/query", query("T | count"))
        (table,) = (f for f in json.loads(body) if f.get("TableKind") == "PrimaryResult")
        return int(table["Rows"][0][0])


def parsed(answer: bytes) -> tuple[int, bytes]:
    if not answer:
        return 0, b""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), body


def query(text: str, **more: Any) -> bytes:
    return json.dumps({"db": "Db", "csl": text, **more}).encode()


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def attacked_server() -> Iterator[Attacked]:
    """Run a server with a table, a mapping, a view and a function."""
    handler = Kept()
    loggers = [
        logging.getLogger(name) for name in (LocalKusto.__module__.rpartition(".")[0], "aiohttp")
    ]
    for logger in loggers:
        logger.addHandler(handler)
    with LocalKusto(database="Db") as local:
        attacked = Attacked(local, handler.records)
        for command in COMMANDS:
            status, body = attacked.send("/v1/rest/mgmt", query(command))
            assert status == 200, body
        yield attacked
    for logger in loggers:
        logger.removeHandler(handler)
