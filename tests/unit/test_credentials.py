"""Credentials of any kind behind one shape; secrets never show."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.identity import aio as identity

from langgraph.checkpoint.kusto._transport import check_credential
from langgraph.checkpoint.kusto._transport import credentials as module
from langgraph.checkpoint.kusto._transport.credentials import CredentialAdapter
from langgraph.checkpoint.kusto.errors import InvalidOptionError

SECRET = "hunter2~S3cr3t"
SCOPE = "https://mycluster.kusto.windows.net/.default"
HOUR = 3_600


class Fake:
    """Gives numbered tokens, and notes who asked."""

    def __init__(self, lifetime: float = HOUR) -> None:
        self.lifetime = lifetime
        self.asked: list[tuple[tuple[str, ...], dict[str, Any]]] = []
        self.threads: list[threading.Thread] = []
        self.closed = 0

    def _token(self, scopes: tuple[str, ...], kwargs: dict[str, Any]) -> AccessToken:
        self.asked.append((scopes, kwargs))
        self.threads.append(threading.current_thread())
        return AccessToken(f"{SECRET} {len(self.asked)}", int(time.time() + self.lifetime))

    async def close(self) -> None:
        self.closed += 1


class SyncFake(Fake):
    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        return self._token(scopes, kwargs)


class AsyncFake(Fake):
    async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        return self._token(scopes, kwargs)


class AwaitableFake(Fake):
    """An async credential behind a plain function, as a wrapper of the user's may be."""

    def get_token(self, *scopes: str, **kwargs: Any) -> Any:
        async def give() -> AccessToken:
            return self._token(scopes, kwargs)

        return give()


@pytest.mark.parametrize("kind", [SyncFake, AsyncFake, AwaitableFake])
async def test_a_token_of_any_credential(kind: type[Any]) -> None:
    fake = kind()
    adapter = CredentialAdapter(fake)
    token = await adapter.get_token(SCOPE, tenant_id="t")

    assert token.token == f"{SECRET} 1"
    assert fake.asked == [((SCOPE,), {"tenant_id": "t"})]
    assert await adapter.get_token(SCOPE) is token
    assert len(fake.asked) == 1


async def test_a_token_that_was_refused_is_forgotten() -> None:
    fake = AsyncFake()
    adapter = CredentialAdapter(fake)
    assert not adapter.keeps_any
    first = await adapter.get_token(SCOPE)
    assert adapter.keeps_any
    adapter.forget()
    assert not adapter.keeps_any
    assert await adapter.get_token(SCOPE) != first
    assert len(fake.asked) == 2


async def test_only_a_sync_credential_is_asked_off_the_loop() -> None:
    for fake in (SyncFake(), AsyncFake(), AwaitableFake()):
        await CredentialAdapter(fake).get_token(SCOPE)
        on_loop = fake.threads == [threading.current_thread()]
        assert on_loop != isinstance(fake, SyncFake)


@pytest.mark.parametrize(("lifetime", "asked"), [(301 + 5, 1), (299, 3), (1, 3), (-5, 3)])
async def test_a_token_is_renewed_five_minutes_before_its_end(lifetime: float, asked: int) -> None:
    fake = AsyncFake(lifetime)
    adapter = CredentialAdapter(fake)
    for _ in range(3):
        await adapter.get_token(SCOPE)

    assert len(fake.asked) == asked


async def test_a_failing_credential_is_heard_and_asked_again() -> None:
    class Failing(AsyncFake):
        async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
            if not self.threads:
                self.threads.append(threading.current_thread())
                raise ValueError("not yet")
            return await super().get_token(*scopes, **kwargs)

    adapter = CredentialAdapter(Failing())
    with pytest.raises(ValueError, match="not yet"):
        await adapter.get_token(SCOPE)
    assert (await adapter.get_token(SCOPE)).token.startswith(SECRET)


async def test_only_what_the_adapter_made_is_closed() -> None:
    fake = AsyncFake()
    adapter = CredentialAdapter(fake)
    await adapter.get_token(SCOPE)
    await adapter.close()

    assert fake.closed == 0


@pytest.mark.parametrize(
    ("given", "kind"),
    [(None, "DefaultAzureCredential"), ("app;key;tenant", "ClientSecretCredential")],
)
async def test_what_the_adapter_made_is_closed(
    given: str | None, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[object] = []

    async def close(self: object) -> None:
        closed.append(self)

    monkeypatch.setattr(getattr(identity, kind), "close", close)
    adapter = CredentialAdapter(given)
    await adapter.close()

    assert [type(item).__name__ for item in closed] == [kind]
    assert repr(adapter) == f"<CredentialAdapter {kind}>"


def test_the_parts_of_a_secret_reach_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, ...]] = []
    monkeypatch.setattr(module, "ClientSecretCredential", lambda *parts: made.append(parts))
    CredentialAdapter(f" app ; {SECRET} ; tenant ")

    assert made == [("tenant", "app", SECRET)]


@pytest.mark.parametrize("given", [None, SyncFake(), AsyncFake(), f"app;{SECRET};tenant"])
def test_credentials_that_can_be_used(given: Any) -> None:
    check_credential(given)


@pytest.mark.parametrize(
    "given",
    [
        SECRET,
        f"app;{SECRET}",
        f"app;{SECRET};",
        f";{SECRET};tenant",
        f"app;{SECRET};tenant;more",
        "",
        ";;",
        5,
        {"key": SECRET},
        ("app", SECRET, "tenant"),
        SECRET.encode(),
    ],
)
def test_what_is_no_credential_is_not_shown(given: Any) -> None:
    with pytest.raises(InvalidOptionError, match="app-id;app-key;tenant") as caught:
        check_credential(given)
    assert SECRET not in f"{caught.value!r} {caught.value}"


def test_a_tenant_that_cannot_be_one() -> None:
    with pytest.raises(InvalidOptionError, match="check the credential's tenant") as caught:
        CredentialAdapter(f"app;{SECRET};no tenant!")
    shown = f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
    assert SECRET not in shown


async def test_the_adapter_shows_no_secret() -> None:
    adapter = CredentialAdapter(f"app;{SECRET};tenant")
    held = CredentialAdapter(AsyncFake())
    await held.get_token(SCOPE)

    for shown in (repr(adapter), str(adapter), repr(held), f"{[held]}"):
        assert SECRET not in shown
    await adapter.close()


async def test_many_ask_at_once() -> None:
    fake = AsyncFake()
    adapter = CredentialAdapter(fake)
    tokens = await asyncio.gather(*(adapter.get_token(SCOPE) for _ in range(50)))

    assert {token.token for token in tokens} <= {f"{SECRET} {n}" for n in range(1, 51)}
    assert (await adapter.get_token(SCOPE)).token == f"{SECRET} {len(fake.asked)}"
