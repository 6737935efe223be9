"""What the transport over Microsoft's SDK does to bodies: gzip, JSON. The rest needs a server."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest

from langgraph.checkpoint.kusto._transport import sdk


def row(size: int, chance: random.Random) -> bytes:
    """A row of about so many bytes, most of it base64 of noise."""
    data = b64encode(chance.randbytes(max(0, size - 100) // 4 * 3)).decode()
    return json.dumps({"thread_id": "t", "checkpoint_ns": "", "data": data}).encode()


@pytest.mark.parametrize("size", [100, 4_000, 5_000, 300_000])
def test_a_body_is_gzip_whatever_its_rows(size: int) -> None:
    payload = b"\n".join(row(size, random.Random(number)) for number in range(7))

    assert gzip.decompress(sdk._compress(payload)) == payload


def test_the_names_of_short_rows_are_compressed_away() -> None:
    payload = b"\n".join(row(600, random.Random(1)) for _ in range(50))
    huffman = zlib.compressobj(9, strategy=zlib.Z_HUFFMAN_ONLY)

    assert len(sdk._compress(payload)) < len(huffman.compress(payload) + huffman.flush()) / 2


def test_long_rows_are_not_searched_for_repetitions() -> None:
    """Two rows alike: a search would find the second, and costs three times as much."""
    once = row(6_000, random.Random(1))

    assert len(sdk._compress(once + b"\n" + once)) > 1.4 * len(sdk._compress(once))


def test_an_empty_body_is_gzip() -> None:
    assert gzip.decompress(sdk._compress(b"")) == b""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2.5, "é", null, true]}', {"a": [1, 2.5, "é", None, True]}),
        ('["\\ud800"]', ["\ud800"]),  # orjson takes none of these
        ("[Infinity, -Infinity]", [float("inf"), float("-inf")]),
        ("[9223372036854775807, -9223372036854775808]", [2**63 - 1, -(2**63)]),
    ],
)
def test_an_answer_is_read_as_the_sdk_would(text: str, value: Any) -> None:
    assert sdk._from_json(text) == value == json.loads(text)


@pytest.mark.parametrize("text", ["", "{", '{"a": 1', "<html>", '["a"] x'])
def test_what_is_no_json_is_refused_with_the_error_the_sdk_knows(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        sdk._from_json(text)


def test_properties_say_what_those_of_the_sdk_say() -> None:
    ours, theirs = sdk._QuickProperties(), super(sdk._QuickProperties, sdk._QuickProperties)
    ours.set_option("servertimeout", timedelta(seconds=90))
    ours.set_option("deferpartialqueryfailures", False)
    ours.set_parameter("p_thread", 'é "\n\x00 x')
    ours.set_parameter("p_rows", 2**40)  # type: ignore[arg-type]  # the SDK says str

    assert json.loads(ours.to_json()) == json.loads(theirs.to_json(ours))
    assert json.loads(ours.to_json())["Options"]["servertimeout"] == "0:01:30"
