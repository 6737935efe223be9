"""Errors a user can cause: each has its own class, and a message that says what to do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.kusto.data._cloud_settings import CloudSettings
from shared.places import Place, command, local_place, query
from shared.savers import of_kind
from shared.threads import Chain, config_of, listed, new_checkpoint, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, errors

pytestmark = pytest.mark.local_only

FAST: dict[str, Any] = {"max_retries": 1, "retry_backoff": 0.001}


@pytest.fixture
def place() -> Iterator[Place]:
    """A server that a test may spoil."""
    with local_place() as place:
        yield place


@pytest.fixture(params=["async", "sync"])
def make_saver(
    request: pytest.FixtureRequest,
    async_saver: Callable[..., AsyncKustoSaver],
    sync_saver: Callable[..., KustoSaver],
) -> Callable[..., Any]:
    return of_kind(request.param, async_saver, sync_saver, FAST)


@pytest.fixture
def restarted(tmp_path: Path) -> Iterator[Callable[..., Place]]:
    """Start a provisioned database again, in a server with other settings."""
    path = tmp_path / "kusto.db"
    with local_place(path=path):
        pass
    entered: list[Any] = []

    def start(**settings: Any) -> Place:
        entered.append(local_place(path=path, provisioned=False, **settings))
        found: Place = entered[-1].__enter__()
        return found

    yield start
    for server in entered:
        server.__exit__(None, None, None)


async def put(saver: Any) -> Any:
    return await saver.aput(config_of("t"), new_checkpoint({"a": 1}), {}, {"a": 1})


async def get(saver: Any) -> Any:
    return await saver.aget_tuple(config_of("t"))


def on(place: Place, **options: Any) -> AsyncKustoSaver:
    return AsyncKustoSaver(place.uri, place.database, **{**FAST, **options})


# -- how the saver was built: nothing is contacted -------------------------------------------------


@pytest.mark.parametrize("kind", [AsyncKustoSaver, KustoSaver])
@pytest.mark.parametrize(
    ("uri", "remedy"),
    [
        (None, "cluster_uri="),
        ("", "cluster_uri="),
        ("mycluster.westeurope.kusto.windows.net", "https://mycluster"),
        ("ftp://mycluster", "https://mycluster"),
        ("https://", "https://mycluster"),
        ("https://host:port", "https://mycluster"),
        ("http://mycluster.westeurope.kusto.windows.net", "use https"),
        ("https://ingest-mycluster.westeurope.kusto.windows.net", "query URI: https://mycluster"),
        ("https://user:secret@mycluster.westeurope.kusto.windows.net", "credential="),
        ("https://mycluster.westeurope.kusto.windows.net/a/b?c=d", "https://mycluster"),
        ("Data Source=", "https://mycluster"),
        ("Nonsense=1;More=2", "Initial Catalog="),
    ],
)
def test_a_uri_that_cannot_be_used(kind: Any, uri: Any, remedy: str) -> None:
    with pytest.raises(errors.InvalidClusterUriError) as refused:
        kind(uri, "db")
    assert remedy in str(refused.value)
    assert "secret" not in str(refused.value)
    assert isinstance(refused.value, errors.ConfigurationError)
    assert isinstance(refused.value, ValueError)
    assert not refused.value.retriable


@pytest.mark.parametrize("kind", [AsyncKustoSaver, KustoSaver])
def test_neither_an_endpoint_nor_a_transport_shows_both(kind: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"cluster_uri=.*database=.*transport="):
        kind()


@pytest.mark.parametrize(
    ("database", "message"),
    [(None, "database="), ("", "database="), ("a/b", "letters"), ("x" * 2_000, "letters")],
)
def test_a_database_that_cannot_be_one(database: Any, message: str) -> None:
    with pytest.raises(errors.InvalidDatabaseError, match=message):
        AsyncKustoSaver("https://mycluster.westeurope.kusto.windows.net", database)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_sise": 1}, r"unknown option batch_sise; the options are .*batch_size"),
        ({"batch_size": 0}, "batch_size must be a whole number, more than 0"),
        ({"max_retries": 1.5}, "max_retries must be a whole number"),
        ({"flush_interval": float("nan")}, "flush_interval must be a number of seconds"),
        ({"query_timeout": "30"}, "query_timeout"),
        ({"write_mode": "durable"}, "'acknowledged' or 'buffered'"),
        ({"ingestion": "queued"}, "'streaming'"),
        ({"credential": object()}, "DefaultAzureCredential"),
        ({"credential": "only-one-part"}, "'app-id;app-key;tenant'"),
        ({"transport": object()}, "transport="),
    ],
)
@pytest.mark.parametrize("kind", [AsyncKustoSaver, KustoSaver])
def test_an_option_that_cannot_be_used(kind: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.InvalidOptionError, match=message):
        kind("http://127.0.0.1:1", "db", **options)


# -- the way to the cluster ------------------------------------------------------------------------


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("call", [put, get, lambda saver: saver.asetup()])
async def test_nobody_listens(call: Callable[[Any], Any]) -> None:
    uri = f"http://127.0.0.1:{closed_port()}"
    async with on(Place(uri, "db"), max_retries=2) as saver:
        with pytest.raises(errors.ClusterUnreachableError, match="check the URI") as refused:
            await call(saver)
        assert uri in str(refused.value)
        assert refused.value.retriable
        assert saver.stats()["retries"] == 2


class NoToken:
    """A credential that cannot get a token."""

    asked = 0

    def get_token(self, *scopes: str, **kwargs: Any) -> Any:
        self.asked += 1
        raise ClientAuthenticationError("DefaultAzureCredential failed to retrieve a token\nmore")


class NoTokenAsync(NoToken):
    async def get_token(self, *scopes: str, **kwargs: Any) -> Any:
        return super().get_token(*scopes, **kwargs)


@pytest.mark.parametrize("credential_type", [NoToken, NoTokenAsync])
@pytest.mark.parametrize("call", [put, get, lambda saver: saver.asetup()])
async def test_no_token(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[Any], Any], credential_type: type[NoToken]
) -> None:
    """The cloud's metadata is known beforehand, and without a token nothing is sent."""
    uri = "https://mycluster.westeurope.kusto.windows.net"
    monkeypatch.setitem(CloudSettings._cloud_cache, uri, CloudSettings.DEFAULT_CLOUD)
    credential = credential_type()
    async with AsyncKustoSaver(uri, "db", credential=credential, **FAST) as saver:
        with pytest.raises(errors.AuthenticationError, match=r"az login.*credential=") as refused:
            await call(saver)
    assert "failed to retrieve a token" in str(refused.value)
    assert not refused.value.retriable
    assert credential.asked == 1


async def test_a_token_that_is_not_accepted(restarted: Callable[..., Place]) -> None:
    async with on(restarted(token="right")) as saver:
        for call in (put, get, lambda saver: saver.setup()):
            with pytest.raises(errors.AuthenticationError, match="credential="):
                await call(saver)
        assert saver.stats()["retries"] == 0


# -- roles -----------------------------------------------------------------------------------------


async def test_viewer_and_ingestor_are_enough(restarted: Callable[..., Place]) -> None:
    async with on(restarted(roles={"viewer", "ingestor"})) as saver:
        await saver.setup()
        chain = Chain(saver, "t")
        stored = await chain.step(a=1, large=b"x" * 100_000)
        await saver.aput_writes(stored, [("a", 1)], "task")
        assert (await saver.aget_tuple(chain.place)).pending_writes == [("task", "a", 1)]
        assert len(await listed(saver, None)) == 1
        await saver.adelete_thread("t")
        assert await listed(saver, None) == []
        with pytest.raises(errors.PermissionDeniedError, match="Database Admin"):
            await saver.setup(create=True)


async def test_without_ingestor_nothing_is_written(restarted: Callable[..., Place]) -> None:
    async with on(restarted(roles={"viewer"})) as saver:
        with pytest.raises(errors.PermissionDeniedError, match="grant it Database Ingestor") as no:
            await put(saver)
        assert "Checkpoints" in str(no.value)
        assert not no.value.retriable
        with pytest.raises(errors.PermissionDeniedError, match="Database Ingestor"):
            await saver.aput_writes(config_of("t", "", "1"), [("a", 1)], "task")
        assert await get(saver) is None
        assert saver.stats()["retries"] == 0


async def test_without_viewer_nothing_is_read(restarted: Callable[..., Place]) -> None:
    async with on(restarted(roles={"ingestor"})) as saver:
        await put(saver)
        for call in (get, lambda saver: listed(saver, None), lambda s: s.adelete_thread("t")):
            with pytest.raises(errors.PermissionDeniedError, match="grant it Database Viewer"):
                await call(saver)
        with pytest.raises(errors.PermissionDeniedError, match="Database Viewer"):
            await saver.setup()


# -- what is not there -----------------------------------------------------------------------------


async def test_a_database_that_is_not_there(place: Place) -> None:
    async with on(Place(place.uri, "Nope")) as saver:
        for call in (put, get, lambda s: s.setup(), lambda s: s.setup(create=True)):
            with pytest.raises(errors.DatabaseNotFoundError, match="check the name") as refused:
                await call(saver)
            assert "'Nope'" in str(refused.value)


async def test_tables_that_are_not_there(make_saver: Callable[..., Any]) -> None:
    with local_place(provisioned=False) as bare:
        async with on(bare) as saver:
            for call in (put, get, lambda s: listed(s, None), lambda s: s.adelete_thread("t")):
                with pytest.raises(errors.TableNotFoundError, match=r"provision\.kql.*setup\("):
                    await call(saver)
            with pytest.raises(errors.TableNotFoundError) as refused:
                await saver.setup()
            for name in ("Checkpoints", "CheckpointTombstones", "LatestCheckpoints"):
                assert name in str(refused.value)
            assert "setup(create=True)" in str(refused.value)
            assert saver.stats()["retries"] == 0

            await saver.setup(create=True)
            await saver.setup()
            await put(saver)
            assert await values_of(saver, config_of("t")) == {"a": 1}


@pytest.mark.parametrize(
    ("damage", "error", "message", "calls"),
    [
        (
            ".drop materialized-view LatestCheckpoints",
            "TableNotFoundError",
            "LatestCheckpoints",
            [get],
        ),
        (".drop function LiveCheckpoints", "TableNotFoundError", "LiveCheckpoints", []),
        (".drop table CheckpointBlobs", "TableNotFoundError", "CheckpointBlobs", [get]),
        (
            '.drop table Checkpoints ingestion json mapping "Checkpoints_v1"',
            "SchemaTooOldError",
            "mapping",
            [put],
        ),
        (".drop column CheckpointWrites.task_path", "SchemaTooOldError", "older version", [get]),
        (
            ".alter table Checkpoints policy streamingingestion disable",
            "StreamingDisabledError",
            r"\.alter table Checkpoints policy streamingingestion enable",
            [put],
        ),
    ],
)
async def test_a_database_that_lacks_something(
    place: Place,
    make_saver: Callable[..., Any],
    damage: str,
    error: str,
    message: str,
    calls: list[Callable[[Any], Any]],
) -> None:
    command(place, damage)
    saver = make_saver()
    for call in calls:
        with pytest.raises(getattr(errors, error)):
            await call(saver)
    with pytest.raises(getattr(errors, error), match=message):
        await saver.setup()

    await saver.setup(create=True)
    await saver.setup()
    await put(saver)
    assert await values_of(saver, config_of("t")) == {"a": 1}


async def test_setup_may_run_again_and_at_the_same_time(place: Place) -> None:
    async with on(place) as saver, on(place) as other:
        await put(saver)
        await asyncio.gather(*[item.setup(create=True) for item in (saver, other)])
        assert await values_of(other, config_of("t")) == {"a": 1}


async def test_the_view_is_built_over_rows_that_are_there_already(place: Place) -> None:
    async with on(place) as saver:
        await put(saver)
        command(place, ".drop materialized-view LatestCheckpoints")
        await saver.setup(create=True)
    async with on(place) as other:
        assert await values_of(other, config_of("t")) == {"a": 1}


async def test_streaming_is_off_for_the_cluster(restarted: Callable[..., Place]) -> None:
    async with on(restarted(streaming=False)) as saver:
        with pytest.raises(errors.StreamingDisabledError, match="Settings, Configurations"):
            await put(saver)
        assert await get(saver) is None
        assert saver.stats()["retries"] == 0


async def test_a_row_of_a_newer_version_is_refused(place: Place) -> None:
    async with on(place) as saver:
        await put(saver)
        columns = ", ".join(
            row["ColumnName"]
            for row in query(place, "Checkpoints | getschema | project ColumnName")
        )
        command(
            place,
            ".set-or-append Checkpoints <| Checkpoints | extend codec = int(99),"
            f' submission_id = strcat("z", submission_id) | project {columns}',
        )
    async with on(place) as other:
        with pytest.raises(errors.UnknownCodecError, match="upgrade langgraph-checkpoint-kusto"):
            await get(other)


# -- what a call was given -------------------------------------------------------------------------


async def test_errors_are_logged_and_counted(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """LangGraph may swallow a saver's error when a node failed too."""
    async with on(place) as saver:
        with pytest.raises(errors.SerializationError):
            await saver.aput(config_of("the thread"), new_checkpoint({"a": open}), {}, {"a": 1})
        with pytest.raises(errors.InvalidConfigError):
            await saver.aput_writes(config_of("the thread"), [("a", 1)], "task")
        assert saver.stats()["errors"] == 2
        assert saver.stats()["puts"] == saver.stats()["put_writes"] == 0
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert [line.split(":")[0] for line in lines] == [
        "put of 'the thread' failed",
        "put_writes of 'the thread' failed",
    ]
    assert "SerializationError" in lines[0]
