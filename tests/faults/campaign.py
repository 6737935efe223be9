"""The kill campaign: clients and servers killed with SIGKILL while they write, then two checks.

`make test-kill` runs it (`ROUNDS=100` clients, and three servers for ten clients). It prints what
it saw and ends with 1 when something acknowledged is not there or not exact, when something is
torn, or when fewer than 60 of 100 rounds hit a request in flight. The first check reads the tables
with plain KQL (`shared.stored_rows`, which knows nothing of the library), the second reads every
checkpoint through the library. No test stands here.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.places import Place, ServerProcess, server_process
from shared.processes import ROOT, Child, child_environment
from shared.stored_rows import Acknowledged, Findings, Tables, digest
from shared.threads import config_of, listed

from langgraph.checkpoint.kusto import AsyncKustoSaver

THREADS = 3
SHOWN = 10


@dataclass
class Requests:
    """The ingest requests of one writer, as its log tells of them."""

    begun: dict[str, int] = field(default_factory=dict)
    ended: dict[str, tuple[int, str]] = field(default_factory=dict)

    def hear(self, line: str) -> None:
        """Take in a line of the log."""
        word, *rest = line.split()
        if word == "begun":
            self.begun[rest[0]] = int(rest[1])
        elif word == "ended":
            self.ended[rest[0]] = (int(rest[1]), rest[2])

    def in_flight(self, killed_at: int) -> int:
        """Requests begun before a kill that were never answered."""
        found = 0
        for number, at in self.begun.items():
            ended, outcome = self.ended.get(number, (sys.maxsize, "never"))
            found += at < killed_at < ended and outcome != "answered"
        return found


class Writers:
    """The process that starts and kills writers, and what they said."""

    def __init__(self, place: Place, acknowledged: Acknowledged) -> None:
        command = [sys.executable, "-m", "shared.crash_writer", place.uri, place.database, "trace"]
        paths = f"{ROOT / 'tests'}:{child_environment()['PYTHONPATH']}"
        self._child = Child(command, env={"PYTHONPATH": paths}, stdin=True)
        self._acknowledged = acknowledged
        self.requests = Requests()
        self.next_line()

    def start(self, seed: int, threads: Iterable[str]) -> None:
        """Start a writer with a log of its own."""
        self.requests = Requests()
        self._child.say(f"start {seed} {' '.join(threads)}")

    def next_line(self) -> str:
        """Wait for a line and take it in."""
        line = self._child.line()
        if line is None:
            raise RuntimeError(f"the writer ended: {self._child.errors()}")
        self.requests.hear(line)
        self._acknowledged.hear(line)
        return line

    def wait_for(self, word: str, times: int) -> None:
        """Wait until lines that begin with a word were said some times."""
        while times:
            times -= self.next_line().startswith(word)

    def kill(self) -> int:
        """Kill the writer; give how many of its requests were in flight."""
        self._child.say("kill")
        while self.next_line() != "killed":
            pass
        return self.requests.in_flight(time.monotonic_ns())

    def close(self) -> None:
        """End the process."""
        self._child.close()


@dataclass
class Kills:
    """What was killed, and what was in flight."""

    kills: int = 0
    in_flight: int = 0
    requests: int = 0

    def add(self, requests: int) -> None:
        """Count one kill."""
        self.kills += 1
        self.in_flight += requests > 0
        self.requests += requests


def kill_clients(writers: Writers, rounds: int, rng: random.Random) -> tuple[Kills, list[str]]:
    """Kill one writer after the other."""
    kills, threads = Kills(), []
    for round_ in range(rounds):
        names = [f"it-client-{round_}-{number}" for number in range(THREADS)]
        threads += names
        writers.start(round_, names)
        wait_a_while(writers, rng)
        kills.add(writers.kill())
    return kills, threads


def wait_a_while(writers: Writers, rng: random.Random) -> None:
    """Wait for a random moment; every other time for one shortly after a request was begun."""
    writers.wait_for("ack", rng.randint(1, 10))
    if rng.random() < 0.5:
        writers.wait_for("begun", 1)
        time.sleep(rng.random() * 0.01)
    else:
        time.sleep(rng.random() * 0.05)


def kill_servers(
    server: ServerProcess, writers: Writers, rounds: int, rng: random.Random
) -> tuple[Kills, list[str]]:
    """Kill the server again and again under one writer, which goes on by itself."""
    kills = Kills()
    threads = [f"it-server-{number}" for number in range(THREADS)]
    writers.start(rounds, threads)
    for _ in range(rounds):
        wait_a_while(writers, rng)
        killed_at = time.monotonic_ns()
        server.kill()
        server.start()
        writers.wait_for("ack", 1)  # by then all that was in flight has ended and is in the log
        kills.add(writers.requests.in_flight(killed_at))
    writers.kill()
    return kills, threads


def check_tables(place: Place, threads: Iterable[str], acknowledged: Acknowledged) -> Findings:
    """Read every row with plain KQL."""
    with closing(Tables(place.uri, place.database)) as tables:
        for thread_id in threads:
            tables.check_thread(thread_id, acknowledged.of_thread(thread_id))
        tables.check_chunks()
        return tables.findings


async def check_reads(
    place: Place, threads: Iterable[str], acknowledged: Acknowledged
) -> tuple[int, list[str]]:
    """Read every checkpoint through the library: by id, as the newest, and in the list."""
    read, wrong = 0, []
    async with AsyncKustoSaver(place.uri, place.database) as saver:
        for thread_id in threads:
            mine = acknowledged.of_thread(thread_id)
            items = await listed(saver, config_of(thread_id))
            there = {item.checkpoint["id"]: item for item in items}
            wrong += [f"{where} is not listed" for where in mine.puts if where[1] not in there]
            for (_, checkpoint_id), item in ((where_of(item), item) for item in items):
                found = await saver.aget_tuple(config_of(thread_id, "", checkpoint_id))
                read += 1
                if found != item:
                    wrong.append(f"{thread_id} {checkpoint_id}: get and list differ")
                if difference := what_differs(item, mine):
                    wrong.append(f"{thread_id} {checkpoint_id}: {difference}")
            if await saver.aget_tuple(config_of(thread_id)) != (items[0] if items else None):
                wrong.append(f"{thread_id}: the newest is not the first of the list")
            steps = [item.metadata.get("step") for item in items]
            if steps != [*reversed(range(len(items)))]:
                wrong.append(f"{thread_id}: steps {steps}")
        if saver.stats()["incomplete_reads"] or saver.stats()["skipped_incomplete"]:
            wrong.append(f"reads that were not whole: {saver.stats()}")
    return read, wrong


def where_of(item: Any) -> tuple[str, str]:
    """The thread and the id of a checkpoint."""
    configurable: Mapping[str, str] = item.config["configurable"]
    return configurable["thread_id"], configurable["checkpoint_id"]


def what_differs(item: Any, acknowledged: Acknowledged) -> str:
    """Say how a checkpoint is not what was written; nothing when it is."""
    where, stored = where_of(item), digest(item.checkpoint["channel_values"])
    if not item.metadata["digest"] == stored == acknowledged.puts.get(where, stored):
        return f"values {stored}"
    writes = item.pending_writes or []
    if not writes:
        return "no writes" if where in acknowledged.writes else ""
    whole = digest({str(place): value for place, (_, _, value) in enumerate(writes[1:])})
    expected = acknowledged.writes.get(where, whole)
    if len(writes) != 4 or not writes[0][2] == whole == expected:
        return f"{len(writes)} writes {whole}"
    return ""


def main() -> int:
    """Run the campaign and print what it saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="clients to kill")
    parser.add_argument("--seed", type=int, default=20_261_120)
    options = parser.parse_args()
    rng, began = random.Random(options.seed), time.monotonic()
    acknowledged, servers = Acknowledged(), options.rounds * 3 // 10
    with (
        tempfile.TemporaryDirectory() as folder,
        server_process(Path(folder, "kusto.db")) as server,
    ):
        writers = Writers(server.place, acknowledged)
        try:
            clients, threads = kill_clients(writers, options.rounds, rng)
            show("clients killed", clients)
            server_kills, more = kill_servers(server, writers, servers, rng)
            show("servers killed", server_kills)
        finally:
            writers.close()
        findings = check_tables(server.place, [*threads, *more], acknowledged)
        read, wrong = asyncio.run(check_reads(server.place, [*threads, *more], acknowledged))
    hit = clients.in_flight + server_kills.in_flight
    least = options.rounds * 60 // 100
    print(f"kills with a request in flight: {hit} (at least {least} wanted)")
    print(f"acknowledged: {len(acknowledged.puts)} puts, {len(acknowledged.writes)} put_writes")
    report(findings)
    print(f"through the library: {read} checkpoints read twice, {len(wrong)} wrong")
    print(f"{time.monotonic() - began:.0f} seconds, seed {options.seed}")
    for line in [*findings.wrong, *wrong][:SHOWN]:
        print(f"WRONG: {line}", file=sys.stderr)
    return 1 if findings.wrong or wrong or hit < least else 0


def show(what: str, kills: Kills) -> None:
    """Print one kind of kill."""
    print(
        f"{what}: {kills.kills}, of which {kills.in_flight} with a request in flight"
        f" ({kills.requests} requests)",
        flush=True,
    )


def report(findings: Findings) -> None:
    """Print what the tables hold."""
    print(
        f"in the tables: {findings.checkpoints} checkpoints ({findings.unacknowledged} of them not"
        f" acknowledged), {findings.blobs} blobs they refer to ({findings.frames} of them"
        f" frames), {findings.submissions} whole"
        f" submissions, {findings.value_bytes / 1e6:.0f} MB of values decoded"
    )
    print(
        f"left by kills, shown to nobody: {findings.partial_blobs} partial blobs,"
        f" {findings.partial_submissions} partial submissions; rows that landed twice:"
        f" {findings.repeated_rows}; wrong: {len(findings.wrong)}"
    )


if __name__ == "__main__":
    sys.exit(main())
