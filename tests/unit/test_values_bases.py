"""Values stored against earlier ones: the bytes of one, its references, its room in a row."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from langgraph.checkpoint.kusto import _values
from langgraph.checkpoint.kusto._values import (
    FRAME,
    INLINE_FRAME_CHARS,
    INLINE_ROW_CHARS,
    INLINE_VALUE_CHARS,
    LEAST_BASE_BYTES,
    BlobRef,
    choose_inline,
    decode_value,
    encode_frame,
    encode_value,
    hash_value,
    zstd,
)
from langgraph.checkpoint.kusto.errors import CorruptValueError

K = BlobRef("k", 2, 900, 5)
M = BlobRef("m", 1, 30, 6, K, 30)
D = BlobRef("d", 1, 40, 7, M, 70)
BASE = random.Random(1).randbytes(5_000)
DATA = BASE + b"and more"


@pytest.mark.parametrize(("ref", "chain"), [(K, [K]), (M, [M, K]), (D, [D, M, K])])
def test_a_reference_knows_all_that_is_needed(ref: BlobRef, chain: list[BlobRef]) -> None:
    assert list(ref.chain()) == chain
    assert ref.depth == len(chain) - 1
    assert ref.keyframe == K


def test_what_is_no_frame_has_no_base() -> None:
    whole = encode_value("t", DATA)
    assert (K.base, K.spent, whole.base, whole.spent) == (None, 0, None, 0)


def test_a_frame_is_small_and_comes_back() -> None:
    frame = encode_frame("t", DATA, BASE, M)

    assert (frame.value_type, frame.encoding, frame.base, frame.spent) == ("t", FRAME, M, 0)
    assert (frame.value_bytes, frame.value_hash) == (len(DATA), hash_value(DATA))
    assert len(frame.payload) < 60
    assert decode_value(frame, "x", BASE) == DATA


def test_the_name_of_the_encoding_stands_in_rows_already_written() -> None:
    assert FRAME == "zstd-prefix"


@pytest.mark.parametrize("base", [None, b"", b"7 bytes"])
def test_a_frame_whose_base_is_missing(base: bytes | None) -> None:
    frame = encode_frame("t", DATA, BASE, M)
    with pytest.raises(CorruptValueError, match=r"^x was stored against another value, and does"):
        decode_value(frame, "x", base)


def test_the_shortest_base_there_may_be() -> None:
    base = b"8 bytes."
    assert len(base) == LEAST_BASE_BYTES == 8
    assert decode_value(encode_frame("t", DATA, base, M), "x", base) == DATA


def test_a_frame_that_is_damaged() -> None:
    """The checksum of the frame tells; without a base of its own, nothing else would."""
    frame = encode_frame("t", DATA, BASE, M)
    for payload in (frame.payload[:-1], b"no frame", frame.payload[:-1] + b"\0"):
        with pytest.raises(
            CorruptValueError, match=r"^x (does not decompress: |is not the \d+ bytes)"
        ):
            decode_value(replace(frame, payload=payload), "x", BASE)
    with pytest.raises(CorruptValueError, match=r"^x does not"):
        decode_value(frame, "x", bytes([BASE[0] ^ 1]) + BASE[1:])


@pytest.mark.parametrize(
    ("size", "window", "is_long"),
    [(100, 10, False), (1_023, 10, False), (2**20 - 1, 20, False), (2**20, 21, True)],
)
def test_how_a_frame_is_compressed(
    monkeypatch: pytest.MonkeyPatch, size: int, window: int, is_long: bool
) -> None:
    """All of the base is in sight; what is matched far away costs time, and only large ones pay."""
    seen: list[dict[str, Any]] = []
    compress = zstd.compress

    def spy(data: bytes, **keywords: Any) -> bytes:
        seen.append(keywords)
        return compress(data, **keywords)

    monkeypatch.setattr(zstd, "compress", spy)
    base = BASE[:50]
    data = bytes(size - len(base))
    frame = encode_frame("t", data, base, M)

    parameter = zstd.CompressionParameter
    expected = {parameter.compression_level: 3, parameter.checksum_flag: 1}
    expected[parameter.window_log] = window
    if is_long:
        expected[parameter.enable_long_distance_matching] = 1
    assert [keywords["options"] for keywords in seen] == [expected]
    assert decode_value(frame, "x", base) == data


def test_no_larger_window_is_read_than_base_and_value_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without being told, zstd refuses more than 128 MiB (zstd.h: ZSTD_WINDOWLOG_LIMIT_DEFAULT)."""
    seen: list[Any] = []
    decompressor = zstd.ZstdDecompressor

    def spy(prefix: Any, options: Any) -> Any:
        seen.append(options)
        return decompressor(prefix, options)

    monkeypatch.setattr(zstd, "ZstdDecompressor", spy)
    assert decode_value(encode_frame("t", DATA, BASE, M), "x", BASE) == DATA
    assert seen == [{zstd.DecompressionParameter.window_log_max: 14}]
    assert _values._window_log(2**31 - 1) == _values._window_log(2**40) == 31


# ------------------------------------------------------------------------------------------ inline


def test_frames_have_more_room_in_a_row_than_values() -> None:
    frames = {f"f{number}": INLINE_FRAME_CHARS for number in range(5)}
    assert 4 * INLINE_FRAME_CHARS == INLINE_ROW_CHARS
    assert choose_inline(frames, frames=frames) == {"f0", "f1", "f2", "f3"}
    assert choose_inline(frames) == set()
    assert choose_inline({"f": INLINE_FRAME_CHARS + 1}, frames={"f"}) == set()
    assert choose_inline({"f": 11, "v": 10}, 20, frames={"f"}) == {"v"}


def test_a_value_too_large_for_a_row_leaves_its_room_to_frames() -> None:
    sizes = {"a": INLINE_VALUE_CHARS + 1, "b": INLINE_VALUE_CHARS + 2, "f": INLINE_FRAME_CHARS}
    assert choose_inline(sizes, INLINE_FRAME_CHARS, frames={"f"}) == {"f"}


def test_a_value_of_one_gibibyte_has_its_base_in_sight() -> None:
    assert (2 * _values.MAX_VALUE_BYTES - 1).bit_length() <= _values._WINDOW_LOG_MAX
