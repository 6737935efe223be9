"""What a saver asks of the core: one `put` or `put_writes`, serialised, in bytes (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ._frames import EncodedValues, KnownBase, encode_values
from ._rows import CheckpointKey
from ._values import BlobRef, Encoded, encode_value

Typed = tuple[str, bytes]
"""A serialised value: type tag and bytes."""


@dataclass(frozen=True)
class PutRequest:
    """One `put`, serialised by the caller."""

    key: CheckpointKey
    parent_checkpoint_id: str
    run_id: str
    checkpoint: Typed
    metadata: Typed
    values: Mapping[str, Typed]
    reused: Mapping[str, BlobRef]
    """Where the values of channels are that did not change."""
    versions: Mapping[str, Any]
    columns: Mapping[str, Any]
    doubtful: Mapping[str, Typed] = field(default_factory=dict)
    """Of the reused channels those whose copy is not young, serialised too: whether it may be
    referred to is up to the retention policies, which have to be read first."""
    counted: frozenset[str] = frozenset()
    """Delta channels that LangGraph counts updates of."""
    riding: Mapping[str, Encoded] = field(default_factory=dict)
    """Of channels that did not change the frames that ride in the parent's row."""
    checkpoint_map: Mapping[str, str] = field(default_factory=dict)
    epoch: str = ""
    """The epoch, when the caller decides it (a copy of a thread); else it is inherited."""
    reused_of: str = ""
    """The epoch of the parent whose values are reused or riding, if they are a parent's."""
    on_submitted: Callable[[Mapping[str, BlobRef]], None] | None = None
    """Hears, once the rows are submitted, where the large values of the channels are."""

    @property
    def size_bytes(self) -> int:
        """Bytes to encode."""
        return sum(len(data) for _, data in self.values.values()) + len(self.checkpoint[1])

    def encode(self, known: Mapping[str, KnownBase]) -> tuple[Encoded, Encoded, EncodedValues]:
        """Encode the body, the metadata and the values, against what is known of some."""
        return (
            encode_value(*self.checkpoint),
            encode_value(*self.metadata),
            encode_values(self.values, known, self.riding),
        )


@dataclass(frozen=True)
class WritesRequest:
    """One `put_writes` of one task, serialised by the caller: (idx, channel, value)."""

    key: CheckpointKey
    run_id: str
    task_id: str
    task_path: str
    writes: Sequence[tuple[int, str, Typed]]
    epoch: str = ""
    """As in `PutRequest`."""
