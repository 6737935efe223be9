"""The savers under test: how tests make them, and the sync saver behind async names.

Bodies speak to a saver through its async methods only, plus `setup`, `flush` and `aclose`.
"""

from __future__ import annotations

import asyncio
import copy
import gc
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from langgraph.checkpoint.kusto import Fork, KustoSaver, ThreadPrune

MakeSaver = Callable[..., Any]
"""Makes a saver for the place of the test, with the constructor's keywords; closed at the end."""

_END: Any = object()


class SyncMethodsSaver(BaseCheckpointSaver[str]):
    """A `KustoSaver` whose async methods run its sync methods in worker threads."""

    def __init__(self, saver: KustoSaver) -> None:
        self.saver = saver  # before super(), which sets `serde`

    @property
    def serde(self) -> SerializerProtocol:
        return self.saver.serde

    @serde.setter
    def serde(self, serde: SerializerProtocol) -> None:
        self.saver.serde = serde

    def __copy__(self) -> SyncMethodsSaver:
        return SyncMethodsSaver(copy.copy(self.saver))

    def __repr__(self) -> str:
        return repr(self.saver)

    async def __aenter__(self) -> SyncMethodsSaver:
        await asyncio.to_thread(self.saver.__enter__)
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.to_thread(self.saver.__exit__, *error)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return await asyncio.to_thread(self.saver.get_tuple, config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        items: Iterator[CheckpointTuple] = self.saver.list(
            config, filter=filter, before=before, limit=limit
        )
        while (item := await asyncio.to_thread(next, items, _END)) is not _END:
            yield item

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return await asyncio.to_thread(self.saver.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        await asyncio.to_thread(self.saver.put_writes, config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        await asyncio.to_thread(self.saver.delete_thread, thread_id)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        await asyncio.to_thread(self.saver.delete_for_runs, run_ids)

    async def adelete_checkpoint(self, config: RunnableConfig) -> bool:
        return await asyncio.to_thread(self.saver.delete_checkpoint, config)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        await asyncio.to_thread(self.saver.copy_thread, source_thread_id, target_thread_id)

    async def aprune(  # type: ignore[override]
        self, thread_ids: Sequence[str], *, strategy: str = "keep_latest", dry_run: bool = False
    ) -> list[ThreadPrune]:
        return await asyncio.to_thread(
            self.saver.prune, thread_ids, strategy=strategy, dry_run=dry_run
        )

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        return await asyncio.to_thread(
            self.saver.get_delta_channel_history, config=config, channels=channels
        )

    async def afind_forks(self, config: RunnableConfig) -> list[Fork]:
        return await asyncio.to_thread(self.saver.find_forks, config)

    def get_next_version(self, current: str | int | float | None, channel: None) -> str:
        return self.saver.get_next_version(current, channel)

    async def setup(self, create: bool = False) -> None:
        await asyncio.to_thread(self.saver.setup, create)

    async def flush(self) -> None:
        await asyncio.to_thread(self.saver.flush)

    async def aclose(self) -> None:
        await asyncio.to_thread(self.saver.close)

    def stats(self) -> dict[str, int]:
        return self.saver.stats()


@contextmanager
def connections_of_dead_loops() -> Iterator[None]:
    """Connections whose event loop was closed cannot be closed any more, only collected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def of_kind(
    kind: str, async_saver: MakeSaver, sync_saver: MakeSaver, defaults: Mapping[str, Any]
) -> MakeSaver:
    """Make savers of one kind, "async" or "sync", behind the same methods."""
    if kind == "async":
        return lambda **options: async_saver(**{**defaults, **options})
    return lambda **options: SyncMethodsSaver(sync_saver(**{**defaults, **options}))
