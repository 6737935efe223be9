"""Writing threads as LangGraph does, and reading them back. Plain data; no fixtures."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timezone
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointTuple
from langgraph.checkpoint.base.id import uuid6


def config_of(
    thread_id: Any, checkpoint_ns: str | None = "", checkpoint_id: str | None = None, **more: Any
) -> RunnableConfig:
    """Name a thread, a namespace, a checkpoint."""
    configurable: dict[str, Any] = {"thread_id": thread_id, **more}
    if checkpoint_ns is not None:
        configurable["checkpoint_ns"] = checkpoint_ns
    if checkpoint_id is not None:
        configurable["checkpoint_id"] = checkpoint_id
    return {"configurable": configurable}


def id_of(config: RunnableConfig) -> str:
    """The checkpoint id of a config."""
    return str(config["configurable"]["checkpoint_id"])


def new_id() -> str:
    """A checkpoint id greater than all before it."""
    return str(uuid6(clock_seq=-1))


def new_checkpoint(
    values: Mapping[str, Any] | None = None,
    versions: Mapping[str, Any] | None = None,
    checkpoint_id: str | None = None,
    **more: Any,
) -> Checkpoint:
    """A checkpoint as LangGraph hands it over."""
    values = dict(values or {})
    body = {
        "v": 4,
        "id": checkpoint_id or new_id(),
        "ts": datetime.now(timezone.utc).isoformat(),
        "channel_values": values,
        "channel_versions": dict(versions if versions is not None else dict.fromkeys(values, 1)),
        "versions_seen": {},
        "updated_channels": sorted(values),
        **more,
    }
    return cast(Checkpoint, body)


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that do not compress."""
    return random.Random(seed).randbytes(size)


class Chain:
    """One namespace of a thread, written step by step as LangGraph does.

    Every put hands over all values and names the channels that changed.
    """

    def __init__(self, saver: Any, thread_id: str, checkpoint_ns: str = "", **more: Any) -> None:
        self.saver = saver
        self.thread_id = thread_id
        self.values: dict[str, Any] = {}
        self.versions: dict[str, Any] = {}
        self.config = config_of(thread_id, checkpoint_ns, **more)
        self.stored: list[RunnableConfig] = []

    @property
    def place(self) -> RunnableConfig:
        """The config of the newest checkpoint of this namespace."""
        return config_of(self.thread_id, self.config["configurable"]["checkpoint_ns"])

    async def step(
        self, metadata: Mapping[str, Any] | None = None, **changed: Any
    ) -> RunnableConfig:
        """Put one checkpoint in which some channels changed."""
        self.values |= changed
        new = {name: self.saver.get_next_version(self.versions.get(name), None) for name in changed}
        self.versions |= new
        full = {"source": "loop", "step": len(self.stored), "parents": {}, **(metadata or {})}
        stored = await self.saver.aput(
            self.config, new_checkpoint(self.values, self.versions), full, new
        )
        more = {
            name: value
            for name, value in self.config["configurable"].items()
            if name not in stored["configurable"]
        }
        self.config = {"configurable": {**stored["configurable"], **more}}
        self.stored.append(stored)
        return cast(RunnableConfig, stored)


async def listed(saver: Any, config: RunnableConfig | None, **range_: Any) -> list[CheckpointTuple]:
    """Everything a list gives."""
    return [item async for item in saver.alist(config, **range_)]


async def listed_ids(saver: Any, config: RunnableConfig | None, **range_: Any) -> list[str]:
    """The checkpoint ids a list gives."""
    return [item.checkpoint["id"] for item in await listed(saver, config, **range_)]


async def values_of(saver: Any, config: RunnableConfig) -> dict[str, Any]:
    """The channel values of a checkpoint that must be there."""
    found = await saver.aget_tuple(config)
    assert found is not None, f"no checkpoint for {config}"
    return dict(found.checkpoint["channel_values"])


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds that nobody announces; the test's timeout is the bound."""
    while not await condition():  # noqa: ASYNC110 - nothing announces what happens at the server
        await asyncio.sleep(0.005)
