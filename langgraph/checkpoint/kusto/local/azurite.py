"""Azure storage as Azurite, Microsoft's emulator of it, offers it on this machine.

Lives here: addresses, signatures, the XML of queues (pure). Does not live here: requests
(`queued`), and the command that hands the addresses out (`commands.ingestion_resources`).

Sources: Azure/Azurite README (account, key, ports, path-style URLs), `create-account-sas`,
`get-messages` and `put-message` of the storage REST documents.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

from .errors import LocalKustoError

ACCOUNT = "devstoreaccount1"
# Not a secret: every Azurite has this key, and Microsoft's documents print it.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
VERSION = "2019-12-12"
VALID = timedelta(days=1)

CONTAINER = "temp-storage"
READY = "ready-for-aggregation"
FAILED = "failed-ingestions"
SUCCESSFUL = "successful-ingestions"
STATUS_TABLE = "ingestionsstatus"


@dataclass(frozen=True)
class Azurite:
    """Where one Azurite listens: its blob service, and the two others on the ports after it."""

    host: str
    port: int

    @classmethod
    def at(cls, url: str) -> Azurite:
        """Read the URL of its blob service.

        Raises:
            LocalKustoError: it is no such URL.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise LocalKustoError(f"{url!r} is no URL of Azurite's blob service: {error}") from None
        plain = parts.path.strip("/") in ("", ACCOUNT) and not parts.query
        if parts.scheme != "http" or not parts.hostname or port is None or not plain:
            raise LocalKustoError(
                f"{url!r} is no URL of Azurite's blob service, such as http://127.0.0.1:10000; its"
                " queues and tables are expected on the two ports after that"
            )
        return cls(parts.hostname, port)

    @property
    def blobs(self) -> str:
        """The blob service's address."""
        return self._address(0)

    @property
    def queues(self) -> str:
        """The queue service's address."""
        return self._address(1)

    @property
    def tables(self) -> str:
        """The table service's address."""
        return self._address(2)

    def resources(self) -> list[tuple[str, str]]:
        """Return what `.get ingestion resources` answers: kinds and signed addresses."""
        roots = (
            ("TempStorage", f"{self.blobs}/{CONTAINER}"),
            ("SecuredReadyForAggregationQueue", f"{self.queues}/{READY}"),
            ("FailedIngestionsQueue", f"{self.queues}/{FAILED}"),
            ("SuccessfulIngestionsQueue", f"{self.queues}/{SUCCESSFUL}"),
            ("IngestionsStatusTable", f"{self.tables}/{STATUS_TABLE}"),
        )
        return [(kind, f"{root}?{signature()}") for kind, root in roots]

    def _address(self, offset: int) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port + offset}/{ACCOUNT}"


@dataclass(frozen=True)
class Message:
    """A message taken from a queue; it comes back unless it is deleted in time."""

    id: str
    receipt: str
    text: str


def signature(now: datetime | None = None) -> str:
    """Return an account SAS for everything, as the query of a URL."""
    expires = (now or datetime.now(timezone.utc)) + VALID
    fields = {
        "sv": VERSION,
        "ss": "bqt",
        "srt": "sco",
        "sp": "rwdlacup",
        "se": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "spr": "https,http",
    }
    signed = (fields["sp"], fields["ss"], fields["srt"], "", fields["se"], "", fields["spr"])
    text = "".join(f"{line}\n" for line in (ACCOUNT, *signed, VERSION))
    digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    return urlencode({**fields, "sig": base64.b64encode(digest).decode()}, quote_via=quote)


def messages_of(body: bytes) -> list[Message]:
    """Read the answer of a queue that was asked for messages."""
    return [
        Message(
            id=item.findtext("MessageId", ""),
            receipt=item.findtext("PopReceipt", ""),
            text=_decoded(item.findtext("MessageText", "")),
        )
        for item in ElementTree.fromstring(body).iter("QueueMessage")
    ]


def message_body(text: str) -> bytes:
    """Return the body that puts a message into a queue."""
    root = ElementTree.Element("QueueMessage")
    ElementTree.SubElement(root, "MessageText").text = base64.b64encode(text.encode()).decode()
    return ElementTree.tostring(root)


def _decoded(text: str) -> str:
    """Return a message's text; clients of Kusto send it in base64."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return text
