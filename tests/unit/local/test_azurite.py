"""Azurite's addresses, signatures and messages; and what the server says without one."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from langgraph.checkpoint.kusto.local import LocalKusto, LocalKustoError
from langgraph.checkpoint.kusto.local.azurite import (
    KEY,
    Azurite,
    Message,
    message_body,
    messages_of,
    signature,
)
from langgraph.checkpoint.kusto.local.errors import ServiceError

ACCOUNT = "devstoreaccount1"


def test_the_services_are_on_three_ports_in_a_row() -> None:
    resources = dict(Azurite.at("http://127.0.0.1:10000").resources())
    addresses = {kind: url.partition("?")[0] for kind, url in resources.items()}
    assert addresses == {
        "TempStorage": f"http://127.0.0.1:10000/{ACCOUNT}/temp-storage",
        "SecuredReadyForAggregationQueue": f"http://127.0.0.1:10001/{ACCOUNT}/ready-for-aggregation",
        "FailedIngestionsQueue": f"http://127.0.0.1:10001/{ACCOUNT}/failed-ingestions",
        "SuccessfulIngestionsQueue": f"http://127.0.0.1:10001/{ACCOUNT}/successful-ingestions",
        "IngestionsStatusTable": f"http://127.0.0.1:10002/{ACCOUNT}/ingestionsstatus",
    }
    assert Azurite.at(f"http://[::1]:7/{ACCOUNT}/").queues == f"http://[::1]:8/{ACCOUNT}"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:10000",
        "https://127.0.0.1:10000",
        "http://127.0.0.1",
        "http://127.0.0.1:x",
        "http://127.0.0.1:10000/other",
        "http://127.0.0.1:10000/?a=b",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(LocalKustoError, match="is no URL of Azurite's blob service"):
        LocalKusto(azurite=url)


@pytest.mark.parametrize("delay", [-1.0, float("nan")])
def test_what_is_no_delay(delay: float) -> None:
    with pytest.raises(LocalKustoError, match="queue_delay is a number of seconds from 0"):
        LocalKusto(azurite="http://127.0.0.1:10000", queue_delay=delay)


def test_a_signature_is_what_the_documents_say() -> None:
    """`create-account-sas`: the fields, one on each line, signed with the key."""
    text = signature(datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc))
    fields = {name: values[0] for name, values in parse_qs(text).items()}
    signed = f"{ACCOUNT}\nrwdlacup\nbqt\nsco\n\n2026-01-03T03:04:05Z\n\nhttps,http\n2019-12-12\n"
    digest = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
    assert base64.b64decode(fields.pop("sig")) == digest
    assert fields == {
        "sv": "2019-12-12",
        "ss": "bqt",
        "srt": "sco",
        "sp": "rwdlacup",
        "se": "2026-01-03T03:04:05Z",
        "spr": "https,http",
    }
    assert not urlsplit(f"http://a?{text}").fragment


def test_messages_travel_as_xml() -> None:
    body = b"".join(
        [
            b"<?xml version='1.0'?><QueueMessagesList><QueueMessage><MessageId>1</MessageId>",
            b"<PopReceipt>r+</PopReceipt><MessageText>",
            base64.b64encode(b'{"a":"<&>"}'),
            b"</MessageText></QueueMessage><QueueMessage><MessageId>2</MessageId><PopReceipt>s",
            b"</PopReceipt><MessageText>not base64!</MessageText></QueueMessage>",
            b"</QueueMessagesList>",
        ]
    )
    assert messages_of(body) == [
        Message("1", "r+", '{"a":"<&>"}'),
        Message("2", "s", "not base64!"),
    ]
    assert messages_of(b"<QueueMessagesList/>") == []
    text = base64.b64encode("\u4e2d".encode()).decode()
    sent = f"<QueueMessage><MessageText>{text}</MessageText></QueueMessage>"
    assert message_body("\u4e2d").decode() == sent


# -- commands --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [".get ingestion resources", ".get kusto identity token"])
def test_without_an_azurite_the_commands_are_unknown(bench: Any, text: str) -> None:
    with pytest.raises(ServiceError, match="recognition error") as caught:
        bench.run(text)
    assert caught.value.status == 400


def test_with_one_they_answer(make_bench: Callable[..., Any]) -> None:
    azurite = Azurite.at("http://127.0.0.1:10000")
    bench = make_bench(azurite=azurite)
    found = bench.run(".get ingestion resources")
    assert [row["ResourceTypeName"] for row in found] == [kind for kind, _ in azurite.resources()]
    assert all("sig=" in row["StorageRoot"] for row in found)
    (token,) = bench.run(".get kusto identity token")
    assert token["AuthorizationContext"]
    assert len(bench.run(".get ingestion resources | where ResourceTypeName endswith 'Queue'")) == 3


def test_they_need_the_role_of_an_ingestor(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(azurite=Azurite.at("http://127.0.0.1:1"), roles=frozenset({"viewer"}))
    with pytest.raises(ServiceError) as caught:
        bench.run(".get ingestion resources")
    assert caught.value.status == 403


def test_a_server_needs_its_azurite_to_start() -> None:
    with pytest.raises(LocalKustoError, match=r"Azurite does not answer at http://127\.0\.0\.1:1/"):
        LocalKusto(azurite="http://127.0.0.1:1").__enter__()
    with LocalKusto() as local, pytest.raises(LocalKustoError, match="has no queue"):
        _ = local.queue
