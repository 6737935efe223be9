"""A server that answers as the one behind it does, until it is told to answer something else.

No test stands here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

Answer = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]
"""Makes an answer of a request and of the body the right answer would have had."""


class LyingServer:
    """Passes requests on; `lie` says what becomes of the answers to some of them."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._session: aiohttp.ClientSession | None = None
        self._lie: Answer | None = None
        self._path = ""
        self.url = ""
        self.lies = 0
        self.lied = asyncio.Event()

    def lie(self, path: str, answer: Answer) -> None:
        """Answer requests whose path has this in it with something else, until told the truth."""
        self._path, self._lie, self.lies = path, answer, 0
        self.lied.clear()

    def tell_the_truth(self) -> None:
        """Pass on every answer as it is."""
        self._lie = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[LyingServer]:
        """Listen on a free port."""
        app = web.Application(client_max_size=1 << 28)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, auto_decompress=False, shutdown_timeout=0.01)
        async with aiohttp.ClientSession(auto_decompress=False) as self._session:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{host}:{port}"
            try:
                yield self
            finally:
                await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in ("host", "content-length", "accept-encoding")
        }
        async with self._session.request(
            request.method,
            self._target + request.raw_path,
            headers=headers,
            data=await request.read(),
        ) as right:
            body = await right.read()
            lie = self._lie
            if lie is not None and self._path in request.path:
                self.lies += 1
                self.lied.set()
                return await lie(request, body)
            return web.Response(
                status=right.status, body=body, content_type=right.content_type or None
            )


def body(data: bytes, content_type: str = "application/json", status: int = 200) -> Answer:
    """Answer these bytes."""
    return changed(lambda _: data, content_type, status)


def changed(
    change: Callable[[bytes], bytes], content_type: str = "application/json", status: int = 200
) -> Answer:
    """Answer what a function makes of the right body."""

    async def answer(request: web.Request, right: bytes) -> web.StreamResponse:
        return web.Response(body=change(right), content_type=content_type, status=status)

    return answer


def encoded(encoding: str) -> Answer:
    """Answer the right body and say that it is packed, which it is not."""

    async def answer(request: web.Request, right: bytes) -> web.StreamResponse:
        headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
        return web.Response(body=right, headers=headers)

    return answer


def endless(piece: bytes, pause: float) -> Answer:
    """Answer without an end."""

    async def answer(request: web.Request, right: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b"[")
        try:
            while True:
                await response.write(piece)
                await asyncio.sleep(pause)
        except ConnectionError:
            return response  # the client has had enough

    return answer
