"""Queued ingestion that fails: each failure is heard, classified, and names what to do."""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback
from collections.abc import Callable

import pytest
from shared.azurite import QUEUED, queue_of
from shared.places import Place, query
from shared.refusals import refused
from shared.threads import Chain, config_of, eventually, noise, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, errors
from langgraph.checkpoint.kusto.local import azurite, queued
from langgraph.checkpoint.kusto.local.azurite import Azurite
from langgraph.checkpoint.kusto.local.queued import QueuedIngestion

LARGE = noise(300_000)


async def test_closing_says_what_still_waits(
    make_saver: Callable[..., AsyncKustoSaver], queue: QueuedIngestion
) -> None:
    queue.paused = True
    saver = make_saver(close_timeout=0.2)
    put = asyncio.ensure_future(Chain(saver, "closing").step(a=LARGE))
    await eventually(lambda: asked_to_ingest(saver))
    with pytest.raises(errors.WriteFailedError, match=r"not acknowledged within 0\.2 s"):
        await saver.aclose()
    with pytest.raises(errors.SaverClosedError):
        await put


async def asked_to_ingest(saver: AsyncKustoSaver) -> bool:
    return saver.stats()["ingest_requests"] == 1


# -- the storage -----------------------------------------------------------------------------------


async def test_storage_that_does_not_answer(
    make_saver: Callable[..., AsyncKustoSaver], monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = Azurite("127.0.0.1", 1)
    monkeypatch.setattr(Azurite, "resources", lambda _, really=Azurite.resources: really(nowhere))
    saver = make_saver(max_retries=1)
    await refused(
        Chain(saver, "nowhere").step(a=1),
        "ClusterUnreachableError",
        "Azure storage did not take the ingestion into Checkpoints",
        "check the network to the storage accounts",
        retriable=True,
    )
    assert saver.stats()["retries"] == 1
    monkeypatch.undo()
    await Chain(saver, "somewhere").step(a=1)


async def test_storage_that_refuses_shows_no_signature(
    make_saver: Callable[..., AsyncKustoSaver],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "langgraph")
    really = azurite.signature
    monkeypatch.setattr(azurite, "signature", lambda: really().replace("sig=", "sig=SECRET"))
    monkeypatch.setattr(queued, "signature", really)
    saver = make_saver(max_retries=1)
    error = await refused(
        Chain(saver, "refused").step(a=1),
        "ServiceUnavailableError",
        "Azure storage did not take the ingestion into Checkpoints",
        retriable=True,
    )
    shown = "".join(traceback.format_exception(error)) + caplog.text + repr(saver)
    assert "SECRET" not in shown
    assert "sig=" not in shown


async def test_the_next_account_gets_all_rows_and_not_what_was_left_of_them(
    saver: AsyncKustoSaver, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several accounts the first fails: what goes to the next one is whole."""
    real, dead = Azurite.resources, Azurite("127.0.0.1", 1)

    def both(self: Azurite) -> list[tuple[str, str]]:
        of_dead = [item for item in real(dead) if item[0] == "TempStorage"]
        return [*of_dead, *real(self)]

    monkeypatch.setattr(Azurite, "resources", both)
    for number in range(6):
        chain = Chain(saver, f"whole-{number}")
        await chain.step(a=number)
    await eventually(lambda: all_shown(place))
    async with AsyncKustoSaver(place.uri, place.database) as other:
        for number in range(6):
            assert await values_of(other, config_of(f"whole-{number}")) == {"a": number}


async def all_shown(place: Place) -> bool:
    text = "Checkpoints | where thread_id startswith 'whole-' | distinct thread_id | count"
    return query(place, text) == [{"Count": 6}]


@pytest.mark.parametrize("kind", ["TempStorage", "SecuredReadyForAggregationQueue"])
async def test_a_service_that_names_no_storage(
    saver: AsyncKustoSaver, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The SDK returns as if all were well when it was given no queue."""
    real = Azurite.resources
    monkeypatch.setattr(
        Azurite, "resources", lambda self: [item for item in real(self) if item[0] != kind]
    )
    await refused(
        Chain(saver, "no storage").step(a=1), "IngestionUnavailableError", 'ingestion="inline"'
    )


# -- the service -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "name", "retriable"),
    [
        (401, "AuthenticationError", False),
        (403, "PermissionDeniedError", False),
        (503, "ServiceUnavailableError", True),
    ],
)
async def test_the_service_refuses(
    make_saver: Callable[..., AsyncKustoSaver],
    place: Place,
    status: int,
    name: str,
    retriable: bool,
) -> None:
    saver = make_saver(max_retries=1)
    place.server.faults.add("status", status=status, endpoint="mgmt", times=None)
    await refused(
        Chain(saver, f"service-{status}").step(a=1),
        name,
        "ingestion into Checkpoints",
        retriable=retriable,
    )
    place.server.faults.clear()
    await Chain(saver, f"served-{status}").step(a=1)


async def test_a_service_that_stalls_is_given_up_in_time(
    make_saver: Callable[..., AsyncKustoSaver], place: Place
) -> None:
    saver = make_saver(max_retries=0, ingest_timeout=0.3)
    place.server.faults.add("stall", endpoint="mgmt")
    await refused(
        Chain(saver, "stalled").step(a=1),
        "ClusterUnreachableError",
        "did not answer the ingest: no answer in time",
        retriable=True,
    )
    place.server.faults.clear()
    await Chain(saver, "going on").step(a=1)


async def test_no_thread_outlives_its_saver(place: Place) -> None:
    def workers() -> list[str]:
        return [item.name for item in threading.enumerate() if "kusto-queued" in item.name]

    before = workers()
    async with AsyncKustoSaver(place.uri, place.database, **QUEUED, max_in_flight=3) as saver:
        await asyncio.gather(*(Chain(saver, f"thread-{n}").step(a=LARGE) for n in range(9)))
        assert 1 <= len(workers()) - len(before) <= 3
    await eventually(lambda: ended(workers, before))


async def ended(workers: Callable[[], list[str]], before: list[str]) -> bool:
    return len(workers()) <= len(before)


# -- the server's side -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("not JSON", "not one of Kusto's"),
        ("{}", "not one of Kusto's"),
        (
            '{"BlobPath":"x","DatabaseName":"d","TableName":"t","AdditionalProperties":{}}',
            "no valid identity token",
        ),
        (
            '{"BlobPath":"http://127.0.0.1:1/x","DatabaseName":"d","TableName":"t",'
            '"AdditionalProperties":{"authorizationContext":"local-kusto-identity"}}',
            "outside of the temporary storage",
        ),
    ],
)
async def test_a_message_that_is_none_is_given_up(
    queue: QueuedIngestion, storage: str, text: str, why: str
) -> None:
    with queue_of(storage) as messages:
        messages.send_message(text)
    await eventually(lambda: has_failed(queue))
    assert why in queue.failures[0]


async def has_failed(queue: QueuedIngestion) -> bool:
    return bool(queue.failures)
