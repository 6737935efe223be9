"""The seam to Kusto: what the saver asks of a transport, and the one that uses Microsoft's SDK.

Only this folder imports `azure`. A transport sends one request per call, never retries, and raises
nothing but the errors of `errors.py`.
"""

from __future__ import annotations

from ._protocol import Table, Transport
from .answers import understood
from .credentials import TokenCredential, check_credential
from .endpoint import Endpoint, no_endpoint_error, parse_endpoint, parse_ingestion_uri
from .sdk import SdkTransport

__all__ = [
    "Endpoint",
    "SdkTransport",
    "Table",
    "TokenCredential",
    "Transport",
    "check_credential",
    "no_endpoint_error",
    "parse_endpoint",
    "parse_ingestion_uri",
    "understood",
]
