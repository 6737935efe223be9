"""Cluster URIs and connection strings, and that no secret ever shows."""

from __future__ import annotations

from typing import Any

import pytest
from azure.kusto.data import KustoConnectionStringBuilder
from azure.kusto.data.aio import KustoClient

from langgraph.checkpoint.kusto._transport import no_endpoint_error, parse_endpoint
from langgraph.checkpoint.kusto._transport.endpoint import Endpoint
from langgraph.checkpoint.kusto.errors import (
    ConfigurationError,
    InvalidClusterUriError,
    InvalidDatabaseError,
)

HOST = "https://mycluster.westeurope.kusto.windows.net"
SECRET = "hunter2~S3cr3t"


# ------------------------------------------------------------------------------------ plain URIs


@pytest.mark.parametrize(
    ("given", "database", "uri", "name"),
    [
        (HOST, "db", HOST, "db"),
        (f"{HOST}/", "db", HOST, "db"),
        (f"  {HOST}\n", "db", HOST, "db"),
        (f"{HOST}/db", None, HOST, "db"),
        (f"{HOST}/db/", None, HOST, "db"),
        (f"{HOST}/my%20db", None, HOST, "my db"),
        (f"{HOST}/DB", "db", HOST, "db"),  # database names are case-insensitive in Kusto
        (HOST.upper().replace("HTTPS", "https"), "db", HOST, "db"),
        (f"{HOST}:443", "db", f"{HOST}:443", "db"),
        ("http://localhost:8080", "db", "http://localhost:8080", "db"),
        ("http://127.0.0.1", "db", "http://127.0.0.1", "db"),
        ("http://127.9.9.9:1", "db", "http://127.9.9.9:1", "db"),
        ("http://[::1]:8080", "db", "http://[::1]:8080", "db"),
        ("https://[2001:db8::1]", "db", "https://[2001:db8::1]", "db"),
        (HOST, "A b.c-d_1", HOST, "A b.c-d_1"),
        (HOST, "x" * 1_024, HOST, "x" * 1_024),
    ],
)
def test_uris(given: str, database: str | None, uri: str, name: str) -> None:
    assert parse_endpoint(given, database) == Endpoint(uri, name, None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "no cluster_uri was given; for example cluster_uri="),
        ("", "no cluster_uri was given"),
        ("  \n", "no cluster_uri was given"),
        (5, "no cluster_uri was given"),
        ("mycluster.kusto.windows.net", "is not a cluster URI; use cluster_uri="),
        ("mycluster", "is not a cluster URI"),
        ("ftp://mycluster", "is not a cluster URI"),
        ("https://", "is not a cluster URI"),
        ("https:///db", "is not a cluster URI"),
        ("https://my cluster", "is not a cluster URI"),
        ("https://mycluster:port", "is not a URI"),
        ("https://mycluster:99999", "is not a URI"),
        ("https://[::1", "is not a URI"),
        (f"{HOST}/db/table", "has more than a host and a database"),
        (f"{HOST}/db?x", "has more than a host and a database"),
        (f"{HOST}/db#x", "has more than a host and a database"),
        ("http://mycluster.kusto.windows.net", "http is accepted on loopback only"),
        ("http://10.0.0.1", "http is accepted on loopback only"),
        ("http://localhost.evil.com", "http is accepted on loopback only"),
        ("http://0.0.0.0", "http is accepted on loopback only"),
        (
            "https://ingest-mycluster.kusto.windows.net",
            "use the query URI: https://mycluster.kusto.windows.net",
        ),
        ("https://INGEST-mycluster.kusto.windows.net", "query URI"),
    ],
)
def test_uris_that_cannot_be_used(given: Any, message: str) -> None:
    with pytest.raises(InvalidClusterUriError, match=message):
        parse_endpoint(given, "db")


@pytest.mark.parametrize(
    ("given", "database", "message"),
    [
        (HOST, None, "no database was given; for example"),
        (HOST, "", "no database was given"),
        (HOST, 5, "no database was given"),
        (HOST, "a/b", "cannot be a database: use letters"),
        (HOST, "a;b", "cannot be a database"),
        (HOST, "a\n", "cannot be a database"),
        (HOST, "it's", "cannot be a database"),
        (HOST, "x" * 1_025, "cannot be a database"),
        (f"{HOST}/a%2Fb", None, "cannot be a database"),
        (f"{HOST}/one", "two", "database='two' was given, but the cluster URI names 'one'"),
    ],
)
def test_databases_that_cannot_be_used(given: str, database: Any, message: str) -> None:
    with pytest.raises(InvalidDatabaseError, match=message):
        parse_endpoint(given, database)


def test_neither_endpoint_nor_transport() -> None:
    error = no_endpoint_error()

    assert isinstance(error, ConfigurationError)
    assert 'cluster_uri="https://' in str(error)
    assert "transport=" in str(error)


@pytest.mark.parametrize(
    ("uri", "loopback", "token", "fabric"),
    [
        (HOST, False, True, False),
        ("http://localhost:8080", True, False, False),
        ("https://localhost", True, True, False),
        ("http://[::1]", True, False, False),
        ("https://trd-x.z1.kusto.fabric.microsoft.com", False, True, True),
        ("https://fabric.microsoft.com.evil.net", False, True, False),
    ],
)
def test_what_an_endpoint_is(uri: str, loopback: bool, token: bool, fabric: bool) -> None:
    endpoint = parse_endpoint(uri, "db")

    assert (endpoint.is_loopback, endpoint.needs_token, endpoint.is_fabric) == (
        loopback,
        token,
        fabric,
    )


# ----------------------------------------------------------------------------- connection strings


@pytest.mark.parametrize(
    "text",
    [
        f"Data Source={HOST};Initial Catalog=db",
        f"data source={HOST} ; INITIALCATALOG = db",
        f"Server={HOST};Database=db",
        f"Addr={HOST};Database=db;",
        f"Data Source={HOST};Initial Catalog=db;;\n",
        f"Initial Catalog=db;Data Source={HOST}",
        f"{HOST};Initial Catalog=db",
        f"{HOST};Initial Catalog=db;Fed=True",
        f"Data Source={HOST};Initial Catalog=db;AAD Federated Security=True",
        f"Data Source={HOST};Initial Catalog=db;AADFed=true",
        f"Data Source={HOST}/db",
        f"Data Source={HOST}/db;Fed=True",
        f"Data Source={HOST}/db;Initial Catalog=DB",
        f"Data Source={HOST};Initial Catalog=db;Application Name for Tracing=mine",
        f"Data Source={HOST};Initial Catalog=db;User Name for Tracing=me",
    ],
)
def test_connection_strings_that_only_say_where(text: str) -> None:
    endpoint = parse_endpoint(text, None)

    assert (endpoint.uri, endpoint.database.lower()) == (HOST, "db")
    assert endpoint.connection_string is None  # DefaultAzureCredential, or credential=


def test_a_connection_string_and_a_database() -> None:
    assert parse_endpoint(f"Data Source={HOST}", "db").database == "db"
    assert parse_endpoint(f"Data Source={HOST};Initial Catalog=db", "DB").database == "DB"
    with pytest.raises(InvalidDatabaseError, match="database='two' was given"):
        parse_endpoint(f"Data Source={HOST};Initial Catalog=one", "two")
    with pytest.raises(InvalidDatabaseError, match="no database was given"):
        parse_endpoint(f"Data Source={HOST};Fed=True", None)
    with pytest.raises(InvalidDatabaseError, match="names two databases, 'one' and 'two'"):
        parse_endpoint(f"Data Source={HOST}/one;Initial Catalog=two", None)


OWN_CREDENTIALS = [
    f"Application Client Id=app;Application Key={SECRET};Authority Id=tenant",
    f"AppClientId=app;AppKey={SECRET};TenantId=tenant;Fed=True",
    f"User ID=me;Password={SECRET}",
    f"Application Token={SECRET}",
    f"UsrToken={SECRET};AAD Federated Security=True",
]


@pytest.mark.parametrize("keys", OWN_CREDENTIALS)
async def test_a_connection_string_that_says_how_to_authenticate(keys: str) -> None:
    endpoint = parse_endpoint(f"Data Source={HOST};Initial Catalog=db;{keys};", None)

    assert endpoint.connection_string is not None
    assert keys in endpoint.connection_string
    # The SDK sends a token at all only when the string says so; ours always does.
    builder = KustoConnectionStringBuilder(endpoint.connection_string)
    assert builder.aad_federated_security is True
    async with KustoClient(builder) as client:
        assert SECRET in repr(vars(client._aad_helper.token_provider))


@pytest.mark.parametrize("said", ["Fed=True", "AADFed=False", "Federated Security=true"])
def test_what_a_connection_string_says_of_tokens_is_kept(said: str) -> None:
    text = f"Data Source={HOST};Initial Catalog=db;AppClientId=a;AppKey={SECRET};{said}"

    assert parse_endpoint(text, None).connection_string == text


@pytest.mark.parametrize("keys", OWN_CREDENTIALS)
def test_secrets_do_not_show(keys: str) -> None:
    endpoint = parse_endpoint(f"Data Source={HOST};Initial Catalog=db;{keys}", None)

    for shown in (repr(endpoint), str(endpoint), f"{endpoint}", f"{[endpoint]}"):
        assert SECRET not in shown
    assert repr(endpoint) == f"<Endpoint {HOST} database='db'>"


@pytest.mark.parametrize(
    "text",
    [
        f"https://me:{SECRET}@mycluster.kusto.windows.net",
        f"https://me:{SECRET}@mycluster:port/db",
        f"https://{SECRET}@[::1",
        f"ftp://me:{SECRET}@mycluster",
        f"me:{SECRET}@mycluster",
        f"http://me:{SECRET}@mycluster/db",
        f"https://me:{SECRET}@ingest-mycluster/db",
        f"https://me:{SECRET}@mycluster/db/more",
        f"https://me:{SECRET}@mycluster;Initial Catalog=db",
        f"Data Source=https://me:{SECRET}@mycluster:port;Initial Catalog=db",
        f"Data Source={HOST};Initial Catalog=db;Application Key={SECRET};Fed=perhaps",
        f"Data Source={HOST};Initial Catalog=db;No Such Key={SECRET}",
        f"Data Source={HOST};Initial Catalog=db;{SECRET}",
        f"Data Source={HOST};Initial Catalog=db;Streaming={SECRET}",
        f"Application Key={SECRET}",
        f"app;{SECRET};tenant",
        f"Data Source=;Application Key={SECRET}",
        f"Data Source=mycluster;Application Key={SECRET}",
        f"Data Source={HOST};Application Key={SECRET}",
        f"Data Source={HOST};Initial Catalog=a/b;Application Key={SECRET}",
        f"Data Source={HOST}/a;Initial Catalog=b;Application Key={SECRET}",
        f"{HOST}?code={SECRET}",
    ],
)
def test_errors_do_not_show_secrets(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_endpoint(text, None)

    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in str(error)
        assert SECRET not in repr(error)
        error = error.__cause__


@pytest.mark.parametrize("text", [f"Data Source={HOST};Nonsense", "a=b", ";", "=", "Data Source"])
def test_connection_strings_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InvalidClusterUriError, match=r"the form is|is not a cluster URI"):
        parse_endpoint(text, "db")
