"""The two savers under comparison, on one event loop for the whole run.

PostgreSQL is started as an unprivileged user in a temporary directory. Where it, or the Python
packages that speak to it, are not installed, these tests are skipped, and say what to install.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from shared.places import live_place, local_place, seed_options, seed_settings

from langgraph.checkpoint.kusto import AsyncKustoSaver

from .postgres import INSTALL, find_programs, running
from .twins import Twins

PACKAGES = 'pip install "langgraph-checkpoint-kusto[differential]"'


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """The connection string of an empty database."""
    programs = find_programs()
    if programs is None:
        pytest.skip(f"compares with PostgreSQL, which is not installed: {INSTALL}")
    pytest.importorskip("psycopg", reason=f"compares with PostgreSQL: {PACKAGES}")
    with running(programs) as connection_string:
        yield connection_string


@pytest.fixture(scope="session")
def twins(database: str) -> Iterator[Twins]:
    """Both savers, empty."""
    if live_place() is not None:
        pytest.skip("needs a local server of its own, not a live cluster")
    module = pytest.importorskip(
        "langgraph.checkpoint.postgres.aio", reason=f"compares with PostgreSQL: {PACKAGES}"
    )
    with start_blocking_portal() as portal, local_place(**seed_settings()) as place:
        opened = module.AsyncPostgresSaver.from_conn_string(database)
        ingestion: Any = os.environ.get("DIFFERENTIAL_INGESTION", "streaming")
        kusto = AsyncKustoSaver(place.uri, place.database, ingestion=ingestion, **seed_options())
        with (
            portal.wrap_async_context_manager(opened) as postgres,
            portal.wrap_async_context_manager(kusto),
        ):
            portal.call(postgres.setup)
            yield Twins(kusto, postgres, portal)
        assert ingestion == "streaming" or place.server.requests.count("ingest") == 0


@pytest.fixture(autouse=True)
def _tidy(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave nothing behind: what one of them cannot read back would break the lists of others."""
    yield
    if "twins" in request.fixturenames:
        request.getfixturevalue("twins").tidy()
