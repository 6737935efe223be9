"""Break the library on purpose, in one way after the other, and count sequences until one notices.

    PYTHONPATH=tests python -m model.sabotage [most sequences] [words of the ways to try ...]

Only what the process of a way runs is broken: texts as they are sent, functions as they are called.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from typing import Any

from langgraph.checkpoint.kusto import _ancestors, _assembly, _copying, _history, _pruning
from langgraph.checkpoint.kusto._core import Core, new_id
from langgraph.checkpoint.kusto._delta_channel import Walk
from langgraph.checkpoint.kusto._kql import all_texts
from langgraph.checkpoint.kusto._overlay import Overlay
from langgraph.checkpoint.kusto._tombstones import Deaths

from .sequences import try_sequence

Break = Callable[[], None]


def _text(old: str, new: str, *, only: str = "") -> Break:
    """Change the query texts that hold `only` as they are sent."""

    def apply() -> None:
        if not any(old in text and only in text for _, text in all_texts()):
            raise LookupError(f"no query has {old!r} any more")
        send = Core.query

        async def query(self: Core, text: Any, parameters: Any) -> Any:
            return await send(self, text.replace(old, new) if only in text else text, parameters)

        Core.query = query  # type: ignore[method-assign]

    return apply


def _code(owner: Any, name: str, broken: Callable[..., Any]) -> Break:
    """Put a function in the place of another, which it gets as its first argument."""

    def apply() -> None:
        original = getattr(owner, name)

        def replacement(*arguments: Any, **more: Any) -> Any:
            return broken(original, *arguments, **more)

        setattr(owner, name, replacement)

    return apply


def _all(*breaks: Break) -> Break:
    def apply() -> None:
        for each in breaks:
            each()

    return apply


async def _late_put_revives(original: Any, core: Core, request: Any) -> str:
    epoch = str(await original(core, request))
    return new_id("e") if core.memory.epochs.is_killed(epoch) else epoch


async def _thread_keeps_its_epoch(original: Any, core: Core, request: Any) -> str:
    latest = core.memory.epochs.latest(request.key.thread_id)
    return latest or str(await original(core, request))


async def _no_walk(original: Any, *arguments: Any) -> Walk:
    return Walk()


async def _unknown(original: Any, *arguments: Any) -> None:
    """Find no epoch."""


def _turned_round(original: Any, submissions: Any) -> Any:
    found = sorted(submissions, key=lambda item: item.order, reverse=True)
    return original([replace(item, written_at=place) for place, item in enumerate(found)])


def _special_as_others(original: Any, submissions: Any) -> Any:
    def plain(item: Any) -> Any:
        writes = (replace(write, idx=write.idx + 10) for write in item.writes)
        return replace(item, writes=tuple(writes))

    return original([plain(item) for item in submissions])


def _by_task(original: Any, submissions: Any) -> Any:
    return sorted(original(submissions), key=lambda item: (item[1].task_id, item[1].idx))


def _winners(broken: Callable[..., Any]) -> Break:
    return _all(*(_code(module, "winners_with_origin", broken) for module in (_assembly, _history)))


def _never_kills(kind: str) -> Break:
    """Tombstones of a kind are written and read, and mean nothing."""
    empty: dict[str, Any] = {
        "epochs": {"epochs": frozenset()},
        "runs": {"runs": frozenset()},
        "checkpoints": {"checkpoints": {}},
    }[kind]
    return _all(
        _text(f'where scope == "{kind}"', f'where scope == "{kind}" and false'),
        _code(Deaths, "of", lambda original, stones: replace(original(stones), **empty)),
    )


def _source_epoch(original: Any, copy: Any, raw: Any, submitted: Any) -> Any:
    return replace(original(copy, raw, submitted), epoch=raw.epoch)


def _unmerged(original: Any, overlay: Overlay, thread_id: str | None = None) -> Any:
    return replace(original(overlay, thread_id), checkpoints=(), submissions=())


def _unburied(original: Any, overlay: Overlay, thread_id: str | None = None) -> Any:
    return replace(original(overlay, thread_id), deaths=Deaths(), deaths_parameter="")


def _parent_before(original: Any, chain: Any, record: Any, weight: Any) -> Any:
    ids = sorted(item for item in chain.rows if item > record["checkpoint_id"])
    if ids:  # rows come from the greatest id; the one after it gets it as its parent
        after = chain.rows[ids[0]]
        link = replace(after.link, parent_id=record["checkpoint_id"])
        chain.rows[ids[0]] = replace(after, link=link)
    return original(chain, record, weight)


_THROUGH = "| where isnull(through) or written_at > through"
_VERSION = "strcat(tostring(written_at), submission_id)"

WAYS: dict[str, Break] = {
    "epoch filter off in every query": _text("| where epoch !in (killed)", ""),
    "epoch filter off in lists": _text("| where epoch !in (killed)", "", only="| take 200"),
    "thread tombstones ignored": _never_kills("epochs"),
    "run tombstones ignored": _never_kills("runs"),
    "run tombstones ignored by queries": _text(
        "| join kind=leftanti dead_runs on thread_id, run_id", ""
    ),
    "checkpoint tombstones ignored": _never_kills("checkpoints"),
    "`through` ignored: the id is dead for ever": _text(_THROUGH, "| where isnull(through)"),
    "a late put of a deleted thread starts an epoch": _code(
        Core, "_epoch_for_put", _late_put_revives
    ),
    "an unknown epoch is not asked for": _code(Core, "_find_epoch", _unknown),
    "a parentless put joins the thread's epoch": _code(
        Core, "_epoch_for_put", _thread_keeps_its_epoch
    ),
    "a copy has the epoch of its source": _code(_copying, "_put_request", _source_epoch),
    "an early write outlives its dead checkpoint": _text(
        "| join kind=leftanti haunted on thread_id, checkpoint_ns, checkpoint_id, epoch", ""
    ),
    "last write wins instead of first, first instead of last": _winners(_turned_round),
    "special channels: first write wins": _winners(_special_as_others),
    "pending writes in order of tasks": _winners(_by_task),
    "of two copies the first wins in get": _text(
        f"top 1 by {_VERSION} desc", f"top 1 by {_VERSION} asc"
    ),
    "of two copies the first wins in lists": _text(
        f"arg_max({_VERSION}", f"arg_min({_VERSION}", only="| take 200"
    ),
    "prune takes the ancestors of delta channels": _code(_pruning, "walk_ancestors", _no_walk),
    "history follows ids": _code(_ancestors, "_ancestor_from_record", _parent_before),
    "own rows are not merged into reads": _code(Overlay, "view", _unmerged),
    "own tombstones are not merged into reads": _code(Overlay, "view", _unburied),
}


def main(arguments: list[str]) -> int:
    """Try the ways; the exit code is the number of those nobody noticed."""
    most = int(arguments[0]) if arguments else 50
    names = [name for name in WAYS if not arguments[1:] or any(w in name for w in arguments[1:])]
    unnoticed = 0
    with get_context("spawn").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        for name, found in zip(names, pool.imap(partial(_try, most), names), strict=True):
            unnoticed += not found[0]
            noticed = f"sequence {found[0]}" if found[0] else f"not in {most}"
            print(f"{name}: {noticed} {found[1]}", flush=True)
    return unnoticed


def _try(most: int, name: str) -> tuple[int, str]:
    """Break the library and run sequences; the number of the first that notices, and how."""
    WAYS[name]()
    for number in range(1, most + 1):
        try:
            try_sequence(number)
        except Exception as error:  # noqa: BLE001 - that is the notice
            return number, f"{type(error).__name__}: {error}".split("\n")[0][:150]
    return 0, ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
