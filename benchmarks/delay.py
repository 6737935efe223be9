"""A slow way to PostgreSQL: a proxy that delays whatever a client sends.

`python -m benchmarks.delay CONNECTION SECONDS` prints, as JSON, the connection string that goes
through it, and ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

_SOCKET = ".s.PGSQL.5432"
_PIECE_BYTES = 64 * 1024

Piece = tuple[float, bytes]


class DelayProxy:
    """Passes bytes on in order: to the server so many seconds later, to the client at once."""

    def __init__(self, upstream: str, seconds: float) -> None:
        self._upstream = upstream
        self._seconds = seconds

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until either side ends."""
        server_reader, server_writer = await asyncio.open_unix_connection(self._upstream)
        waiting: asyncio.Queue[Piece] = asyncio.Queue()
        parts = [
            asyncio.create_task(self._take(reader, waiting)),
            asyncio.create_task(self._pass_later(waiting, server_writer)),
            asyncio.create_task(_pass_on(server_reader, writer)),
        ]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            server_writer.close()
            writer.close()

    async def _take(self, reader: asyncio.StreamReader, waiting: asyncio.Queue[Piece]) -> None:
        loop = asyncio.get_running_loop()
        while piece := await reader.read(_PIECE_BYTES):
            waiting.put_nowait((loop.time() + self._seconds, piece))
        waiting.put_nowait((loop.time() + self._seconds, b""))
        await asyncio.Event().wait()  # the end, too, is passed on only when its time has come

    async def _pass_later(
        self, waiting: asyncio.Queue[Piece], writer: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, piece = await waiting.get()
            await asyncio.sleep(due - loop.time())
            if not piece:
                return
            writer.write(piece)
            await writer.drain()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE_BYTES):
        writer.write(piece)
        await writer.drain()


async def _main(connection: str, seconds: float) -> None:
    parts = dict(part.split("=", 1) for part in connection.split())
    with tempfile.TemporaryDirectory(prefix="slow-") as folder:
        proxy = DelayProxy(str(Path(parts["host"], _SOCKET)), seconds)
        await asyncio.start_unix_server(proxy.serve, Path(folder, _SOCKET))
        through = " ".join(f"{name}={value}" for name, value in (parts | {"host": folder}).items())
        print(json.dumps({"connection": through}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], float(sys.argv[2])))
