"""Clauses of the saver contract that need odd conditions: great numbers, faults, forks."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from shared.delays import DelayingTransport
from shared.places import Place, local_place, query
from shared.processes import ROOT, child_environment
from shared.savers import MakeSaver, of_kind
from shared.threads import (
    Chain,
    config_of,
    id_of,
    listed,
    listed_ids,
    new_checkpoint,
    noise,
)

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, _history, _kql, errors
from langgraph.checkpoint.kusto._transport import SdkTransport, Table, parse_endpoint

pytestmark = pytest.mark.local_only

CALLS: dict[str, Callable[[Any], Any]] = {
    "adelete_for_runs": lambda saver: saver.adelete_for_runs(["run"]),
    "adelete_checkpoint": lambda saver: saver.adelete_checkpoint(config_of("t", "", "1")),
    "acopy_thread": lambda saver: saver.acopy_thread("t", "u"),
    "aprune": lambda saver: saver.aprune(["t"]),
    "aget_delta_channel_history": lambda saver: saver.aget_delta_channel_history(
        config=config_of("t"), channels=["a"]
    ),
    "afind_forks": lambda saver: saver.afind_forks(config_of("t")),
    "aget": lambda saver: saver.aget(config_of("t")),
}
SYNC_CALLS: dict[str, Callable[[Any], Any]] = {
    "aget_tuple": lambda saver: saver.get_tuple(config_of("t")),
    "alist": lambda saver: next(saver.list(config_of("t"))),
    "aput": lambda saver: saver.put(config_of("t"), new_checkpoint(), {}, {}),
    "aput_writes": lambda saver: saver.put_writes(config_of("t", "", "1"), [("a", 1)], "task"),
    "adelete_thread": lambda saver: saver.delete_thread("t"),
    "adelete_for_runs": lambda saver: saver.delete_for_runs(["run"]),
    "adelete_checkpoint": lambda saver: saver.delete_checkpoint(config_of("t", "", "1")),
    "acopy_thread": lambda saver: saver.copy_thread("t", "u"),
    "aprune": lambda saver: saver.prune(["t"]),
    "aget_delta_channel_history": lambda saver: saver.get_delta_channel_history(
        config=config_of("t"), channels=["a"]
    ),
    "afind_forks": lambda saver: saver.find_forks(config_of("t")),
}
INHERITED: Mapping[str, Callable[[Any], Any]] = {"get": lambda saver: saver.get(config_of("t"))}
"""LangGraph's own, which calls `get_tuple`."""


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with local_place() as place:
        yield place


@pytest.fixture(params=["async", "sync"])
def make_saver(
    request: pytest.FixtureRequest,
    async_saver: Callable[..., AsyncKustoSaver],
    sync_saver: Callable[..., KustoSaver],
) -> MakeSaver:
    return of_kind(request.param, async_saver, sync_saver, {})


# -- very many lives of one thread -----------------------------------------------------------------

EPOCHS = 10_000
PAGE_OF_KEYS = 200  # and five groups of payload
PAGE_OF_IDS_BYTES = 180_000


@pytest.mark.timeout(300)
async def test_ten_thousand_parentless_puts_in_one_thread(
    place: Place, async_saver: Callable[..., AsyncKustoSaver], thread_id: str
) -> None:
    """Each is a life of its own; docs/contract.md states the requests."""
    saver, reader = async_saver(), async_saver()
    ids = [f"{number:06}" for number in range(EPOCHS)]
    config = config_of(thread_id)

    async def put(checkpoint_id: str) -> None:
        await saver.aput(config, new_checkpoint({"a": 1}, checkpoint_id=checkpoint_id), {}, {})

    await asyncio.gather(*map(put, ids))
    epochs = query(
        place, f"Checkpoints | where thread_id == '{thread_id}' | distinct epoch | count"
    )
    assert epochs == [{"Count": EPOCHS}]

    async def queries(work: Any) -> int:
        before: int = reader.stats()["queries"]
        await work
        return int(reader.stats()["queries"]) - before

    async def newest_is(checkpoint_id: str | None) -> None:
        found = await reader.aget_tuple(config)
        assert (found and found.checkpoint["id"]) == checkpoint_id

    async def list_is(expected: list[str], **range_: Any) -> None:
        assert await listed_ids(reader, config, **range_) == expected

    assert await queries(newest_is(ids[-1])) == 1
    assert await queries(list_is(ids[:-4:-1], limit=3)) == 2
    assert await queries(list_is(ids[2::-1], before=config_of(thread_id, "", ids[3]))) == 2
    assert await queries(list_is(ids[::-1])) <= (EPOCHS // PAGE_OF_KEYS + 1) * 6

    requests = reader.stats()["ingest_requests"]
    assert await queries(reader.adelete_thread(thread_id)) == 1
    assert reader.stats()["ingest_requests"] == requests + 1
    for each in (reader, saver, async_saver()):
        assert await each.aget_tuple(config) is None
        assert await listed_ids(each, config) == []
    assert await queries(newest_is(None)) == 1
    sizes = query(
        place,
        f"CheckpointTombstones | where thread_id == '{thread_id}'"
        " | summarize largest = max(strlen(ids)), row_count = count()",
    )
    assert sizes[0]["row_count"] == 1 + (EPOCHS * 34 - 1) // PAGE_OF_IDS_BYTES > 1
    assert sizes[0]["largest"] <= PAGE_OF_IDS_BYTES

    await put("1")
    assert await listed_ids(reader, config) == ["1"]
    assert saver.stats()["dead_puts"] == 0


# -- writes that landed in part --------------------------------------------------------------------


async def test_a_call_that_landed_in_part_wins_nothing(
    place: Place, make_saver: MakeSaver, thread_id: str
) -> None:
    """Neither as the first of ordinary writes nor as the last of special ones."""
    saver, other = make_saver(), make_saver()
    stored = await Chain(saver, thread_id).step(a=1)

    async def torn(writer: Any, text: str) -> None:
        place.server.faults.add(
            "prefix", endpoint="ingest", table="CheckpointWrites", rows=2, status=400, times=1
        )
        writes = [("__resume__", text), ("a", text), ("b", text)]
        with pytest.raises(errors.RowsRejectedError):
            await writer.aput_writes(stored, writes, "task")

    await torn(saver, "torn first")
    for reader in (saver, make_saver()):
        assert (await reader.aget_tuple(stored)).pending_writes == []
    await other.aput_writes(stored, [("__resume__", "whole"), ("a", "whole")], "task")
    await torn(saver, "torn last")
    await torn(other, "torn after it")

    landed = query(place, f"CheckpointWrites | where thread_id == '{thread_id}' | count")
    assert landed == [{"Count": 2 + 2 + 2 + 2}]
    expected = [("task", "__resume__", "whole"), ("task", "a", "whole")]
    for reader in (saver, other, make_saver()):
        assert (await reader.aget_tuple(stored)).pending_writes == expected
        (item,) = await listed(reader, config_of(thread_id))
        assert item.pending_writes == expected


# -- checkpoints that are not whole ----------------------------------------------------------------


async def test_a_list_leaves_out_what_is_not_whole_and_says_so(
    place: Place,
    async_saver: Callable[..., AsyncKustoSaver],
    thread_id: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It does not count for `limit`; a get of the same one raises."""
    transport = DelayingTransport(place)
    writer = async_saver(transport=transport)
    chain = Chain(writer, thread_id)
    for number in range(2):
        await chain.step(number=number)
    transport.hide("CheckpointBlobs")
    torn = await chain.step(large=noise(60_000))
    await writer.aflush()

    reader = async_saver(visibility_timeout=0.1)
    expected = [id_of(config) for config in chain.stored[1::-1]]
    with caplog.at_level(logging.WARNING):
        assert await listed_ids(reader, chain.place) == expected
        assert await listed_ids(reader, chain.place, limit=1) == expected[:1]
    lines = [item.getMessage() for item in caplog.records if item.levelname == "WARNING"]
    said = [line for line in lines if line.startswith("left out of a list: ")]
    assert len(said) == reader.stats()["skipped_incomplete"] == 2
    for line in said:
        assert thread_id in line
        assert id_of(torn) in line
        assert "'large'" in line
    for config in (chain.place, torn):
        with pytest.raises(errors.IncompleteCheckpointError, match="'large'") as waited:
            await reader.aget_tuple(config)
        assert waited.value.retriable
    await transport.release()
    assert await listed_ids(reader, chain.place) == [id_of(torn), *expected]


# -- histories longer than one result --------------------------------------------------------------


class ShortResults(SdkTransport):
    """Gives three rows of a chain of ancestors at a time."""

    pages = 0

    async def query(self, text: Any, parameters: Mapping[str, str | int]) -> list[Table]:
        short = text.replace("| top 100000 by", "| top 3 by")
        self.pages += short != text
        return await super().query(short, parameters)


@pytest.mark.parametrize("fork", [False, True])
async def test_a_history_longer_than_a_result_is_paged(
    place: Place,
    async_saver: Callable[..., AsyncKustoSaver],
    thread_id: str,
    monkeypatch: pytest.MonkeyPatch,
    fork: bool,
) -> None:
    """Kusto gives 500,000 rows at most; here a chain has three, the writes of a range four."""
    saver = async_saver()
    chain = Chain(saver, thread_id)
    config = config_of(thread_id)
    ids = []
    for number in range(20):
        values = {"a": ["seed"]} if number == 0 else {}
        checkpoint = new_checkpoint(values, {"a": number + 1}, f"{number:03}")
        config = await saver.aput(config, checkpoint, {}, {"a": number + 1})
        ids.append(config)
        await saver.aput_writes(config, [("a", number), ("b", number), ("a", -number)], "task")
        if fork:  # a branch beside it, whose ids lie between
            side = new_checkpoint({"a": ["of the fork"]}, {"a": 1}, f"{number:03} beside")
            await saver.aput(config, side, {}, {"a": 1})
    expected = await BaseCheckpointSaver.aget_delta_channel_history(
        saver, config=ids[-1], channels=["a", "b"]
    )
    written = [write[2] for write in expected["a"]["writes"]]
    assert written == [item for number in range(19) for item in (number, -number)]

    monkeypatch.setattr(_kql, "HISTORY_ROWS", 3)
    monkeypatch.setattr(_history, "RESULT_ROWS", 4)
    transport = ShortResults(parse_endpoint(place.uri, place.database))
    reader = async_saver(transport=transport)
    found = await reader.aget_delta_channel_history(config=ids[-1], channels=["a", "b"])
    assert found == expected
    assert transport.pages > 20 // 3
    assert chain.stored == []


# -- setup -----------------------------------------------------------------------------------------


async def test_setup_says_what_it_created(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "langgraph.checkpoint.kusto")
    done = "the database has what this version needs; created: "
    with local_place(provisioned=False) as bare:
        async with (
            AsyncKustoSaver(bare.uri, bare.database) as saver,
            AsyncKustoSaver(bare.uri, bare.database) as other,
        ):
            await asyncio.gather(saver.setup(create=True), other.setup(create=True))
            said = [text for text in caplog.messages if text.startswith(done)]
            assert len(said) == 2
            assert said[0].startswith(f"{done}Checkpoints, CheckpointBlobs, CheckpointWrites, ")
            assert "LatestCheckpoints" in said[0]
            caplog.clear()
            await saver.setup(create=True)
            assert f"{done}nothing" in caplog.messages
            stored = await Chain(saver, "t").step(a=1)
            assert await other.aget_tuple(stored) is not None


# -- the saver's own loop, and forks ---------------------------------------------------------------


def test_the_calls_here_are_all_there_are() -> None:
    public = {name for name in dir(KustoSaver) if name[0] != "_"}
    both = {name for name in public if name[0] == "a" and name[1:] in public}
    assert set(SYNC_CALLS) == both - {"aget", "aclose", "asetup", "aflush"}


async def test_sync_methods_on_the_async_savers_loop_raise_before_anything_else(
    async_saver: Callable[..., AsyncKustoSaver],
) -> None:
    saver = async_saver()
    await saver.aget_tuple(config_of("t"))
    before = saver.stats()
    for call in (*SYNC_CALLS.values(), *INHERITED.values()):
        with pytest.raises(errors.OwnLoopError, match=r"await saver\.a\w+\(.*, or KustoSaver"):
            call(saver)
    after = saver.stats()
    assert after == {**before, "errors": before["errors"] + len(SYNC_CALLS) + len(INHERITED)}


async def test_no_sync_method_of_the_sync_saver_runs_on_its_own_loop(place: Place) -> None:
    """Where a serializer, a credential or a callback of the user's may stand."""
    saver = KustoSaver(place.uri, place.database)
    calls: dict[str, Callable[[Any], Any]] = {
        **SYNC_CALLS,
        "aget_tuple": INHERITED["get"],
        "asetup": lambda saver: saver.setup(),
        "aflush": lambda saver: saver.flush(),
        "aclose": lambda saver: saver.close(),
    }

    async def stand_there(_: object) -> None:
        for remedy, call in calls.items():
            with pytest.raises(errors.OwnLoopError) as caught:
                call(saver)
            assert str(caught.value) == (
                "this sync method of KustoSaver cannot run here: it would wait for the event loop"
                f" it is called on; use `await saver.{remedy}(...)`"
            )

    await saver._home.run(stand_there)
    assert saver.get_tuple(config_of("t")) is None  # and it is still open
    await saver.aclose()


FORK = """
import asyncio, os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: fork beside threads
from integration.test_clauses import CALLS, INHERITED, SYNC_CALLS
from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, errors
from shared.threads import config_of, new_checkpoint

uri, database = sys.argv[1:]

def refused(name, error):
    print(name, type(error).__name__, "create one in the child process" in str(error), flush=True)

def in_child(saver):
    for name, call in {**SYNC_CALLS, **INHERITED}.items():
        try:
            call(saver)
        except errors.KustoCheckpointError as error:
            refused(name, error)
    async def calls():
        for name, call in CALLS.items():
            try:
                await call(saver)
            except errors.KustoCheckpointError as error:
                refused(name, error)
    asyncio.run(calls())

def fork(saver):
    child = os.fork()
    if child == 0:
        in_child(saver)
        os._exit(0)
    os.waitpid(child, 0)

with KustoSaver(uri, database) as saver:
    saver.put(config_of("forked"), new_checkpoint(), {}, {})
    fork(saver)

async def main():
    async with AsyncKustoSaver(uri, database) as saver:
        await saver.aput(config_of("forked"), new_checkpoint(), {}, {})
        await asyncio.to_thread(fork, saver)

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
async def test_a_forked_saver_refuses_every_call(place: Place) -> None:
    paths = f"{ROOT / 'tests'}:{child_environment()['PYTHONPATH']}"
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error", "-c", FORK, place.uri, place.database],
        env=child_environment({"PYTHONPATH": paths}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    names = [*SYNC_CALLS, *INHERITED, *CALLS] * 2
    assert done.stdout.splitlines() == [f"{name} ForkedProcessError True" for name in names]
