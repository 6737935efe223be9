"""The way to the cluster, tokens and roles: each failure has its class and names the remedy."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.kusto.data._cloud_settings import CloudSettings
from shared.copies import THREAD, StartCopy, make_template, starting_copies
from shared.places import Place
from shared.refusals import refused
from shared.savers import of_kind
from shared.threads import config_of, listed, new_checkpoint, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver

pytestmark = pytest.mark.local_only

Call = Callable[[Any], Any]

FAST: dict[str, Any] = {"max_retries": 1, "retry_backoff": 0.001}
CLUSTER = "https://mycluster.westeurope.kusto.windows.net"

CALLS: dict[str, Call] = {
    "put": lambda saver: saver.aput(config_of("t"), new_checkpoint({"a": 1}), {}, {"a": 1}),
    # The epoch of a parent that this saver has not seen has to be asked for.
    "put on a parent": lambda saver: saver.aput(
        config_of("t", "", "1"), new_checkpoint({"a": 1}), {}, {"a": 1}
    ),
    # Of a checkpoint that is about to be put; of others Kusto is asked.
    "put_writes": lambda saver: saver.aput_writes(
        config_of("t", "", new_checkpoint()["id"]), [("a", 1)], "task"
    ),
    "get": lambda saver: saver.aget_tuple(config_of(THREAD)),
    "list": lambda saver: listed(saver, None),
    "delete": lambda saver: saver.adelete_thread(THREAD),
    "setup": lambda saver: saver.setup(),
    "create": lambda saver: saver.setup(create=True),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template") / "kusto.db")


@pytest.fixture
def start(template: Path, tmp_path: Path) -> Iterator[StartCopy]:
    with starting_copies(template, tmp_path) as start:
        yield start


@pytest.fixture
def place() -> Place:
    """Nobody listens here; a saver that needs more is given its own endpoint."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return Place(f"http://127.0.0.1:{listener.getsockname()[1]}", "db")


@pytest.fixture(params=["async", "sync"])
def make_saver(
    request: pytest.FixtureRequest,
    async_saver: Callable[..., AsyncKustoSaver],
    sync_saver: Callable[..., KustoSaver],
) -> Callable[..., Any]:
    return of_kind(request.param, async_saver, sync_saver, FAST)


def on(place: Place, **options: Any) -> AsyncKustoSaver:
    return AsyncKustoSaver(place.uri, place.database, **{**FAST, **options})


# -- the way to the cluster ------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS)
async def test_nobody_listens(make_saver: Callable[..., Any], place: Place, call: str) -> None:
    saver = make_saver(max_retries=2)
    await refused(
        CALLS[call](saver),
        "ClusterUnreachableError",
        f"{place.uri} did not answer the ",
        "check the URI, the network (private endpoint, firewall, proxy) and that the cluster runs",
        retriable=True,
    )
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
@pytest.mark.parametrize("call", CALLS)
async def test_no_token(
    monkeypatch: pytest.MonkeyPatch, call: str, credential_type: type[NoToken]
) -> None:
    """The cloud's metadata is known beforehand, and without a token nothing is sent."""
    monkeypatch.setitem(CloudSettings._cloud_cache, CLUSTER, CloudSettings.DEFAULT_CLOUD)
    credential = credential_type()
    async with AsyncKustoSaver(CLUSTER, "db", credential=credential, **FAST) as saver:
        await refused(
            CALLS[call](saver),
            "AuthenticationError",
            f"no token could be had for {CLUSTER}; sign in (`az login`), use a managed identity,"
            " or pass credential=: ClientAuthenticationError: DefaultAzureCredential failed to"
            " retrieve a token",
        )
    assert credential.asked == 1


async def test_a_token_that_is_not_accepted(start: StartCopy) -> None:
    async with on(start(token="right")) as saver:
        for call in CALLS.values():
            await refused(
                call(saver),
                "AuthenticationError",
                "the cluster did not accept the token for the ",
                "sign in to the right tenant, or pass another credential=",
            )
        assert saver.stats()["retries"] == 0


async def test_a_database_that_is_not_there(start: StartCopy) -> None:
    place = start()
    async with on(Place(place.uri, "Nope")) as saver:
        for call in CALLS.values():
            await refused(
                call(saver),
                "DatabaseNotFoundError",
                f"there is no database 'Nope' at {place.uri}, or the identity may not see it;"
                " check the name, and the roles of the identity",
            )


# -- roles -----------------------------------------------------------------------------------------

WRITING = ("put", "put_writes")
READING = ("put on a parent", "get", "list", "delete")
VIEWER = "; grant it Database Viewer: "
INGESTOR = "; grant it Database Ingestor: "
COMMANDS = "; grant it Database Viewer (checks) or Database Admin (setup(create=True)): "

# What the identity may not do, and what the message says then. Every other call must work.
ROLES: dict[str, dict[str, str]] = {
    "viewer": dict.fromkeys((*WRITING, "put on a parent", "delete"), INGESTOR)
    | {"create": COMMANDS},
    "unrestrictedviewer": dict.fromkeys((*WRITING, "put on a parent", "delete"), INGESTOR)
    | {"create": COMMANDS},
    "user": dict.fromkeys((*WRITING, "put on a parent", "delete"), INGESTOR) | {"create": COMMANDS},
    "ingestor": dict.fromkeys(READING, VIEWER) | dict.fromkeys(("setup", "create"), COMMANDS),
    "monitor": dict.fromkeys(READING, VIEWER)
    | dict.fromkeys(WRITING, INGESTOR)
    | {"create": COMMANDS},
    "monitor ingestor": dict.fromkeys(READING, VIEWER) | {"create": COMMANDS},
    "user ingestor": {"create": COMMANDS},
    "viewer ingestor": {"create": COMMANDS},
    "admin": {},
}


@pytest.mark.parametrize("roles", ROLES)
async def test_each_missing_role_is_named(start: StartCopy, roles: str) -> None:
    place = start(roles=set(roles.split()))
    async with on(place) as saver:
        for name, call in CALLS.items():
            if name not in ROLES[roles]:
                await call(saver)
                continue
            await refused(
                call(saver),
                "PermissionDeniedError",
                "the identity lacks a role for the ",
                f"(database '{place.database}' at {place.uri})",
                ROLES[roles][name],
            )
        assert saver.stats()["retries"] == 0
        assert saver.stats()["errors"] == len(ROLES[roles].keys() - {"setup", "create"})


async def test_nothing_is_written_or_deleted_without_the_role(start: StartCopy) -> None:
    async with on(start(roles={"viewer"})) as saver:
        for name in (*WRITING, "put on a parent", "delete"):
            await refused(CALLS[name](saver), "PermissionDeniedError", INGESTOR)
        assert await saver.aget_tuple(config_of("t")) is None
        assert await values_of(saver, config_of(THREAD)) == {"a": 1}
        assert len(await listed(saver, None)) == 1


async def test_viewer_and_ingestor_are_enough(start: StartCopy) -> None:
    async with on(start(roles={"viewer", "ingestor"})) as saver:
        await saver.setup()
        config = await CALLS["put"](saver)
        await saver.aput_writes(config, [("a", 1)], "task")
        found = await saver.aget_tuple(config_of("t"))
        assert found is not None
        assert found.pending_writes == [("task", "a", 1)]
        await saver.adelete_thread("t")
        assert await saver.aget_tuple(config_of("t")) is None


# -- streaming -------------------------------------------------------------------------------------


async def test_streaming_is_off_for_the_cluster(start: StartCopy) -> None:
    async with on(start(streaming=False)) as saver:
        for name, table in (
            ("put", "Checkpoints"),
            ("put on a parent", "Checkpoints"),
            ("put_writes", "CheckpointWrites"),
            ("delete", "CheckpointTombstones"),
        ):
            await refused(
                CALLS[name](saver),
                "StreamingDisabledError",
                f"streaming ingestion is off for the ingestion into {table} ",
                "switch it on for the cluster (Azure portal: cluster, Settings, Configurations),"
                f" then for the table (`.alter table {table} policy streamingingestion enable`)",
            )
        assert await values_of(saver, config_of(THREAD)) == {"a": 1}
        assert saver.stats()["retries"] == 0
        assert saver.stats()["errors"] == 4
