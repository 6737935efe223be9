"""A way of ingestion that is not there: the error names the switch to turn."""

from __future__ import annotations

from typing import Any

import pytest
from shared.named_tests import assert_there, named_tests
from shared.places import Place, local_place
from shared.processes import ROOT
from shared.refusals import refused
from shared.threads import Chain, config_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, errors
from langgraph.checkpoint.kusto._transport import parse_endpoint, parse_ingestion_uri

pytestmark = pytest.mark.local_only

CLUSTER = "https://mycluster.westeurope.kusto.windows.net"


@pytest.fixture(scope="module")
def plain_place() -> Any:
    """A server without an Azurite has no Data Management service, as Microsoft's emulator."""
    with local_place() as place:
        yield place


@pytest.fixture
def place(plain_place: Place) -> Place:
    return plain_place


async def test_a_place_without_a_queue(place: Place) -> None:
    async with AsyncKustoSaver(place.uri, place.database, ingestion="queued") as saver:
        await saver.setup()
        for call in (
            Chain(saver, "t").step(a=1),
            saver.aput_writes(config_of("t", "", "1"), [("a", 1)], "task"),
        ):
            await refused(
                call,
                "IngestionUnavailableError",
                f"{place.uri} has no Data Management service for queued ingestion",
                'pass ingestion_uri="https://ingest-<cluster>.<region>.kusto.windows.net", or'
                ' ingestion="inline" (the emulator) or "streaming": ',
            )
        assert await saver.aget_tuple(config_of("t")) is None
        assert saver.stats()["overlay_rows"] == 0
        assert saver.stats()["retries"] == 0


async def test_an_ingestion_uri_where_nobody_listens(place: Place) -> None:
    saver = AsyncKustoSaver(
        place.uri,
        place.database,
        ingestion="queued",
        ingestion_uri="http://127.0.0.1:1",
        max_retries=0,
    )
    await refused(
        Chain(saver, "t").step(a=1),
        "ClusterUnreachableError",
        "http://127.0.0.1:1 did not answer the ingest",
        retriable=True,
    )
    await saver.aclose()


@pytest.mark.parametrize(
    ("cluster", "given", "chosen"),
    [
        (CLUSTER, None, "https://ingest-mycluster.westeurope.kusto.windows.net"),
        (f"{CLUSTER}:443/db", None, "https://ingest-mycluster.westeurope.kusto.windows.net:443"),
        ("http://127.0.0.1:8080", None, "http://127.0.0.1:8080"),
        ("https://localhost:8080", None, "https://localhost:8080"),
        (
            CLUSTER,
            "https://ingest-other.kusto.windows.net/",
            "https://ingest-other.kusto.windows.net",
        ),
        (CLUSTER, " http://localhost:1 ", "http://localhost:1"),
    ],
)
def test_where_the_queue_is(cluster: str, given: str | None, chosen: str) -> None:
    assert parse_ingestion_uri(given, parse_endpoint(cluster, "db")) == chosen


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "is not a cluster URI"),
        ("ingest-a.kusto.windows.net", "is not a cluster URI"),
        ("http://ingest-a.kusto.windows.net", "http is accepted on loopback only"),
        ("https://user:secret@ingest-a.kusto.windows.net", "user name or password"),
        ("https://ingest-a.kusto.windows.net/db", "the ingestion_uri names a database, 'db'; use"),
        ("https://ingest-a.kusto.windows.net/?sig=secret", "more than a host"),
    ],
)
def test_an_ingestion_uri_that_is_none(given: str, why: str) -> None:
    with pytest.raises(errors.InvalidClusterUriError, match=why) as caught:
        AsyncKustoSaver(CLUSTER, "db", ingestion="queued", ingestion_uri=given)
    assert "secret" not in str(caught.value)


def test_an_ingestion_uri_is_text() -> None:
    with pytest.raises(errors.InvalidOptionError, match="must be text, not int"):
        AsyncKustoSaver(CLUSTER, "db", ingestion="queued", ingestion_uri=5)  # type: ignore[arg-type]


PROMISES = ("durable", "read your writes", "whole or absent", "land twice", "not there")


@pytest.mark.parametrize("promise", PROMISES)
def test_each_promise_of_each_way_names_tests_that_exist(promise: str) -> None:
    """The table of docs/guarantees.md: no cell without a test."""
    text = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    rows = text.split("### What shows it\n", 1)[1].split("\n\n**", 1)[0].splitlines()
    (row,) = [row for row in rows if row.startswith(f"| {promise}")]
    _, _, *ways, _ = row.split("|")
    assert len(ways) == 3
    for cell in ways:
        assert named_tests(cell), cell
        for file, path in named_tests(cell):
            assert_there(file, path)
