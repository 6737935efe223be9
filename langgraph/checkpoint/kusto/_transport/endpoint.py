"""Where the cluster is: reading a cluster URI or a Kusto connection string. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from azure.kusto.data import KustoConnectionStringBuilder

from ..errors import ConfigurationError, InvalidClusterUriError, InvalidDatabaseError

INGESTION_EXAMPLE = 'ingestion_uri="https://ingest-mycluster.westeurope.kusto.windows.net"'
_INGEST = "ingest-"
EXAMPLE = 'cluster_uri="https://mycluster.westeurope.kusto.windows.net", database="mydatabase"'

# Entity names, K/query/schema-entities; ".." would be a step up in the URL of an ingest request.
_DATABASE_NAME = re.compile(r"(?=.*\w)[\w .\-]{1,1024}")


@dataclass(frozen=True)
class Endpoint:
    """A cluster and a database, without secrets unless `connection_string` holds some."""

    uri: str
    database: str
    connection_string: str | None = None
    """The user's own connection string, when it says how to authenticate."""

    def __repr__(self) -> str:
        return f"<Endpoint {self.uri} database={self.database!r}>"

    @property
    def is_loopback(self) -> bool:
        """Whether the cluster is on this machine, where no credential is needed."""
        return _is_loopback(urlsplit(self.uri).hostname or "")

    @property
    def needs_token(self) -> bool:
        """Whether requests carry a token: always over https, never over loopback http."""
        return self.uri.startswith("https://")

    @property
    def is_fabric(self) -> bool:
        """Whether this is a Fabric Eventhouse, which has no `queryconsistency` property."""
        return (urlsplit(self.uri).hostname or "").endswith(".fabric.microsoft.com")


def parse_endpoint(cluster_uri: str | None, database: str | None) -> Endpoint:
    """Read a cluster URI or a whole connection string.

    Args:
        cluster_uri: `https://...`, `http://` on loopback, or
            `Data Source=https://...;Initial Catalog=mydatabase;...`.
        database: The database, unless the connection string or the path of the URI names it.

    Raises:
        InvalidClusterUriError: Not a URI this library can use.
        InvalidDatabaseError: No database, two different ones, or not a database name.
    """
    if not isinstance(cluster_uri, str) or not cluster_uri.strip():
        raise InvalidClusterUriError(f"no cluster_uri was given; for example {EXAMPLE}")
    text = cluster_uri.strip()
    if ";" in text or ("=" in text and "://" not in text.partition("=")[0]):
        return _parse_connection_string(text, database)
    uri, in_path = _check_uri(text)
    return Endpoint(uri, _choose_database(database, in_path))


def parse_ingestion_uri(ingestion_uri: str | None, endpoint: Endpoint) -> str:
    """Choose the Data Management endpoint.

    Args:
        ingestion_uri: The user's choice, if there is one.
        endpoint: The cluster, before whose host stands `ingest-` otherwise; on loopback one server
            is both.

    Raises:
        InvalidClusterUriError: Not a URI this library can use.
    """
    if ingestion_uri is None:
        host = endpoint.uri.partition("://")[2]
        return endpoint.uri if endpoint.is_loopback else f"https://{_INGEST}{host}"
    uri, database = _check_uri(ingestion_uri.strip(), is_ingestion=True)
    if database is not None:
        raise InvalidClusterUriError(
            f"the ingestion_uri names a database, {database!r}; use {INGESTION_EXAMPLE}"
        )
    return uri


def _parse_connection_string(text: str, database: str | None) -> Endpoint:
    parts = [part for part in text.split(";") if part.strip()]  # .NET writes a last semicolon
    text = ";".join(parts)
    try:
        KustoConnectionStringBuilder(text)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        # The SDK's message can quote the string, and with it a secret; name the kind only.
        raise InvalidClusterUriError(
            "the connection string cannot be read"
            f" ({type(error).__name__}); the form is 'Data Source=https://...;Initial Catalog=...'"
        ) from None
    pairs = dict(_pair(part) for part in parts)
    uri, in_path = _check_uri(_first(pairs, _SOURCE_KEYS) or "")
    catalog = _first(pairs, _DATABASE_KEYS)
    if catalog and in_path and catalog.lower() != in_path.lower():
        raise InvalidDatabaseError(
            f"the connection string names two databases, {in_path!r} and {catalog!r}; give one"
        )
    own_credential = bool(pairs.keys() - _PLACE_KEYS)
    if own_credential and not pairs.keys() & _FEDERATED_KEYS:
        text += ";AAD Federated Security=True"  # without it the SDK sends no token at all
    return Endpoint(
        uri,
        _choose_database(database, catalog or in_path),
        connection_string=text if own_credential else None,
    )


def _pair(part: str) -> tuple[str, str]:
    """Read `Some Key=value`; the cluster may stand first without its key."""
    key, equals, value = part.partition("=")
    if not equals:
        return "datasource", part.strip()
    return key.lower().replace(" ", ""), value.strip()


def _first(pairs: dict[str, str], keys: frozenset[str]) -> str | None:
    return next((pairs[key] for key in pairs if key in keys), None)


_SOURCE_KEYS = frozenset(("datasource", "addr", "address", "networkaddress", "server"))
_DATABASE_KEYS = frozenset(("initialcatalog", "database"))
_FEDERATED_KEYS = frozenset(
    ("fed", "aadfed", "aadfederatedsecurity", "federatedsecurity", "federated")
)
_TRACING_KEYS = frozenset(
    ("applicationnamefortracing", "traceappname", "usernamefortracing", "traceusername")
)
_PLACE_KEYS = _SOURCE_KEYS | _DATABASE_KEYS | _FEDERATED_KEYS | _TRACING_KEYS
"""Keys that say nothing about how to authenticate."""


def _check_uri(text: str, *, is_ingestion: bool = False) -> tuple[str, str | None]:
    if "@" in text:  # first, because every other message quotes the text
        raise InvalidClusterUriError(
            "the cluster URI holds a user name or password; pass credential= instead"
        )
    if not text.isprintable():  # urlsplit leaves out line ends and tabs, and keeps NUL
        raise InvalidClusterUriError(f"{text!r} holds control characters; use {EXAMPLE}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise InvalidClusterUriError(f"{text!r} is not a URI: {error}; use {EXAMPLE}") from error
    host = parts.hostname
    if parts.scheme not in ("https", "http") or not host or " " in host:
        raise InvalidClusterUriError(f"{text!r} is not a cluster URI; use {EXAMPLE}")
    if parts.query or parts.fragment or "/" in parts.path.strip("/"):
        # Not quoted: what stands there may be a token pasted along.
        raise InvalidClusterUriError(
            f"the cluster URI of host {host!r} has more than a host and a database; use {EXAMPLE}"
        )
    if host.startswith(_INGEST) and not is_ingestion:
        raise InvalidClusterUriError(
            f"{text!r} is the ingestion (Data Management) URI; streaming ingestion and queries use"
            f" the query URI: {parts.scheme}://{host.removeprefix(_INGEST)}"
        )
    if parts.scheme == "http" and not _is_loopback(host):
        raise InvalidClusterUriError(
            f"{text!r}: http is accepted on loopback only, because a token would travel readable;"
            " use https"
        )
    shown_host = f"[{host}]" if ":" in host else host
    authority = shown_host if port is None else f"{shown_host}:{port}"
    path = unquote(parts.path.strip("/"))
    return f"{parts.scheme}://{authority}", path or None


def _choose_database(given: str | None, found: str | None) -> str:
    if given is not None and found is not None and given.lower() != found.lower():
        raise InvalidDatabaseError(
            f"database={given!r} was given, but the cluster URI names {found!r}; give one"
        )
    name = given if given is not None else found
    if not isinstance(name, str) or not name:
        raise InvalidDatabaseError(f"no database was given; for example {EXAMPLE}")
    if not _DATABASE_NAME.fullmatch(name):
        raise InvalidDatabaseError(
            f"{name!r} cannot be a database: use letters, digits, spaces, '_', '.' and '-'"
        )
    return name


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def no_endpoint_error() -> ConfigurationError:
    """The error of a saver that was given neither an endpoint nor a transport."""
    return InvalidClusterUriError(
        f"give an endpoint ({EXAMPLE}) or transport=<an object with the Transport protocol>"
    )
