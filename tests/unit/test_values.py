"""Values as stored bytes: compression, hashes, chunks, what rides inline."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph.checkpoint.kusto import _values
from langgraph.checkpoint.kusto._values import (
    CELL_CHARS,
    CHUNK_BYTES,
    INLINE_ROW_CHARS,
    INLINE_VALUE_CHARS,
    MAX_VALUE_BYTES,
    RAW,
    ZSTD,
    ChunkRow,
    base64_chars,
    choose_inline,
    chunk_count,
    decode_value,
    encode_value,
    from_base64,
    hash_value,
    join_chunks,
    to_base64,
)
from langgraph.checkpoint.kusto.errors import CorruptValueError, UnknownCodecError

WHERE = "channel 'x'"


# ----------------------------------------------------------------------------------- encode, decode


@given(st.binary(max_size=3_000) | st.binary(max_size=40).map(lambda part: part * 100))
def test_round_trip(data: bytes) -> None:
    stored = encode_value("msgpack", data)

    assert decode_value(stored, WHERE) == data
    assert stored.value_type == "msgpack"
    assert stored.value_bytes == len(data)
    assert stored.value_hash == hash_value(data)
    assert stored.chars == len(to_base64(stored.payload)) == base64_chars(len(stored.payload))
    assert len(stored.payload) <= len(data)


def test_threads_compress_at_once() -> None:
    """Compressors are kept for the next value: each serves one at a time, and a few are kept."""
    values = [bytes(chr(97 + n % 26), "ascii") * (600 * (n + 1)) for n in range(200)]

    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda data: encode_value("msgpack", data), values))

    assert [decode_value(item, WHERE) for item in stored] == values
    assert {item.encoding for item in stored} == {ZSTD}
    assert 0 < len(_values._compressors) <= _values._MOST_COMPRESSORS


def test_a_compressor_too_many_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    most = _values._MOST_COMPRESSORS
    kept = [_values.zstd.ZstdCompressor() for _ in range(most + 1)]
    monkeypatch.setattr(_values, "_compressors", kept)

    assert decode_value(encode_value("msgpack", b"x" * 1_000), "x") == b"x" * 1_000
    assert len(kept) == most


def test_a_compressor_keeps_nothing_of_the_value_before() -> None:
    """What is stored depends on the value alone, however it was compressed the time before."""
    words = b" ".join(b"%d" % (n * 7919) for n in range(400))
    _values._compressors.clear()
    alone = encode_value("msgpack", words)

    for other in (b"x" * 600, words[1:], os.urandom(16_000)):
        encode_value("msgpack", other)
        assert encode_value("msgpack", words) == alone


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"", RAW),
        (b"a" * 511, RAW),
        (b"a" * 512, ZSTD),
        (os.urandom(100_000), RAW),
        (os.urandom(1_000) + b"a" * 50, RAW),  # saves less than a tenth
        (os.urandom(1_000) + b"a" * 500, ZSTD),
    ],
)
def test_compressed_where_it_pays(data: bytes, encoding: str) -> None:
    stored = encode_value("msgpack", data)

    assert stored.encoding == encoding
    assert (stored.payload == data) == (encoding == RAW)
    assert decode_value(stored, WHERE) == data


def test_encrypted_values_are_not_tried() -> None:
    stored = encode_value("msgpack+aes", b"a" * 10_000)

    assert (stored.encoding, stored.payload) == (RAW, b"a" * 10_000)


def test_hash() -> None:
    assert hash_value(b"") == "bcae66941d9efbd404e4d88758ea67670"
    assert hash_value(b"a") != hash_value(b"b")
    assert len(hash_value(os.urandom(1_000))) == 33
    assert hash_value(b"x")[0] == "b"  # Kusto would read some hexadecimal texts as numbers


@pytest.mark.parametrize("size", [0, 1, 100, 5_000])
def test_every_flipped_or_lost_byte_is_noticed(size: int) -> None:
    stored = encode_value("msgpack", b"ab" * size)
    for place in range(0, len(stored.payload), max(1, len(stored.payload) // 50)):
        flipped = bytearray(stored.payload)
        flipped[place] ^= 1
        with pytest.raises(CorruptValueError, match="channel 'x'"):
            decode_value(replace(stored, payload=bytes(flipped)), WHERE)
        with pytest.raises(CorruptValueError, match="channel 'x'"):
            decode_value(replace(stored, payload=stored.payload[:place]), WHERE)
    with pytest.raises(CorruptValueError):
        decode_value(replace(stored, payload=stored.payload + b"x"), WHERE)


def test_bytes_of_another_value_are_noticed() -> None:
    one, other = encode_value("msgpack", b"a" * 1_000), encode_value("msgpack", b"b" * 1_000)

    with pytest.raises(CorruptValueError, match=r"1000 bytes read, 1000 stored.*damaged"):
        decode_value(replace(one, payload=other.payload), WHERE)


def test_an_encoding_of_a_newer_version() -> None:
    stored = replace(encode_value("msgpack", b"x"), encoding="frame")

    with pytest.raises(UnknownCodecError, match=r"channel 'x' has the encoding 'frame'.*upgrade"):
        decode_value(stored, WHERE)


# ------------------------------------------------------------------------------------------ chunks


def test_a_cell_stays_under_the_bound_of_kusto() -> None:
    assert CELL_CHARS <= 1_000_000
    assert base64_chars(CHUNK_BYTES) == CELL_CHARS


def cells_of(payload: bytes) -> list[str]:
    """The cells of all rows of a payload, each row encoded and as long as it says."""
    cells = []
    for chunk in range(chunk_count(payload)):
        row = ChunkRow({"chunk": chunk, "name": 'é"'}, payload, chunk)
        body = orjson.loads(bytes(row))
        assert len(bytes(row)) == len(row)
        assert body == {"chunk": chunk, "name": 'é"', "data": body["data"]}
        cells.append(body["data"])
    return cells


@pytest.mark.parametrize("chunks", [1, 2, 3])
@pytest.mark.parametrize("beyond", [-2, -1, 0, 1, 2])
def test_chunks_at_their_boundaries(chunks: int, beyond: int) -> None:
    payload = os.urandom(chunks * CHUNK_BYTES + beyond)
    cells = cells_of(payload)

    assert len(cells) == chunks + (beyond > 0)
    assert all(len(cell) == CELL_CHARS for cell in cells[:-1])
    assert 0 < len(cells[-1]) <= CELL_CHARS
    assert join_chunks(cells, WHERE) == payload


def test_nothing_is_one_empty_cell() -> None:
    assert cells_of(b"") == [""]
    assert join_chunks([""], WHERE) == b""
    assert join_chunks([], WHERE) == b""


@given(st.binary(max_size=200), st.integers(1, 10).map(lambda quads: quads * 3))
def test_chunks_of_any_size(payload: bytes, chunk_bytes: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_values, "CHUNK_BYTES", chunk_bytes)
        cells = cells_of(payload)

    assert join_chunks(cells, WHERE) == payload
    assert len(cells) == max(1, -(-len(payload) // chunk_bytes))


@given(st.integers(0, 10_000))
def test_length_in_base64(size: int) -> None:
    assert base64_chars(size) == len(to_base64(bytes(size)))


@given(st.binary(max_size=100))
def test_base64_round_trip(data: bytes) -> None:
    assert from_base64(to_base64(data), WHERE) == data


@pytest.mark.parametrize(
    "cell",
    ["YQ", "YQ=", "Y", "YQ==\n", " YQ==", "YQ==YQ==", "Y-_=", "é===", "YWJj\x00YWJj", "===="],
)
def test_what_is_not_base64_is_not_skipped_over(cell: str) -> None:
    with pytest.raises(CorruptValueError, match=r"channel 'x' is not base64.*damaged"):
        from_base64(cell, WHERE)


# ------------------------------------------------------------------------------------------ inline

near = st.integers(INLINE_VALUE_CHARS - 5, INLINE_VALUE_CHARS + 5)
sizes = st.dictionaries(
    st.text(max_size=3),
    st.integers(0, 50) | near,
)


@given(sizes, st.integers(0, 400) | st.integers(0, 200_000))
def test_inline_keeps_the_budget_and_takes_the_smallest(
    values: dict[str, int], budget: int
) -> None:
    chosen = choose_inline(values, budget)
    left = set(values) - chosen

    assert chosen <= set(values)
    assert sum(values[name] for name in chosen) <= budget
    assert all(values[name] <= INLINE_VALUE_CHARS for name in chosen)
    for name in left:
        spent = sum(values[taken] for taken in chosen)
        assert values[name] > INLINE_VALUE_CHARS or spent + values[name] > budget
        assert all(values[taken] <= values[name] for taken in chosen)


@given(sizes)
def test_inline_does_not_depend_on_the_order(values: dict[str, int]) -> None:
    assert choose_inline(values) == choose_inline(dict(reversed(values.items())))


def test_inline_boundaries() -> None:
    assert choose_inline({}) == set()
    assert choose_inline({"a": INLINE_VALUE_CHARS, "b": INLINE_VALUE_CHARS + 1}) == {"a"}
    assert choose_inline({"a": 0, "b": 0}, budget=0) == {"a", "b"}
    assert choose_inline({"a": 10}, budget=10) == {"a"}
    assert choose_inline({"a": 11}, budget=10) == set()
    full = {str(number): INLINE_VALUE_CHARS for number in range(17)}
    assert INLINE_ROW_CHARS == 16 * INLINE_VALUE_CHARS
    assert choose_inline(full) == set(sorted(full)[:16])


def test_no_more_is_decompressed_than_a_value_is_said_to_have() -> None:
    bomb = encode_value("t", bytes(50_000_000))
    assert len(bomb.payload) < 5_000
    for said in (10, 49_999_999, 50_000_001):
        with pytest.raises(CorruptValueError, match=f"is not the {said} bytes"):
            decode_value(replace(bomb, value_bytes=said), "x")
    for said in (-1, MAX_VALUE_BYTES + 1):
        with pytest.raises(CorruptValueError, match=f"is said to have {said} bytes"):
            decode_value(replace(bomb, value_bytes=said), "x")
    with pytest.raises(CorruptValueError, match="is not the 50000000 bytes"):
        decode_value(replace(bomb, payload=bomb.payload + b"more"), "x")


def test_the_largest_value_there_may_be_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = encode_value("t", bytes(5_000))
    assert stored.encoding == ZSTD
    monkeypatch.setattr(_values, "MAX_VALUE_BYTES", 5_000)
    assert decode_value(stored, "x") == bytes(5_000)
    monkeypatch.setattr(_values, "MAX_VALUE_BYTES", 4_999)
    with pytest.raises(CorruptValueError, match="is said to have 5000 bytes"):
        decode_value(stored, "x")


def test_what_rides_in_a_row_is_worth_no_thread() -> None:
    assert INLINE_ROW_CHARS < _values.OFF_LOOP_BYTES


def test_what_rows_already_written_depend_on() -> None:
    """Stored in the tables: another name makes old rows unreadable."""
    assert (RAW, ZSTD) == ("raw", "zstd")
    assert _values.MAX_VALUE_BYTES == 2**30  # documented as 1 GiB
