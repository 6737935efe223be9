"""Programs of generated operations: after each one, everything visible is the same in both savers.

`make test` runs a few, always the same; `make test-differential` runs more, from a seed.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from langgraph.checkpoint.base import CheckpointTuple
from shared.threads import config_of

from .programs import (
    DELTA,
    NAMESPACES,
    Copy,
    Delete,
    Look,
    Program,
    Put,
    PutWrites,
    State,
    Thread,
    opening,
    programs,
)
from .sql import copy_thread, delete_for_runs
from .twins import Twins, exact, listed, visible

EXAMPLES = os.environ.get("DIFFERENTIAL_EXAMPLES")


@settings(
    max_examples=int(EXAMPLES or 16),
    derandomize=EXAMPLES is None,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
@given(program=programs)
def test_generated_operations(twins: Twins, program: Program) -> None:
    twins.run(lambda: run(twins, program))


LOOK = Look(pick=1, namespace=0, limit=None, before=None, missing="x", wanted={})
EVERYTHING = Program(
    ordered=True,
    steps=[(Put(0, 0, "", None, {}, {"user": "v"}, False, False, "x"), LOOK)],
)


class Spoilt:
    """A saver of which one method answers a little wrong."""

    def __init__(self, saver: Any, method: str, spoil: Callable[[Any], Any]) -> None:
        self._saver = saver
        self._method = method
        self._spoil = spoil

    def __getattr__(self, name: str) -> Any:
        return getattr(self._saver, name)

    async def aget_tuple(self, config: Any) -> Any:
        found = await self._saver.aget_tuple(config)
        return self._spoil(found) if self._method == "aget_tuple" and found else found

    async def alist(self, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
        items = await listed(self._saver, *arguments, **options)
        for item in self._spoil(items) if self._method == "alist" else items:
            yield item

    async def aget_delta_channel_history(self, **arguments: Any) -> Any:
        found = await self._saver.aget_delta_channel_history(**arguments)
        return self._spoil(found) if self._method == "aget_delta_channel_history" else found


@pytest.mark.parametrize(
    ("method", "spoil"),
    [
        ("none", None),
        ("aget_tuple", lambda found: found._replace(pending_writes=[])),
        ("aget_tuple", lambda found: found._replace(parent_config=None)),
        ("aget_tuple", lambda found: found._replace(metadata={**found.metadata, "step": 1.0})),
        ("aget_tuple", lambda found: found._replace(checkpoint={**found.checkpoint, "v": 3})),
        ("alist", lambda items: items[:-1]),
        ("alist", lambda items: items[::-1]),
        ("aget_delta_channel_history", lambda found: {**found, DELTA: {"writes": []}}),
        ("aget_delta_channel_history", lambda found: {**found, "never": {"writes": [], "seed": 0}}),
    ],
)
def test_the_comparison_bites(
    twins: Twins, method: str, spoil: Callable[[Any], Any] | None
) -> None:
    """A saver that answers a little wrong is noticed; one that does not is not."""
    if spoil is None:
        twins.run(lambda: run(twins, EVERYTHING))
        return
    spoilt = twins.with_kusto(Spoilt(twins.kusto, method, spoil))
    with pytest.raises(AssertionError):
        twins.run(lambda: run(spoilt, EVERYTHING))


async def run(twins: Twins, program: Program) -> None:
    """Run a program on both savers; look at everything after each operation."""
    state = State(twins.new_case(), ordered=program.ordered)
    for operation in opening():
        await act(twins, state, operation)
    for operation, look in program.steps:
        thread = await act(twins, state, operation)
        await compare(twins, state, thread, look)
    for thread in state.threads:
        await both_threads(twins, thread, "delete")


async def act(twins: Twins, state: State, op: Any) -> Thread:
    """Do one operation on both savers, and give the thread it changed."""
    if isinstance(op, Put):
        put = state.put(op)
        kusto, postgres = await twins.both(lambda saver: saver.aput(*put))
        assert kusto == postgres
    elif isinstance(op, PutWrites):
        writes = state.put_writes(op)
        await twins.both(lambda saver: saver.aput_writes(*writes))
    elif isinstance(op, Copy):
        return await copied(twins, state, op)
    elif isinstance(op, Delete):
        thread = state.thread(op.thread)
        await deleted(twins, state, thread, op.kind)
        return thread
    return state.thread(op.thread)


async def deleted(twins: Twins, state: State, thread: Thread, kind: str) -> None:
    """Delete a thread, the run that writes to it, or what a prune deletes."""
    if kind == "run":
        run_ids = [state.run_id(thread)]
        await twins.kusto.adelete_for_runs(run_ids)
        gone = await delete_for_runs(twins.postgres, run_ids)
        by_id = {one.thread_id: one for one in state.threads}
        for thread_id, namespace, checkpoint_id in gone:  # copies belong to the run, too
            by_id[thread_id].known[namespace].pop(checkpoint_id)
        thread.run += 1
    elif kind == "keep_latest":
        if thread.delta:  # Postgres refuses, see the differences
            return
        await both_threads(twins, thread, kind)
        state.prune(thread)
    else:
        await both_threads(twins, thread, kind)
        thread.forget()


async def both_threads(twins: Twins, thread: Thread, kind: str) -> None:
    """Delete or prune one thread in both."""
    if kind == "thread":
        await twins.both(lambda saver: saver.adelete_thread(thread.thread_id))
    else:
        await twins.both(lambda saver: saver.aprune([thread.thread_id], strategy=kind))


async def copied(twins: Twins, state: State, op: Copy) -> Thread:
    """Delete a thread and copy another one to it."""
    source, target = state.thread(op.thread), state.thread(op.target)
    if source is target:
        return target
    await both_threads(twins, target, "thread")
    await twins.kusto.acopy_thread(source.thread_id, target.thread_id)
    await copy_thread(twins.postgres, source.thread_id, target.thread_id)
    state.copy(source, target)
    target.run += 1
    return target


# ------------------------------------------------------------------------------------ looking


async def compare(twins: Twins, state: State, thread: Thread, look: Look) -> None:
    """Ask both everything about a thread, and a little about all of them."""
    thread_id = thread.thread_id
    namespace = NAMESPACES[look.namespace % len(NAMESPACES)]
    ids = thread.ids(namespace)
    missing = f"missing {look.missing}"
    configs = [config_of(thread_id), config_of(thread_id, namespace)]
    configs += [config_of(thread_id, namespace, missing), config_of(thread_id, missing)]
    configs = configs[:2] + configs[2 + look.pick % 2 :][:1]
    if ids:
        configs.append(config_of(thread_id, namespace, ids[look.pick % len(ids)]))
    for config in configs:
        kusto, postgres = await twins.both(lambda saver, at=config: saver.aget_tuple(at))
        assert seen(thread, kusto) == seen(thread, postgres), config
    await compare_lists(twins, state, thread, look)
    # Beyond what a prune kept there is no history here, see the differences.
    if state.ordered and ids and not thread.cut:
        target = config_of(thread_id, namespace, ids[look.pick % len(ids)])
        await compare_histories(twins, target if look.pick % 3 else config_of(thread_id, namespace))


async def compare_lists(twins: Twins, state: State, thread: Thread, look: Look) -> None:
    """List the thread, one of its namespaces, all threads of the case."""
    namespace = NAMESPACES[look.namespace % len(NAMESPACES)]
    everything = [name for known in thread.known.values() for name in known]
    before = None
    if look.before is not None and everything:
        before = {"configurable": {"checkpoint_id": everything[look.before % len(everything)]}}
    whole = config_of(thread.thread_id, None)
    part = config_of(thread.thread_id, namespace) if look.pick % 2 else whole
    own = {"case": state.case}
    wanted = state.wanted(thread, look)
    for config, options in (
        (whole, {}),
        (part, {"limit": look.limit, "before": before}),
        (whole, {"filter": wanted}),
        (None, {"filter": {**wanted, **own} if look.pick % 2 else own, "limit": look.limit}),
    ):
        kusto, postgres = await twins.both(
            lambda saver, at=config, how=options: listed(saver, at, **how)
        )
        assert in_order(kusto), (config, options)
        assert [order(item)[0] for item in kusto] == [order(item)[0] for item in postgres]
        if config is not None:
            # Postgres leaves open in which order it lists equal ids, which only copies have.
            assert whole_list(thread, kusto) == whole_list(thread, postgres), (config, options)


async def compare_histories(twins: Twins, target: Any) -> None:
    """The histories of delta channels, of one that never was, and of plain ones."""
    channels = [DELTA, "a", "never"]
    kusto, postgres = await twins.both(
        lambda saver: saver.aget_delta_channel_history(config=target, channels=channels)
    )
    assert exact(kusto) == exact(postgres), target


def order(item: CheckpointTuple) -> tuple[str, str, str]:
    """Where an item stands in a list."""
    at = item.config["configurable"]
    return at["checkpoint_id"], at["thread_id"], at["checkpoint_ns"]


def in_order(items: list[CheckpointTuple]) -> bool:
    """Whether the newest come first."""
    ids = [order(item)[0] for item in items]
    return ids == sorted(ids, reverse=True)


def whole_list(thread: Thread, items: list[CheckpointTuple]) -> list[Any]:
    """All that a list shows."""
    return [seen(thread, item) for item in sorted(items, key=order)]


def seen(thread: Thread, found: CheckpointTuple | None) -> Any:
    """All that a caller sees; a parent that a prune has deleted is none, as Postgres says."""
    parent = found and found.parent_config
    if found is not None and parent and parent["configurable"]["checkpoint_id"] in thread.cut:
        found = found._replace(parent_config=None)
    return visible(found)
