"""A network that does what HTTP cannot express, between the saver and the server.

Half-open connections, answers that come in drops, connections cut in the middle of a body or while
they are idle: writes are sent again and are exact, reads are asked again, nothing waits for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from shared.places import Place
from shared.savers import MakeSaver, of_kind
from shared.tcp_proxy import TcpProxy
from shared.threads import Chain, config_of, listed, noise

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, errors
from langgraph.checkpoint.kusto._transport import sdk

pytestmark = pytest.mark.local_only

# Long enough for an answer that comes, short enough to wait for one that does not.
TIMEOUTS: dict[str, Any] = {"ingest_timeout": 1.0, "query_timeout": 0.5, "retry_backoff": 0.001}


@pytest.fixture(scope="module")
def module_proxy(faulty_place: Place) -> Iterator[TcpProxy]:
    with TcpProxy(faulty_place.uri) as proxy:
        yield proxy


@pytest.fixture
def proxy(module_proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[TcpProxy]:
    monkeypatch.setattr(sdk, "_ANSWER_SECONDS", 0.5)
    yield module_proxy
    module_proxy.clear()


@pytest.fixture(params=["async", "sync"])
def make_saver(request: pytest.FixtureRequest, proxy: TcpProxy, place: Place) -> MakeSaver:
    """Make savers that reach the server through the proxy; tests close them."""

    def make(kind: type[Any]) -> Callable[..., Any]:
        return lambda **options: kind(proxy.url, place.database, **options)

    return of_kind(request.param, make(AsyncKustoSaver), make(KustoSaver), TIMEOUTS)


async def write(saver: Any, thread_id: str) -> Chain:
    chain = Chain(saver, thread_id)
    stored = await chain.step(number=1, large=noise(300_000))
    await saver.aput_writes(stored, [("a", 1), ("b", noise(30_000, 1))], "task")
    return chain


async def assert_exact(saver: Any, thread_id: str) -> None:
    (item,) = await listed(saver, config_of(thread_id))
    assert item.checkpoint["channel_values"] == {"number": 1, "large": noise(300_000)}
    assert item.pending_writes == [("task", "a", 1), ("task", "b", noise(30_000, 1))]
    assert await saver.aget_tuple(config_of(thread_id)) == item


CUTS: list[tuple[str, dict[str, Any]]] = [
    ("swallow", {}),
    ("mute", {}),
    ("cut_request", {"size": 10}),
    ("cut_request", {"size": 100_000}),
    ("cut_response", {"size": 0}),
    ("cut_response", {"size": 20}),
    ("cut_response", {"size": 300}),
]
IDS = [f"{kind}-{settings.get('size', 'all')}" for kind, settings in CUTS]


@pytest.mark.parametrize(("kind", "settings"), CUTS, ids=IDS)
async def test_writes_are_sent_again_and_exact(
    make_saver: MakeSaver, proxy: TcpProxy, thread_id: str, kind: str, settings: dict[str, Any]
) -> None:
    async with make_saver() as saver, make_saver() as reader:
        troubles = proxy.add(kind, **settings)
        await write(saver, thread_id)
        assert [trouble.met.is_set() for trouble in troubles] == [True]
        assert saver.stats()["retries"] == 1
        await assert_exact(saver, thread_id)
        await assert_exact(reader, thread_id)


@pytest.mark.parametrize(
    ("kind", "settings"), [pair for pair in CUTS if pair[0] != "cut_request"], ids=IDS[:2] + IDS[4:]
)
async def test_reads_are_asked_again(
    make_saver: MakeSaver, proxy: TcpProxy, thread_id: str, kind: str, settings: dict[str, Any]
) -> None:
    async with make_saver() as saver, make_saver() as reader:
        await write(saver, thread_id)
        troubles = proxy.add(kind, **settings)
        await assert_exact(reader, thread_id)
        assert [trouble.met.is_set() for trouble in troubles] == [True]
        assert reader.stats()["retries"] == 1


@pytest.mark.parametrize("kind", ["swallow", "mute"])
async def test_a_peer_that_is_gone_for_good_is_an_error_in_the_end(
    make_saver: MakeSaver, proxy: TcpProxy, thread_id: str, kind: str
) -> None:
    """Each call ends after the timeouts of its options, with an error that says who was silent."""
    async with make_saver(max_retries=1, ingest_timeout=0.2, query_timeout=0.1) as saver:
        chain = await write(saver, thread_id)
        calls = {
            "ingest": lambda: chain.step(number=2),
            "query": lambda: saver.aget_tuple(config_of(thread_id)),
            "query of a list": lambda: listed(saver, config_of(thread_id)),
            "query before a delete": lambda: saver.adelete_thread(thread_id),
            "command": lambda: saver.setup(),
        }
        for name, call in calls.items():
            proxy.add(kind, times=20)
            with pytest.raises(errors.ClusterUnreachableError) as caught:
                await call()
            assert f"{proxy.url} did not answer the {name.split()[0]}" in str(caught.value)
            assert "no answer in" in str(caught.value)
            assert caught.value.retriable
            proxy.clear()
        if kind == "swallow":
            await assert_exact(saver, thread_id)
        await chain.step(number=3)
        assert (await saver.aget_tuple(config_of(thread_id))).checkpoint["channel_values"][
            "number"
        ] == 3


async def test_an_answer_that_comes_in_drops(
    make_saver: MakeSaver, proxy: TcpProxy, thread_id: str
) -> None:
    """A slow answer is an answer; one too slow for the options counts as none."""
    async with make_saver(query_timeout=30, ingest_timeout=30) as saver:
        await write(saver, thread_id)
    async with make_saver(query_timeout=30, ingest_timeout=30, max_retries=0) as reader:
        (slow,) = proxy.add("drip", size=20_000, pause=0.001)
        await assert_exact(reader, thread_id)
        assert slow.met.is_set()
        assert reader.stats()["retries"] == 0
    async with make_saver(query_timeout=0.1, max_retries=0) as reader:
        proxy.add("drip", size=10, pause=0.05)
        with pytest.raises(errors.ClusterUnreachableError, match="no answer in"):
            await reader.aget_tuple(config_of(thread_id))
        await assert_exact(reader, thread_id)


@pytest.mark.parametrize("how", ["kill_connections", "forget_connections"])
async def test_connections_that_die_while_idle(
    make_saver: MakeSaver, proxy: TcpProxy, thread_id: str, how: str
) -> None:
    """With a reset, or without a word: the next call makes a new one."""
    async with make_saver() as saver:
        await write(saver, thread_id)
        assert getattr(proxy, how)() > 0
        await assert_exact(saver, thread_id)
        assert getattr(proxy, how)() > 0
        chain = Chain(saver, thread_id, "other")
        await chain.step(number=7)
        found = await saver.aget_tuple(config_of(thread_id, "other"))
        assert found.checkpoint["channel_values"] == {"number": 7}


async def test_many_writers_over_connections_that_break(
    make_saver: MakeSaver, proxy: TcpProxy, new_thread: Callable[..., str]
) -> None:
    async with make_saver(max_retries=20) as saver, make_saver(max_retries=20) as reader:
        threads = [new_thread() for _ in range(12)]
        for size in (0, 40, 400):
            proxy.add("cut_request", size=size + 50, times=2)
            proxy.add("cut_response", size=size, times=2)
        proxy.add("mute", times=2)
        await asyncio.gather(*(write(saver, thread_id) for thread_id in threads))
        proxy.clear()
        proxy.add("cut_response", size=100, times=3)
        for thread_id in threads:
            await assert_exact(reader, thread_id)


async def test_closing_does_not_wait_for_a_peer_that_is_gone(
    make_saver: MakeSaver, proxy: TcpProxy, thread_id: str
) -> None:
    """What was not written when the time to close is over is named."""
    saver = make_saver(
        write_mode="buffered", batch_size=1, close_timeout=0.2, ingest_timeout=30, max_retries=0
    )
    async with make_saver() as reader:
        (first,) = proxy.add("swallow")
        proxy.add("swallow", times=5)
        await Chain(saver, thread_id).step(number=1)
        assert await asyncio.to_thread(first.met.wait, 10)
        with pytest.raises(errors.WriteFailedError, match=thread_id):
            await saver.aclose()
        proxy.clear()
        assert await reader.aget_tuple(config_of(thread_id)) is None
