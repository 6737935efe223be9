"""Failures: every exception of the SDK, aiohttp and the credentials becomes an error of ours."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
from typing import Any

import aiohttp
import azure.kusto.data
import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import CredentialUnavailableError
from azure.kusto.data import exceptions as sdk
from shared.sdk_errors import QUERY, REQUESTS, URI, one_api

from langgraph.checkpoint.kusto import errors
from langgraph.checkpoint.kusto._transport.failures import Kind, translate
from langgraph.checkpoint.kusto.errors import (
    AuthenticationError,
    ClusterUnreachableError,
    InvalidClusterUriError,
    KustoCheckpointError,
    MalformedResponseError,
    PermissionDeniedError,
    QueryFailedError,
    RowsRejectedError,
    ServiceUnavailableError,
    ThrottledError,
)

# --------------------------------------------------------------------- every exception of the SDK


def sdk_errors() -> list[type[sdk.KustoError]]:
    """All subclasses of `KustoError`, in whatever module of the SDK they stand."""
    for module in pkgutil.walk_packages(azure.kusto.data.__path__, "azure.kusto.data."):
        importlib.import_module(module.name)
    found, queue = [], [sdk.KustoError]
    while queue:
        cls = queue.pop()
        found.append(cls)
        queue += cls.__subclasses__()
    return sorted(set(found), key=lambda cls: cls.__name__)


def instance_of(cls: type[sdk.KustoError]) -> sdk.KustoError:
    """Make one, with plain values for whatever its constructor asks for."""
    special: dict[str, Any] = {
        "messages": "what the SDK says",
        "errors": [{"OneApiErrors": [one_api("what Kusto says")]}],
        "error_dict": one_api("what Kusto says"),
        "exception": ValueError("inner"),
        "inner": ValueError("inner"),
    }
    if cls.__init__ is Exception.__init__:
        return cls("what the SDK says")
    needed = [
        parameter
        for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    return cls(*(special.get(parameter.name, "text") for parameter in needed))


SDK_ERRORS = sdk_errors()


def test_the_walk_finds_the_known_ones() -> None:
    assert {
        "KustoError",
        "KustoServiceError",
        "KustoApiError",
        "KustoMultiApiError",
        "KustoNetworkError",
        "KustoClientError",
        "KustoAuthenticationError",
        "KustoThrottlingError",
        "KustoClosedError",
        "KustoClientInvalidConnectionStringException",
        "KustoStreamingQueryError",
        "KustoTokenParsingError",
        "KustoBlobError",
        "KustoUnsupportedApiError",
    } <= {cls.__name__ for cls in SDK_ERRORS}


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("cls", SDK_ERRORS, ids=lambda cls: cls.__name__)
def test_every_error_of_the_sdk_is_mapped(cls: type[sdk.KustoError], kind: Kind) -> None:
    error = translate(instance_of(cls), REQUESTS[kind])

    known = {
        "KustoNetworkError": ClusterUnreachableError,
        "KustoThrottlingError": ThrottledError,
        "KustoAuthenticationError": AuthenticationError,
        "KustoClientInvalidConnectionStringException": InvalidClusterUriError,
    }
    service = RowsRejectedError if kind == "ingest" else QueryFailedError
    default = service if issubclass(cls, sdk.KustoServiceError) else QueryFailedError
    assert type(error) is known.get(cls.__name__, default)
    # Never the fallback for what nobody thought of.
    assert not isinstance(error, MalformedResponseError)


# ------------------------------------------------------------------------------- other exceptions


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        ConnectionResetError("reset"),
        OSError("no route"),
        aiohttp.ClientError("client"),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ServerTimeoutError(),
        aiohttp.ClientPayloadError("cut"),
    ],
)
@pytest.mark.parametrize("kind", REQUESTS)
def test_no_answer(error: Exception, kind: Kind) -> None:
    translated = translate(error, REQUESTS[kind])

    assert type(translated) is ClusterUnreachableError
    assert ("may or may not have landed" in str(translated)) == (kind == "ingest")


def test_the_cause_of_a_network_error_is_named() -> None:
    try:
        try:
            raise ConnectionRefusedError("port 443")
        except OSError as inner:
            raise sdk.KustoNetworkError(URI) from inner
    except sdk.KustoNetworkError as error:
        text = str(translate(error, QUERY))
    assert "ConnectionRefusedError: port 443" in text
    assert "check the URI, the network" in text
    assert "asyncio.TimeoutError" not in str(translate(asyncio.TimeoutError(), QUERY))
    assert ": KustoNetworkError: Failed" in str(translate(sdk.KustoNetworkError(URI), QUERY))


@pytest.mark.parametrize(
    "error", [KeyError("Tables"), ValueError("x"), RuntimeError("x"), Exception()]
)
def test_anything_else_is_an_answer_that_cannot_be_read(error: Exception) -> None:
    translated = translate(error, QUERY)

    assert type(translated) is MalformedResponseError
    assert type(error).__name__ in str(translated)


@pytest.mark.parametrize(
    "error", [errors.SaverClosedError(), ThrottledError("x"), errors.MalformedResponseError("x")]
)
def test_our_own_errors_stay_as_they_are(error: KustoCheckpointError) -> None:
    assert translate(error, QUERY) is error


# ------------------------------------------------------------------------------- authentication


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (ClientAuthenticationError("AADSTS700016: not found\nTrace ID: 1"), AuthenticationError),
        (CredentialUnavailableError("no credential"), AuthenticationError),
        (ValueError("wrong"), AuthenticationError),
        (sdk.KustoClientError("failed to obtain a token"), AuthenticationError),
        (sdk.KustoNetworkError("https://login"), ClusterUnreachableError),
        (ServiceRequestError("cannot connect to login"), ClusterUnreachableError),
        (ServiceResponseError("connection reset"), ClusterUnreachableError),
        (TimeoutError("slow"), ClusterUnreachableError),
    ],
)
def test_no_token(inner: Exception, expected: type[KustoCheckpointError]) -> None:
    error = translate(sdk.KustoAuthenticationError("method", inner, secret="hunter2"), QUERY)

    assert type(error) is expected
    assert "no token could be had" in str(error)
    assert "hunter2" not in str(error)
    assert "Trace ID" not in str(error)


def test_a_credential_that_raises_by_itself() -> None:
    error = translate(ClientAuthenticationError("nope"), QUERY)

    assert type(error) is AuthenticationError
    assert "az login" in str(error)
    silent = translate(sdk.KustoAuthenticationError("method", ValueError()), QUERY)
    assert str(silent).endswith("pass credential=: ValueError: ")


def test_the_metadata_of_the_cloud_comes_through_requests() -> None:
    """Its answers have `status_code`, not `status`."""

    class FromRequests:
        def __init__(self, status_code: int) -> None:
            self.status_code = status_code

    for status, expected in (
        (503, ServiceUnavailableError),
        (200, MalformedResponseError),
        (403, PermissionDeniedError),
        (401, AuthenticationError),
    ):
        error = sdk.KustoServiceError("invalid cloud metadata response", FromRequests(status))  # type: ignore[arg-type]
        assert type(translate(error, QUERY)) is expected
