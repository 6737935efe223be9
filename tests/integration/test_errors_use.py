"""Savers used where they cannot work: closed, forked, and sync methods on the saver's own loop."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from shared.places import Place, local_place
from shared.processes import ROOT, child_environment
from shared.refusals import refused
from shared.savers import of_kind
from shared.threads import Chain, config_of, listed, new_checkpoint, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, errors

pytestmark = pytest.mark.local_only

CLOSED = "this saver is closed; create a new one (a closed saver stays closed)"
FORKED = (
    "this saver was created before the process forked; create one in the child process (for"
    " example in the worker's start-up hook, or use the 'spawn' start method)"
)

CALLS: dict[str, Callable[[Any], Any]] = {
    "aget_tuple": lambda saver: saver.aget_tuple(config_of("t")),
    "alist": lambda saver: listed(saver, config_of("t")),
    "aput": lambda saver: saver.aput(config_of("t"), new_checkpoint(), {}, {}),
    "aput_writes": lambda saver: saver.aput_writes(config_of("t", "", "1"), [("a", 1)], "task"),
    "adelete_thread": lambda saver: saver.adelete_thread("t"),
    "setup": lambda saver: saver.setup(),
    "flush": lambda saver: saver.flush(),
    "__aenter__": lambda saver: saver.__aenter__(),
}

SYNC_CALLS: dict[str, Callable[[Any], Any]] = {
    "aget_tuple": lambda saver: saver.get_tuple(config_of("t")),
    "alist": lambda saver: list(saver.list(config_of("t"))),
    "aput": lambda saver: saver.put(config_of("t"), new_checkpoint(), {}, {}),
    "aput_writes": lambda saver: saver.put_writes(config_of("t", "", "1"), [("a", 1)], "task"),
    "adelete_thread": lambda saver: saver.delete_thread("t"),
}


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with local_place() as place:
        yield place


@pytest.fixture(params=["async", "sync"])
def make_saver(
    request: pytest.FixtureRequest,
    async_saver: Callable[..., AsyncKustoSaver],
    sync_saver: Callable[..., KustoSaver],
) -> Callable[..., Any]:
    return of_kind(request.param, async_saver, sync_saver, {})


@pytest.mark.parametrize("used", [True, False])
@pytest.mark.parametrize("call", CALLS)
async def test_a_closed_saver(make_saver: Callable[..., Any], call: str, used: bool) -> None:
    saver = make_saver()
    if used:
        await Chain(saver, "closed").step(a=1)
    for _ in range(2):  # closing twice does nothing
        await saver.aclose()
    error = await refused(CALLS[call](saver), "SaverClosedError", CLOSED)
    assert isinstance(error, RuntimeError)


async def test_a_closed_saver_from_a_thread(place: Place) -> None:
    """The sync methods of both savers, and an iterator that was begun before."""
    saver, other = AsyncKustoSaver(place.uri, place.database), KustoSaver(place.uri, place.database)
    await Chain(saver, "threads").step(a=1)
    begun = other.list(config_of("threads"))
    await saver.aclose()
    await asyncio.to_thread(other.close)

    def work() -> None:
        for closed in (saver, other):
            for call in SYNC_CALLS.values():
                with pytest.raises(errors.SaverClosedError) as caught:
                    call(closed)
                assert str(caught.value) == CLOSED
        for sync_only in (other.flush, other.setup, other.__enter__, lambda: next(begun)):
            with pytest.raises(errors.SaverClosedError) as caught:
                sync_only()
            assert str(caught.value) == CLOSED

    await asyncio.to_thread(work)


@pytest.mark.parametrize("remedy", SYNC_CALLS)
async def test_a_sync_method_on_the_savers_own_loop(place: Place, remedy: str) -> None:
    why = "this sync method of AsyncKustoSaver cannot run here: "
    instead = (
        f"; use `await saver.{remedy}(...)`, or KustoSaver, whose sync and async methods both work"
    )
    async with AsyncKustoSaver(place.uri, place.database) as saver:
        with pytest.raises(errors.OwnLoopError) as caught:
            SYNC_CALLS[remedy](saver)
    assert str(caught.value) == (f"{why}it would wait for the event loop it is called on{instead}")
    nowhere = AsyncKustoSaver(place.uri, place.database)
    with pytest.raises(errors.OwnLoopError) as caught:
        SYNC_CALLS[remedy](nowhere)
    assert str(caught.value) == f"{why}this saver has no event loop yet{instead}"


FORK = """
import asyncio, os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: fork beside threads
from integration.test_errors_use import CALLS, SYNC_CALLS
from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, errors
from shared.threads import config_of, new_checkpoint

uri, database, mode = sys.argv[1:]
options = {"write_mode": mode, "flush_interval": 3_600.0}
thread = config_of("forked " + mode)

def say(name, error):
    print(f"{name} | {type(error).__name__} | {error}", flush=True)

def in_child(saver):
    for name, call in SYNC_CALLS.items():
        try:
            call(saver)
        except Exception as error:
            say("sync " + name, error)
    async def calls():
        both = {"setup": lambda saver: saver.asetup(), "flush": lambda saver: saver.aflush()}
        for name, call in {**CALLS, **both}.items():
            try:
                await call(saver)
            except Exception as error:
                say(name, error)
        await saver.aclose()  # closes nothing of the parent's
    asyncio.run(calls())

def fork(saver):
    child = os.fork()
    if child == 0:
        in_child(saver)
        os._exit(0)
    os.waitpid(child, 0)

saver = KustoSaver(uri, database, **options)
stored = saver.put(thread, new_checkpoint({"n": 1}), {}, {"n": 1})
fork(saver)
print("parent | " + str(saver.get_tuple(stored).checkpoint["channel_values"]), flush=True)
saver.put_writes(stored, [("a", 1)], "task")
saver.close()

async def main():
    async with AsyncKustoSaver(uri, database, **options) as saver:
        stored = await saver.aput(thread, new_checkpoint({"n": 2}), {}, {"n": 1})
        await asyncio.to_thread(fork, saver)
        found = await saver.aget_tuple(stored)
        print("parent | " + str(found.checkpoint["channel_values"]), flush=True)

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("mode", ["acknowledged", "buffered"])
async def test_a_forked_saver(place: Place, mode: str) -> None:
    """The child is told what to do by every method; the parent goes on and loses nothing."""
    paths = f"{ROOT / 'tests'}:{child_environment()['PYTHONPATH']}"
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error", "-c", FORK, place.uri, place.database, mode],
        env=child_environment({"PYTHONPATH": paths}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split(" | ") for line in done.stdout.splitlines()]
    in_children = [line for line in lines if line[0] != "parent"]
    assert [line[1:] for line in in_children] == [["ForkedProcessError", FORKED]] * len(in_children)
    assert len(in_children) == 2 * (len(SYNC_CALLS) + len(CALLS))
    assert [line[1] for line in lines if line[0] == "parent"] == ["{'n': 1}", "{'n': 2}"]
    async with AsyncKustoSaver(place.uri, place.database) as reader:
        found = await listed(reader, config_of(f"forked {mode}"))
        assert [item.checkpoint["channel_values"] for item in found] == [{"n": 2}, {"n": 1}]
        assert found[1].pending_writes == [("task", "a", 1)]
        assert await values_of(reader, found[0].config) == {"n": 2}
