"""Tokens: any azure-identity credential, sync or async, behind the shape the SDK expects.

Closes only what it made. Tokens are kept until five minutes before they expire.
"""

from __future__ import annotations

import inspect
import logging
import time
from typing import Any, Protocol

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.identity.aio import ClientSecretCredential, DefaultAzureCredential

from .._threads import run_in_thread
from ..errors import InvalidOptionError

logger = logging.getLogger(__name__)

_RENEW_BEFORE_SECONDS = 300
_LAST_SECONDS = 30  # a request may take a while to arrive


class TokenCredential(Protocol):
    """Any credential of azure-identity, sync or async."""

    def get_token(self, *scopes: str, **kwargs: Any) -> Any:
        """Return an `AccessToken`, or an awaitable of one."""


def check_credential(credential: object) -> None:
    """Refuse what cannot be a credential, without showing it.

    Raises:
        InvalidOptionError: Neither None, nor `"app-id;app-key;tenant"`, nor a credential object.
    """
    if credential is None or callable(getattr(credential, "get_token", None)):
        return
    if isinstance(credential, str):
        _split_secret(credential)
        return
    raise InvalidOptionError(
        "credential must be None (DefaultAzureCredential), an azure-identity credential, or"
        f" 'app-id;app-key;tenant', not {type(credential).__name__}"
    )


def _split_secret(text: str) -> tuple[str, str, str]:
    parts = [part.strip() for part in text.split(";")]
    if len(parts) != 3 or not all(parts):
        raise InvalidOptionError(
            "credential as text must be 'app-id;app-key;tenant', three non-empty parts"
        )
    return parts[0], parts[1], parts[2]


class CredentialAdapter:
    """Gives the SDK one async credential, whatever the user passed."""

    def __init__(self, credential: TokenCredential | str | None) -> None:
        self._inner: Any = credential
        self._owned = credential is None or isinstance(credential, str)
        if credential is None:
            self._inner = DefaultAzureCredential()
        elif isinstance(credential, str):
            app_id, app_key, tenant = _split_secret(credential)
            try:
                self._inner = ClientSecretCredential(tenant, app_id, app_key)
            except ValueError as error:  # a tenant that cannot be one; the text holds no secret
                raise InvalidOptionError(f"check the credential's tenant: {error}") from error
        self._tokens: dict[tuple[str, ...], AccessToken] = {}

    def __repr__(self) -> str:
        return f"<CredentialAdapter {type(self._inner).__name__}>"

    async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """Return a token; a sync credential is asked in a worker thread."""
        token = self._tokens.get(scopes)
        left = token.expires_on - time.time() if token is not None else 0.0
        if token is not None and left >= _RENEW_BEFORE_SECONDS:
            return token
        try:
            token = self._tokens[scopes] = await self._acquire(*scopes, **kwargs)
        except ClientAuthenticationError as error:
            if token is None or left < _LAST_SECONDS:
                raise
            logger.warning(
                "renewing a token failed, the old one is valid for %d s: %s", left, error
            )
        return token

    @property
    def keeps_any(self) -> bool:
        """Whether the next request may be given a token of an earlier one."""
        return bool(self._tokens)

    def forget(self) -> None:
        """Ask the credential again for the next request: a token was refused before its time."""
        self._tokens.clear()

    async def _acquire(self, *scopes: str, **kwargs: Any) -> AccessToken:
        if inspect.iscoroutinefunction(self._inner.get_token):
            token: AccessToken = await self._inner.get_token(*scopes, **kwargs)
            return token
        answer: Any = await run_in_thread(lambda: self._inner.get_token(*scopes, **kwargs))
        # A plain function may give back an awaitable, as the protocol says.
        found: AccessToken = await answer if inspect.isawaitable(answer) else answer
        return found

    async def close(self) -> None:
        """Close the credential if this adapter made it."""
        if self._owned:
            await self._inner.close()
