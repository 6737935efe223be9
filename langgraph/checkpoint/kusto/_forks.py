"""Forks: checkpoints of one parent that two writers put without knowing of each other.

Kusto has no conditional write, so two processes that run one thread at a time both succeed; the
chain then forks and the branch with the lesser id is not the newest any more. LangGraph forks on
purpose, too (time travel, `update_state`); those say so in their metadata.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from ._chain import load_chain, winners
from ._core import Core
from ._lru import LruMap
from ._rows import CheckpointKey

logger = logging.getLogger(__name__)

_ON_PURPOSE = ("fork", "update")
_REMEMBERED_BYTES = 8 * 1024 * 1024  # in each list that is being read


@dataclass(frozen=True)
class Fork:
    """Several checkpoints with the same parent."""

    thread_id: str
    checkpoint_ns: str
    parent_checkpoint_id: str
    children: tuple[str, ...]
    """Ids, the greatest first; the newest of the thread descends from one of them."""


async def find_forks(core: Core, thread_id: str, checkpoint_ns: str | None) -> list[Fork]:
    """Look through a thread, or one namespace of it, for forks nobody made on purpose."""
    children: dict[tuple[str, str], list[str]] = {}
    for row in winners(await load_chain(core, thread_id)).values():
        namespace = row.key.checkpoint_ns
        wanted = checkpoint_ns is None or namespace == checkpoint_ns
        if wanted and row.parent_checkpoint_id and row.source not in _ON_PURPOSE:
            children.setdefault((namespace, row.parent_checkpoint_id), []).append(
                row.key.checkpoint_id
            )
    found = [
        Fork(thread_id, namespace, parent, tuple(sorted(ids, reverse=True)))
        for (namespace, parent), ids in sorted(children.items())
        if len(ids) > 1
    ]
    _log(found)
    return found


def _log(forks: Iterable[Fork]) -> None:
    for fork in forks:
        logger.warning(
            "thread %r, namespace %r forks at checkpoint %s into %s: two writers ran it at a time",
            fork.thread_id,
            fork.checkpoint_ns,
            fork.parent_checkpoint_id,
            ", ".join(fork.children),
        )


class ForkWatch:
    """Notices forks among checkpoints as a list goes by; remembers a bounded number of parents.

    Args:
        told: Parents whose forks were told of already, by any list of this saver.
    """

    def __init__(self, told: LruMap[CheckpointKey, bool]) -> None:
        self._told = told
        self._children: LruMap[CheckpointKey, str] = LruMap(_REMEMBERED_BYTES)

    def see(self, key: CheckpointKey, parent_id: str, source: object) -> Fork | None:
        """Note a checkpoint; give the fork it completes."""
        if not parent_id or source in _ON_PURPOSE:
            return None
        parent = key._replace(checkpoint_id=parent_id)
        known = self._children.get(parent)
        self._children.put(parent, key.checkpoint_id)
        if known is None or known == key.checkpoint_id or parent in self._told:
            return None
        self._told.put(parent, True)
        fork = Fork(key.thread_id, key.checkpoint_ns, parent_id, (known, key.checkpoint_id))
        _log([fork])
        return fork
