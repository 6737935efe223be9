"""Savers that cannot be built are refused at once, with what to write instead."""

from __future__ import annotations

from typing import Any

import pytest
from shared.refusals import check_refusal

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, errors

pytestmark = [
    pytest.mark.local_only,
    pytest.mark.parametrize("kind", [AsyncKustoSaver, KustoSaver]),
]

CLUSTER = "https://mycluster.westeurope.kusto.windows.net"
EXAMPLE = f'cluster_uri="{CLUSTER}", database="mydatabase"'
NO_URI = f"no cluster_uri was given; for example {EXAMPLE}"
NO_DATABASE = f"no database was given; for example {EXAMPLE}"
NAMES = "cannot be a database: use letters, digits, spaces, '_', '.' and '-'"
CREDENTIALS = (
    "credential must be None (DefaultAzureCredential), an azure-identity credential, or"
    " 'app-id;app-key;tenant', not"
)
SECRET = "app-key-0815"

URIS: list[tuple[Any, str]] = [
    (None, NO_URI),
    ("", NO_URI),
    ("  ", NO_URI),
    (5, NO_URI),
    (CLUSTER.encode(), NO_URI),
    ("mycluster.westeurope.kusto.windows.net", f"is not a cluster URI; use {EXAMPLE}"),
    ("ftp://mycluster", f"'ftp://mycluster' is not a cluster URI; use {EXAMPLE}"),
    ("https://", f"'https://' is not a cluster URI; use {EXAMPLE}"),
    ("https://my cluster", f"is not a cluster URI; use {EXAMPLE}"),
    (
        "https://host:port",
        f"is not a URI: Port could not be cast to integer value as 'port'; use {EXAMPLE}",
    ),
    ("https://host:99999", f"is not a URI: Port out of range 0-65535; use {EXAMPLE}"),
    ("https://[::1", f"is not a URI: Invalid IPv6 URL; use {EXAMPLE}"),
    ("https://my\ncluster", f"'https://my\\ncluster' holds control characters; use {EXAMPLE}"),
    (CLUSTER + "\x00", f"holds control characters; use {EXAMPLE}"),
    ("https://\ud800", f"holds control characters; use {EXAMPLE}"),
    (
        CLUSTER.replace("https", "http"),
        "http is accepted on loopback only, because a token would travel readable; use https",
    ),
    (
        CLUSTER.replace("mycluster", "ingest-mycluster"),
        "is the ingestion (Data Management) URI; streaming ingestion and queries use the query"
        f" URI: {CLUSTER}",
    ),
    (
        f"https://user:{SECRET}@mycluster.westeurope.kusto.windows.net",
        "the cluster URI holds a user name or password; pass credential= instead",
    ),
    (
        f"{CLUSTER}/a/b?c={SECRET}",
        "the cluster URI of host 'mycluster.westeurope.kusto.windows.net' has more than a host and"
        f" a database; use {EXAMPLE}",
    ),
    ("Data Source=", f"is not a cluster URI; use {EXAMPLE}"),
    (
        f"Nonsense=1;Application Key={SECRET}",
        "the connection string cannot be read (KeyError); the form is"
        " 'Data Source=https://...;Initial Catalog=...'",
    ),
]

DATABASES: list[tuple[Any, str]] = [
    (None, NO_DATABASE),
    ("", NO_DATABASE),
    (5, NO_DATABASE),
    (b"db", NO_DATABASE),
    ("a/b", f"'a/b' {NAMES}"),
    ("db\n", f"'db\\n' {NAMES}"),
    ("\ud800", f"'\\ud800' {NAMES}"),
    ("x" * 2_000, NAMES),
]

OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"batch_sise": 1}, "unknown option batch_sise; the options are batch_size, close_timeout,"),
    ({"batch_size": 0}, "batch_size must be a whole number, more than 0, not 0"),
    ({"batch_size": True}, "batch_size must be a whole number, more than 0, not True"),
    ({"max_retries": 1.5}, "max_retries must be a whole number, 0 or more, not 1.5"),
    ({"max_retries": -1}, "max_retries must be a whole number, 0 or more, not -1"),
    (
        {"flush_interval": float("nan")},
        "flush_interval must be a number of seconds, more than 0, not nan",
    ),
    ({"query_timeout": "30"}, "query_timeout must be a number of seconds, more than 0, not '30'"),
    ({"query_timeout": None}, "query_timeout must be a number of seconds, more than 0, not None"),
    ({"close_timeout": -1}, "close_timeout must be a number of seconds, 0 or more, not -1"),
    ({"intake_bytes": 2.0}, "intake_bytes must be a whole number, more than 0, not 2.0"),
    ({"write_mode": "durable"}, "write_mode must be 'acknowledged' or 'buffered', not 'durable'"),
    ({"write_mode": []}, "write_mode must be 'acknowledged' or 'buffered', not []"),
    ({"ingestion": "q"}, "ingestion must be 'streaming' or 'inline' or 'queued', not 'q'"),
    (
        {"ingestion_uri": "https://ingest-a.kusto.windows.net"},
        'ingestion_uri is used by queued ingestion only, not by "streaming"; leave it out',
    ),
    ({"credential": object()}, f"{CREDENTIALS} object"),
    ({"credential": 5}, f"{CREDENTIALS} int"),
    ({"credential": b"a;b;c"}, f"{CREDENTIALS} bytes"),
    ({"credential": SECRET}, "must be 'app-id;app-key;tenant', three non-empty parts"),
    ({"credential": f"a;{SECRET};"}, "must be 'app-id;app-key;tenant', three non-empty parts"),
    ({"credential": ""}, "must be 'app-id;app-key;tenant', three non-empty parts"),
    (
        {"transport": object()},
        "give either transport= or cluster_uri=, database= and credential=, not both",
    ),
    (
        {"serde": 5},
        "serde must have dumps_typed and loads_typed, as LangGraph's JsonPlusSerializer has them;"
        " int has not",
    ),
]


def check(caught: pytest.ExceptionInfo[errors.KustoCheckpointError], name: str, part: str) -> None:
    check_refusal(caught.value, name, part)
    assert isinstance(caught.value, errors.ConfigurationError)
    assert isinstance(caught.value, ValueError)
    assert not caught.value.retriable
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.__cause__)


@pytest.mark.parametrize(("uri", "message"), URIS)
def test_a_uri_that_cannot_be_used(kind: Any, uri: Any, message: str) -> None:
    for build in (kind, kind.from_connection_string):
        with pytest.raises(errors.KustoCheckpointError) as caught:
            build(uri, "db")
        check(caught, "InvalidClusterUriError", message)


@pytest.mark.parametrize(("database", "message"), DATABASES)
def test_a_database_that_cannot_be_one(kind: Any, database: Any, message: str) -> None:
    for build in (kind, kind.from_connection_string):
        with pytest.raises(errors.KustoCheckpointError) as caught:
            build(CLUSTER, database)
        check(caught, "InvalidDatabaseError", message)


def test_two_databases(kind: Any) -> None:
    for uri in (f"{CLUSTER}/other", f"Data Source={CLUSTER};Initial Catalog=other"):
        with pytest.raises(errors.KustoCheckpointError) as caught:
            kind(uri, "db")
        message = "database='db' was given, but the cluster URI names 'other'; give one"
        check(caught, "InvalidDatabaseError", message)


def test_neither_an_endpoint_nor_a_transport_shows_both(kind: Any) -> None:
    with pytest.raises(errors.KustoCheckpointError) as caught:
        kind()
    check(
        caught,
        "InvalidClusterUriError",
        f"give an endpoint ({EXAMPLE}) or transport=<an object with the Transport protocol>",
    )


@pytest.mark.parametrize(("options", "message"), OPTIONS)
def test_an_option_that_cannot_be_used(kind: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.KustoCheckpointError) as caught:
        kind("http://127.0.0.1:1", "db", **options)
    check(caught, "InvalidOptionError", message)


def test_what_is_no_transport_says_what_it_lacks(kind: Any) -> None:
    class OnlyReads:
        async def query(self, text: str, parameters: Any) -> Any: ...

    with pytest.raises(errors.KustoCheckpointError) as caught:
        kind(transport=OnlyReads())
    check(
        caught,
        "InvalidOptionError",
        "transport= must be an object with the Transport protocol; OnlyReads has no open, aclose,"
        " command, ingest",
    )
