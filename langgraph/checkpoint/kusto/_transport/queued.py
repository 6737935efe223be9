"""Queued ingestion through Microsoft's SDK (`azure-kusto-ingest`).

The rows of one request become a blob in Azure storage and a message in a queue of the cluster's
Data Management service, which ingests them later. The SDK's client blocks, so it is used in worker
threads, never more than there may be requests in flight. On return of `send` the queue has the
message, and Azure storage has the rows.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import logging
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import anyio
from azure.core.exceptions import HttpResponseError
from azure.kusto.data import DataFormat, KustoConnectionStringBuilder
from azure.kusto.data.exceptions import KustoBlobError
from azure.kusto.ingest import (
    BlobDescriptor,
    IngestionProperties,
    IngestionStatus,
    QueuedIngestClient,
    ReportLevel,
    StreamDescriptor,
)
from azure.kusto.ingest.exceptions import KustoQueueError
from azure.storage.blob import BlobServiceClient

from .._schema import BLOBS
from ..errors import (
    ClusterUnreachableError,
    KustoCheckpointError,
    SaverClosedError,
    ServiceUnavailableError,
)
from .credentials import CredentialAdapter
from .failures import Request, ingestion_unavailable, translate

logger = logging.getLogger(__name__)

_GZIP_LEVEL = 1
_CLOSE_SECONDS = 5.0
_STORAGE_SECONDS = 20
_CONTAINERS_TRIED = 3
_TOKEN_SECONDS = 60.0
# The signature of a storage address is a credential; everything after the question mark goes.
_QUERY = re.compile(r"\?[^\s'\")>]*")

Connect = Callable[[asyncio.AbstractEventLoop], KustoConnectionStringBuilder]


class BlockingCredential:
    """A credential for the SDK's blocking client, asked on the event loop it belongs to."""

    def __init__(self, adapter: CredentialAdapter, loop: asyncio.AbstractEventLoop) -> None:
        self._adapter = adapter
        self._loop = loop

    def __repr__(self) -> str:
        return f"<BlockingCredential {self._adapter!r}>"

    def get_token(self, *scopes: str, **kwargs: Any) -> Any:
        """Return a token; called in worker threads only."""
        asked = asyncio.run_coroutine_threadsafe(
            self._adapter.get_token(*scopes, **kwargs), self._loop
        )
        try:
            return asked.result(_TOKEN_SECONDS)
        finally:
            asked.cancel()

    def close(self) -> None:
        """Close nothing: the credential belongs to the transport's other client, too."""


class _NoResourcesError(Exception):
    """The service named no container or no queue."""


class _RewindingClient(QueuedIngestClient):
    """The SDK's client with another upload.

    The SDK's goes on to the next storage account with what is left of the stream, which is nothing:
    a blob without rows is queued then, and nobody hears of it. It also retries each account for a
    minute, in a thread nobody can stop.
    """

    def upload_blob(
        self,
        containers: list[Any],
        descriptor: Any,
        database: str,
        table: str,
        stream: Any,
        proxy_dict: Any,
        timeout: int,
        max_retries: int,
    ) -> BlobDescriptor:
        """Upload to the first of some containers that takes it."""
        if not containers:  # the SDK would go on without a blob
            raise _NoResourcesError("no container for temporary storage was named")
        name = f"{database}__{table}__{descriptor.source_id}__{descriptor.stream_name}"
        failed: list[Exception] = []
        for container in containers[:_CONTAINERS_TRIED]:
            stream.seek(0)
            try:
                with BlobServiceClient(
                    container.account_uri,
                    proxies=proxy_dict,
                    retry_total=0,
                    connection_timeout=_STORAGE_SECONDS,
                    read_timeout=_STORAGE_SECONDS,
                ) as service:
                    blob = service.get_blob_client(container=container.object_name, blob=name)
                    blob.upload_blob(stream, length=stream.getbuffer().nbytes)
                    return BlobDescriptor(blob.url, descriptor.size, descriptor.source_id)
            except Exception as error:  # noqa: BLE001 - another account may take it
                failed.append(error)
        raise KustoBlobError(failed[-1])


class QueuedSender:
    """Sends rows to the queue of one database.

    Args:
        uri: The Data Management endpoint.
        database: The database.
        connect: Makes the connection string of a client, whose tokens come from that loop.
        threads: Worker threads.
        timeout: Seconds a request may take before its outcome counts as unknown.
    """

    def __init__(
        self, uri: str, database: str, connect: Connect, *, threads: int, timeout: float
    ) -> None:
        self._uri = uri
        self._database = database
        self._connect = connect
        self._threads = threads
        self._timeout = timeout
        self._executor: ThreadPoolExecutor | None = None
        self._client: _RewindingClient | None = None
        self._retired: list[_RewindingClient] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._first = asyncio.Lock()
        self._keeping = threading.Lock()
        self._running: set[Future[None]] = set()

    def __repr__(self) -> str:
        state = "open" if self._executor is not None else "closed"
        return f"<QueuedSender {self._uri} {state} running={len(self._running)}>"

    async def open(self) -> None:
        """Begin on the running loop; nothing is sent yet."""
        self._retire_client()
        self._loop, self._first = asyncio.get_running_loop(), asyncio.Lock()
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="kusto-queued")
            # At the end of the interpreter no thread can be started any more.
            self._executor.submit(_nothing)

    async def aclose(self) -> None:
        """Wait a little for what is half sent, and close."""
        executor, self._executor = self._executor, None
        if executor is None:
            return
        executor.shutdown(wait=False, cancel_futures=True)
        left = [asyncio.wrap_future(future) for future in list(self._running)]
        if left:
            _, still = await asyncio.wait(left, timeout=_CLOSE_SECONDS)
            if still:
                logger.warning(
                    "%d requests to %s are still under way; their threads end with them",
                    len(still),
                    self._uri,
                )
        self._retire_client()
        self._close_retired()

    async def send(self, table: str, mapping: str, payload: bytes) -> None:
        """Put rows into the queue; on return Azure storage has them."""
        request = Request("ingest", self._uri, self._database, table, "queued")
        properties = IngestionProperties(
            self._database,
            table,
            DataFormat.MULTIJSON,
            ingestion_mapping_reference=mapping,
            # A put waits until Kusto shows its large values; nobody waits for the rest.
            flush_immediately=table == BLOBS,
            report_level=ReportLevel.FailuresOnly,
        )
        try:
            with anyio.fail_after(self._timeout):
                await self._send_alone_or_with_others(properties, payload)
        except (TimeoutError, asyncio.TimeoutError):
            error = TimeoutError(f"no answer in {self._timeout:g} s")
            raise translate(error, request) from None
        except Exception as error:  # noqa: BLE001 - the boundary: everything is translated
            # Without its cause: what the storage says may hold the signature of an address.
            raise self._translated(error, request) from None

    async def _send_alone_or_with_others(
        self, properties: IngestionProperties, payload: bytes
    ) -> None:
        """Send; the first goes alone, because it fills lists of the SDK that know no threads."""
        if self._client is None:
            async with self._first:
                if self._client is None:
                    await self._send_off_loop(properties, payload)
                    return
        await self._send_off_loop(properties, payload)

    async def _send_off_loop(self, properties: IngestionProperties, payload: bytes) -> None:
        executor, loop = self._executor, self._loop
        if executor is None or loop is None:
            raise SaverClosedError
        future = executor.submit(self._send, loop, properties, payload)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        await asyncio.wrap_future(future)

    def _send(
        self, loop: asyncio.AbstractEventLoop, properties: IngestionProperties, payload: bytes
    ) -> None:
        """Send in a worker thread."""
        client, is_new = self._client, False
        if client is None:
            client, is_new = _new_client(self._connect(loop)), True
        packed = gzip.compress(payload, _GZIP_LEVEL, mtime=0)
        stream = StreamDescriptor(io.BytesIO(packed), is_compressed=True, size=len(payload))
        try:
            result: Any = client.ingest_from_stream(stream, properties)
            # Without a queue the SDK returns as if nothing were wrong.
            if result is None or result.status is not IngestionStatus.QUEUED:
                raise _NoResourcesError("no queue for ingestion was named")
        except BaseException:
            if is_new:
                client.close()
            raise
        if is_new and not self._keep(client, loop):
            client.close()

    def _keep(self, client: _RewindingClient, loop: asyncio.AbstractEventLoop) -> bool:
        """Let a client that worked be the one for all, if it may; called in worker threads.

        There may be one already, when the request before took so long that nobody waited for it;
        or it was made for a loop that is gone, or closed meanwhile.
        """
        with self._keeping:
            wanted = self._client is None and self._loop is loop and self._executor is not None
            if wanted:
                self._client = client
        return wanted

    def _translated(self, error: Exception, request: Request) -> KustoCheckpointError:
        if isinstance(error, _NoResourcesError):
            return ingestion_unavailable(request, str(error))
        inner: BaseException | None = error.inner if isinstance(error, KustoBlobError) else None
        if isinstance(error, KustoQueueError):
            inner = error.__cause__
        if inner is None:
            return translate(error, request)
        answered = isinstance(inner, HttpResponseError)
        if answered:  # the next client asks for addresses with a fresh signature
            self._retire_client()
        said = _QUERY.sub("?...", f"{type(inner).__name__}: {inner}").splitlines()[0]
        kind = ServiceUnavailableError if answered else ClusterUnreachableError
        return kind(
            f"Azure storage did not take the {request}; the rows may or may not land; check the"
            " network to the storage accounts that `.get ingestion resources` names (firewall,"
            f" proxy), or try again later: {said}"
        )

    def _retire_client(self) -> None:
        """Use it no more; it is closed when no thread uses it either."""
        with self._keeping:
            client, self._client = self._client, None
        if client is not None:
            self._retired.append(client)
        if not self._running:
            self._close_retired()

    def _close_retired(self) -> None:
        retired, self._retired = self._retired, []
        for client in retired:
            client.close()


def _new_client(connection: KustoConnectionStringBuilder) -> _RewindingClient:
    client: _RewindingClient = _RewindingClient(connection, auto_correct_endpoint=False)
    return client


def _nothing() -> None:
    """What a worker thread does so that there is one."""
