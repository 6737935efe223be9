"""The crash campaign: clients and servers killed with SIGKILL under load, with faults on.

`make test-crash` runs it. One client with many threads works on one server; a round is one kill, of
the client or of the server, which another one follows at once. After some rounds both are killed, a
server without faults is started on the file, and the checker looks at everything (`checker`, which
knows nothing of the library). Then comes the next database. No test stands here.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.places import DATABASE, Place, provision

from .checker import KINDS as FINDING_KINDS
from .checker import Findings, check
from .events import count_done
from .faults import KINDS, Deck, Faults
from .forks import Forks
from .writer import new_thread

SHOWN = 20
LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 120.0
NEW_THREADS = 0.3  # of a client that follows one that was killed
LEAST_KINDS = 15
ROUNDS_FOR_ALL_KINDS = 100
MARGIN = 1.03  # moments are drawn at random: on the average a little more than is asked for


@dataclass(frozen=True)
class Plan:
    """What a campaign does.

    Attributes:
        rounds: Kills.
        operations: Calls to be acknowledged in all, about.
        seed: What chance goes by.
        defect: A defect to plant in the clients.
        faults: The faults of every server; None is to draw some for each.
        clients: How likely a round kills the client, not the server.
        threads: How many threads a client writes side by side.
        changes: How likely a step changes each of the channels whose values are large.
        rounds_of_a_database: After how many rounds it is checked, and the next one begins.
        keep: Where to copy a database and its logs in which something is wrong.
        options: Of the clients' savers, beside those of `writer.OPTIONS`.
    """

    rounds: int = 500
    operations: int = 1_000_000
    seed: int = 1
    defect: str | None = None
    faults: Faults | None = None
    clients: float = 0.5
    threads: int = 128
    changes: float = 0.02
    rounds_of_a_database: int = 10
    keep: Path | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Result:
    """What a campaign saw."""

    clients_killed: int = 0
    servers_killed: int = 0
    databases: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    findings: Findings = field(default_factory=Findings)
    working_seconds: float = 0.0
    checking_seconds: float = 0.0


class Database:
    """One database, the server on it, the client that writes to it, and their files."""

    def __init__(
        self, plan: Plan, deck: Deck, rng: random.Random, folder: Path, forks: tuple[Forks, Forks]
    ) -> None:
        self._plan, self._rng, self._folder = plan, rng, folder
        self._servers, self._writers = forks
        self._deck = deck
        self._hidden = deck.of_database()
        self._port = 0
        self._seen = 0
        self._threads = [new_thread(0, place) for place in range(plan.threads)]
        self.place = Place("", "")
        self.logs: list[Path] = []

    def start_server(self, *, faults: bool) -> None:
        """Start a server on the file."""
        chosen = self._plan.faults
        if chosen is None:
            chosen = [*self._hidden, *self._deck.of_server()]
        arguments = ["--path", str(self._folder / "kusto.db"), "--port", str(self._port)]
        arguments += ["--database", DATABASE, "--seed", str(self._rng.getrandbits(31))]
        hits = str(self._folder / "hits.log")
        self._servers.start(
            {"arguments": arguments, "faults": chosen if faults else [], "hits": hits}
        )
        uri = self._servers.wait_for("KUSTO_CLUSTER_URI=").partition("=")[2]
        self._servers.wait_for("KUSTO_DATABASE=")
        self.place = Place(uri, DATABASE)
        self._port = int(uri.rpartition(":")[2])

    def kill_server(self) -> None:
        """Kill the server."""
        self._servers.kill()

    def start_writer(self) -> None:
        """Start a client: on most of the threads of the one before, and on new ones."""
        number = len(self.logs)
        self.logs.append(self._folder / f"writer-{number}.log")
        self._seen = 0
        if number:
            for place in range(self._plan.threads):
                if self._rng.random() < NEW_THREADS:
                    self._threads[place] = new_thread(number, place)
        self._writers.start(
            {
                "writer": number,
                "seed": self._plan.seed,
                "log": str(self.logs[-1]),
                "uri": self.place.uri,
                "database": self.place.database,
                "threads": self._threads,
                "changes": self._plan.changes,
                "options": self._plan.options,
            }
        )

    def kill_writer(self) -> None:
        """Kill the client."""
        self._writers.kill()

    def wait_for(self, calls: int) -> int:
        """Wait until the client was acknowledged some more calls; give how many there were."""
        done, until = 0, time.monotonic() + PATIENCE_SECONDS
        while done < calls:
            time.sleep(LOOK_SECONDS)  # nothing announces a line of a log
            more, self._seen = count_done(self.logs[-1], self._seen)
            done += more
            if more:
                until = time.monotonic() + PATIENCE_SECONDS
            if time.monotonic() > until:
                raise RuntimeError(f"the client makes no progress: {self._writers.errors()}")
        return done

    def work(self, rounds: int, result: Result) -> None:
        """Kill the client or the server again and again."""
        for _ in range(rounds):
            mean = self._plan.operations / self._plan.rounds * MARGIN
            self.wait_for(round(self._rng.uniform(0.5, 1.5) * mean))
            time.sleep(self._rng.random() * 0.05)
            if self._rng.random() < self._plan.clients:
                self.kill_writer()
                result.clients_killed += 1
                self.start_writer()
            else:
                self.kill_server()
                result.servers_killed += 1
                self.start_server(faults=True)

    def struck(self) -> Counter[str]:
        """How often each fault met a request."""
        return Counter((self._folder / "hits.log").read_text().splitlines())


def run(plan: Plan, *, say: Any = None) -> Result:
    """Run a campaign."""
    rng, result, left = random.Random(plan.seed), Result(), plan.rounds
    deck = Deck(rng)
    arguments = ["--defect", plan.defect] if plan.defect else []
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Forks("crash.servers")) as servers,
        closing(Forks("crash.writer", *arguments)) as writers,
    ):
        template = Path(folder, "template")
        provisioned(plan, template, (servers, writers))
        while left > 0:
            rounds = min(left, plan.rounds_of_a_database)
            here = Path(folder, str(left))
            shutil.copytree(template, here)
            before = len(result.findings.found)
            work_and_check(Database(plan, deck, rng, here, (servers, writers)), rounds, result)
            if plan.keep is not None and len(result.findings.found) > before:
                shutil.copytree(here, plan.keep / here.name)
            shutil.rmtree(here)
            left -= rounds
            if say is not None:
                say(result)
    return result


def provisioned(plan: Plan, folder: Path, forks: tuple[Forks, Forks]) -> None:
    """Make a file with tables and without rows."""
    folder.mkdir()
    rng = random.Random(plan.seed)
    database = Database(plan, Deck(rng), rng, folder, forks)
    database.start_server(faults=False)
    provision(database.place)
    database.kill_server()


def work_and_check(database: Database, rounds: int, result: Result) -> None:
    """Work on one database, then look at what is there."""
    began = time.monotonic()
    database.start_server(faults=True)
    database.start_writer()
    database.work(rounds, result)
    database.kill_writer()
    database.kill_server()
    worked = time.monotonic()
    result.struck += database.struck()
    database.start_server(faults=False)
    result.findings.add(check(database.place.uri, database.place.database, database.logs))
    database.kill_server()
    result.databases += 1
    result.working_seconds += worked - began
    result.checking_seconds += time.monotonic() - worked


def main() -> int:
    """Run the campaign and print what it saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=Plan.rounds, help="kills")
    parser.add_argument("--operations", type=int, default=Plan.operations, help="calls, about")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--defect", help="plant a defect (see defects.py) in the clients")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--keep", type=Path, help="copy databases with findings to this folder")
    asked = parser.parse_args()
    plan = Plan(
        rounds=asked.rounds,
        operations=asked.operations,
        seed=asked.seed,
        defect=asked.defect,
        keep=asked.keep,
    )
    result = run(plan, say=show_progress)
    missed = goals_missed(plan, result)
    figures = table(plan, result)
    print(json.dumps(figures, indent=2))
    if asked.json is not None:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")
    for finding in result.findings.found[:SHOWN]:
        print(f"WRONG: {finding.kind}: {finding.what}", file=sys.stderr)
    for what in missed:
        print(f"MISSED: {what}", file=sys.stderr)
    return 1 if result.findings.found or missed else 0


def goals_missed(plan: Plan, result: Result) -> list[str]:
    """What a campaign has to reach so that finding nothing means something."""
    acknowledged = result.findings.acknowledged.total()
    kills = result.clients_killed + result.servers_killed
    struck = sum(result.struck[name] > 0 for name in KINDS)
    missed = []
    if plan.rounds >= ROUNDS_FOR_ALL_KINDS:
        missed += [f"{name!r} never struck" for name in KINDS if not result.struck[name]]
    elif struck < LEAST_KINDS:
        missed.append(f"{struck} kinds of faults struck, not {LEAST_KINDS}")
    if kills < plan.rounds:
        missed.append(f"{kills} kills, not {plan.rounds}")
    if acknowledged < plan.operations:
        missed.append(f"{acknowledged} acknowledged calls, not {plan.operations}")
    return missed


def table(plan: Plan, result: Result) -> dict[str, Any]:
    """The figures of a campaign."""
    findings = result.findings
    seconds = result.working_seconds + result.checking_seconds
    return {
        "seed": plan.seed,
        "clients killed": result.clients_killed,
        "servers killed": result.servers_killed,
        "databases": result.databases,
        "acknowledged": dict(sorted(findings.acknowledged.items())),
        "acknowledged in all": findings.acknowledged.total(),
        "acknowledged a second": round(findings.acknowledged.total() / max(seconds, 1e-9)),
        "seconds of work": round(result.working_seconds),
        "seconds of checking": round(result.checking_seconds),
        "reads checked": findings.reads,
        "calls under way when their client was killed": findings.under_way,
        "errors that reached the caller": dict(sorted(findings.errors.items())),
        "threads": findings.threads,
        "checkpoint copies": findings.copies,
        "checkpoints alive": findings.alive,
        "alive, never acknowledged": findings.unacknowledged,
        "lives ended by a delete": findings.lives_ended,
        "copies in ended lives": findings.copies_dead,
        "calls of put_writes": findings.submissions,
        "parts of calls, shown to nobody": findings.partial_submissions,
        "parts of blobs, named by no row": findings.partial_blobs,
        "rows that landed twice": findings.repeated_rows,
        "values stored as what changed": findings.frames,
        "megabytes of large values decoded": round(findings.value_bytes / 1e6),
        "faults that struck": {name: result.struck[name] for name in KINDS},
        "kinds of faults that struck": sum(result.struck[name] > 0 for name in KINDS),
        "findings": {kind: findings.count(kind) for kind in FINDING_KINDS},
    }


def show_progress(result: Result) -> None:
    """Print where a campaign is."""
    findings = result.findings
    seconds = result.working_seconds + result.checking_seconds
    print(
        f"{result.clients_killed} clients and {result.servers_killed} servers killed,"
        f" {findings.acknowledged.total()} calls acknowledged,"
        f" {findings.acknowledged.total() / seconds:.0f} a second"
        f" ({result.checking_seconds / seconds:.0%} of the time for checking),"
        f" {len(findings.found)} findings",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
