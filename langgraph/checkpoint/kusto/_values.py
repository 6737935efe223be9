"""Values as stored bytes: compress where it pays, hash, inline or spill, cut into chunks (pure).

What a value means is the serializer's business; here it is a type tag and bytes. When a value is
stored against another one is decided in `_frames`.
"""

from __future__ import annotations

import hashlib
import sys
from base64 import b64decode, b64encode
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

import orjson

from .errors import CorruptValueError, UnknownCodecError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

RAW = "raw"
ZSTD = "zstd"
FRAME = "zstd-prefix"
"""Compressed against the bytes of an earlier value, which are needed to read it."""

CELL_CHARS = 960_000
"""Largest base64 cell: well under the 1 MB where Kusto silently truncates a string, also where the
BigObject encoding policy is missing."""

CHUNK_BYTES = CELL_CHARS // 4 * 3
"""Stored bytes in one chunk."""

INLINE_VALUE_CHARS = 32_000
"""A value whose base64 is longer than this goes to CheckpointBlobs."""

INLINE_FRAME_CHARS = 128_000
"""The same of a frame: what it stands for is far larger."""

INLINE_ROW_CHARS = 512_000
"""All values inlined in one checkpoint row; beyond it the largest go to CheckpointBlobs."""

OFF_LOOP_BYTES = 1024 * 1024
"""Compressing, encoding or decoding more than this belongs into a worker thread."""

MAX_VALUE_BYTES = 1024 * 1024 * 1024
"""Upper bound of one serialised value; a larger one is refused, naming channel and size."""

LEAST_BASE_BYTES = 8
"""Shorter ones are no prefix to zstd."""

_ROW_END = b'"}'
_COMPRESS_FROM_BYTES = 512  # below it a frame header and the CPU cost more than they save
_COMPRESSION_LEVEL = 3
_SMALL_BYTES = 16 * 1024  # up to here a lower level gives messages the same size, in less time
_SMALL_LEVEL = 1
_MOST_COMPRESSORS = 4  # kept; one that has seen small values only takes about 0.1 MB
_PAYS = 0.9  # keep raw unless at least a tenth is saved
_LONG_DISTANCE_BYTES = 1024 * 1024  # less is matched as well without, in half the time
_WINDOW_LOG_MAX = 31  # zstd.h: ZSTD_WINDOWLOG_MAX_64; what `window_log` can reach here


def corrupt(what: str) -> CorruptValueError:
    """The error of a stored part that is not what this library wrote."""
    return CorruptValueError(
        f"{what}; the stored rows are damaged: use an earlier checkpoint of the thread, or delete"
        " the thread"
    )


@dataclass(frozen=True)
class BlobRef:
    """A reference in a checkpoint row to a value stored in `CheckpointBlobs`."""

    blob_id: str
    chunks: int
    stored_bytes: int
    written_at: int
    base: BlobRef | None = None
    """Of a frame: the value it was compressed against."""
    spent: int = 0
    """Of a frame: bytes of frames stored since the value at the end of the chain, its own too."""

    def chain(self) -> Iterator[BlobRef]:
        """Everything that is needed to read the value: it, its base, the base of that."""
        ref: BlobRef | None = self
        while ref is not None:
            yield ref
            ref = ref.base

    @property
    def depth(self) -> int:
        """How many bases it needs."""
        return 0 if self.base is None else 1 + self.base.depth

    @property
    def keyframe(self) -> BlobRef:
        """The value at the end of the chain, which needs no other."""
        return self if self.base is None else self.base.keyframe


@dataclass(frozen=True)
class Encoded:
    """One value as it is stored: `payload` is `encoding` of `value_bytes` bytes."""

    value_type: str
    encoding: str
    value_bytes: int
    value_hash: str
    payload: bytes
    base: BlobRef | None = None
    """Of a frame: the value it was compressed against."""
    spent: int = 0
    """Of a frame that rides in a row: characters of such frames against this base, its own too."""

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
        compressed = _compress(data)
        if len(compressed) < len(data) * _PAYS:
            encoding, payload = ZSTD, compressed
    return Encoded(value_type, encoding, len(data), hash_value(data), payload)


# Making one takes as long as compressing 5 kB. Threads take them out and put them back.
_compressors: list[zstd.ZstdCompressor] = []


def _compress(data: bytes) -> bytes:
    if len(data) > _SMALL_BYTES:
        return zstd.compress(data, _COMPRESSION_LEVEL)
    try:
        compressor = _compressors.pop()
    except IndexError:
        compressor = zstd.ZstdCompressor(level=_SMALL_LEVEL)
    compressed = compressor.compress(data, zstd.ZstdCompressor.FLUSH_FRAME)
    if len(_compressors) < _MOST_COMPRESSORS:
        _compressors.append(compressor)
    return compressed


def encode_frame(value_type: str, data: bytes, base: bytes, ref: BlobRef | None) -> Encoded:
    """Compress a serialised value against the bytes of an earlier one.

    What reads it must use the same bytes: a prefix has no id, and other bytes decompress to
    nonsense. The checksum of the frame and the hash of the value say so then.

    Args:
        value_type: The tag of the serializer.
        data: The serialised value.
        base: The earlier value, of `LEAST_BASE_BYTES` at least.
        ref: Where that is stored.
    """
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: _COMPRESSION_LEVEL,
        zstd.CompressionParameter.checksum_flag: 1,
        # All of the base has to be in sight from the last byte of the value.
        zstd.CompressionParameter.window_log: _window_log(len(base) + len(data)),
    }
    if len(base) + len(data) >= _LONG_DISTANCE_BYTES:
        options[zstd.CompressionParameter.enable_long_distance_matching] = 1
    prefix = zstd.ZstdDict(base, is_raw=True).as_prefix
    payload = zstd.compress(data, options=options, zstd_dict=prefix)
    return Encoded(value_type, FRAME, len(data), hash_value(data), payload, ref)


def decode_value(stored: Encoded, where: str, base: bytes | None = None) -> bytes:
    """Give back the serialised bytes, checked against their hash.

    Args:
        stored: The value as it was read.
        where: What the value is, for the error.
        base: Of a frame: the bytes of the value it was compressed against.

    Raises:
        UnknownCodecError: The encoding is of a newer version of this library.
        CorruptValueError: The bytes are not those that were stored.
    """
    if stored.encoding == RAW:
        data = stored.payload
    elif stored.encoding == ZSTD:
        try:
            data = _decompress(stored, where, zstd.ZstdDecompressor())
        except zstd.ZstdError as error:
            raise corrupt(f"{where} does not decompress: {error}") from error
    elif stored.encoding == FRAME:
        data = _decode_frame(stored, where, base)
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


def _decode_frame(stored: Encoded, where: str, base: bytes | None) -> bytes:
    if base is None or len(base) < LEAST_BASE_BYTES:
        raise corrupt(f"{where} was stored against another value, and does not say which")
    prefix = zstd.ZstdDict(base, is_raw=True).as_prefix
    window = _window_log(len(base) + stored.value_bytes)
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: window}
    try:
        return _decompress(stored, where, zstd.ZstdDecompressor(prefix, options))
    except zstd.ZstdError as error:
        raise corrupt(f"{where} does not decompress: {error}") from error


def _decompress(stored: Encoded, where: str, decompressor: zstd.ZstdDecompressor) -> bytes:
    """Decompress no more than the value is said to have."""
    if not 0 <= stored.value_bytes <= MAX_VALUE_BYTES:
        raise corrupt(f"{where} is said to have {stored.value_bytes} bytes")
    data = decompressor.decompress(stored.payload, stored.value_bytes + 1)
    whole = decompressor.eof and not decompressor.unused_data
    if not whole or len(data) != stored.value_bytes:
        raise corrupt(f"{where} is not the {stored.value_bytes} bytes that were stored")
    return data


def _window_log(size: int) -> int:
    """So that all of a base and a value is in sight of each other."""
    return max(10, min(_WINDOW_LOG_MAX, size.bit_length()))


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


def choose_inline(
    sizes: Mapping[str, int], budget: int = INLINE_ROW_CHARS, frames: Container[str] = ()
) -> set[str]:
    """Choose which values ride in the checkpoint row: small ones, smallest first, within a budget.

    Args:
        sizes: Length in base64 of each value, by channel.
        budget: Characters the row has for values.
        frames: Channels whose value is a frame.
    """
    chosen: set[str] = set()
    for channel in sorted(sizes, key=lambda name: (sizes[name], name)):
        if sizes[channel] > budget:
            break
        if sizes[channel] <= (INLINE_FRAME_CHARS if channel in frames else INLINE_VALUE_CHARS):
            budget -= sizes[channel]
            chosen.add(channel)
    return chosen
