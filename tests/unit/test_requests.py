"""What a saver asks of the core: plain values that compare, and a default that is not shared."""

from __future__ import annotations

import dataclasses

import pytest

from langgraph.checkpoint.kusto._frames import Base, EncodedValues, KnownBase
from langgraph.checkpoint.kusto._requests import PutRequest, WritesRequest
from langgraph.checkpoint.kusto._rows import CheckpointKey
from langgraph.checkpoint.kusto._values import BlobRef, encode_frame, encode_value

KEY = CheckpointKey("t", "", "1")


def put(**changes: object) -> PutRequest:
    request = PutRequest(
        key=KEY,
        parent_checkpoint_id="0",
        run_id="r",
        checkpoint=("msgpack", b"c"),
        metadata=("json", b"m"),
        values={"a": ("msgpack", b"1")},
        reused={"b": BlobRef("b1", 1, 5, 9)},
        versions={"a": 1, "b": 2},
        columns={"step": 1},
    )
    return dataclasses.replace(request, **changes)  # type: ignore[arg-type]


def test_a_put_of_a_graph_of_its_own_names_no_enclosing_checkpoints() -> None:
    assert put().checkpoint_map == {}
    assert put(checkpoint_map={"": "7"}).checkpoint_map == {"": "7"}


def test_an_epoch_is_inherited_unless_the_caller_decides_it() -> None:
    assert put().epoch == ""
    assert put(epoch="e1").epoch == "e1"
    assert WritesRequest(KEY, "r", "task", "path", []).epoch == ""
    assert WritesRequest(KEY, "r", "task", "path", [], "e1").epoch == "e1"


def test_what_a_copy_refers_to_is_no_parents() -> None:
    """Only what was taken from a parent has to be of the row's own life."""
    assert put().reused_of == ""
    assert put(reused_of="e1").reused_of == "e1"


def test_nobody_hears_of_the_blobs_unless_asked_for() -> None:
    heard: list[object] = []
    assert put().on_submitted is None
    request = put(on_submitted=heard.append)
    assert request.on_submitted is not None
    request.on_submitted({})
    assert heard == [{}]


def test_what_one_put_is_given_is_not_shared_with_another() -> None:
    one, other = put(), put()

    assert one == other
    assert one.checkpoint_map is not other.checkpoint_map


def test_requests_compare_by_what_they_ask() -> None:
    asked = WritesRequest(KEY, "r", "task", "path", [(0, "a", ("msgpack", b"1"))])

    assert asked == WritesRequest(KEY, "r", "task", "path", [(0, "a", ("msgpack", b"1"))])
    assert asked != dataclasses.replace(asked, writes=[(1, "a", ("msgpack", b"1"))])
    assert put() != put(run_id="other")


def test_a_request_cannot_change_while_it_waits() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        put().run_id = "other"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        WritesRequest(KEY, "", "t", "", []).task_id = "other"  # type: ignore[misc]


# ---------------------------------------------------------------------------------------- encoding


def test_the_size_is_that_of_the_values_and_the_body() -> None:
    assert put().size_bytes == 2
    values = {"a": ("msgpack", bytes(300)), "b": ("a long tag", bytes(50))}
    assert put(values=values, checkpoint=("json", bytes(7))).size_bytes == 357


def test_body_metadata_and_values_are_encoded() -> None:
    body, metadata, values = put().encode({})

    assert body == encode_value("msgpack", b"c")
    assert metadata == encode_value("json", b"m")
    assert values == EncodedValues({"a": encode_value("msgpack", b"1")}, frozenset())


def test_values_are_encoded_against_what_is_known_and_frames_ride_on() -> None:
    base, ref = bytes(range(256)) * 40, BlobRef("k", 1, 9_000, 5)
    rides = encode_frame("msgpack", base + b"old", base, ref)
    request = put(values={"a": ("msgpack", base + b"new")}, riding={"b": rides})
    known = {"a": KnownBase(Base("k", "msgpack", ref), base, None)}
    values = request.encode(known)[2].values

    assert values.keys() == {"a", "b"}
    assert (values["a"].base, values["b"].base) == (ref, ref)
    assert values["b"].payload == rides.payload
