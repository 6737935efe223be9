"""Values as frames: a large value that grows is stored as what changed since an earlier one (pure).

LangGraph hands over the whole value of a channel at each step, and most of it stood there a step
ago. So such a value is compressed against a base: a value stored whole (a keyframe), or one stored
against that (a frame). Rules:

- A frame names its base by blob id, and its row names the whole chain. A base is only what was
  acknowledged or read back, or is waited for before the row is sent.
- A small frame rides in the checkpoint row and costs no request of its own. When those since the
  last base have cost as much as a new base would, a new one is stored.
- Chains are bounded: a new base is stored against the last one, at the bound against the keyframe
  if its bytes are at hand. When the frames since a keyframe have cost as much, there is a new one.
- Encrypted values are never framed: they have nothing in common with the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace

from ._values import (
    BlobRef,
    Encoded,
    base64_chars,
    choose_inline,
    encode_frame,
    encode_value,
)

APART_CHARS = 8_000
"""A value whose base64 is shorter rides in each row whole, whatever stood there before."""

MAX_DEPTH = 8
"""Bases a value may need. Each is one more blob to read and to decompress."""

_REQUEST_CHARS = 8_000
"""What one more request is worth, in characters that ride in rows instead."""

_MOST_MISSES = 4

_REFS_OF_A_ROW = 500
"""About; with more, the list of references would be a blob of its own, which reading has to fetch
first. So with many channels chains are shorter."""

_PAYS = 2
"""A frame has to be so many times smaller than the keyframe."""


@dataclass(frozen=True)
class Base:
    """What the next value of a channel may be stored against."""

    identity: str
    """Names its bytes, in the cache of this process."""
    value_type: str
    ref: BlobRef | None
    """Where it is stored; None when it rode whole in a row: then it only tells whether the next
    value resembles it."""
    spent: int = 0
    """Characters of the frames against it that rode in rows."""
    frame: str = ""
    """Names the frame against it that the value is, if that rides in the row."""
    misses: int = 0
    """How many values in a row were stored whole because frames did not pay."""
    skips: int = 0
    """Values that are stored whole without trying, since that costs time: more after each miss."""

    def names(self) -> list[str]:
        """What names the bytes that storing a value against it takes: its own, its keyframe's."""
        return [self.identity] if self.ref is None else [self.identity, self.ref.keyframe.blob_id]

    def missed(self, before: Base | None) -> Base:
        """The same, when storing the value against the base before did not pay."""
        misses = min(_MOST_MISSES, 1 + (before.misses if before is not None else 0))
        return replace(self, misses=misses, skips=2**misses - 1)

    def skipped(self, before: Base) -> Base:
        """The same, when storing the value against the base before was not tried."""
        return replace(self, misses=before.misses, skips=before.skips - 1)


@dataclass(frozen=True)
class KnownBase:
    """A base whose bytes are at hand."""

    base: Base
    data: bytes
    keyframe: bytes | None
    """Of a base that is a frame itself: the bytes of its keyframe, if they are at hand."""

    @property
    def size_bytes(self) -> int:
        """What may have to be looked at to store a value against it."""
        return len(self.data) + len(self.keyframe or b"")


@dataclass(frozen=True)
class EncodedValues:
    """The values of one checkpoint as they are to be stored."""

    values: Mapping[str, Encoded]
    apart: frozenset[str]
    """Channels whose value goes to a blob of its own, small as it may be."""
    missed: frozenset[str] = frozenset()
    """Channels whose value is nothing like the one before."""


def encode_values(
    values: Mapping[str, tuple[str, bytes]],
    bases: Mapping[str, KnownBase],
    riding: Mapping[str, Encoded],
) -> EncodedValues:
    """Encode the values of a checkpoint, against their bases where that pays.

    Args:
        values: Type tag and bytes, by channel.
        bases: Of some channels what their values may be stored against.
        riding: Frames in the parent's row, of channels that did not change.
    """
    encoded: dict[str, Encoded] = {}
    apart: set[str] = set()
    missed: set[str] = set()
    depth = max(1, min(MAX_DEPTH, _REFS_OF_A_ROW // max(1, len(values) + len(riding))))
    for channel, frame in riding.items():
        encoded[channel], alone = _ride_again(frame, depth)
        if alone:
            apart.add(channel)
    for channel, (value_type, data) in values.items():
        known = bases.get(channel)
        encoded[channel], alone = _encode(value_type, data, known, depth)
        if alone:
            apart.add(channel)
        elif known is not None and _is_unlike(encoded[channel], data, known):
            missed.add(channel)
    for channel in encoded.keys() - apart - _riding(encoded, apart):
        frame = encoded[channel]
        if frame.base is None:
            continue
        apart.add(channel)  # a frame the row has no room for
        if channel in values:
            encoded[channel] = _new_base(*values[channel], bases[channel], frame, depth)
        else:
            encoded[channel] = replace(frame, spent=frame.base.spent + len(frame.payload))
    return EncodedValues(encoded, frozenset(apart), frozenset(missed))


def _riding(encoded: Mapping[str, Encoded], apart: Container[str]) -> set[str]:
    """What the row has room for, by the same rule as `plan_checkpoint`."""
    return choose_inline(
        {channel: value.chars for channel, value in encoded.items() if channel not in apart},
        frames={channel for channel, value in encoded.items() if value.base is not None},
    )


def _encode(
    value_type: str, data: bytes, known: KnownBase | None, depth: int
) -> tuple[Encoded, bool]:
    """Encode one value, and say whether it has to go to a blob."""
    if known is None or not may_be_base(value_type, data) or known.base.value_type != value_type:
        return encode_value(value_type, data), False
    base = known.base.ref
    if known.base.skips or _shrank(data, known):
        return encode_value(value_type, data), False
    frame = encode_frame(value_type, data, known.data, base)
    if base is None or not _pays(frame, base, data):
        return _whole(value_type, data, frame)
    if known.base.spent <= _cost_of_base(known, base):
        return replace(frame, spent=known.base.spent + frame.chars), False
    return _new_base(value_type, data, known, frame, depth), True


def _pays(frame: Encoded, base: BlobRef, data: bytes) -> bool:
    return len(frame.payload) * _PAYS <= min(base.keyframe.stored_bytes, len(data))


def _is_unlike(whole: Encoded, data: bytes, known: KnownBase) -> bool:
    """Whether a value was stored whole, and in its row, because a frame did not pay."""
    return whole.base is None and whole.chars >= APART_CHARS and not _shrank(data, known)


def _shrank(data: bytes, known: KnownBase) -> bool:
    """Whether reading what a value was stored against would cost far more than the value."""
    base = known.base.ref
    stored = 0 if base is None else base.keyframe.stored_bytes
    return len(data) * _PAYS < max(len(known.data), stored)


def _cost_of_base(known: KnownBase, base: BlobRef) -> int:
    """What a new base costs beyond its own frame."""
    if known.keyframe is not None or base.base is None:
        return _REQUEST_CHARS
    # One step nearer to the bound of the chain, where all has to be stored again.
    return _REQUEST_CHARS + base64_chars(base.keyframe.stored_bytes) // MAX_DEPTH


def _whole(value_type: str, data: bytes, frame: Encoded) -> tuple[Encoded, bool]:
    """Store a value whole; apart from the row, if frames against it are likely to pay.

    Args:
        value_type: Its type tag.
        data: Its bytes.
        frame: The same against the value before.
    """
    whole = encode_value(value_type, data)
    alike = len(frame.payload) * _PAYS <= len(whole.payload)
    return whole, alike and whole.chars >= APART_CHARS


def _new_base(
    value_type: str, data: bytes, known: KnownBase, frame: Encoded, depth: int
) -> Encoded:
    """Encode a value that others will be stored against: a frame in a short chain, or whole."""
    base = frame.base
    if base is None or (base.depth >= depth and known.keyframe is None):
        return encode_value(value_type, data)
    if base.depth >= depth:
        frame = encode_frame(value_type, data, known.keyframe or b"", base.keyframe)
    spent = base.spent + len(frame.payload)
    if spent > base.keyframe.stored_bytes:
        return encode_value(value_type, data)
    return replace(frame, spent=spent)


def _ride_again(frame: Encoded, depth: int) -> tuple[Encoded, bool]:
    """Let the frame of a value that did not change ride in one more row, or go to a blob.

    Gives the frame, and whether it has to go to a blob.
    """
    base = frame.base
    if base is not None and frame.spent > _REQUEST_CHARS and base.depth < depth:
        return replace(frame, spent=base.spent + len(frame.payload)), True
    return replace(frame, spent=frame.spent + frame.chars), False


def base_of(stored: Encoded | BlobRef, value_type: str, data: bytes, identity: str) -> Base | None:
    """What the value that follows may be stored against; None for a small one.

    Args:
        stored: The value as it stands in its row, or where it is.
        value_type: Its type tag.
        data: Its bytes.
        identity: Names what rides in a row.
    """
    if not may_be_base(value_type, data):
        return None
    if isinstance(stored, BlobRef):
        return Base(stored.blob_id, value_type, stored)
    if stored.base is not None:
        return Base(stored.base.blob_id, value_type, stored.base, stored.spent, identity)
    return Base(identity, value_type, None)


def may_be_base(value_type: str, data: bytes) -> bool:
    """Whether a value is worth keeping for the next one to be stored against.

    The tag of an encrypted value has a plus sign (`EncryptedSerializer`).
    """
    return "+" not in value_type and base64_chars(len(data)) >= APART_CHARS


def decode_chain(
    stored: Encoded,
    blobs: Mapping[str, Encoded],
    decode: Callable[[Encoded, bytes | None], bytes],
    decoded: dict[str, bytes],
) -> bytes:
    """Give back the bytes of a value, after those of everything it was stored against.

    Args:
        stored: The value.
        blobs: The stored copies of its bases, by blob id.
        decode: Decodes one, given the bytes of its base.
        decoded: Bytes of copies that are known, by blob id; those found here are added.
    """
    chain = [] if stored.base is None else list(stored.base.chain())
    known = next((n for n, ref in enumerate(chain) if ref.blob_id in decoded), len(chain))
    base = decoded[chain[known].blob_id] if known < len(chain) else None
    for ref in reversed(chain[:known]):
        base = decoded[ref.blob_id] = decode(blobs[ref.blob_id], base)
    return decode(stored, base)
