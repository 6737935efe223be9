"""A TCP proxy in front of a server, for trouble that HTTP cannot express.

It runs in a thread of its own and looks at requests one by one: the first bytes of a client after
an answer, or after the connection was made, begin one. No test stands here.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import urlsplit

CHUNK = 64 * 1024


@dataclass(eq=False)
class Trouble:
    """What befalls one request.

    `swallow`: it never reaches the server, and nothing ever comes back. `mute`: the server carries
    it out, the answer never comes (the peer is gone without a FIN). `drip`: the answer comes `size`
    bytes at a time, with pauses. `cut_request`, `cut_response`: the connection is cut after `size`
    bytes of the request or of the answer.
    """

    kind: str
    size: int = 0
    pause: float = 0.0
    met: threading.Event = field(default_factory=threading.Event)


class TcpProxy:
    """Stands before the server at a URL; `url` is where clients connect."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        assert parts.hostname is not None
        assert parts.port is not None
        self._target = (parts.hostname, parts.port)
        self._troubles: deque[Trouble] = deque()
        self._connections: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="tcp-proxy", daemon=True)
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self.port = 0
        self.accepted = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> TcpProxy:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def add(self, kind: str, *, times: int = 1, size: int = 0, pause: float = 0.0) -> list[Trouble]:
        """Let the next requests meet a trouble, in the order they were added."""
        added = [Trouble(kind, size, pause) for _ in range(times)]
        self._troubles.extend(added)
        return added

    def clear(self) -> None:
        """Let all further requests pass."""
        self._troubles.clear()

    def kill_connections(self) -> int:
        """Cut every connection, idle or not, with nothing said before; return how many."""
        return self._in_loop(lambda: [one.abort() for one in list(self._connections)])

    def forget_connections(self) -> int:
        """Let every open connection go dead without a FIN: nothing passes, in no direction."""

        def mute(connection: _Connection) -> None:
            connection.dead = True

        return self._in_loop(lambda: [mute(one) for one in list(self._connections)])

    def _in_loop(self, work: Callable[[], list[None]]) -> int:
        async def run() -> int:
            return len(work())

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in list(self._connections):
            connection.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            server = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(self._next_trouble, (reader, writer), server)
        self._connections.add(connection)
        try:
            await asyncio.gather(connection.upstream(), connection.downstream())
        except OSError:
            pass  # one side is gone, so is the other
        finally:
            connection.abort()
            self._connections.discard(connection)

    def _next_trouble(self) -> Trouble | None:
        with contextlib.suppress(IndexError):
            return self._troubles.popleft()
        return None


Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Connection:
    """A client's connection and the one to the server behind it."""

    def __init__(
        self, next_trouble: Callable[[], Trouble | None], client: Pair, server: Pair
    ) -> None:
        self._next_trouble = next_trouble
        self._client = client
        self._server = server
        self._trouble: Trouble | None = None
        self._answered = True
        self._passed = 0
        self.dead = False

    async def upstream(self) -> None:
        """Pass on what the client says."""
        reader, writer = self._client[0], self._server[1]
        while data := await reader.read(CHUNK):
            if self._answered:
                self._answered, self._passed = False, 0
                self._trouble = None if self.dead else self._next_trouble()
            trouble = self._trouble
            if trouble is not None:
                trouble.met.set()
            if self.dead or (trouble and trouble.kind == "swallow"):
                continue
            if trouble and trouble.kind == "cut_request":
                data = data[: trouble.size - self._passed]
                self._passed += len(data)
            writer.write(data)
            await writer.drain()
            if trouble and trouble.kind == "cut_request" and self._passed >= trouble.size:
                self.abort()
                return
        self._close(writer)

    async def downstream(self) -> None:
        """Pass on what the server says."""
        reader, writer = self._server[0], self._client[1]
        while data := await reader.read(CHUNK):
            if not self._answered:
                self._answered, self._passed = True, 0
            trouble = self._trouble
            if self.dead or (trouble and trouble.kind == "mute"):
                continue
            if trouble and trouble.kind == "drip":
                await self._drip(writer, data, trouble)
                continue
            if trouble and trouble.kind == "cut_response":
                data = data[: trouble.size - self._passed]
                self._passed += len(data)
            writer.write(data)
            await writer.drain()
            if trouble and trouble.kind == "cut_response" and self._passed >= trouble.size:
                self.abort()
                return
        self._close(writer)

    async def _drip(self, writer: asyncio.StreamWriter, data: bytes, trouble: Trouble) -> None:
        for start in range(0, len(data), trouble.size):
            writer.write(data[start : start + trouble.size])
            await writer.drain()
            await asyncio.sleep(trouble.pause)

    def _close(self, writer: asyncio.StreamWriter) -> None:
        if not self.dead:
            writer.close()

    def abort(self) -> None:
        """Cut both connections."""
        for _, writer in (self._client, self._server):
            writer.transport.abort()
