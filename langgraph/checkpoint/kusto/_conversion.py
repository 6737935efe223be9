"""Between LangGraph's terms and the core's: configs, checkpoints and writes to bytes, and back.

Serialising happens when these are called, so a caller's live containers may change afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from ._assembly import RawCheckpoint
from ._caches import Manifests
from ._codec import deserialize, serialize
from ._columns import kql_columns
from ._config import (
    Place,
    as_config,
    check_text,
    checkpoint_map_of,
    configurable_of,
    run_id_of,
)
from ._core import oldest_reusable
from ._listing import ListRange
from ._requests import PutRequest, Typed, WritesRequest
from ._rows import BlobRef, CheckpointKey
from .errors import InvalidConfigError


def put_request(
    serde: SerializerProtocol,
    manifests: Manifests,
    config: RunnableConfig,
    place: Place,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    new_versions: ChannelVersions,
) -> PutRequest:
    """Serialise one `put`.

    LangGraph hands over every value each time. A large one whose channel is not among the new
    versions, and whose stored copy the parent's manifest names, is referred to instead.
    """
    key = place.key(check_text("checkpoint id", checkpoint["id"]))
    if not key.checkpoint_id:
        raise InvalidConfigError("the checkpoint has an empty id; use any non-empty text")
    full_metadata = get_checkpoint_metadata(config, metadata)
    body: dict[str, Any] = dict(checkpoint)
    channels: Mapping[str, Any] = body.pop("channel_values", None) or {}
    versions: Mapping[str, Any] = checkpoint.get("channel_versions") or {}
    where = (
        f"checkpoint {key.checkpoint_id!r}, namespace {key.checkpoint_ns!r}, thread"
        f" {key.thread_id!r}"
    )
    values: dict[str, Typed] = {}
    reused: dict[str, BlobRef] = {}
    parent = place.key(place.checkpoint_id) if place.checkpoint_id else None
    for channel, value in channels.items():
        check_text("channel", channel)
        ref = None
        if parent is not None and channel not in new_versions:
            version = versions.get(channel)
            ref = manifests.unchanged(parent, channel, version, oldest_reusable())
        if ref is not None:
            reused[channel] = ref
        else:
            values[channel] = serialize(serde, value, f"channel {channel!r} of {where}")
    return PutRequest(
        key=key,
        parent_checkpoint_id=place.checkpoint_id or "",
        run_id=run_id_of({**config, "metadata": full_metadata}),
        checkpoint=serialize(serde, body, f"the body of {where}"),
        metadata=serialize(serde, full_metadata, f"the metadata of {where}"),
        values=values,
        reused=reused,
        versions=dict(versions),
        columns=kql_columns(cast(Mapping[str, Any], full_metadata), versions),
        checkpoint_map=checkpoint_map_of(config),
    )


def writes_request(
    serde: SerializerProtocol,
    config: RunnableConfig,
    place: Place,
    writes: Sequence[tuple[str, Any]],
    task_id: str,
    task_path: str,
) -> WritesRequest:
    """Serialise one `put_writes`; `writes` is anything one can iterate over."""
    if not place.checkpoint_id:
        raise InvalidConfigError(
            "put_writes needs config['configurable']['checkpoint_id'], the checkpoint the task runs"
            " on"
        )
    key = place.key(place.checkpoint_id)
    items: list[tuple[int, str, Typed]] = []
    for position, (channel, value) in enumerate(writes):
        check_text("channel", channel)
        where = (
            f"write to channel {channel!r} of task {task_id!r}, checkpoint {key.checkpoint_id!r},"
            f" thread {key.thread_id!r}"
        )
        index = WRITES_IDX_MAP.get(channel, position)
        items.append((index, channel, serialize(serde, value, where)))
    return WritesRequest(
        key=key,
        run_id=run_id_of(config),
        task_id=check_text("task_id", task_id),
        task_path=check_text("task_path", task_path),
        writes=items,
    )


def list_range(place: Place | None, before: RunnableConfig | None) -> ListRange:
    """Read what a list ranges over; of `before` only the checkpoint id counts, as text."""
    bound = None if before is None else configurable_of(before).get("checkpoint_id")
    return ListRange(
        thread_id=None if place is None else place.thread_id,
        checkpoint_ns=None if place is None else place.checkpoint_ns,
        checkpoint_id=None if place is None else place.checkpoint_id,
        before=check_text("before", bound) if bound else None,
    )


def checkpoint_tuple(serde: SerializerProtocol, raw: RawCheckpoint) -> CheckpointTuple:
    """Deserialise a whole checkpoint.

    Raises:
        DeserializationError: A value cannot be read back; the message names its channel.
    """
    key = raw.key
    where = f"checkpoint {key.checkpoint_id!r} of thread {key.thread_id!r}"
    load = partial(deserialize, serde)
    checkpoint = load(raw.checkpoint, f"the body of {where}")
    checkpoint["channel_values"] = {
        channel: load(value, f"channel {channel!r} of {where}")
        for channel, value in raw.values.items()
    }
    parent = None
    if raw.parent_checkpoint_id:
        parent_key = CheckpointKey(key.thread_id, key.checkpoint_ns, raw.parent_checkpoint_id)
        parent = cast(RunnableConfig, as_config(parent_key))
    return CheckpointTuple(
        config=cast(RunnableConfig, as_config(key)),
        checkpoint=cast(Checkpoint, checkpoint),
        metadata=load(raw.metadata, f"the metadata of {where}"),
        parent_config=parent,
        pending_writes=[
            (
                write.task_id,
                write.channel,
                load(write.value, f"a write of task {write.task_id!r} of {where}"),
            )
            for write in raw.writes
        ],
    )
