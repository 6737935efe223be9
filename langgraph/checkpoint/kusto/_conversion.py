"""Between LangGraph's terms and the core's: configs, checkpoints and writes to bytes, and back.

Serialising happens when these are called, so a caller's live containers may change afterwards.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from ._codec import deserialize, deserialize_dict, serialize
from ._columns import kql_columns
from ._config import (
    Place,
    as_config,
    check_dict,
    check_optional,
    check_text,
    checkpoint_map_of,
    run_id_of,
)
from ._delta_channel import delta_counters
from ._listing import ListRange
from ._memory import Memory
from ._requests import PutRequest, Typed, WritesRequest
from ._rows import CheckpointKey
from ._values import BlobRef, Encoded
from .errors import InvalidConfigError


def put_request(
    serde: SerializerProtocol,
    memory: Memory,
    now: int,
    config: RunnableConfig,
    place: Place,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    new_versions: ChannelVersions,
) -> PutRequest:
    """Serialise one `put`.

    LangGraph hands over every value each time. A large one whose channel is not among the new
    versions, and whose stored copy the parent's manifest names, is referred to instead, unless
    retention may take that copy too soon.
    """
    body = dict(check_dict("the checkpoint", checkpoint, "pass one as LangGraph makes them"))
    check_dict("new_versions", new_versions, "pass the channels that changed, {} for none")
    key = place.key(_checkpoint_id_of(body))
    full_metadata = _full_metadata(config, metadata)
    channels = _part_of(body, "channel_values")
    versions = _part_of(body, "channel_versions")
    body.pop("channel_values", None)
    where = _named(key)
    values: dict[str, Typed] = {}
    reused: dict[str, BlobRef] = {}
    doubtful: dict[str, Typed] = {}
    riding: dict[str, Encoded] = {}
    ages = memory.retention.ages(now)
    parent = place.key(place.checkpoint_id) if place.checkpoint_id else None
    epoch = None if parent is None else memory.epochs.of(parent)
    known = parent is not None and memory.manifests.of(parent, epoch) is not None
    for channel, value in channels.items():
        check_text("channel", channel)
        ref = None
        if parent is not None and known and channel not in new_versions:
            version = versions.get(channel)
            ref = memory.manifests.unchanged(parent, channel, version, epoch)
            frame = memory.unchanged_frame(parent, channel, version, epoch)
            if ref is not None and memory.is_lasting(ref, now):
                reused[channel] = ref
                continue
            if ref is None and frame is not None and memory.is_lasting(frame.base, now):
                riding[channel] = frame
                continue
        typed = serialize(serde, value, f"channel {channel!r} of {where}")
        if ref is None or ages is not None:
            values[channel] = typed
        else:
            reused[channel], doubtful[channel] = ref, typed
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
        doubtful=doubtful,
        riding=riding,
        reused_of=(epoch or "") if reused or riding else "",
        counted=delta_counters(full_metadata),
        checkpoint_map=checkpoint_map_of(config),
    )


def _checkpoint_id_of(checkpoint: Mapping[str, Any]) -> str:
    if checkpoint.get("id") is None:
        raise InvalidConfigError("the checkpoint has no id; use any non-empty text")
    checkpoint_id = check_text("checkpoint id", checkpoint["id"])
    if not checkpoint_id:
        raise InvalidConfigError("the checkpoint has an empty id; use any non-empty text")
    return checkpoint_id


def _part_of(checkpoint: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = checkpoint.get(name)
    remedy = "pass a dict by channel, {} for none"
    return {} if found is None else check_dict(f"the checkpoint's {name}", found, remedy)


def _full_metadata(config: RunnableConfig, metadata: CheckpointMetadata) -> CheckpointMetadata:
    """Add what LangGraph takes into the metadata from the config."""
    check_dict("metadata", metadata, "pass {} for none")
    for part in ("metadata", "configurable"):
        name, values = f"config[{part!r}]", config.get(part)
        for key in check_dict(name, values, "leave it out for none") if values else ():
            if not isinstance(key, str):
                raise InvalidConfigError(f"{name} has the key {key!r:.100}; keys must be text")
    return get_checkpoint_metadata(config, metadata)


def _named(key: CheckpointKey) -> str:
    """Name a checkpoint in an error."""
    return (
        f"checkpoint {key.checkpoint_id!r}, namespace {key.checkpoint_ns!r}, thread"
        f" {key.thread_id!r}"
    )


def writes_request(
    serde: SerializerProtocol,
    config: RunnableConfig,
    place: Place,
    writes: Sequence[tuple[str, Any]],
    task_id: str,
    task_path: str,
) -> WritesRequest:
    """Serialise one `put_writes`; `writes` is anything that gives pairs."""
    if not place.checkpoint_id:
        raise InvalidConfigError(
            "put_writes needs config['configurable']['checkpoint_id'], the checkpoint the task runs"
            " on"
        )
    key = place.key(place.checkpoint_id)
    items: list[tuple[int, str, Typed]] = []
    for position, (channel, value) in enumerate(_pairs(writes)):
        check_text("channel", channel)
        where = f"write to channel {channel!r} of task {task_id!r}, {_named(key)}"
        index = WRITES_IDX_MAP.get(channel, position)
        items.append((index, channel, serialize(serde, value, where)))
    return WritesRequest(
        key=key,
        run_id=run_id_of(config),
        task_id=check_text("task_id", task_id),
        task_path=check_text("task_path", task_path),
        writes=items,
    )


def _pairs(writes: Any) -> Iterator[tuple[Any, Any]]:
    """Give channels and values; text of two characters is no pair of them."""
    remedy = "pass [(channel, value), ...]"
    if not isinstance(writes, Iterable) or isinstance(writes, str | bytes | Mapping):
        raise InvalidConfigError(
            f"writes must be pairs of channel and value, not {type(writes).__name__}; {remedy}"
        )
    for position, item in enumerate(writes):
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise InvalidConfigError(
                f"write {position} is no pair of channel and value, but"
                f" {type(item).__name__}; {remedy}"
            )
        yield item[0], item[1]


def list_limit(limit: int | None) -> int | None:
    """Read how many a list gives at most; 0 or less means none.

    Raises:
        InvalidConfigError: It is not a whole number.
    """
    if limit is None:
        return None
    if isinstance(limit, bool) or not hasattr(limit, "__index__"):
        raise InvalidConfigError(
            f"limit must be a whole number, or None for all, not {type(limit).__name__}"
        )
    return max(operator.index(limit), 0)


def next_version(current: Any) -> int:
    """Count on from a channel version: a number, or text that begins with one and a dot.

    Raises:
        InvalidConfigError: It is something else.
    """
    if current is None:
        return 1
    try:
        number = current.split(".")[0] if isinstance(current, str) else current + 0
        return int(number) + 1
    except (ValueError, OverflowError, TypeError):
        raise InvalidConfigError(
            f"the channel version {current!r:.100} ({type(current).__name__}) has no number to"
            " count on from; use those of get_next_version, or numbers"
        ) from None


def list_range(place: Place | None, before: RunnableConfig | None) -> ListRange:
    """Read what a list ranges over; of `before` only the checkpoint id counts, as text."""
    bound = None
    if before is not None:
        remedy = 'pass {"configurable": {"checkpoint_id": "<an id>"}}'
        configurable = check_dict("before", before, remedy).get("configurable")
        bound = check_dict("before['configurable']", configurable, remedy).get("checkpoint_id")
    return ListRange(
        thread_id=None if place is None else place.thread_id,
        checkpoint_ns=None if place is None else place.checkpoint_ns,
        checkpoint_id=None if place is None else place.checkpoint_id,
        before=check_optional("before", bound),
    )


def metadata_of(
    serde: SerializerProtocol, key: CheckpointKey, metadata: Typed
) -> CheckpointMetadata:
    """Deserialise the metadata of a checkpoint.

    Raises:
        DeserializationError: It cannot be read back.
    """
    found = deserialize_dict(serde, metadata, f"the metadata of {_named(key)}")
    return cast(CheckpointMetadata, found)


def checkpoint_tuple(serde: SerializerProtocol, raw: RawCheckpoint) -> CheckpointTuple:
    """Deserialise a whole checkpoint.

    Raises:
        DeserializationError: A value cannot be read back; the message names its channel.
    """
    key = raw.key
    where = _named(key)
    load = partial(deserialize, serde)
    checkpoint = deserialize_dict(serde, raw.checkpoint, f"the body of {where}")
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
        metadata=metadata_of(serde, key, raw.metadata),
        parent_config=parent,
        pending_writes=[
            (
                write.task_id,
                write.channel,
                load(
                    write.value,
                    f"the write to channel {write.channel!r} of task {write.task_id!r}, {where}",
                ),
            )
            for write in raw.writes
        ],
    )
