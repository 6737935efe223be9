"""No credential shows: in errors, their tracebacks, logs of any level, or what anything prints.

Each test fails a saver in some way with everything logged, then looks for the secrets in all that
was said.
"""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import logging
import pickle
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from aiohttp import web
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.kusto.data._cloud_settings import CloudSettings
from shared.lying_server import LyingServer, body
from shared.places import Place
from shared.threads import Chain, config_of, listed

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, errors
from langgraph.checkpoint.kusto._transport import Endpoint, SdkTransport, parse_endpoint

pytestmark = pytest.mark.local_only

APP_KEY = "app~Key.0815-S3cr3t"
TOKEN = "eyJhbGciOi.S3cr3tBearer.t0ken"
SECRETS = (APP_KEY, TOKEN)
APP_ID, TENANT = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
OPTIONS: dict[str, Any] = {"max_retries": 1, "retry_backoff": 0.001, "query_timeout": 1}


def string_with_key(uri: str) -> str:
    return (
        f"Data Source={uri};Initial Catalog=TestDb;AAD Federated Security=True;"
        f"Application Client Id={APP_ID};Application Key={APP_KEY};Authority Id={TENANT}"
    )


def string_with_token(uri: str, name: str = "Application Token") -> str:
    return f"Data Source={uri};Initial Catalog=TestDb;AAD Federated Security=True;{name}={TOKEN}"


def _chain(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    """An error, and all it came of."""
    if error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        yield from _chain(error.__cause__, seen)
        yield from _chain(error.__context__, seen)


class Said:
    """All that was printed, logged or raised."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self.texts: list[str] = []

    def hear(self, *things: object) -> None:
        for thing in things:
            self.texts += [repr(thing), str(thing), f"{thing}"]
            if isinstance(thing, BaseException):
                self.texts.append("".join(traceback.format_exception(thing)))
                for link in _chain(thing, set()):
                    self.texts += [repr(link), str(link), str(vars(link))]

    def check(self) -> None:
        formatter = logging.Formatter("%(name)s %(message)s %(args)s %(exc_text)s")
        self.texts += [formatter.format(record) for record in self._caplog.records]
        self.texts.append(self._caplog.text)
        assert self.texts
        for text in self.texts:
            for secret in SECRETS:
                assert secret not in text


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[Said]:
    caplog.set_level(logging.DEBUG)
    found = Said(caplog)
    yield found
    gc.collect()  # what complains when it goes away, does so now
    printed = capfd.readouterr()
    found.texts += [printed.out, printed.err]
    found.check()


@pytest.fixture
async def liar(place: Place) -> AsyncIterator[LyingServer]:
    async with LyingServer(place.uri).running() as liar:
        yield liar


def calls(saver: Any, thread_id: str) -> dict[str, Callable[[], Any]]:
    chain = Chain(saver, thread_id)
    return {
        "put": lambda: chain.step(a=1),
        "get": lambda: saver.aget_tuple(config_of(thread_id)),
        "list": lambda: listed(saver, config_of(thread_id)),
        "delete": lambda: saver.adelete_thread(thread_id),
        "setup": lambda: saver.setup(),
        "flush": lambda: saver.aflush(),
    }


async def fail_all(saver: Any, thread_id: str, said: Said) -> set[str]:
    """Make every call; hear what each says; give the classes of their errors."""
    failures: set[str] = set()
    for call in calls(saver, thread_id).values():
        said.hear(saver)
        try:
            await call()
        except errors.KustoCheckpointError as error:
            said.hear(error)
            failures.add(type(error).__name__)
    said.hear(saver.stats())
    return failures


FAILURES: dict[str, Any] = {
    "401": (body(json.dumps({"error": {"code": "x", "@message": "no"}}).encode(), status=401)),
    "403": (
        body(json.dumps({"error": {"code": "Forbidden", "@message": "no"}}).encode(), status=403)
    ),
    "404": body(b"", status=404),
    "429": body(b"{}", status=429),
    "500": body(b"oops", "text/plain", 500),
    "html": body(b"<html></html>", "text/html"),
    "truncated": body(b'[{"FrameType":'),
    "empty": body(b""),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_a_token_in_a_connection_string(
    liar: LyingServer, thread_id: str, said: Said, name: str
) -> None:
    """The header carries it, and only the header."""
    headers: list[str] = []

    async def answer(request: web.Request, right: bytes) -> web.StreamResponse:
        headers.append(request.headers.get("Authorization", ""))
        found: web.StreamResponse = await FAILURES[name](request, right)
        return found

    liar.lie("/rest/", answer)
    options = {**OPTIONS, "retry_timeout": 0.2}
    async with AsyncKustoSaver(string_with_token(liar.url), **options) as saver:
        failures = await fail_all(saver, thread_id, said)
    assert headers
    assert set(headers) == {f"Bearer {TOKEN}"}
    assert failures


async def test_a_cluster_that_is_not_there(thread_id: str, said: Said) -> None:
    for text in (string_with_token("http://127.0.0.1:1"), string_with_key("http://127.0.0.1:1")):
        async with AsyncKustoSaver(text, **OPTIONS) as saver:
            assert await fail_all(saver, thread_id, said) == {"ClusterUnreachableError"}


class Credential:
    """A credential whose token is a secret; when `broken` it fails."""

    def __init__(self, broken: bool = False) -> None:
        self.broken = broken
        self.asked = 0

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        self.asked += 1
        if self.broken:
            raise ClientAuthenticationError("the sign-in failed")
        return AccessToken(TOKEN, int(time.time()) + 3600)


class NeedsToken(Endpoint):
    """An endpoint on this machine that is sent a token all the same."""

    @property
    def needs_token(self) -> bool:
        return True


def with_token(uri: str, database: str, credential: Any) -> SdkTransport:
    return SdkTransport(NeedsToken(uri, database), credential=credential, query_timeout=1)


@pytest.mark.parametrize("name", FAILURES)
async def test_a_credential_object(
    liar: LyingServer, place: Place, thread_id: str, said: Said, name: str
) -> None:
    async with AsyncKustoSaver(
        transport=with_token(liar.url, place.database, Credential()),
        max_retries=0,
        retry_timeout=0.2,
    ) as saver:
        await Chain(saver, thread_id).step(a=0)
        liar.lie("/rest/", FAILURES[name])
        assert await fail_all(saver, thread_id, said)


async def test_a_credential_that_fails(place: Place, thread_id: str, said: Said) -> None:
    transport = with_token(place.uri, place.database, Credential(broken=True))
    async with AsyncKustoSaver(transport=transport, **OPTIONS) as saver:
        assert await fail_all(saver, thread_id, said) == {"AuthenticationError"}
    said.hear(transport, vars(transport))


async def test_an_app_key_that_is_refused(
    liar: LyingServer, place: Place, thread_id: str, said: Said
) -> None:
    credential = f"{APP_ID};{APP_KEY};{TENANT}"
    transport = with_token(liar.url, place.database, credential)
    CloudSettings._cloud_cache.pop(liar.url, None)

    async def refuse(self: Any, *scopes: str, **kwargs: Any) -> AccessToken:
        raise ClientAuthenticationError("AADSTS7000215: Invalid client secret provided.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("azure.identity.aio.ClientSecretCredential.get_token", refuse)
        async with AsyncKustoSaver(transport=transport, **OPTIONS) as saver:
            assert await fail_all(saver, thread_id, said) == {"AuthenticationError"}
            said.hear(transport, saver)


def test_nothing_that_holds_one_prints_it(said: Said) -> None:
    host = "https://mycluster.westeurope.kusto.windows.net"
    credential = f"{APP_ID};{APP_KEY};{TENANT}"
    for text in (
        string_with_key(host),
        string_with_token(host),
        string_with_token(host, "AppToken"),
    ):
        endpoint = parse_endpoint(text, None)
        said.hear(endpoint, SdkTransport(endpoint), [endpoint], {"endpoint": endpoint})
        for kind in (AsyncKustoSaver, KustoSaver):
            said.hear(kind(text), [kind(text)], copy.copy(kind(text)), kind(text).stats())
    for kind in (AsyncKustoSaver, KustoSaver):
        saver = kind(host, "db", credential=credential)
        said.hear(saver, copy.copy(saver), {"saver": saver})
        said.hear(kind.from_connection_string(host, "db", credential=credential))
        with pytest.raises((TypeError, AttributeError)) as refused:
            pickle.dumps(saver)
        said.hear(refused.value)


WRONG_ENDPOINTS: list[tuple[str, dict[str, Any]]] = [
    ("Nonsense=1;Application Key={key}", {}),
    ("Data Source=https://c;Application Key={key}", {}),
    ("Data Source=https://c;Initial Catalog=a;Application Key={key}", {"database": "b"}),
    ("Data Source=ftp://c;Application Key={key};Application Client Id=x;Authority Id=y", {}),
    ("https://user:{key}@c.kusto.windows.net", {"database": "b"}),
    ("https://c.kusto.windows.net/a/b?sig={key}", {"database": "b"}),
    ("https://c.kusto.windows.net#{key}", {"database": "b"}),
    ("https://c.kusto.windows.net", {"database": "b", "credential": "{key}"}),
    ("https://c.kusto.windows.net", {"database": "b", "credential": "id;{key}"}),
    ("https://c.kusto.windows.net", {"database": "b", "credential": "id;{key};ten ant"}),
    ("https://c.kusto.windows.net", {"database": "b", "credential": b"id;key;tenant"}),
]


@pytest.mark.parametrize(("uri", "options"), WRONG_ENDPOINTS)
async def test_what_cannot_be_used(said: Said, uri: str, options: dict[str, Any]) -> None:
    def secret(value: Any) -> Any:
        return value.replace("{key}", APP_KEY) if isinstance(value, str) else value

    given = {name: secret(value) for name, value in options.items()}
    for kind in (AsyncKustoSaver, KustoSaver):
        try:
            saver = kind(secret(uri), **given)
            said.hear(saver)
            if kind is AsyncKustoSaver:
                async with saver:
                    await saver.aget_tuple(config_of("t"))
        except errors.KustoCheckpointError as error:
            said.hear(error)


async def test_a_token_that_is_refused_is_asked_for_again_once(
    place: Place, thread_id: str, said: Said
) -> None:
    """In the middle of a batch, too; a fresh token that is refused is an error."""
    from langgraph.checkpoint.kusto.local import LocalKusto

    class Changing(Credential):
        def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
            self.asked += 1
            return AccessToken(str(given()), int(time.time()) + 3600)

    with LocalKusto(token=TOKEN, database="TestDb") as local:

        def given() -> str | None:
            return local.token

        credential = Changing()
        transport = with_token(local.url, "TestDb", credential)
        async with AsyncKustoSaver(transport=transport, **OPTIONS) as saver:
            await saver.setup(create=True)
            chains = [Chain(saver, f"{thread_id}-{number}") for number in range(8)]
            for _ in range(3):
                local.expire_token()
                await asyncio.gather(*(chain.step(a=1) for chain in chains))
            assert 4 <= credential.asked <= 4 + 3 * 8
            for chain in chains:
                assert len(await listed(saver, chain.place)) == 3
            local.expire_token()
            assert (await saver.aget_tuple(chains[0].place)) is not None
            asked = credential.asked

            def given() -> str | None:
                return "never right"

            local.expire_token()
            with pytest.raises(errors.AuthenticationError) as caught:
                await saver.aget_tuple(chains[0].place)
            assert credential.asked == asked + 1
            said.hear(caught.value, saver, transport)
