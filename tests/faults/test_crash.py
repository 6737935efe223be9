"""Processes killed with SIGKILL: nothing acknowledged is lost, nothing torn is read."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shared.places import Place, ServerProcess, server_process
from shared.processes import ROOT, Child, child_environment
from shared.stored_rows import digest
from shared.threads import Chain, config_of, eventually, listed, noise

from langgraph.checkpoint.kusto import AsyncKustoSaver

KILLS = 10
THREADS = 3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with server_process(tmp_path / "kusto.db") as server:
        yield server


class Writers:
    """The process that starts and kills writers, and what they said."""

    def __init__(self, place: Place) -> None:
        command = [sys.executable, "-m", "shared.crash_writer", place.uri, place.database]
        paths = f"{ROOT / 'tests'}:{child_environment()['PYTHONPATH']}"
        self._child = Child(command, env={"PYTHONPATH": paths}, stdin=True)
        assert self._child.line() == "ready"

    def run_until_killed(
        self, seed: int, threads: list[str], lines: int, delay: float
    ) -> list[str]:
        """Start a writer, kill it a moment after some acknowledgements, give all it said."""
        self._child.say(f"start {seed} {' '.join(threads)}")
        said = [self._next() for _ in range(lines)]
        time.sleep(delay)  # a random moment, not a wait for anything
        self._child.say("kill")
        while (line := self._next()) != "killed":
            said.append(line)
        return said

    def close(self) -> None:
        self._child.close()

    def _next(self) -> str:
        line = self._child.line()
        assert line is not None, self._child.errors()
        return line


@pytest.fixture
def writers(server: ServerProcess) -> Iterator[Writers]:
    writers = Writers(server.place)
    yield writers
    writers.close()


async def assert_whole(saver: Any, item: Any) -> None:
    """The checkpoint is the one that was written, and so are its pending writes."""
    assert item.metadata["digest"] == digest(item.checkpoint["channel_values"])
    writes = item.pending_writes or []
    assert len(writes) in (0, 4)
    if writes:
        assert [channel for _, channel, _ in writes] == ["digest", "piece", "piece", "piece"]
        pieces = {str(place): value for place, (_, _, value) in enumerate(writes[1:])}
        assert writes[0][2] == digest(pieces)


async def settled(saver: Any, name: str) -> tuple[list[Any], Any]:
    """The list and the newest of a thread; what its writer had sent may land between the two."""
    for _ in range(3):
        items = await listed(saver, config_of(name))
        newest = await saver.aget_tuple(config_of(name))
        if newest == (items[0] if items else None):
            break
    return items, newest


@pytest.mark.timeout(300)
async def test_a_killed_client_loses_nothing_acknowledged(
    server: ServerProcess, writers: Writers
) -> None:
    """Values large enough that blobs and rows race, killed at random moments."""
    rng = random.Random(20_261_120)
    async with AsyncKustoSaver(server.place.uri, server.place.database) as saver:
        for kill in range(KILLS):
            names = [f"it-{kill}-{number}" for number in range(THREADS)]
            said = await asyncio.to_thread(
                writers.run_until_killed, kill, names, rng.randint(1, 12), rng.random() * 0.05
            )
            puts = [line.split()[1:3] for line in said if line.startswith("ack ")]
            writes = [line.split()[1:3] for line in said if line.startswith("ackw ")]
            assert puts
            for name in names:
                items, newest = await settled(saver, name)
                for item in items:
                    await assert_whole(saver, item)
                there = {item.checkpoint["id"]: item for item in items}
                assert {found for owner, found in puts if owner == name} <= set(there)
                for found in (found for owner, found in writes if owner == name):
                    assert len(there[found].pending_writes) == 4
                assert newest == (items[0] if items else None)
                # Steps without a gap: a put is sent when the one before it was acknowledged.
                steps = [item.metadata["step"] for item in items]
                assert steps == list(reversed(range(len(items))))
        assert saver.stats()["skipped_incomplete"] == saver.stats()["incomplete_reads"] == 0


@pytest.mark.timeout(300)
async def test_a_thread_goes_on_after_its_writer_was_killed(
    server: ServerProcess, writers: Writers
) -> None:
    async with AsyncKustoSaver(server.place.uri, server.place.database) as saver:
        await asyncio.to_thread(writers.run_until_killed, 0, ["it-thread"], 5, 0.01)
        left = await saver.aget_tuple(config_of("it-thread"))
        assert left is not None
        chain = Chain(saver, "it-thread")
        chain.config = left.config
        chain.values = dict(left.checkpoint["channel_values"])
        chain.versions = dict(left.checkpoint["channel_versions"])
        await chain.step({"digest": "new"}, after="the kill")

        found = await saver.aget_tuple(config_of("it-thread"))
        assert found is not None
        assert found.parent_config == left.config
        assert found.checkpoint["channel_values"] == {
            **left.checkpoint["channel_values"],
            "after": "the kill",
        }


@pytest.mark.timeout(300)
async def test_a_killed_server_keeps_what_it_acknowledged(server: ServerProcess) -> None:
    """The saver goes on by itself when the server is back."""
    patient: dict[str, Any] = {"max_retries": 10_000, "retry_backoff": 0.01, "retry_timeout": 60.0}
    rng = random.Random(7)
    acknowledged: dict[str, int] = {}
    stop = asyncio.Event()

    async with AsyncKustoSaver(server.place.uri, server.place.database, **patient) as saver:

        async def live(name: str) -> None:
            chain = Chain(saver, name)
            for number in range(1_000_000):
                if stop.is_set():
                    return
                values = {"number": number, "large": noise(rng.choice([10, 90_000]), number)}
                stored = await chain.step({"digest": digest(values)}, **values)
                await saver.aput_writes(stored, [("a", number)], "task")
                acknowledged[name] = number

        names = [f"it-{number}" for number in range(4)]
        lives = [asyncio.ensure_future(live(name)) for name in names]
        for round_ in range(4):

            async def far_enough(least: int = round_ * 5) -> bool:
                return min(acknowledged.get(name, -1) for name in names) >= least

            await eventually(far_enough)
            await asyncio.to_thread(server.kill)
            before = dict(acknowledged)
            await asyncio.to_thread(server.start)
            async with AsyncKustoSaver(server.place.uri, server.place.database) as other:
                for name in names:
                    items = await listed(other, config_of(name))
                    steps = [item.metadata["step"] for item in items]
                    assert steps == list(reversed(range(len(items))))
                    assert len(items) > before[name]
                    for item in items:
                        assert item.metadata["digest"] == digest(item.checkpoint["channel_values"])
                        if item.metadata["step"] <= before[name]:
                            assert item.pending_writes == [("task", "a", item.metadata["step"])]
        stop.set()
        await asyncio.gather(*lives)
        assert saver.stats()["retries"] > 0
