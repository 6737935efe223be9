"""Fixtures of the tests above the unit level: where they run, thread ids, savers.

With `KUSTO_CLUSTER_URI` and `KUSTO_DATABASE` set they run against that database (provisioned by
them only with `KUSTO_TEST_CREATE=1`), else against a local server, which decides by
`KUSTO_TEST_SEED`, when set, what Kusto leaves open. They touch no threads but `it-<uuid>`, and
delete those.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

pytest.register_assert_rewrite("shared")

from shared.places import (  # noqa: E402
    Place,
    asked_seed,
    live_place,
    local_place,
    may_provision,
    provision,
    seed_options,
    seed_settings,
)

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver  # noqa: E402

# Beside what is marked `local_only`.
LOCAL_ONLY_FILES = {"test_examples.py", "test_readme.py"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "counts: counts requests or rows, so none of them may fail and be sent again"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Against a live cluster, leave out what is about the local server."""
    if live_place() is None:
        return
    skip = pytest.mark.skip(reason="needs a local server of its own, not a live cluster")
    for item in items:
        if item.path.name in LOCAL_ONLY_FILES or item.get_closest_marker("local_only"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def shared_place() -> Iterator[Place]:
    """The database most tests share."""
    live = live_place()
    if live is not None:
        provision(live, create=may_provision())
        yield live
        return
    with local_place(**seed_settings()) as place:
        yield place


@pytest.fixture(autouse=True)
def _calm(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let no request fail by `KUSTO_TEST_SEED` where a test counts them."""
    if asked_seed() is None or request.node.get_closest_marker("counts") is None:
        yield
        return
    server = request.getfixturevalue("shared_place").server
    server.faults.clear()
    yield
    server.faults.add_turbulence()


@pytest.fixture
def place(shared_place: Place) -> Place:
    """Where the savers of a test live; overridden where a test needs another server."""
    return shared_place


@pytest.fixture(scope="session")
def janitor(shared_place: Place) -> Iterator[KustoSaver]:
    """The saver that deletes what tests wrote to the shared database."""
    with KustoSaver(shared_place.uri, shared_place.database) as saver:
        yield saver


@pytest.fixture
def new_thread(request: pytest.FixtureRequest, place: Place) -> Iterator[Callable[..., str]]:
    """Make thread ids whose threads are deleted at the end."""
    made: list[str] = []
    shared = "shared_place" in request.fixturenames
    janitor: KustoSaver | None = request.getfixturevalue("janitor") if shared else None

    def make(suffix: str = "") -> str:
        made.append(f"it-{uuid.uuid4()}{suffix}")
        return made[-1]

    yield make
    if janitor is not None:
        for thread_id in made:
            janitor.delete_thread(thread_id)


@pytest.fixture
def thread_id(new_thread: Callable[..., str]) -> str:
    return new_thread()


@pytest.fixture
async def async_saver(place: Place) -> AsyncIterator[Callable[..., AsyncKustoSaver]]:
    """Make async savers, closed at the end."""
    made: list[AsyncKustoSaver] = []

    def make(**options: Any) -> AsyncKustoSaver:
        options = {**seed_options(), **options}
        made.append(AsyncKustoSaver(*endpoint(place, options), **options))
        return made[-1]

    yield make
    for saver in made:
        await saver.aclose()


@pytest.fixture
async def sync_saver(place: Place) -> AsyncIterator[Callable[..., KustoSaver]]:
    """Make sync savers, closed at the end."""
    made: list[KustoSaver] = []

    def make(**options: Any) -> KustoSaver:
        options = {**seed_options(), **options}
        made.append(KustoSaver(*endpoint(place, options), **options))
        return made[-1]

    yield make
    for saver in made:
        await asyncio.to_thread(saver.close)


def endpoint(place: Place, options: dict[str, Any]) -> tuple[str, ...]:
    """The positional arguments of a saver: none when it is given a transport."""
    return () if "transport" in options else (place.uri, place.database)


@pytest.fixture
def saver(make_saver: Callable[..., Any]) -> Any:
    """The saver under test; a module that asks for it says in `make_saver` which kind."""
    return make_saver()
