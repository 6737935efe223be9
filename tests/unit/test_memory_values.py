"""What a saver remembers of large values: which may be referred to, and stored against."""

from __future__ import annotations

from dataclasses import replace

import pytest

from langgraph.checkpoint.kusto._clock import TICKS_PER_DAY
from langgraph.checkpoint.kusto._frames import Base, KnownBase
from langgraph.checkpoint.kusto._memory import Memory
from langgraph.checkpoint.kusto._requests import PutRequest
from langgraph.checkpoint.kusto._retention import Periods
from langgraph.checkpoint.kusto._rows import CheckpointKey, CheckpointParts, plan_checkpoint
from langgraph.checkpoint.kusto._stats import Stats
from langgraph.checkpoint.kusto._values import BlobRef, Encoded, encode_frame, encode_value

PARENT = CheckpointKey("thread", "", "1")
KEY = CheckpointKey("thread", "", "2")
NOW = 700_000 * TICKS_PER_DAY
K = BlobRef("k", 1, 9_000, NOW)
M = BlobRef("m", 1, 900, NOW, K, 900)
DATA = bytes(range(256)) * 40


def new_memory(epoch: str = "e") -> Memory:
    """A memory that knows the epoch of the parent."""
    memory = Memory(Stats())
    memory.epochs.remember(PARENT, epoch)
    return memory


def put(**changes: object) -> PutRequest:
    """A put of a child of the parent."""
    request = PutRequest(KEY, "1", "", ("t", b""), ("t", b""), {"c": ("t", DATA)}, {}, {}, {})
    return replace(request, **changes)  # type: ignore[arg-type]


def with_base(memory: Memory, base: Base) -> Memory:
    """The same, with a base for the channel c and its bytes."""
    memory.manifests.remember(PARENT, {}, {"c": 1}, {"c": base}, "e")
    memory.keep({base.identity: DATA}, {})
    return memory


@pytest.mark.parametrize("ref", [K, None])
def test_a_base_whose_bytes_are_here(ref: BlobRef | None) -> None:
    base = Base("k", "t", ref)
    memory = with_base(new_memory(), base)

    assert memory.known_bases(put(), "e", (), NOW) == {"c": KnownBase(base, DATA, None)}
    assert memory.known_bases(put(values={"d": ("t", DATA)}), "e", (), NOW) == {}
    assert memory.known_bases(put(parent_checkpoint_id="0"), "e", (), NOW) == {}
    assert memory.known_bases(put(parent_checkpoint_id=""), "e", (), NOW) == {}


def test_a_base_whose_bytes_are_gone() -> None:
    memory = new_memory()
    memory.manifests.remember(PARENT, {}, {"c": 1}, {"c": Base("k", "t", K)}, "e")

    assert memory.known_bases(put(), "e", (), NOW) == {}


def test_the_keyframe_of_a_base_that_is_a_frame() -> None:
    base = Base("m", "t", M)
    memory = with_base(new_memory(), base)
    assert memory.known_bases(put(), "e", (), NOW) == {"c": KnownBase(base, DATA, None)}
    memory.keep({"k": b"keyframe"}, {})
    assert memory.known_bases(put(), "e", (), NOW) == {"c": KnownBase(base, DATA, b"keyframe")}


@pytest.mark.parametrize("lost", ["k", "m"])
def test_nothing_is_stored_against_what_was_not_written(lost: str) -> None:
    memory = with_base(new_memory(), Base("m", "t", M))

    assert memory.known_bases(put(), "e", {lost}, NOW) == {}
    assert memory.known_bases(put(), "e", {"other"}, NOW).keys() == {"c"}


def test_nothing_is_stored_against_another_life_of_the_thread() -> None:
    memory = with_base(new_memory(), Base("k", "t", K))
    assert memory.known_bases(put(), "e", (), NOW).keys() == {"c"}
    assert memory.known_bases(put(), "copy", (), NOW) == {}
    assert memory.known_bases(put(), "", (), NOW) == {}


def test_nothing_is_stored_against_what_may_be_gone_before_it() -> None:
    memory = with_base(new_memory(), Base("m", "t", M))
    later = NOW + 20 * TICKS_PER_DAY
    assert memory.known_bases(put(), "e", (), later) == {}, "the periods are not known"
    days = [120, 150, 150, 36_500, 90]
    memory.retention.learn(Periods(*(number * TICKS_PER_DAY for number in days)), later)
    assert memory.known_bases(put(), "e", (), later).keys() == {"c"}
    assert memory.is_lasting(M, later)
    assert not memory.is_lasting(None, later)
    old = replace(M, base=replace(K, written_at=NOW - 20 * TICKS_PER_DAY))
    assert not memory.is_lasting(old, later)
    assert with_base(memory, Base("m", "t", old)).known_bases(put(), "e", (), later) == {}


def test_what_is_a_day_old_is_relied_upon_and_nothing_older() -> None:
    """As long as the periods are not known."""
    memory = new_memory()
    assert memory.is_lasting(K, NOW + TICKS_PER_DAY)
    assert not memory.is_lasting(K, NOW + TICKS_PER_DAY + 1)


def test_a_channel_without_a_base_is_passed_over() -> None:
    memory = new_memory()
    old = BlobRef("old", 1, 9, NOW - 2 * TICKS_PER_DAY)
    refs = {"lost": BlobRef("lost", 1, 9, NOW), "old": old, "c": K}
    bases = {name: Base(ref.blob_id, "t", ref) for name, ref in refs.items()}
    memory.manifests.remember(PARENT, {}, dict.fromkeys(bases, 1), bases, "e")
    memory.keep({"lost": DATA, "old": DATA, "k": DATA}, {})
    request = put(values=dict.fromkeys(["new", "lost", "old", "c"], ("t", DATA)))

    assert memory.known_bases(request, "e", {"lost"}, NOW) == {
        "c": KnownBase(bases["c"], DATA, None)
    }


def test_the_frame_of_a_channel_that_did_not_change() -> None:
    memory = new_memory()
    frame = encode_frame("t", DATA, DATA, K)
    memory.manifests.remember(PARENT, {}, {"c": 1}, {"c": Base("k", "t", K, 5, "s1 c")})
    assert memory.unchanged_frame(PARENT, "c", 1) is None, "it was forgotten"
    memory.keep({}, {"s1 c": frame})

    assert memory.unchanged_frame(PARENT, "c", 1) == frame
    assert memory.unchanged_frame(PARENT, "c", 2) is None
    assert memory.unchanged_frame(KEY, "c", 1) is None
    memory.manifests.remember(PARENT, {"c": K}, {"c": 1})
    assert memory.unchanged_frame(PARENT, "c", 1) is None


# ------------------------------------------------------------------------------------ after a put


def stored(memory: Memory, request: PutRequest, values: dict[str, Encoded]) -> dict[str, BlobRef]:
    """Plan a put and have it remembered; give what went to blobs."""
    parts = CheckpointParts(
        key=request.key,
        parent_checkpoint_id=request.parent_checkpoint_id,
        epoch="e",
        run_id="",
        submission_id="s2",
        written_at=NOW,
        checkpoint=encode_value("t", b""),
        metadata=encode_value("t", b""),
        values=values,
        reused=request.reused,
        apart=frozenset(name for name in values if name.startswith("apart")),
    )
    plan = plan_checkpoint(parts, lambda: "new")
    refs = {copy.channel: copy.ref for copy in plan.copies}
    memory.remember_values(request, plan, refs)
    return refs


def test_values_just_stored_are_bases() -> None:
    memory = new_memory()
    values = {"apart": ("t", DATA), "whole": ("t", DATA[::-1]), "small": ("t", b"1")}
    request = put(values=values, versions=dict.fromkeys(values, 1))
    refs = stored(memory, request, {name: encode_value(*value) for name, value in values.items()})

    assert refs.keys() == {"apart"}
    assert memory.manifests.base(KEY, "apart", "e") == Base("new", "t", refs["apart"])
    assert memory.manifests.base(KEY, "whole", "e") == Base("s2 whole", "t", None)
    assert memory.manifests.base(KEY, "small", "e") is None
    assert memory.base_bytes.get("new") == DATA
    assert memory.base_bytes.get("s2 whole") == DATA[::-1]
    assert memory.manifests.unchanged(KEY, "apart", 1, "e") == refs["apart"]


def test_a_frame_in_the_row_leaves_the_base_as_it_was() -> None:
    memory = with_base(new_memory(), Base("k", "t", K, 100))
    frame = replace(encode_frame("t", DATA + b"more", DATA, K), spent=150)
    request = put(values={"c": ("t", DATA + b"more")}, versions={"c": 2})
    stored(memory, request, {"c": frame})

    assert memory.manifests.base(KEY, "c", "e") == Base("k", "t", K, 150, "s2 c")
    assert memory.unchanged_frame(KEY, "c", 2, "e") == frame
    assert memory.base_bytes.get("k") == DATA


def test_a_frame_in_a_blob_is_the_next_base() -> None:
    memory = with_base(new_memory(), Base("k", "t", K, 100))
    frame = replace(encode_frame("t", DATA + b"more", DATA, K), spent=150)
    request = put(values={"apart": ("t", DATA + b"more")}, versions={"apart": 2})
    refs = stored(memory, request, {"apart": frame})

    assert refs["apart"].base == K
    assert refs["apart"].spent == 150
    assert memory.manifests.base(KEY, "apart", "e") == Base("new", "t", refs["apart"])
    assert memory.base_bytes.get("new") == DATA + b"more"


def test_what_did_not_change_keeps_its_base() -> None:
    memory = with_base(new_memory(), Base("k", "t", K, 100, "s1 c"))
    request = put(values={}, reused={"c": K}, versions={"c": 1})
    stored(memory, request, {})
    assert memory.manifests.base(KEY, "c", "e") == Base("k", "t", K, 100)
    assert memory.manifests.unchanged(KEY, "c", 1, "e") == K

    stored(new := new_memory(), request, {})
    assert new.manifests.base(KEY, "c", "e") is None


@pytest.mark.parametrize("apart", [False, True])
def test_a_frame_that_rides_on(apart: bool) -> None:
    channel = "apart" if apart else "c"
    memory, frame = new_memory(), replace(encode_frame("t", DATA, DATA, K), spent=40)
    base = Base("k", "t", K, 30, "s1 c")
    memory.manifests.remember(PARENT, {}, {channel: 1}, {channel: base}, "e")
    request = put(values={}, riding={channel: frame}, versions={channel: 1})
    refs = stored(memory, request, {channel: frame})

    found = memory.manifests.base(KEY, channel, "e")
    if apart:
        assert found == Base("k", "t", K, 30)
        assert memory.manifests.unchanged(KEY, channel, 1, "e") == refs[channel]
    else:
        assert found == Base("k", "t", K, 40, "s2 c")
        assert memory.unchanged_frame(KEY, channel, 1, "e") == frame

    stored(new := new_memory(), request, {channel: frame})
    assert new.manifests.base(KEY, channel, "e") is None, "the parent was forgotten meanwhile"


def test_a_value_unlike_the_one_before_is_not_tried_again_at_once() -> None:
    memory = with_base(new_memory(), Base("k", "t", K))
    skips = []
    for number in range(40):
        parent = CheckpointKey("thread", "", str(number + 1))
        key = CheckpointKey("thread", "", str(number + 2))
        request = put(
            key=key,
            parent_checkpoint_id=parent.checkpoint_id,
            values={"c": ("t", bytes([number]) * 20_000)},
            versions={"c": number},
        )
        known = memory.known_bases(request, "e", (), NOW)
        encoded = request.encode(known)[2]
        missed = {"c"} if known and not known["c"].base.skips else set()
        parts = CheckpointParts(
            key=key,
            parent_checkpoint_id=parent.checkpoint_id,
            epoch="e",
            run_id="",
            submission_id=f"s{number}",
            written_at=NOW,
            checkpoint=encode_value("t", b""),
            metadata=encode_value("t", b""),
            values=encoded.values,
            reused={},
        )
        plan = plan_checkpoint(parts, lambda: "new")
        memory.remember_values(request, plan, {}, missed)
        base = memory.manifests.base(key, "c", "e")
        assert base is not None
        skips.append(base.skips)

    assert skips[:12] == [1, 0, 3, 2, 1, 0, 7, 6, 5, 4, 3, 2]
    assert max(skips) == 15


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (b"small", {"other"}),  # nothing will be stored against what was there
        (DATA, {"other", "new"}),  # whole: the chain begins anew
    ],
)
def test_bytes_that_nothing_will_be_stored_against_go(value: bytes, left: set[str]) -> None:
    memory = with_base(new_memory(), Base("m", "t", M))
    memory.keep({"k": b"keyframe", "other": DATA}, {})
    request = put(values={"apart": ("t", value)}, versions={"apart": 2})
    bases = {"apart": Base("m", "t", M), "d": Base("other", "t", None)}
    memory.manifests.remember(PARENT, {}, {"apart": 1, "d": 1}, bases, "e")
    whole = encode_value("t", value)
    stored(memory, request, {"apart": whole})

    assert set(memory.base_bytes.keys()) == left


def test_the_bytes_of_a_chain_that_goes_on_stay() -> None:
    memory = with_base(new_memory(), Base("m", "t", M))
    memory.keep({"k": b"keyframe"}, {})
    frame = replace(encode_frame("t", DATA + b"more", DATA, M), spent=150)
    stored(memory, put(values={"c": ("t", DATA + b"more")}, versions={"c": 2}), {"c": frame})

    assert set(memory.base_bytes.keys()) == {"m", "k"}
