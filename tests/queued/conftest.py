"""A server with a queue: one Azurite for all tests, a server on it for each module."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from shared.azurite import QUEUED, azurite, queued_place, wait_until_empty
from shared.places import Place

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver
from langgraph.checkpoint.kusto.local.queued import QueuedIngestion


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of Azurite's blob service."""
    with azurite(tmp_path_factory.mktemp("azurite")) as url:
        yield url


@pytest.fixture(scope="module")
def module_place(storage: str) -> Iterator[Place]:
    """Streaming is off, so nothing can go that way by mistake."""
    with queued_place(storage, streaming=False) as place:
        with KustoSaver(place.uri, place.database, **QUEUED) as saver:
            saver.setup(create=True)
            saver.setup()
        yield place
        wait_until_empty(storage)  # the next server knows no such database


@pytest.fixture
def place(module_place: Place, storage: str) -> Iterator[Place]:
    queue = module_place.server.queue
    wait_until_empty(storage)
    module_place.server.requests.reset()
    queue.failures.clear()
    yield module_place
    queue.paused = False
    module_place.server.faults.clear()


@pytest.fixture
def queue(place: Place) -> QueuedIngestion:
    """What takes the messages; `paused` keeps them in the queue, as if Kusto took its time."""
    return place.server.queue


@pytest.fixture
def make_saver(async_saver: Callable[..., AsyncKustoSaver]) -> Callable[..., AsyncKustoSaver]:
    return lambda **options: async_saver(**{**QUEUED, **options})
