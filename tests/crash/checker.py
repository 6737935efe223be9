"""Compares a database with the logs of its writers.

Lives here: what is lost, torn, resurrected, there twice, shown wrongly. Does not live here: reading
the store (`store`), reading the logs (`history`). Nothing of the library is imported
(`test_checker.py` looks at that), so that a mistake of the library cannot hide itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from shared.stored_rows import UNREADABLE, Row

from .history import History, Put, Writes, allowed_puts, allowed_writes, read_history
from .store import VIEW, Copy, Key, Page, Store, Submission, call_digest

Kind = Literal["lost", "torn", "resurrected", "duplicate", "view", "read"]
KINDS: tuple[Kind, ...] = ("lost", "torn", "resurrected", "duplicate", "view", "read")

LIVE_CHECKPOINTS = (
    "LiveCheckpoints() | project thread_id, checkpoint_ns, checkpoint_id, submission_id"
)
LIVE_WRITES = (
    "LivePendingWrites()"
    " | project thread_id, checkpoint_ns, checkpoint_id, task_id, idx, submission_id"
)
DELETIONS = 'Deletions() | where scope == "epochs" | distinct epoch'


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    kind: Kind
    what: str


@dataclass
class Findings:
    """What was looked at, and what was wrong with it."""

    acknowledged: Counter[str] = field(default_factory=Counter)
    """Calls, by kind."""
    errors: Counter[str] = field(default_factory=Counter)
    """Errors that reached the callers, by call and class."""
    reads: int = 0
    under_way: int = 0
    """Calls whose writer was killed before they came to an end."""
    threads: int = 0
    copies: int = 0
    alive: int = 0
    unacknowledged: int = 0
    """Checkpoints alive whose put was never acknowledged."""
    submissions: int = 0
    partial_submissions: int = 0
    partial_blobs: int = 0
    repeated_rows: int = 0
    frames: int = 0
    value_bytes: int = 0
    lives_ended: int = 0
    copies_dead: int = 0
    """Copies in lives that had been deleted."""
    found: list[Finding] = field(default_factory=list)

    def note(self, kind: Kind, what: str) -> None:
        """Note what is wrong."""
        self.found.append(Finding(kind, what))

    def count(self, kind: Kind) -> int:
        """How many findings of a kind there are."""
        return sum(finding.kind == kind for finding in self.found)

    def add(self, other: Findings) -> None:
        """Take in what was found in another database."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def check(uri: str, database: str, logs: Iterable[Path]) -> Findings:
    """Look at everything in a database; its server must have no faults, its writers be dead."""
    with closing(Store(uri, database)) as store:
        checker = Checker(store, read_history(logs))
        checker.check()
        return checker.findings


class Checker:
    """The comparison of one database with its history."""

    def __init__(self, store: Store, history: History) -> None:
        self._store = store
        self._history = history
        self._dead = store.dead_epochs()
        self._checkpoints_of: dict[str, list[str]] = defaultdict(list)
        for thread_id, checkpoint_id in history.puts:
            self._checkpoints_of[thread_id].append(checkpoint_id)
        self._tasks_of: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._written_to: dict[str, set[str]] = defaultdict(set)
        for thread_id, checkpoint_id, task in history.writes:
            self._tasks_of[thread_id, checkpoint_id].add(task)
            self._written_to[thread_id].add(checkpoint_id)
        self._newest: dict[Key, str] = {}
        """(thread, namespace, epoch) -> greatest checkpoint id, dead or alive."""
        self._winners: dict[Key, str] = {}
        self._winning_writes: dict[tuple[str, ...], str] = {}
        self._submissions: dict[Key, list[Submission]] = {}
        self.findings = Findings()

    def check(self) -> None:
        """Look at everything."""
        history, findings = self._history, self.findings
        findings.acknowledged.update(history.acknowledged)
        findings.errors.update(history.errors)
        findings.reads = history.reads
        findings.under_way = history.under_way
        findings.lives_ended = sum(life.dead for life in history.lives.values())
        for what in history.wrong_reads:
            findings.note("read", what)
        seen: set[str] = set()
        for page in self._store.pages():
            seen.update(page.threads)
            self._check_page(page)
        for thread_id in {thread_id for thread_id, _ in history.lives} - seen:
            self._check_history(thread_id, {}, {})
        self._check_views()

    # -- pages -----------------------------------------------------------------------------------

    def _check_page(self, page: Page) -> None:
        findings = self.findings
        findings.threads += len(page.threads)
        findings.copies += len(page.copies)
        findings.submissions += len(page.submissions)
        findings.partial_submissions += sum(not item.whole for item in page.submissions)
        findings.partial_blobs += page.partial_blobs
        findings.repeated_rows += page.repeated_rows
        findings.frames += page.frames
        findings.value_bytes += page.value_bytes
        for what in page.conflicts:
            findings.note("duplicate", what)
        copies: dict[Key, list[Copy]] = defaultdict(list)
        for copy in page.copies:
            copies[copy.key].append(copy)
            place = (copy.key[0], copy.key[1], copy.epoch)
            self._newest[place] = max(copy.key[2], self._newest.get(place, ""))
        submissions: dict[Key, list[Submission]] = defaultdict(list)
        for item in page.submissions:
            submissions[item.key].append(item)
        for thread_id in page.threads:
            self._check_history(thread_id, copies, submissions)
        for key, found in copies.items():
            self._check_checkpoint(key, found, submissions.get(key, []))

    def _check_history(
        self,
        thread_id: str,
        copies: Mapping[Key, list[Copy]],
        submissions: Mapping[Key, list[Submission]],
    ) -> None:
        """Every acknowledged call left rows, whether they are alive or not."""
        for checkpoint_id in self._checkpoints_of[thread_id]:
            found = copies.get((thread_id, "", checkpoint_id), [])
            self._check_stored_puts(thread_id, checkpoint_id, found)
        for checkpoint_id in self._written_to[thread_id]:
            items = submissions.get((thread_id, "", checkpoint_id), [])
            for task in self._tasks_of[thread_id, checkpoint_id]:
                self._check_stored_writes(thread_id, checkpoint_id, task, items)

    def _check_stored_puts(
        self, thread_id: str, checkpoint_id: str, copies: Sequence[Copy]
    ) -> None:
        calls = self._history.puts[thread_id, checkpoint_id]
        found = Counter(copy.metadata for copy in copies)
        for call in calls:
            if call.acknowledged and not found[call.metadata]:
                self.findings.note("lost", f"put {thread_id} {checkpoint_id} of life {call.life}")
        begun = Counter(call.metadata for call in calls)
        for metadata, number in found.items():
            if metadata and number > begun[metadata]:
                self.findings.note(
                    "duplicate" if begun[metadata] else "torn",
                    f"{number} copies of {thread_id} {checkpoint_id}, put {begun[metadata]} times",
                )

    def _check_stored_writes(
        self, thread_id: str, checkpoint_id: str, task: str, items: Sequence[Submission]
    ) -> None:
        calls = self._history.writes[thread_id, checkpoint_id, task]
        found: Counter[str] = Counter()
        for item in items:
            if item.whole and item.rows[0]["task_id"] == task:
                try:
                    found[call_digest(item.rows)] += 1
                except UNREADABLE:
                    found[""] += 1
        begun = Counter(call.pieces for call in calls)
        where = f"writes of {task} to {thread_id} {checkpoint_id}"
        for call in calls:
            if call.acknowledged and not found[call.pieces]:
                self.findings.note("lost", f"{where} of life {call.life}")
        for pieces, number in found.items():
            if not begun[pieces]:
                self.findings.note("torn", f"{where}: a call that shows as whole is not what was")
            elif number > begun[pieces]:
                self.findings.note("duplicate", f"{where}: {number}, called {begun[pieces]} times")

    # -- one checkpoint --------------------------------------------------------------------------

    def _check_checkpoint(
        self, key: Key, copies: Sequence[Copy], submissions: Sequence[Submission]
    ) -> None:
        alive = [copy for copy in copies if copy.epoch not in self._dead]
        self.findings.copies_dead += len(copies) - len(alive)
        thread_id, _, checkpoint_id = key
        where = f"{thread_id} {checkpoint_id}"
        calls = self._history.puts.get((thread_id, checkpoint_id), [])
        self._check_alive(where, thread_id, calls, alive)
        if not alive:
            return
        self.findings.alive += 1
        self.findings.unacknowledged += not any(call.acknowledged for call in calls)
        winner = max(alive, key=lambda copy: copy.order)
        self._winners[key] = winner.submission_id
        allowed = [(call.values, call.metadata, call.parent) for call in allowed_puts(calls)]
        if winner.problem:
            self.findings.note("torn", f"checkpoint {where}: {winner.problem}")
        elif (winner.values, winner.metadata, winner.parent or "-") not in allowed:
            kind: Kind = "lost" if winner.metadata in {call.metadata for call in calls} else "torn"
            self.findings.note(kind, f"checkpoint {where} is not what was put last")
        self._check_writes(key, where, copies, alive, submissions)

    def _check_alive(
        self, where: str, thread_id: str, calls: Sequence[Put], alive: Sequence[Copy]
    ) -> None:
        """Nothing of a life that was deleted is alive; all that was acknowledged else is."""
        lives = self._history.lives
        for copy in alive:
            life = lives.get((thread_id, copy.life))
            if life is not None and life.dead:
                self.findings.note("resurrected", f"checkpoint {where} of life {copy.life}")
        for call in calls:
            kept = call.acknowledged and not lives[thread_id, call.life].endangered
            if kept and not any(copy.metadata == call.metadata for copy in alive):
                self.findings.note("lost", f"checkpoint {where} of life {call.life} is not alive")

    def _check_writes(
        self,
        key: Key,
        where: str,
        copies: Sequence[Copy],
        alive: Sequence[Copy],
        submissions: Sequence[Submission],
    ) -> None:
        """The writes that readers are shown with a checkpoint: of each call all or none."""
        epochs = {copy.epoch for copy in alive}
        if len(alive) == len(copies):  # else those without an epoch were meant for a dead copy
            epochs.add("")
        shown = shown_writes(item for item in submissions if item.whole and item.epoch in epochs)
        for slot, (item, _) in shown.items():
            self._winning_writes[(*key, *map(str, slot))] = item.submission_id
        tasks: dict[str, list[Row]] = defaultdict(list)
        for (task, _), (_, rows) in shown.items():
            tasks[task] += rows
        calls_of = {
            task: self._history.writes.get((key[0], key[2], task), [])
            for task in self._tasks_of[key[0], key[2]] | set(tasks)
        }
        for task, calls in calls_of.items():
            self._check_task(key[0], f"writes of {task} to {where}", calls, tasks.get(task, []))

    def _check_task(
        self, thread_id: str, where: str, calls: Sequence[Writes], rows: Sequence[Row]
    ) -> None:
        lives = self._history.lives
        allowed = {call.pieces: call for call in allowed_writes(calls)}
        if not rows:
            if any(
                call.acknowledged and not lives[thread_id, call.life].endangered for call in calls
            ):
                self.findings.note("lost", f"{where} are not alive")
            return
        try:
            pieces = call_digest(rows)
        except UNREADABLE as error:
            self.findings.note("torn", f"{where}: {type(error).__name__}: {error}")
            return
        if pieces not in allowed:
            self.findings.note("torn", f"{where} are not what was written first")
        elif lives[thread_id, allowed[pieces].life].dead:
            self.findings.note("resurrected", f"{where} of life {allowed[pieces].life}")

    # -- views -----------------------------------------------------------------------------------

    def _check_views(self) -> None:
        """What people who write KQL are shown is what the tables say."""
        names = ("thread_id", "checkpoint_ns", "epoch")
        newest = self._keyed(VIEW, names, "checkpoint_id")
        self._compare("LatestCheckpoints", newest, self._newest)
        names = ("thread_id", "checkpoint_ns", "checkpoint_id")
        self._compare(
            "LiveCheckpoints()",
            self._keyed(LIVE_CHECKPOINTS, names, "submission_id"),
            self._winners,
        )
        self._compare(
            "LivePendingWrites()",
            self._keyed(LIVE_WRITES, (*names, "task_id", "idx"), "submission_id"),
            self._winning_writes,
        )
        deletions = {(row["epoch"],): "" for row in self._store.rows(DELETIONS)}
        self._compare("Deletions()", deletions, {(epoch,): "" for epoch in self._dead})

    def _keyed(self, text: str, names: Sequence[str], value: str) -> dict[tuple[str, ...], str]:
        found: dict[tuple[str, ...], str] = {}
        for row in self._store.rows(text):
            key = tuple(str(row[name]) for name in names)
            if key in found:
                self.findings.note("duplicate", f"{text.partition(' ')[0]} shows {key} twice")
            found[key] = row[value]
        return found

    def _compare(
        self,
        view: str,
        shown: Mapping[tuple[str, ...], str],
        there: Mapping[tuple[str, ...], str],
    ) -> None:
        for key in shown.keys() | there.keys():
            if shown.get(key) != there.get(key):
                self.findings.note(
                    "view", f"{view} shows {shown.get(key)} for {key}, not {there.get(key)}"
                )


def shown_writes(
    submissions: Iterable[Submission],
) -> dict[tuple[str, int], tuple[Submission, list[Row]]]:
    """By task and index the call that wins: the first, or of special channels the last."""
    shown: dict[tuple[str, int], tuple[Submission, list[Row]]] = {}
    for item in sorted(submissions, key=lambda item: item.order):
        by_slot: dict[tuple[str, int], list[Row]] = defaultdict(list)
        for row in item.rows:
            by_slot[row["task_id"], row["idx"]].append(row)
        for slot, rows in by_slot.items():
            if slot not in shown or slot[1] < 0:
                shown[slot] = item, rows
    return shown
