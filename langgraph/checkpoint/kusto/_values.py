"""Values as stored bytes: compress where it pays, hash, inline or spill, cut into chunks (pure).

What a value means is the serializer's business; here it is a type tag and bytes.
"""

from __future__ import annotations

import hashlib
import sys
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from .errors import CorruptValueError, UnknownCodecError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

RAW = "raw"
ZSTD = "zstd"

CELL_CHARS = 960_000
"""Largest base64 cell: well under the 1 MB where Kusto silently truncates a string, also where the
BigObject encoding policy is missing."""

CHUNK_BYTES = CELL_CHARS // 4 * 3
"""Stored bytes in one chunk."""

INLINE_VALUE_CHARS = 32_000
"""A value whose base64 is longer than this goes to CheckpointBlobs."""

INLINE_ROW_CHARS = 512_000
"""All values inlined in one checkpoint row; beyond it the largest go to CheckpointBlobs."""

OFF_LOOP_BYTES = 1024 * 1024
"""Compressing, encoding or decoding more than this belongs into a worker thread."""

MAX_VALUE_BYTES = 1024 * 1024 * 1024
"""Upper bound of one serialised value; a larger one is refused, naming channel and size."""

_ROW_END = b'"}'
_COMPRESS_FROM_BYTES = 512  # below it a frame header and the CPU cost more than they save
_COMPRESSION_LEVEL = 3
_PAYS = 0.9  # keep raw unless at least a tenth is saved


def corrupt(what: str) -> CorruptValueError:
    """The error of a stored part that is not what this library wrote."""
    return CorruptValueError(
        f"{what}; the stored rows are damaged: use an earlier checkpoint of the thread, or delete"
        " the thread"
    )


@dataclass(frozen=True)
class Encoded:
    """One value as it is stored: `payload` is `encoding` of `value_bytes` bytes."""

    value_type: str
    encoding: str
    value_bytes: int
    value_hash: str
    payload: bytes

    @property
    def chars(self) -> int:
        """Length of the payload in base64."""
        return base64_chars(len(self.payload))


def base64_chars(size: int) -> int:
    """Length of `size` bytes in base64."""
    return (size + 2) // 3 * 4


def hash_value(data: bytes) -> str:
    """Hash a serialised value; the prefix keeps it from looking like a number to Kusto."""
    return "b" + hashlib.blake2b(data, digest_size=16).hexdigest()


def encode_value(value_type: str, data: bytes) -> Encoded:
    """Compress a serialised value where it pays.

    Encrypted values (the tag of `EncryptedSerializer` has a plus sign) do not compress, and trying
    costs time on exactly the large ones.
    """
    encoding, payload = RAW, data
    if len(data) >= _COMPRESS_FROM_BYTES and "+" not in value_type:
        compressed = zstd.compress(data, _COMPRESSION_LEVEL)
        if len(compressed) < len(data) * _PAYS:
            encoding, payload = ZSTD, compressed
    return Encoded(value_type, encoding, len(data), hash_value(data), payload)


def decode_value(stored: Encoded, where: str) -> bytes:
    """Give back the serialised bytes, checked against their hash.

    Args:
        stored: The value as it was read.
        where: What the value is, for the error.

    Raises:
        UnknownCodecError: The encoding is of a newer version of this library.
        CorruptValueError: The bytes are not those that were stored.
    """
    if stored.encoding == RAW:
        data = stored.payload
    elif stored.encoding == ZSTD:
        try:
            data = zstd.decompress(stored.payload)
        except zstd.ZstdError as error:
            raise corrupt(f"{where} does not decompress: {error}") from error
    else:
        raise UnknownCodecError(
            f"{where} has the encoding {stored.encoding!r}, which this version does not know;"
            " upgrade langgraph-checkpoint-kusto"
        )
    if hash_value(data) != stored.value_hash:
        raise corrupt(
            f"{where} does not have the hash it was stored with"
            f" ({len(data)} bytes read, {stored.value_bytes} stored)"
        )
    return data


class ChunkRow:
    """A row that holds one chunk of a payload, encoded when its request leaves.

    Until then it takes no room beside the payload, whose base64 is a third larger.

    Args:
        columns: The columns beside the data.
        payload: All of it.
        chunk: Number of the chunk, from 0.
    """

    __slots__ = ("_end", "_head", "_payload", "_start")

    def __init__(self, columns: Mapping[str, object], payload: bytes, chunk: int) -> None:
        self._head = orjson.dumps(columns)[:-1] + b',"data":"'
        self._payload = payload
        self._start = chunk * CHUNK_BYTES
        self._end = min(self._start + CHUNK_BYTES, len(payload))

    def __len__(self) -> int:
        return len(self._head) + base64_chars(self._end - self._start) + len(_ROW_END)

    def __bytes__(self) -> bytes:
        data = memoryview(self._payload)[self._start : self._end]
        return b"".join((self._head, b64encode(data), _ROW_END))


Line = bytes | ChunkRow
"""One row as JSON, or what becomes one by `bytes()`; `len()` is its size in bytes either way."""


def chunk_count(payload: bytes) -> int:
    """Rows that a payload takes; an empty one takes one."""
    return max(1, -(-len(payload) // CHUNK_BYTES))


def join_chunks(cells: list[str], where: str) -> bytes:
    """Put base64 cells together again."""
    return b"".join(from_base64(cell, where) for cell in cells)


def to_base64(data: bytes) -> str:
    """Write bytes as base64 text."""
    return b64encode(data).decode("ascii")


def from_base64(cell: str, where: str) -> bytes:
    """Read base64 text; anything else is corruption, not something to skip over."""
    try:
        return b64decode(cell, validate=True)
    except ValueError as error:
        raise corrupt(f"{where} is not base64: {error}") from error


def choose_inline(sizes: dict[str, int], budget: int = INLINE_ROW_CHARS) -> set[str]:
    """Choose which values ride in the checkpoint row: small ones, smallest first, within a budget.

    Args:
        sizes: Length in base64 of each value, by channel.
        budget: Characters the row has for values.
    """
    chosen: set[str] = set()
    for channel in sorted(sizes, key=lambda name: (sizes[name], name)):
        if sizes[channel] > min(INLINE_VALUE_CHARS, budget):
            break
        budget -= sizes[channel]
        chosen.add(channel)
    return chosen
