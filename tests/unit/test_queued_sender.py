"""The sender of queued ingestion, over a client that stands for Microsoft's."""

from __future__ import annotations

import asyncio
import gzip
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ServiceRequestError
from azure.kusto.data import KustoConnectionStringBuilder
from azure.kusto.data.exceptions import KustoBlobError, KustoNetworkError, KustoThrottlingError
from azure.kusto.ingest import BlobDescriptor, IngestionStatus
from azure.kusto.ingest.base_ingest_client import IngestionResult
from azure.kusto.ingest.exceptions import KustoQueueError

from langgraph.checkpoint.kusto._transport import SdkTransport, parse_endpoint, queued
from langgraph.checkpoint.kusto._transport.credentials import CredentialAdapter
from langgraph.checkpoint.kusto._transport.queued import BlockingCredential, QueuedSender
from langgraph.checkpoint.kusto.errors import (
    ClusterUnreachableError,
    IngestionUnavailableError,
    SaverClosedError,
    ServiceUnavailableError,
    ThrottledError,
)

URI = "https://ingest-mycluster.kusto.windows.net"
ROWS = b'{"thread_id":"1"}\n{"thread_id":"2"}'
SECRET = "https://a.blob.core.windows.net/c/b?sv=1&sig=SECRET"


class Client:
    """Takes what it is given, or fails."""

    def __init__(self, failures: list[Any] | None = None) -> None:
        self.failures = failures or []
        self.sent: list[tuple[Any, bytes, int]] = []
        self.threads: set[str] = set()
        self.closed = 0
        self.gate = threading.Event()
        self.gate.set()
        self.at_once = self.most_at_once = 0

    def ingest_from_stream(self, stream: Any, properties: Any) -> Any:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.threads.add(threading.current_thread().name)
        try:
            assert self.gate.wait(30)
            if self.failures:
                raise self.failures.pop(0)
            rows = gzip.decompress(stream.stream.read())
            self.sent.append((properties, rows, stream.size))
            return IngestionResult(IngestionStatus.QUEUED, "db", "t", stream.source_id)
        finally:
            self.at_once -= 1

    def close(self) -> None:
        self.closed += 1


class Clients(list[Client]):
    """The clients that were made; `prepared` are given out first."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared: list[Client] = []

    def new(self, _: object) -> Client:
        self.append(self.prepared.pop(0) if self.prepared else Client())
        return self[-1]


@pytest.fixture(name="clients")
def _clients(monkeypatch: pytest.MonkeyPatch) -> Clients:
    found = Clients()
    monkeypatch.setattr(queued, "_new_client", found.new)
    return found


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - nothing announces what a thread does
        await asyncio.sleep(0.001)


def connect(_: object) -> KustoConnectionStringBuilder:
    return KustoConnectionStringBuilder.with_no_authentication("http://localhost:1")


@pytest.fixture
async def sender() -> AsyncIterator[QueuedSender]:
    sender = QueuedSender(URI, "db", connect, threads=3, timeout=30.0)
    await sender.open()
    yield sender
    await sender.aclose()


async def test_what_is_sent(sender: QueuedSender, clients: Clients) -> None:
    await sender.send("Checkpoints", "Checkpoints_v1", ROWS)
    await sender.send("CheckpointBlobs", "CheckpointBlobs_v1", ROWS)
    (client,) = clients
    (properties, rows, size), (blobs, _, _) = client.sent
    assert (rows, size) == (ROWS, len(ROWS))
    assert (properties.database, properties.table) == ("db", "Checkpoints")
    assert properties.format.kusto_value == "multijson"
    assert properties.ingestion_mapping_reference == "Checkpoints_v1"
    assert not properties.flush_immediately
    assert blobs.flush_immediately, "a put waits for it"
    assert all(name.startswith("kusto-queued") for name in client.threads)


async def test_the_first_goes_alone_and_the_others_side_by_side(
    sender: QueuedSender, clients: Clients
) -> None:
    client = Client()
    client.gate.clear()
    clients.prepared = [client]
    sends = [asyncio.ensure_future(sender.send("T", "M", ROWS)) for _ in range(9)]
    await until(lambda: client.at_once)
    assert client.at_once == 1
    client.gate.set()
    await asyncio.gather(*sends)
    assert len(clients) == 1
    assert len(client.sent) == 9
    assert client.most_at_once <= 3


@pytest.mark.parametrize(
    ("failure", "kind", "kept"),
    [
        (KustoBlobError(HttpResponseError(f"403 of {SECRET}")), ServiceUnavailableError, False),
        (KustoBlobError(ServiceRequestError(f"url: {SECRET} (")), ClusterUnreachableError, True),
        (KustoNetworkError(URI), ClusterUnreachableError, True),
        (KustoThrottlingError("slow down"), ThrottledError, True),
    ],
)
async def test_failures_are_classified_and_show_no_signature(
    sender: QueuedSender, clients: Clients, failure: Exception, kind: type[Exception], kept: bool
) -> None:
    await sender.send("T", "M", ROWS)
    clients[0].failures = [failure]
    with pytest.raises(kind) as caught:
        await sender.send("T", "M", ROWS)
    assert caught.value.retriable  # type: ignore[attr-defined]
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))
    await sender.send("T", "M", ROWS)
    assert len(clients) == (1 if kept else 2), "addresses are asked for anew after a refusal"
    assert clients[0].closed == (0 if kept else 1)


async def test_a_queue_that_refuses(sender: QueuedSender, clients: Clients) -> None:
    refused = KustoQueueError()
    refused.__cause__ = HttpResponseError(f"403 of {SECRET}")
    clients.prepared = [Client([refused])]
    with pytest.raises(ServiceUnavailableError, match=r"HttpResponseError: 403 of .*\?\.\.\."):
        await sender.send("T", "M", ROWS)
    assert clients[0].closed == 1, "one that never worked is not kept"
    await sender.send("T", "M", ROWS)
    assert len(clients) == 2


async def test_an_answer_that_is_none(
    sender: QueuedSender, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "ingest_from_stream", lambda *_: None)
    with pytest.raises(IngestionUnavailableError, match="no queue for ingestion was named"):
        await sender.send("T", "M", ROWS)


async def test_a_request_that_takes_too_long(clients: Clients) -> None:
    client = Client()
    client.gate.clear()
    clients.prepared = [client]
    sender = QueuedSender(URI, "db", connect, threads=1, timeout=0.05)
    await sender.open()
    with pytest.raises(ClusterUnreachableError, match="the rows may or may not have landed"):
        await sender.send("T", "M", ROWS)
    assert repr(sender) == f"<QueuedSender {URI} open running=1>"
    client.gate.set()
    await sender.aclose()
    assert repr(sender) == f"<QueuedSender {URI} closed running=0>"
    assert client.closed == 1
    assert len(client.sent) == 1, "what was under way is not taken back"
    with pytest.raises(SaverClosedError):
        await sender.send("T", "M", ROWS)


async def test_a_first_request_that_takes_too_long_leaves_no_client_behind(
    clients: Clients,
) -> None:
    """The next one makes a client, too; when both have sent, one of them is closed."""
    slow, next_one = Client(), Client()
    slow.gate.clear()
    next_one.gate.clear()
    clients.prepared = [slow, next_one]
    sender = QueuedSender(URI, "db", connect, threads=2, timeout=0.05)
    await sender.open()
    for _ in clients.prepared.copy():
        with pytest.raises(ClusterUnreachableError):
            await sender.send("T", "M", ROWS)
    slow.gate.set()
    await until(lambda: slow.sent)
    next_one.gate.set()
    await until(lambda: next_one.sent and not sender._running)
    sender._timeout = 30.0
    await sender.send("T", "M", ROWS)
    assert len(clients) == 2
    assert [client.closed for client in clients] == [0, 1]
    await sender.aclose()
    assert [client.closed for client in clients] == [1, 1]


async def test_a_client_of_a_loop_that_is_gone_is_not_kept(clients: Clients) -> None:
    """It asks for tokens on the loop it was made for."""
    slow = Client()
    slow.gate.clear()
    clients.prepared = [slow]
    sender = QueuedSender(URI, "db", connect, threads=2, timeout=0.05)

    async def once() -> None:
        await sender.open()
        with pytest.raises(ClusterUnreachableError):
            await sender.send("T", "M", ROWS)

    await asyncio.to_thread(asyncio.run, once())
    await sender.open()
    slow.gate.set()
    await until(lambda: slow.sent and not sender._running)
    assert slow.closed == 1
    sender._timeout = 30.0
    await sender.send("T", "M", ROWS)
    assert len(clients) == 2
    await sender.aclose()
    assert [client.closed for client in clients] == [1, 1]


async def test_closing_does_not_wait_for_ever(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(queued, "_CLOSE_SECONDS", 0.01)
    client = Client()
    client.gate.clear()
    clients.prepared = [client]
    sender = QueuedSender(URI, "db", connect, threads=1, timeout=0.02)
    await sender.open()
    with pytest.raises(ClusterUnreachableError):
        await sender.send("T", "M", ROWS)
    await sender.aclose()
    await sender.aclose()
    assert f"1 requests to {URI} are still under way" in caplog.text
    client.gate.set()
    await until(lambda: client.closed)


def test_another_loop_gets_a_client_of_its_own(clients: Clients) -> None:
    sender = QueuedSender(URI, "db", connect, threads=1, timeout=5.0)

    async def once() -> None:
        await sender.open()
        await sender.send("T", "M", ROWS)

    asyncio.run(once())
    asyncio.run(once())
    asyncio.run(sender.aclose())
    assert [client.closed for client in clients] == [1, 1]


# -- the upload ------------------------------------------------------------------------------------


class Storage:
    """Stands for the blob client; accounts named `dead` fail after reading the stream."""

    uploaded: dict[str, bytes]

    def __init__(self, account_uri: str, **settings: Any) -> None:
        self.account_uri = account_uri
        assert settings["retry_total"] == 0

    def __enter__(self) -> Storage:
        return self

    def __exit__(self, *_: object) -> None: ...

    def get_blob_client(self, container: str, blob: str) -> Storage:
        self.url = f"{self.account_uri}{container}/{blob}"
        return self

    def upload_blob(self, stream: Any, length: int) -> None:
        data = stream.read()
        assert len(data) == length
        if "dead" in self.account_uri:
            raise ServiceRequestError("dead")
        Storage.uploaded[self.url] = data


class Container:
    object_name = "container"

    def __init__(self, account_uri: str) -> None:
        self.account_uri = account_uri


@pytest.fixture
def uploader(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(queued, "BlobServiceClient", Storage)
    Storage.uploaded = {}
    client = queued._RewindingClient(connect(None))
    yield client
    client.close()


def upload(uploader: Any, *accounts: str) -> BlobDescriptor:
    stream = queued.StreamDescriptor(queued.io.BytesIO(ROWS), is_compressed=True, size=7)
    found: BlobDescriptor = uploader.upload_blob(
        [Container(account) for account in accounts], stream, "db", "T", stream.stream, None, 1, 3
    )
    return found


def test_the_next_account_gets_the_whole_stream(uploader: Any) -> None:
    """Microsoft's own upload sends what is left of it: nothing."""
    found = upload(uploader, "https://dead/", "https://well/")
    assert Storage.uploaded == {found.path: ROWS}
    assert found.path.startswith("https://well/container/db__T__")
    assert found.size == 7


def test_after_three_accounts_it_gives_up(uploader: Any) -> None:
    with pytest.raises(KustoBlobError):
        upload(uploader, *["https://dead/"] * 3, "https://well/")
    assert Storage.uploaded == {}


# -- identity --------------------------------------------------------------------------------------


class Credential:
    """An async credential that notes the loop it is asked on."""

    def __init__(self) -> None:
        self.loops: list[Any] = []

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.loops.append(asyncio.get_running_loop())
        return AccessToken(f"token for {scopes[0]}", 9_999_999_999)


async def test_the_credential_is_asked_on_its_loop() -> None:
    inner = Credential()
    blocking = BlockingCredential(CredentialAdapter(inner), asyncio.get_running_loop())
    token = await asyncio.to_thread(blocking.get_token, "scope")
    assert token.token == "token for scope"
    assert inner.loops == [asyncio.get_running_loop()]
    assert repr(blocking) == "<BlockingCredential <CredentialAdapter Credential>>"
    blocking.close()


async def test_the_same_identity_for_both_endpoints() -> None:
    loop = asyncio.get_running_loop()
    cluster = "https://mycluster.kusto.windows.net"
    mine = SdkTransport(parse_endpoint(cluster, "db"), credential=Credential(), ingestion="queued")
    found = mine._queue_connection(loop)
    assert found.data_source == URI
    assert isinstance(found.azure_credential, BlockingCredential)
    assert found.application_for_tracing == "langgraph-checkpoint-kusto"
    await mine.aclose()

    text = f"Data Source={cluster};Database=db;AppClientId=a;AppKey=k;Authority Id=t"
    own = SdkTransport(parse_endpoint(text, None), ingestion="queued")
    assert own._queue_connection(loop).data_source == URI
    assert own._queue_connection(loop).application_key == "k"

    local = SdkTransport(parse_endpoint("http://localhost:1", "db"), ingestion="queued")
    assert local._queue_connection(loop).data_source == "http://localhost:1"
