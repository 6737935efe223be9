"""From what the SDK, aiohttp and Kusto say to the errors of this library, in one place. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, cast

from aiohttp import ClientError, ClientResponseError, RequestInfo
from azure.core.exceptions import (
    ClientAuthenticationError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.kusto.data.exceptions import (
    KustoApiError,
    KustoAuthenticationError,
    KustoClientInvalidConnectionStringException,
    KustoError,
    KustoMultiApiError,
    KustoNetworkError,
    KustoServiceError,
    KustoThrottlingError,
    OneApiError,
)

from .._schema import LATEST, TABLE_BY_NAME
from ..errors import (
    AuthenticationError,
    ClusterUnreachableError,
    DatabaseNotFoundError,
    IngestionUnavailableError,
    InvalidClusterUriError,
    KustoCheckpointError,
    MalformedResponseError,
    PermissionDeniedError,
    QueryFailedError,
    ResultTooLargeError,
    RowsRejectedError,
    SchemaTooOldError,
    ServiceUnavailableError,
    StreamingDisabledError,
    TableNotFoundError,
    ThrottledError,
)
from ..options import Ingestion

Kind = Literal["query", "command", "ingest"]

_SETUP = "run provision.kql, or `saver.setup(create=True)` with Database Admin"
_OBJECTS = "|".join([*TABLE_BY_NAME, LATEST])
_MISSING_DATABASE = re.compile(
    r"kind 'Database' was not found"
    r"|Database '[^']*' (?:could not be found|does not exist|not found)"
    r"|BadRequest_DatabaseNotExist|DatabaseNotFound",
    re.IGNORECASE,
)
_MISSING_MAPPING = re.compile(
    r"Mapping(?:Persistent)?' was not found|MappingReferenceWasNotFound|Mapping reference .* not",
    re.IGNORECASE,
)
_MISSING_TABLE = re.compile(
    rf"kind 'Table' was not found|TableNotExist|(?:named|name|entity) '(?:{_OBJECTS})'",
    re.IGNORECASE,
)
_MISSING_COLUMN = re.compile(
    r"Failed to resolve (?:scalar|column|table or column)|does not refer to any known column"
    r"|SEM0100",
    re.IGNORECASE,
)
_STREAMING_OFF = re.compile(
    r"streaming ?ingestion.{0,80}(?:not enabled|disabled|off)", re.IGNORECASE
)
# A service that does not know a command says so; Microsoft's emulator, of those of the queue.
_UNKNOWN_COMMAND = re.compile(r"Syntax ?error|SYN0\d+|recognition error", re.IGNORECASE)
_TOO_LARGE_RESULT = re.compile(r"80DA0003|E_QUERY_RESULT_SET_TOO_LARGE", re.IGNORECASE)
_TOO_LARGE_INPUT = re.compile(r"too large|exceeds|maximum allowed size", re.IGNORECASE)


@dataclass(frozen=True)
class Request:
    """What was asked, to name it in an error."""

    kind: Kind
    uri: str
    database: str
    table: str = ""
    ingestion: Ingestion = "streaming"

    def __str__(self) -> str:
        what = f"ingestion into {self.table}" if self.kind == "ingest" else self.kind
        return f"{what} (database {self.database!r} at {self.uri})"


@dataclass(frozen=True)
class ServerError:
    """An error as Kusto words it (OneApi)."""

    code: str
    text: str
    permanent: bool | None
    status: int

    @classmethod
    def from_one_api(cls, body: dict[str, Any], status: int) -> ServerError:
        """Read the `error` object of an answer; fields may be missing."""
        text = str(body.get("@message") or body.get("message") or "")
        kind = str(body.get("@type") or "")
        return cls(
            code=f"{body.get('code') or ''} {kind}".strip(),
            text=text,
            permanent=body.get("@permanent"),
            status=status,
        )


def translate_server_error(error: ServerError, request: Request) -> KustoCheckpointError:
    """Choose the error for an answer of Kusto."""
    said = f"{error.code}: {error.text}" if error.code else error.text
    known = _translate_known(error, said, request)
    if known is not None:
        return known
    transient = error.status >= 500 or error.status == 408  # 408: a proxy gave up waiting
    if error.permanent is False or (transient and error.permanent is not True):
        return ServiceUnavailableError(
            f"Kusto cannot serve the {request} now; try again later, and look at the state of the"
            f" cluster: {said}"
        )
    if request.kind == "ingest":
        return RowsRejectedError(
            f"Kusto refused rows of the {request}; check that the tables are those of"
            f" provision.kql: {said}"
        )
    return QueryFailedError(
        f"Kusto refused the {request}; check that the tables are those of provision.kql: {said}"
    )


def _translate_known(
    error: ServerError, said: str, request: Request
) -> KustoCheckpointError | None:
    if error.status == 429 or "TooManyRequests" in error.code or "Throttl" in error.code:
        return _throttled(request, said)
    if error.status == 401:
        return _not_authenticated(request, said)
    if error.status == 403 or re.search(r"\bForbidden\b|not authorized", said):
        role = "Database Ingestor" if request.kind == "ingest" else "Database Viewer"
        if request.kind == "command":
            role = "Database Viewer (checks) or Database Admin (setup(create=True))"
        return PermissionDeniedError(
            f"the identity lacks a role for the {request}; grant it {role}: {said}"
        )
    if _TOO_LARGE_RESULT.search(said):
        return ResultTooLargeError(
            f"the result of the {request} is over Kusto's limit; keep large data outside of the"
            f" state, or write less before a checkpoint: {said}"
        )
    if _MISSING_DATABASE.search(said):
        return DatabaseNotFoundError(
            f"there is no database {request.database!r} at {request.uri}, or the identity may not"
            f" see it; check the name, and the roles of the identity: {said}"
        )
    if request.ingestion != "streaming" and (error.status == 404 or _UNKNOWN_COMMAND.search(said)):
        return ingestion_unavailable(request, said)
    if request.kind != "query" and _STREAMING_OFF.search(said):
        return _streaming_disabled(request, said)
    if _MISSING_MAPPING.search(said):
        return SchemaTooOldError(
            f"the ingestion mapping for the {request} is missing, so the tables are older than this"
            f" library (or minutes young); {_SETUP}: {said}"
        )
    if _MISSING_TABLE.search(said):
        return TableNotFoundError(f"a table for the {request} is missing; {_SETUP}: {said}")
    if request.kind == "query" and _MISSING_COLUMN.search(said):
        return SchemaTooOldError(
            f"a column for the {request} is missing, so the tables are older than this library;"
            f" {_SETUP}: {said}"
        )
    if request.kind == "ingest" and (error.status == 413 or _TOO_LARGE_INPUT.search(said)):
        return RowsRejectedError(
            f"Kusto refused the size of the {request}; keep large data outside of the state: {said}"
        )
    return None


def malformed(request: Request, what: str) -> MalformedResponseError:
    """The error of an answer that Kusto does not give."""
    return MalformedResponseError(
        f"the answer to the {request} {what}; check that the URI is the query URI of the cluster,"
        " and what proxies are on the way"
    )


def _throttled(request: Request, said: str, retry_after: float | None = None) -> ThrottledError:
    return ThrottledError(
        f"Kusto throttled the {request}; lower max_in_flight and max_queries, or give the cluster"
        f" more cores: {said}",
        retry_after=retry_after,
    )


def _not_authenticated(request: Request, said: str) -> AuthenticationError:
    return AuthenticationError(
        f"the cluster did not accept the token for the {request}; sign in to the right tenant, or"
        f" pass another credential=: {said}"
    )


def _streaming_disabled(request: Request, said: str) -> StreamingDisabledError:
    table = "run provision.kql"
    if request.table:
        table = f"`.alter table {request.table} policy streamingingestion enable`"
    return StreamingDisabledError(
        f"streaming ingestion is off for the {request}; switch it on for the cluster (Azure"
        f" portal: cluster, Settings, Configurations), then for the table ({table}), or pass"
        f' ingestion="queued" (others see rows minutes later) or "inline" (Microsoft\'s emulator):'
        f" {said}"
    )


def ingestion_unavailable(request: Request, said: str) -> IngestionUnavailableError:
    """The error of a place that does not have the way of ingestion that was chosen."""
    if request.ingestion == "inline":
        return IngestionUnavailableError(
            f"{request.uri} does not take the {request} by `.ingest inline`; check that it is the"
            f' query URI of the cluster, or pass ingestion="streaming" or "queued": {said}'
        )
    return IngestionUnavailableError(
        f"{request.uri} has no Data Management service for queued ingestion (Microsoft's emulator"
        ' has none); pass ingestion_uri="https://ingest-<cluster>.<region>.kusto.windows.net", or'
        f' ingestion="inline" (the emulator) or "streaming": {said}'
    )


def translate(error: BaseException, request: Request) -> KustoCheckpointError:
    """Choose the error for whatever the SDK raised; every `Exception` has one."""
    if isinstance(error, KustoCheckpointError):
        return error
    if isinstance(error, TimeoutError):
        return _unreachable(request, "no answer in time")
    if isinstance(error, KustoAuthenticationError):
        return _translate_authentication(error, request)
    if isinstance(error, ClientAuthenticationError):
        return _no_token(request, error)
    if isinstance(error, KustoNetworkError):
        return _unreachable(request, _root(error))
    if isinstance(error, KustoThrottlingError):
        # The SDK passes the response as second argument.
        hint = _retry_after(error.args[1] if len(error.args) > 1 else None)
        return _throttled(request, str(error.args[0] if error.args else ""), hint)
    if isinstance(error, KustoClientInvalidConnectionStringException):
        return InvalidClusterUriError(
            f"{request.uri} is not a trusted Kusto host, so no token was sent to it; check the URI"
        )
    if isinstance(error, KustoServiceError):
        found = _translate_service_error(error, request)
        if isinstance(found, ServiceUnavailableError):
            found.retry_after = _retry_after(error.http_response)
        return found
    if isinstance(error, ClientError | OSError):
        return _unreachable(request, _root(error))
    if isinstance(error, KustoError):
        return QueryFailedError(
            f"the SDK failed the {request}; create a new saver, or try another version of"
            f" azure-kusto-data: {type(error).__name__}: {error}"
        )
    return malformed(request, f"could not be read ({type(error).__name__}: {error})")


def hide_headers(error: BaseException | None) -> None:
    """Take the request's headers out of an error and all it came of: its `repr` shows the token."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        info = getattr(error, "request_info", None)
        if isinstance(error, ClientResponseError) and isinstance(info, RequestInfo):
            bare = info._replace(headers=cast(Any, {}))
            error.request_info = bare
            error.args = (bare, *error.args[1:])
        error = error.__cause__ or error.__context__


def _translate_service_error(error: KustoServiceError, request: Request) -> KustoCheckpointError:
    status = status_of(error.http_response)
    api = _api_error(error)
    if api is not None:
        return translate_server_error(
            ServerError(
                code=f"{api.code or ''} {api.type or ''}".strip(),
                text=str(api.description or api.message or ""),
                permanent=api.permanent,
                status=status,
            ),
            request,
        )
    text = str(error)
    if status == 404 and request.ingestion != "streaming":
        return ingestion_unavailable(request, text)
    if status == 404 and request.kind == "ingest":
        return _streaming_disabled(request, text)
    if status == 404:
        return InvalidClusterUriError(
            f"{request.uri} has no Kusto endpoint for a {request.kind}; use the query URI of the"
            " cluster"
        )
    if status == 200 or 300 <= status < 400:
        return malformed(request, f"is not Kusto's (HTTP {status}, {_root(error)})")
    return translate_server_error(ServerError("", text, None, status), request)


def status_of(response: object) -> int:
    """The HTTP status: of aiohttp, or of requests, which the SDK uses for the cloud's metadata."""
    return int(getattr(response, "status", 0) or getattr(response, "status_code", 0) or 0)


def _api_error(error: KustoServiceError) -> OneApiError | None:
    """What Kusto said, if the SDK could read it; of several errors the first."""
    if isinstance(error, KustoApiError):
        return error.get_api_error()
    if isinstance(error, KustoMultiApiError):
        return next(iter(error.get_api_errors()), None)
    return None


def _translate_authentication(
    error: KustoAuthenticationError, request: Request
) -> KustoCheckpointError:
    inner = error.exception
    if isinstance(inner, KustoNetworkError | ServiceRequestError | ServiceResponseError | OSError):
        return ClusterUnreachableError(
            f"no token could be had for {request.uri}, because the sign-in service did not answer:"
            f" {_root(inner)}; check the network (firewall, proxy)"
        )
    return _no_token(request, inner)


def _no_token(request: Request, error: BaseException) -> AuthenticationError:
    first_line = (str(error).splitlines() or [""])[0]
    return AuthenticationError(
        f"no token could be had for {request.uri}; sign in (`az login`), use a managed identity, or"
        f" pass credential=: {type(error).__name__}: {first_line}"
    )


def _unreachable(request: Request, why: object) -> ClusterUnreachableError:
    outcome = "; the rows may or may not have landed" if request.kind == "ingest" else ""
    return ClusterUnreachableError(
        f"{request.uri} did not answer the {request.kind}: {why}{outcome}; check the URI, the"
        " network (private endpoint, firewall, proxy) and that the cluster runs"
    )


def _root(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _retry_after(response: object) -> float | None:
    """The server's hint when to come back, in seconds."""
    headers = getattr(response, "headers", None) or {}
    try:
        return max(0.0, float(headers.get("Retry-After", "")))
    except ValueError:
        return None
