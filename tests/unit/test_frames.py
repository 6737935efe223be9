"""Values as frames: what is stored against what, how much that is, and that it comes back exact."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from langgraph.checkpoint.kusto import _frames
from langgraph.checkpoint.kusto._frames import (
    APART_CHARS,
    MAX_DEPTH,
    Base,
    KnownBase,
    base_of,
    decode_chain,
    encode_values,
    may_be_base,
)
from langgraph.checkpoint.kusto._values import (
    INLINE_FRAME_CHARS,
    INLINE_ROW_CHARS,
    INLINE_VALUE_CHARS,
    RAW,
    BlobRef,
    Encoded,
    base64_chars,
    choose_inline,
    chunk_count,
    decode_value,
    encode_frame,
    encode_value,
)

K = BlobRef("k", 1, 30_000, 5)


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that do not compress."""
    return random.Random(seed).randbytes(size)


def decode(stored: Encoded, base: bytes | None) -> bytes:
    """Decode one part of a chain."""
    return decode_value(stored, "x", base)


@dataclass
class Row:
    """What one put stored of the channels, and what the next may be stored against."""

    parts: dict[str, Encoded | BlobRef] = field(default_factory=dict)
    bases: dict[str, Base] = field(default_factory=dict)


@dataclass
class Store:
    """Stores values as a saver does, of one thread after the other or beside each other."""

    keeps: int = 1_000
    blobs: dict[str, Encoded] = field(default_factory=dict)
    cached: dict[str, bytes] = field(default_factory=dict)
    chars: int = 0

    def put(self, parent: Row, values: Mapping[str, bytes], tag: str = "msgpack") -> Row:
        """Store the values of one checkpoint."""
        known = {}
        for channel, base in parent.bases.items():
            data = self.cached.get(base.identity)
            if channel in values and data is not None:
                end = "" if base.ref is None else base.ref.keyframe.blob_id
                is_frame = base.ref is not None and base.ref.base is not None
                known[channel] = KnownBase(base, data, self.cached.get(end) if is_frame else None)
        riding = {
            channel: part
            for channel, part in parent.parts.items()
            if channel not in values and isinstance(part, Encoded) and part.base is not None
        }
        found = encode_values({name: (tag, data) for name, data in values.items()}, known, riding)
        rides = choose_inline(
            {name: part.chars for name, part in found.values.items() if name not in found.apart},
            frames={name for name, part in found.values.items() if part.base is not None},
        )
        row = Row()
        for channel, part in found.values.items():
            stored: Encoded | BlobRef = part
            self.chars += part.chars
            if channel not in rides:
                blob_id = f"b{len(self.blobs)}"
                chunks, size = chunk_count(part.payload), len(part.payload)
                stored = BlobRef(blob_id, chunks, size, 1, part.base, part.spent)
                self.blobs[blob_id] = replace(part, base=None, spent=0)
            row.parts[channel] = stored
            if channel not in values:
                continue
            base_found = base_of(stored, tag, values[channel], f"{len(self.blobs)} {channel}")
            if base_found is not None:
                row.bases[channel] = base_found
                if base_found.ref is None or base_found.ref is stored:
                    self.cached[base_found.identity] = values[channel]
        while len(self.cached) > self.keeps:
            del self.cached[next(iter(self.cached))]
        return row

    def read(self, row: Row) -> dict[str, bytes]:
        """Read the values with nothing in mind."""
        found = {}
        for channel, part in row.parts.items():
            if isinstance(part, BlobRef):
                part = replace(self.blobs[part.blob_id], base=part.base)
            found[channel] = decode_chain(part, self.blobs, decode, {})
        return found

    def chain(self, part: Encoded | BlobRef) -> list[str]:
        """The blobs a value needs."""
        ref = part if isinstance(part, BlobRef) else part.base
        return [] if ref is None else [item.blob_id for item in ref.chain()]


# --------------------------------------------------------------------------------------- chains


def test_a_chain_is_decoded_from_its_end_and_each_part_once() -> None:
    first, second, third = noise(20_000), noise(20_000) + b"2", noise(20_000) + b"23"
    middle = BlobRef("m", 1, 9, 5, K, 9)
    blobs = {
        "k": encode_value("t", first),
        "m": replace(encode_frame("t", second, first, None), base=None),
    }
    value = encode_frame("t", third, second, middle)
    seen: dict[str, bytes] = {}

    assert decode_chain(value, blobs, decode, seen) == third
    assert seen == {"k": first, "m": second}
    # What is known is not read again.
    assert decode_chain(value, {}, decode, {"m": second}) == third
    assert decode_chain(value, {"m": blobs["m"]}, decode, {"k": first}) == third
    assert decode_chain(encode_value("t", first), {}, decode, {}) == first


# ------------------------------------------------------------------------------ what is worth it


@pytest.mark.parametrize(
    ("tag", "size", "worth"),
    [
        ("msgpack", APART_CHARS // 4 * 3, True),
        ("msgpack", APART_CHARS // 4 * 3 - 3, False),
        ("msgpack+aes", 100_000, False),
        ("bytes", 100_000, True),
    ],
)
def test_what_may_be_a_base(tag: str, size: int, worth: bool) -> None:
    assert may_be_base(tag, bytes(size)) is worth


def test_a_base_says_where_the_value_is() -> None:
    data = noise(10_000)
    blob = BlobRef("b", 1, 9, 5, K, 9)
    rides = replace(encode_frame("t", data, b"the base", blob), spent=77)

    assert base_of(blob, "t", data, "i") == Base("b", "t", blob)
    assert base_of(rides, "t", data, "i") == Base("b", "t", blob, 77, "i")
    assert base_of(encode_value("t", data), "t", data, "i") == Base("i", "t", None, 0, "")
    assert base_of(encode_value("t", b"small"), "t", b"small", "i") is None


def test_a_base_names_the_bytes_it_takes() -> None:
    frame = BlobRef("f", 1, 9, 5, BlobRef("e", 1, 9, 5, K))

    assert Base("i", "t", None).names() == ["i"]
    assert Base("i", "t", frame).names() == ["i", "k"]


def test_a_value_without_a_base_is_stored_whole() -> None:
    found = encode_values({"a": ("t", b"x" * 9_000), "b": ("t", noise(90_000))}, {}, {})

    assert {name: part.base for name, part in found.values.items()} == {"a": None, "b": None}
    assert found.apart == frozenset()


@pytest.mark.parametrize(
    ("tag", "data"),
    [
        ("json", noise(30_000) + b"end"),  # of another type than the base
        ("t", noise(30_000)[:5_000]),  # small by now
        ("t", noise(30_000, 1)),  # nothing like the base
        ("t", noise(14_000) + noise(16_000, 1)),  # half of it is new
    ],
)
def test_a_value_is_stored_whole_when_a_frame_does_not_pay(tag: str, data: bytes) -> None:
    known = KnownBase(Base("k", "t", K), noise(30_000), None)
    found = encode_values({"c": (tag, data)}, {"c": known}, {})

    assert found.values["c"] == encode_value(tag, data)
    assert found.apart == frozenset()


def test_a_frame_that_pays_rides_in_the_row() -> None:
    data = noise(30_000) + b"end"
    known = KnownBase(Base("k", "t", K, 100), noise(30_000), None)
    found = encode_values({"c": ("t", data)}, {"c": known}, {})
    frame = found.values["c"]

    assert frame.base == K
    assert frame.spent == 100 + frame.chars
    assert found.apart == frozenset()


def test_an_encrypted_value_is_never_a_frame() -> None:
    store = Store()
    first = store.put(Row(), {"c": noise(50_000)}, "msgpack+aes")
    second = store.put(first, {"c": noise(50_000)}, "msgpack+aes")

    assert first.bases == {}
    assert store.blobs[store.chain(second.parts["c"])[0]].encoding == RAW


def test_a_value_that_rode_whole_moves_out_when_the_next_one_is_like_it() -> None:
    store = Store()
    first = store.put(Row(), {"c": noise(12_000)})
    like = store.put(first, {"c": noise(12_000) + b"more"})
    unlike = store.put(first, {"c": noise(12_000, 1)})

    assert isinstance(first.parts["c"], Encoded)
    assert isinstance(like.parts["c"], BlobRef)
    assert like.parts["c"].base is None, "stored whole: nothing was stored before it"
    assert isinstance(unlike.parts["c"], Encoded)
    assert unlike.parts["c"].base is None
    assert store.read(like) == {"c": noise(12_000) + b"more"}


def test_a_value_too_small_to_be_a_base_moves_out_when_it_has_grown() -> None:
    store = Store()
    row = Row()
    for size in range(1_000, 40_000, 500):
        row = store.put(row, {"c": noise(size)})
        part = row.parts["c"]
        alone = isinstance(part, BlobRef) or part.base is not None
        assert alone == (size >= APART_CHARS // 4 * 3 + 500)
        assert store.read(row) == {"c": noise(size)}


# ------------------------------------------------------------------------------------ long threads


@pytest.mark.parametrize("keeps", [1_000, 1])
@pytest.mark.parametrize("step", [50, 500, 5_000])
def test_a_value_that_grows_costs_what_it_grows_by(step: int, keeps: int) -> None:
    """With the keyframe at hand, and without."""
    store, row, data = Store(keeps), Row(), noise(60_000)
    whole = 0
    steps = min(200, 200_000 // step)
    for number in range(steps):
        data += noise(step, number)
        row = store.put(row, {"c": data})
        whole += base64_chars(len(data))
        if number % 7 == 0:
            assert store.read(row) == {"c": data}
        chain = store.chain(row.parts["c"])
        assert len(chain) <= MAX_DEPTH + 1
    grown = base64_chars(steps * step)
    # What the frames repeat of each other, and the first whole value.
    assert store.chars < 8 * grown + 2_200 * steps + 3 * base64_chars(len(data))
    assert store.chars < whole / (5 if step < 5_000 else 3)


def test_few_of_many_steps_need_a_blob() -> None:
    store, row, data = Store(), Row(), noise(100_000)
    for number in range(200):
        data += noise(300, number)
        row = store.put(row, {"c": data})

    assert len(store.blobs) < 40


def test_forks_are_stored_against_their_own_parents() -> None:
    store, rng = Store(), random.Random(3)
    rows = [(store.put(Row(), {"c": noise(30_000)}), noise(30_000))]
    for _ in range(150):
        row, data = rng.choice(rows[-20:])
        cut = rng.randrange(len(data))
        data = data[:cut] + rng.randbytes(rng.choice([1, 40, 2_000])) + data[cut:]
        rows.append((store.put(row, {"c": data}), data))

    for row, data in rows:
        assert store.read(row) == {"c": data}


def test_a_channel_that_does_not_change_rides_along_until_it_pays_to_refer_to_it() -> None:
    store = Store()
    row = store.put(Row(), {"c": noise(60_000), "n": b"0"})
    row = store.put(row, {"c": noise(60_000) + noise(3_000, 1), "n": b"1"})
    assert isinstance(row.parts["c"], Encoded)

    kinds = []
    for number in range(8):
        row = store.put(row, {"n": b"%d" % number})
        kinds.append(type(row.parts["c"]))
        assert store.read(row)["c"] == noise(60_000) + noise(3_000, 1)
        if kinds[-1] is BlobRef:
            break
    assert kinds == [Encoded, BlobRef]
    assert len(store.chain(row.parts["c"])) == 2


def test_a_chain_at_its_bound_is_not_made_longer() -> None:
    deep = K
    for number in range(MAX_DEPTH):
        deep = BlobRef(f"d{number}", 1, 9, 5, deep, 9)
    frame = replace(encode_frame("t", noise(20_000), noise(20_000), deep), spent=10**9)
    found = encode_values({}, {}, {"c": frame})
    assert found.apart == frozenset(), "it goes on riding"

    data = noise(20_000) + b"end"
    known = KnownBase(Base("d", "t", deep, 10**9), noise(20_000), None)
    found = encode_values({"c": ("t", data)}, {"c": known}, {})
    assert found.values["c"] == encode_value("t", data)
    assert found.apart == {"c"}, "a keyframe, small as it is: frames against it will pay"


def test_a_frame_too_large_for_a_row_goes_to_a_blob() -> None:
    base = noise(1_000_000)
    data = base + noise(INLINE_FRAME_CHARS, 1)
    known = KnownBase(Base("k", "t", BlobRef("k", 2, 1_000_000, 5)), base, None)
    found = encode_values({"c": ("t", data)}, {"c": known}, {})

    assert found.apart == {"c"}
    assert found.values["c"].base is not None
    assert found.values["c"].spent == len(found.values["c"].payload)


def test_frames_the_row_has_no_room_for_go_to_blobs() -> None:
    count = INLINE_ROW_CHARS // 20_000 + 20
    base = noise(60_000)
    values = {f"c{n}": ("t", base + noise(14_000, n)) for n in range(count)}
    keyframe = BlobRef("k", 1, 60_000, 5)
    bases = {name: KnownBase(Base("k", "t", keyframe), base, None) for name in values}
    found = encode_values(values, bases, {})

    assert 0 < len(found.apart) < count
    for name, part in found.values.items():
        assert part.base == keyframe
        assert part.spent == (len(part.payload) if name in found.apart else part.chars)
    # The same of frames that only go on riding.
    frames = {name: replace(part, spent=0) for name, part in found.values.items()}
    again = encode_values({}, {}, frames)
    assert 0 < len(again.apart) < count
    for name in again.apart:
        assert again.values[name].spent == len(frames[name].payload)


@pytest.mark.parametrize("size", [6_100, 14_000, 29_000])
def test_a_value_that_shrank_lets_its_large_base_go(size: int) -> None:
    """Reading it would cost what the base costs."""
    large = noise(60_000)
    for base in (BlobRef("k", 1, 60_000, 5), BlobRef("m", 1, 9, 5, BlobRef("k", 1, 60_000, 5), 9)):
        known = KnownBase(Base("k", "t", base), large, None)
        assert known.size_bytes == 60_000
        found = encode_values({"c": ("t", large[-size:])}, {"c": known}, {})
        assert found.values["c"] == encode_value("t", large[-size:])
        assert found.missed == frozenset(), "the next one may well resemble it"
    known = replace(known, data=large[-2 * size + 1 :])
    found = encode_values({"c": ("t", large[-size:])}, {"c": known}, {})
    assert found.values["c"].base is None, "the keyframe is larger still"


def test_what_did_not_pay_is_not_tried_for_some_values() -> None:
    known = KnownBase(Base("k", "t", K), noise(30_000), None)
    assert encode_values({"c": ("t", noise(30_000, 1))}, {"c": known}, {}).missed == {"c"}
    missed = known.base.missed(None)
    assert (missed.misses, missed.skips) == (1, 1)
    tired = replace(known, base=missed)
    found = encode_values({"c": ("t", noise(30_000) + b"more")}, {"c": tired}, {})
    assert found.values["c"].base is None
    again = missed.skipped(missed)
    assert (again.misses, again.skips) == (1, 0)
    assert again.missed(again).skips == 3
    for _ in range(9):
        again = again.missed(again)
    assert again.skips == 15


@pytest.mark.parametrize(("channels", "depth"), [(1, 8), (62, 8), (63, 7), (250, 2), (900, 1)])
def test_with_many_channels_chains_are_shorter(channels: int, depth: int) -> None:
    """All their references have to stand in one row."""
    chain = K
    for number in range(depth):
        data = noise(20_000) + b"end"
        known = KnownBase(Base("b", "t", chain, 10**9), noise(20_000), None)
        others = {f"o{n}": ("t", b"small") for n in range(channels - 1)}
        found = encode_values({"c": ("t", data), **others}, {"c": known}, {})
        assert found.values["c"].base == chain
        chain = BlobRef(f"b{number}", 1, 9, 5, chain, 9)
    known = KnownBase(Base("b", "t", chain, 10**9), noise(20_000), None)
    found = encode_values({"c": ("t", data), **others}, {"c": known}, {})
    assert found.values["c"].base is None


def test_small_values_come_before_frames() -> None:
    sizes = {"small": 10, "frame": INLINE_FRAME_CHARS, "large": INLINE_VALUE_CHARS + 1}

    assert choose_inline(sizes, frames={"frame"}) == {"small", "frame"}
    assert choose_inline(sizes) == {"small"}
    assert choose_inline({"f": INLINE_FRAME_CHARS + 1}, frames={"f"}) == set()


def test_a_keyframe_is_stored_when_the_frames_have_cost_as_much() -> None:
    known = KnownBase(
        Base("m", "t", BlobRef("m", 1, 9, 5, K, 29_000), _frames._REQUEST_CHARS + 1),
        noise(30_000),
        noise(29_000),
    )
    grown = noise(30_000) + noise(2_000, 1)
    found = encode_values({"c": ("t", grown)}, {"c": known}, {})
    assert found.apart == {"c"}
    assert found.values["c"].base is None

    young = BlobRef("m", 1, 9, 5, K, 10)
    base = replace(known.base, ref=young)
    found = encode_values({"c": ("t", grown)}, {"c": replace(known, base=base)}, {})
    frame = found.values["c"]
    assert found.apart == {"c"}
    assert frame.base == young
    assert frame.spent == 10 + len(frame.payload)
    assert decode_value(frame, "x", noise(30_000)) == grown


def test_a_chain_at_its_bound_begins_again_at_the_keyframe() -> None:
    deep = K
    for number in range(MAX_DEPTH):
        deep = BlobRef(f"d{number}", 1, 9, 5, deep, 10)
    base = Base("d", "t", deep, 10**9)
    grown = noise(30_000) + noise(2_000, 1)
    known = KnownBase(base, noise(30_000), noise(29_000))
    found = encode_values({"c": ("t", grown)}, {"c": known}, {})
    frame = found.values["c"]

    assert found.apart == {"c"}
    assert frame.base == K
    assert frame.spent == 10 + len(frame.payload)
    assert decode_value(frame, "x", noise(29_000)) == grown
