"""Defects to plant in the library, each of which the campaign has to find.

`plant(name)` changes the library in the process that calls it, and nowhere else: a writer calls it
after it was forked and before it makes a saver. A defect whose place is not in the library any more
fails with `AssertionError`, so that none is planted in vain. No test stands here, nothing is looked
for, and nothing is written.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import CodeType
from typing import Any

from langgraph.checkpoint.kusto import _core, _frames, _writer
from langgraph.checkpoint.kusto._caches import Manifests
from langgraph.checkpoint.kusto._commits import Commits
from langgraph.checkpoint.kusto._core import Core
from langgraph.checkpoint.kusto._overlay import Overlay
from langgraph.checkpoint.kusto._requests import PutRequest, WritesRequest
from langgraph.checkpoint.kusto._rows import CheckpointPlan, _Spill
from langgraph.checkpoint.kusto._values import BlobRef, Encoded
from langgraph.checkpoint.kusto._writer import Writer
from langgraph.checkpoint.kusto.errors import KustoCheckpointError

GIVES_UP_AFTER = 2


@dataclass(frozen=True)
class Defect:
    """A way to be wrong.

    Attributes:
        what: What the library does then.
        finds: The kind of finding by which a checker notices it; one of others may stand beside it.
        apply: Change the library.
    """

    what: str
    finds: str
    apply: Callable[[], None]


def plant(name: str) -> None:
    """Give the library of this process one defect.

    Raises:
        KeyError: There is none of that name.
        AssertionError: The library has no longer what the defect would change.
    """
    if name not in DEFECTS:
        raise KeyError(f"a defect is one of {', '.join(DEFECTS)}, not {name!r}")
    DEFECTS[name].apply()


def _row_before_blobs() -> None:
    _used(Core, "_submit_put", "_all")
    wait_for_all = _at(_core, "_all", "answers")
    run = _at(Commits, "run", "self", "send", "undo", "size_bytes", "what")
    left: ContextVar[list[asyncio.Future[None]]] = ContextVar("left")

    async def not_yet(answers: Sequence[asyncio.Future[None]]) -> None:
        left.get().extend(answers)

    async def row_at_once(
        self: Commits, send: Callable[[], Any], undo: Callable[[], None], size_bytes: int, what: str
    ) -> None:
        async def send_row() -> None:
            answers: list[asyncio.Future[None]] = []
            left.set(answers)
            await send()
            await wait_for_all(answers)

        await run(self, send_row, undo, size_bytes, what)

    _put(_core, "_all", not_yet)
    _put(Commits, "run", row_at_once)


def _overlay_dropped() -> None:
    _used(Core, "_acknowledge", "acknowledge")
    _at(Overlay, "acknowledge", "self", "identities", "now")
    remove = _at(Overlay, "remove", "self", "identities")
    _put(Overlay, "acknowledge", lambda self, identities, now: remove(self, identities))


def _silent_give_up() -> None:
    _used(Writer, "_send_with_retry", "run")
    run = _at(_writer, "run", "call", "policy", "what", "count")

    async def give_up(call: Callable[[], Any], policy: Any, **more: Any) -> Any:
        try:
            return await run(call, replace(policy, attempts=GIVES_UP_AFTER), **more)
        except KustoCheckpointError as error:
            if not error.retriable:
                raise
            return None

    _put(_writer, "run", give_up)


def _split_without_submission() -> None:
    put_writes = _at(Core, "put_writes", "self", "request")

    async def one_by_one(self: Core, request: WritesRequest) -> None:
        for write in request.writes:
            await put_writes(self, replace(request, writes=[write]))

    _put(Core, "put_writes", one_by_one)


def _mixed_chunks() -> None:
    add = _at(_Spill, "add", "self", "channel", "value")
    _used(_Spill, "add", "_new_blob_id")
    free: dict[tuple[str, str], str] = {}

    def add_under_a_shared_id(self: Any, channel: str, value: Encoded) -> BlobRef:
        """Every other copy of a channel gets the identity of the copy before."""
        fresh, place = self._new_blob_id, (self._parts.key.thread_id, channel)
        shared = free.pop(place, None) if channel else None
        self._new_blob_id = fresh if shared is None else lambda: shared
        try:
            ref: BlobRef = add(self, channel, value)
        finally:
            self._new_blob_id = fresh
        if shared is None:
            free[place] = ref.blob_id
        return ref

    _put(_Spill, "add", add_under_a_shared_id)


def _dangling_reference() -> None:
    _used(Core, "_submit_put", "forget")
    _used(Core, "_submit_blobs", "_lost_blobs")
    submit_blobs = _at(Core, "_submit_blobs", "self", "plan", "blob_rows", "reused")
    put = _at(Core, "put", "self", "request")
    _at(Manifests, "forget", "self", "key")
    _at(Manifests, "unchanged", "self", "parent", "channel", "version", "epoch")

    def without_looking(
        self: Core, plan: CheckpointPlan, blob_rows: list[list[Any]], _: Mapping[str, BlobRef]
    ) -> Any:
        return submit_blobs(self, plan, blob_rows, {})

    async def put_again(self: Core, request: PutRequest) -> None:
        """What a put before under the same id was to store is not stored again."""
        manifests, versions = self.memory.manifests, request.versions
        found = {
            channel: manifests.unchanged(
                request.key, channel, versions.get(channel), self.memory.epochs.of(request.key)
            )
            for channel in request.values
        }
        stored = {channel: ref for channel, ref in found.items() if ref is not None}
        values = {
            channel: value for channel, value in request.values.items() if channel not in stored
        }
        await put(self, replace(request, values=values, reused={**request.reused, **stored}))

    _put(Manifests, "forget", lambda self, key: None)
    _put(Core, "_submit_blobs", without_looking)
    _put(Core, "put", put_again)


def _wrong_base() -> None:
    _used(_frames, "_encode", "encode_frame")
    encode_frame = _at(_frames, "encode_frame", "value_type", "data", "base", "ref")

    def against_another(value_type: str, data: bytes, base: bytes, ref: BlobRef | None) -> Encoded:
        found: Encoded = encode_frame(value_type, data, base[1:] + base[:1], ref)
        return found

    _put(_frames, "encode_frame", against_another)


def _epoch_from_thread() -> None:
    _used(Core, "put", "_epoch_for_put")
    epoch_for_put = _at(Core, "_epoch_for_put", "self", "request")

    async def of_the_thread(self: Core, request: PutRequest) -> str:
        latest = self.memory.epochs.latest(request.key.thread_id)
        if request.parent_checkpoint_id and latest:
            return latest
        return str(await epoch_for_put(self, request))

    _put(Core, "_epoch_for_put", of_the_thread)


def _found(owner: Any, name: str) -> Any:
    found = getattr(owner, name, None)
    assert found is not None, f"{owner.__name__} has no {name} any more"
    return found


def _at(owner: Any, name: str, *parameters: str) -> Any:
    """The function that stands at a place, which has to take what the defect gives it."""
    found = _found(owner, name)
    taken = tuple(inspect.signature(found).parameters)
    assert taken == parameters, f"{owner.__name__}.{name} takes {taken}, not {parameters}"
    return found


def _used(owner: Any, name: str, used: str) -> None:
    """Make sure that a function, or one inside of it, still uses what the defect changes."""
    codes = _codes(_found(owner, name).__code__)
    names = {each for code in codes for each in code.co_names}
    assert used in names, f"{owner.__name__}.{name} does not use {used} any more"


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _put(owner: Any, name: str, function: Callable[..., Any]) -> None:
    setattr(owner, name, function)


DEFECTS: Mapping[str, Defect] = {
    "row-before-blobs": Defect(
        "the row is sent at the same time as its blobs", "torn", _row_before_blobs
    ),
    "overlay-dropped": Defect(
        "what is acknowledged leaves the overlay, shown or not", "read", _overlay_dropped
    ),
    "silent-give-up": Defect(
        f"after {GIVES_UP_AFTER} attempts a request counts as acknowledged", "lost", _silent_give_up
    ),
    "split-without-submission": Defect(
        "each write of a call is sent alone, under an identity of its own",
        "torn",
        _split_without_submission,
    ),
    "mixed-chunks": Defect("two copies of a channel share one identity", "torn", _mixed_chunks),
    "dangling-reference": Defect(
        "what a put that failed was to store counts as stored", "torn", _dangling_reference
    ),
    "wrong-base": Defect(
        "a value is stored against other bytes than those it names", "torn", _wrong_base
    ),
    "epoch-from-thread": Defect(
        "a put takes the epoch of the thread instead of its parent's",
        "resurrected",
        _epoch_from_thread,
    ),
}
