"""When a frame pays, when a new base does, and what rides in the row: at the very bounds."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from langgraph.checkpoint.kusto import _frames
from langgraph.checkpoint.kusto._frames import (
    APART_CHARS,
    MAX_DEPTH,
    Base,
    EncodedValues,
    KnownBase,
    base_of,
    encode_values,
)
from langgraph.checkpoint.kusto._values import (
    INLINE_FRAME_CHARS,
    INLINE_ROW_CHARS,
    INLINE_VALUE_CHARS,
    BlobRef,
    Encoded,
    base64_chars,
    encode_frame,
    encode_value,
)

REQUEST = _frames._REQUEST_CHARS


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that do not compress."""
    return random.Random(seed).randbytes(size)


START, DATA = noise(30_000), noise(30_000) + b"end"
K = BlobRef("k", 1, 30_000, 5)
M = BlobRef("m", 1, 900, 5, K, 900)


def encode(known: KnownBase, data: bytes = DATA) -> tuple[Encoded, bool]:
    """One value, and whether it goes to a blob of its own."""
    found = encode_values({"c": ("t", data)}, {"c": known}, {})
    assert found.apart <= {"c"}
    return found.values["c"], "c" in found.apart


def ride(frame: Encoded) -> tuple[Encoded, bool]:
    """One frame that rides on, and whether it goes to a blob."""
    found = encode_values({}, {}, {"c": frame})
    return found.values["c"], "c" in found.apart


def sized(chars: int, base: BlobRef | None = K) -> Encoded:
    """A value of so many characters; a frame, if it has a base."""
    return replace(encode_value("t", noise(chars // 4 * 3)), base=base)


# ------------------------------------------------------------------------------- does a frame pay


@pytest.mark.parametrize(("less", "framed"), [(0, True), (1, False)])
def test_a_frame_is_half_as_large_as_the_keyframe_at_most(less: int, framed: bool) -> None:
    """As it is stored, not as it is compressed against: that may be a far smaller frame."""
    size = 2 * len(encode_frame("t", DATA, START, K).payload) - less
    for ref in (BlobRef("k", 1, size, 5), BlobRef("m", 1, 1, 5, BlobRef("k", 1, size, 5), 1)):
        found, _ = encode(KnownBase(Base("k", "t", ref), START, None))
        assert (found.base == ref) is framed


def test_a_frame_is_half_as_large_as_the_value_at_most() -> None:
    data = noise(14_000) + noise(16_000, 1)
    huge = BlobRef("k", 1, 10**6, 5)
    assert encode(KnownBase(Base("k", "t", huge), START, None), data) == (
        encode_value("t", data),
        False,
    )


@pytest.mark.parametrize("tag", ["t", "t+aes"])
def test_what_would_be_no_base_is_no_frame_either(tag: str) -> None:
    """Small, or encrypted; however much it looks like the one before."""
    least = APART_CHARS // 4 * 3
    known = KnownBase(Base("k", tag, BlobRef("k", 1, least, 5)), noise(least), None)
    data = noise(least - 3) if tag == "t" else noise(least)
    found = encode_values({"c": (tag, data)}, {"c": known}, {})

    assert found.values["c"] == encode_value(tag, data)
    assert found.apart == frozenset()


@pytest.mark.parametrize(("size", "framed"), [(15_000, True), (14_999, False)])
def test_a_value_half_as_large_as_its_base_may_be_a_frame(size: int, framed: bool) -> None:
    found, _ = encode(KnownBase(Base("k", "t", K), START, None), START[:size])
    assert (found.base == K) is framed


# ------------------------------------------------------------------------- what is not tried again


def missed(data: bytes, base: bytes, ref: BlobRef | None) -> frozenset[str]:
    """The channel, if the next value is not tried."""
    known = KnownBase(Base("i", "t", ref), base, None)
    return encode_values({"c": ("t", data)}, {"c": known}, {}).missed


def test_a_large_value_unlike_the_one_before_is_a_miss() -> None:
    least = APART_CHARS // 4 * 3
    assert missed(noise(least), noise(least, 1), None) == {"c"}
    assert missed(noise(least), noise(least, 1), BlobRef("k", 1, least, 5)) == {"c"}
    small = noise(3_000) * 4  # as it is stored: to store it whole in each row costs little
    assert missed(small, noise(12_000, 1), None) == frozenset()


def test_a_large_frame_is_no_miss() -> None:
    data = START + noise(APART_CHARS, 1)
    frame, apart = encode(KnownBase(Base("k", "t", K), START, None), data)
    assert (frame.base, frame.chars >= APART_CHARS, apart) == (K, True, False)
    assert missed(data, START, K) == frozenset()


def test_each_miss_is_remembered_by_the_values_that_follow() -> None:
    fresh = base_of(encode_value("t", START), "t", START, "i")
    assert fresh is not None
    first = fresh.missed(fresh)
    assert (first.misses, first.skips) == (1, 1)
    skipped = fresh.skipped(first)
    assert (skipped.misses, skipped.skips) == (1, 0)
    second = fresh.missed(skipped)
    assert (second.misses, second.skips) == (2, 3)


def test_all_that_may_be_looked_at_counts() -> None:
    assert KnownBase(Base("m", "t", M), bytes(700), None).size_bytes == 700
    assert KnownBase(Base("m", "t", M), bytes(700), bytes(30)).size_bytes == 730


@pytest.mark.parametrize(("others", "is_frame"), [(61, True), (62, False)])
def test_channels_that_did_not_change_make_chains_shorter_too(others: int, is_frame: bool) -> None:
    """Their references stand in the same row: 63 channels may have seven bases each, not eight."""
    chain = K
    for number in range(7):
        chain = BlobRef(f"b{number}", 1, 9, 5, chain, 9)
    known = KnownBase(Base("b", "t", chain, 10**9), START, None)
    riding = {f"o{number}": encode_frame("t", DATA, START, K) for number in range(others)}
    found = encode_values({"c": ("t", DATA)}, {"c": known}, riding)

    assert found.apart == {"c"}
    assert (found.values["c"].base == chain) is is_frame


# --------------------------------------------------------------------------- does a new base pay


@pytest.mark.parametrize(
    ("ref", "keyframe", "cost"),
    [
        (K, None, REQUEST),
        (M, START, REQUEST),
        # Without the keyframe, a new base is one step nearer to the bound of the chain.
        (M, None, REQUEST + base64_chars(30_000) // MAX_DEPTH),
    ],
)
def test_frames_ride_until_they_cost_as_much_as_a_new_base(
    ref: BlobRef, keyframe: bytes | None, cost: int
) -> None:
    rides, apart = encode(KnownBase(Base("k", "t", ref, cost), START, keyframe))
    assert (rides.base, rides.spent, apart) == (ref, cost + rides.chars, False)

    stored, apart = encode(KnownBase(Base("k", "t", ref, cost + 1), START, keyframe))
    assert (stored.base, apart) == (ref, True)
    assert stored.spent == ref.spent + len(stored.payload)


@pytest.mark.parametrize("more", [0, 1])
def test_a_new_keyframe_when_the_frames_have_cost_as_much(more: int) -> None:
    size = len(encode_frame("t", DATA, START, K).payload)
    ref = BlobRef("m", 1, 9, 5, K, K.stored_bytes - size + more)
    found, apart = encode(KnownBase(Base("m", "t", ref, 10**9), START, None))

    assert apart
    if more:
        assert found == encode_value("t", DATA)
    else:
        assert (found.base, found.spent) == (ref, K.stored_bytes)


# ------------------------------------------------------------------------ whole, in the row or not


@pytest.mark.parametrize(
    ("data", "apart"),
    [
        (noise(APART_CHARS // 4 * 3), True),
        (noise(3_000) * 4, False),  # large, and small as it is stored
    ],
)
def test_a_value_moves_out_when_its_stored_form_is_large(data: bytes, apart: bool) -> None:
    found, alone = encode(KnownBase(Base("i", "t", None), data, None), data)
    assert (found, alone) == (encode_value("t", data), apart)


# --------------------------------------------------------------------------------- what rides on


def test_a_frame_rides_on_until_it_has_cost_a_request() -> None:
    frame = encode_frame("t", DATA, START, M)
    rides, apart = ride(replace(frame, spent=REQUEST))
    assert (rides.base, rides.spent, apart) == (M, REQUEST + frame.chars, False)

    stored, apart = ride(replace(frame, spent=REQUEST + 1))
    assert (stored.base, stored.spent, apart) == (M, 900 + len(frame.payload), True)


def test_a_frame_rides_that_is_larger_than_a_value_may_be() -> None:
    frame = sized(INLINE_VALUE_CHARS + 4)
    assert ride(frame) == (replace(frame, spent=frame.chars), False)
    _, apart = ride(sized(INLINE_FRAME_CHARS))
    assert not apart
    _, apart = ride(sized(INLINE_FRAME_CHARS + 4))
    assert apart


def together(values: dict[str, bytes], frames: dict[str, Encoded]) -> EncodedValues:
    """Values without bases, and frames that ride on."""
    return encode_values({name: ("t", data) for name, data in values.items()}, {}, frames)


def test_large_values_take_no_room_from_frames() -> None:
    size = INLINE_ROW_CHARS // 5  # of a value that goes to a blob anyway
    large = {f"v{number}": noise(size // 4 * 3, number) for number in range(5)}
    assert together(large, {"c": sized(INLINE_FRAME_CHARS)}).apart == frozenset()


def test_what_goes_to_blobs_takes_no_room_from_frames() -> None:
    old = replace(sized(20_000), spent=REQUEST + 1)
    frames = {f"f{number}": old for number in range(INLINE_ROW_CHARS // 20_000)}
    found = together({}, {**frames, "c": sized(40_000)})
    assert found.apart == frames.keys()


def test_each_frame_without_room_goes_to_a_blob_whatever_stands_between() -> None:
    frame = sized(INLINE_FRAME_CHARS + 4)
    frames = {f"f{number}": frame for number in range(9)}
    large = {f"v{number}": noise(25_000, number) for number in range(20)}
    found = together(large, frames)
    assert found.apart == frames.keys()
    assert {found.values[name].spent for name in frames} == {len(frame.payload)}
