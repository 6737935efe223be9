"""One value compressed against another: exact with the same bytes, an error with any other."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph.checkpoint.kusto._values import (
    FRAME,
    BlobRef,
    decode_value,
    encode_frame,
    hash_value,
)
from langgraph.checkpoint.kusto.errors import CorruptValueError

K = BlobRef("k", 1, 30_000, 5)


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that do not compress."""
    return random.Random(seed).randbytes(size)


@given(st.binary(max_size=3_000), st.binary(min_size=8, max_size=3_000), st.binary(max_size=50))
def test_a_frame_round_trips(start: bytes, base: bytes, end: bytes) -> None:
    for data in (start, base + end, start + base, base[: len(base) // 2] + end):
        frame = encode_frame("t", data, base, K)

        assert (frame.encoding, frame.base, frame.value_bytes) == (FRAME, K, len(data))
        assert frame.value_hash == hash_value(data)
        assert decode_value(frame, "x", base) == data


@given(st.binary(min_size=8, max_size=300), st.binary(min_size=8, max_size=300), st.binary())
def test_another_base_never_gives_another_value(base: bytes, other: bytes, end: bytes) -> None:
    data = base * 3 + end
    frame = encode_frame("t", data, base, K)
    try:
        found = decode_value(frame, "x", other)
    except CorruptValueError:
        return
    assert found == data


@pytest.mark.parametrize("size", [1_000, 300_000, 3_000_000])
def test_a_frame_is_as_small_as_what_changed(size: int) -> None:
    base = noise(size)
    data = base[: size // 3] + b"!" + base[size // 3 :] + noise(500, 1)
    frame = encode_frame("t", data, base, K)

    assert len(frame.payload) < 700 + size // 500
    assert decode_value(frame, "x", base) == data


def test_a_base_far_larger_than_the_value() -> None:
    base = noise(2_000_000)
    data = base[:5_000]
    frame = encode_frame("t", data, base, K)

    assert len(frame.payload) < 200
    assert decode_value(frame, "x", base) == data


def test_a_wrong_base_of_the_right_size_is_an_error() -> None:
    base, data = noise(50_000), noise(50_000) + b"more"
    frame = encode_frame("t", data, base, K)
    other = bytes([base[0] ^ 1]) + base[1:]

    with pytest.raises(CorruptValueError, match=r"^x does not"):
        decode_value(frame, "x", other)


@pytest.mark.parametrize("base", [None, b"", b"7 bytes"])
def test_a_frame_without_a_base_is_an_error(base: bytes | None) -> None:
    frame = encode_frame("t", b"the value", b"the base", K)

    with pytest.raises(CorruptValueError, match="stored against another value, and does not say"):
        decode_value(frame, "x", base)


def test_what_is_no_frame_is_an_error() -> None:
    frame = replace(encode_frame("t", b"the value", b"the base", K), payload=b"no frame")

    with pytest.raises(CorruptValueError, match=r"^x does not decompress"):
        decode_value(frame, "x", b"the base")
