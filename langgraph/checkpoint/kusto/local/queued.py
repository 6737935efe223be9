"""Queued ingestion: messages are taken from a queue, and the blobs they name are ingested.

Lives here: the worker that does what Kusto's Data Management service does. Does not live here: the
addresses (`azurite`), the command that hands them out (`commands.ingestion_resources`), and what
becomes of rows (`cluster`).

Rules, as `data-explorer/ingest-data-overview.md` and `kusto-ingest-client-rest.md` have it:
- at least once: a message is deleted only after the commit of its rows, and comes back if the
  server ends between the two;
- what can never be ingested is reported to the queue of failures, if the message asks for that, and
  deleted; what could not be read is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

from .azurite import (
    CONTAINER,
    FAILED,
    READY,
    STATUS_TABLE,
    SUCCESSFUL,
    VERSION,
    Azurite,
    Message,
    message_body,
    messages_of,
    signature,
)
from .cluster import Cluster
from .commands.ingestion_resources import IDENTITY
from .errors import LocalKustoError, ServiceError, bad_request

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.05
# A message that was not deleted comes back after so long, beside what it waits for on purpose.
REDELIVER_SECONDS = 10
TAKEN_AT_ONCE = 32  # the most a queue gives (get-messages)
REQUEST_SECONDS = 30.0
# ReportLevel of a message: FailuresOnly, DoNotReport, FailuresAndSuccesses.
REPORTS_FAILURES = (0, 2)
REPORTS_SUCCESSES = 2


@dataclass(frozen=True)
class _Order:
    """What a message asks for."""

    blob: str
    database: str
    table: str
    format: str
    mapping: str | None
    report: int
    at_once: bool


class QueuedIngestion:
    """Ingests what clients put into the queue of one Azurite.

    Args:
        azurite: the storage.
        cluster: where the rows go.
        executor: worker threads for what blocks.
        delay: how long rows wait before they are ingested, as Kusto's batching makes them, unless
            the client asks for none.

    Attributes:
        paused: while set, messages stay in the queue.
        ingested: messages whose rows were committed.
        failures: why messages were given up.
    """

    def __init__(
        self, azurite: Azurite, cluster: Cluster, executor: Executor, delay: float
    ) -> None:
        self._azurite = azurite
        self._cluster = cluster
        self._executor = executor
        self._delay = delay
        self._session: aiohttp.ClientSession | None = None
        self._task: asyncio.Task[None] | None = None
        self._busy: set[asyncio.Task[None]] = set()
        self.paused = False
        self.ingested = 0
        self.failures: list[str] = []

    def __repr__(self) -> str:
        return f"QueuedIngestion(ingested={self.ingested}, failures={len(self.failures)})"

    async def start(self) -> None:
        """Create what is missing in the storage, and begin to take messages.

        Raises:
            LocalKustoError: Azurite does not answer as it should.
        """
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS), headers={"x-ms-version": VERSION}
        )
        try:
            await self._create_all()
        except BaseException:
            await self._session.close()
            raise
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Take no more messages; what is half done comes back when the next server starts."""
        tasks = [*self._busy, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _create_all(self) -> None:
        queues = (f"{self._azurite.queues}/{name}" for name in (READY, FAILED, SUCCESSFUL))
        table = orjson.dumps({"TableName": STATUS_TABLE})
        try:
            await self._create("PUT", f"{self._azurite.blobs}/{CONTAINER}", "restype=container&")
            for queue in queues:
                await self._create("PUT", queue)
            await self._create("POST", f"{self._azurite.tables}/Tables", "", table)
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            raise LocalKustoError(
                f"Azurite does not answer at {self._azurite.blobs} and the two ports after it:"
                f" {error!r}"
            ) from error

    async def _create(self, method: str, url: str, query: str = "", body: bytes = b"") -> None:
        json = {"Accept": "application/json", "Content-Type": "application/json"} if body else {}
        status, answer = await self._request(method, f"{url}?{query}{signature()}", body, json)
        if status not in (201, 204, 409):  # 409: there already
            raise LocalKustoError(f"Azurite refused to create {url}: {status} {answer[:500]!r}")

    async def _request(
        self, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        assert self._session is not None
        async with self._session.request(method, url, data=body, headers=headers) as answer:
            return answer.status, await answer.read()

    async def _run(self) -> None:
        while True:
            try:
                found = [] if self.paused else await self._take()
            except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
                logger.warning("the queue of Azurite does not answer: %s", error)
                found = []
            for message in found:
                task = asyncio.get_running_loop().create_task(self._handle(message))
                self._busy.add(task)
                task.add_done_callback(self._busy.discard)
            if not found:
                await asyncio.sleep(POLL_SECONDS)

    async def _take(self) -> list[Message]:
        hidden = REDELIVER_SECONDS + int(self._delay)
        status, answer = await self._request(
            "GET",
            f"{self._azurite.queues}/{READY}/messages?numofmessages={TAKEN_AT_ONCE}"
            f"&visibilitytimeout={hidden}&{signature()}",
        )
        return messages_of(answer) if status == 200 else []

    async def _handle(self, message: Message) -> None:
        """Ingest what a message asks for; leave the message where that may work later."""
        report = REPORTS_FAILURES[0]
        try:
            order = _read(message.text, self._azurite)
            report = order.report
            if self._delay and not order.at_once:
                await asyncio.sleep(self._delay)
            await self._ingest(order)
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            logger.warning("a queued blob could not be read, it is tried again: %s", error)
            return
        except ServiceError as error:
            self.failures.append(error.detail)
            logger.warning("a queued message is given up: %s", error.detail)
            if report in REPORTS_FAILURES:
                await self._report(FAILED, message, error.detail)
        except Exception:
            logger.exception("a queued message failed, it is tried again")
            return
        else:
            self.ingested += 1
            if report == REPORTS_SUCCESSES:
                await self._report(SUCCESSFUL, message, "")
        with suppress(aiohttp.ClientError, OSError, asyncio.TimeoutError):  # else it comes back
            await self._request(
                "DELETE",
                f"{self._azurite.queues}/{READY}/messages/{message.id}"
                f"?popreceipt={quote(message.receipt, safe='')}&{signature()}",
            )

    async def _ingest(self, order: _Order) -> None:
        status, packed = await self._request("GET", order.blob)
        if status == 404:
            raise bad_request(f"The blob {order.blob.partition('?')[0]} does not exist.")
        if status != 200:
            raise aiohttp.ClientError(f"the blob service answered {status}")

        def submit() -> Any:
            body = _unpacked(packed) if order.blob.partition("?")[0].endswith(".gz") else packed
            return self._cluster.ingest_queued(
                order.database, order.table, order.format, order.mapping, body
            )

        loop = asyncio.get_running_loop()
        await asyncio.wrap_future(await loop.run_in_executor(self._executor, submit))

    async def _report(self, queue: str, message: Message, details: str) -> None:
        text = orjson.dumps({"Details": details, "Message": message.text}).decode()
        with suppress(aiohttp.ClientError, OSError, asyncio.TimeoutError):
            await self._request(
                "POST", f"{self._azurite.queues}/{queue}/messages?{signature()}", message_body(text)
            )


def _read(text: str, azurite: Azurite) -> _Order:
    """Read a message.

    Raises:
        ServiceError: it is none of Kusto's, or may not be carried out.
    """
    try:
        fields = orjson.loads(text)
        more = fields["AdditionalProperties"]
        order = _Order(
            blob=str(fields["BlobPath"]),
            database=str(fields["DatabaseName"]),
            table=str(fields["TableName"]),
            format=str(more.get("format", "csv")),
            mapping=more.get("ingestionMappingReference"),
            report=int(fields.get("ReportLevel", 0)),
            at_once=bool(fields.get("FlushImmediately")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise bad_request(f"A queued message is not one of Kusto's: {error!r}") from error
    if more.get("authorizationContext") != IDENTITY:
        raise bad_request("A queued message has no valid identity token.", code="Forbidden")
    if not order.blob.startswith(f"{azurite.blobs}/{CONTAINER}/"):
        raise bad_request("A queued message names a blob outside of the temporary storage.")
    return order


def _unpacked(packed: bytes) -> bytes:
    try:
        return zlib.decompress(packed, wbits=31)
    except zlib.error as error:
        raise bad_request(f"The blob is not valid gzip: {error}") from error
