"""Serializers that fail: the error names thread, namespace, checkpoint, channel, task and type."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from shared.places import Place, local_place
from shared.refusals import refused
from shared.savers import of_kind
from shared.threads import config_of, listed, new_checkpoint, noise, values_of

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, _codec

pytestmark = pytest.mark.local_only


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with local_place() as place:
        yield place


@pytest.fixture(params=["async", "sync"])
def make_saver(
    request: pytest.FixtureRequest,
    async_saver: Callable[..., AsyncKustoSaver],
    sync_saver: Callable[..., KustoSaver],
) -> Callable[..., Any]:
    return of_kind(request.param, async_saver, sync_saver, {})


class Marked:
    """A value that the serializers below have trouble with."""


class Serializer:
    """LangGraph's, but for values of `Marked` on the way out, and for one tag on the way in."""

    def __init__(self, dumped: Callable[[], Any], loaded: Callable[[], Any], tag: str = "") -> None:
        self._inner = JsonPlusSerializer()
        self._dumped = dumped
        self._loaded = loaded
        self._tag = tag

    def dumps_typed(self, obj: Any) -> Any:
        held = obj.values() if isinstance(obj, dict) else [obj]
        marked = any(isinstance(value, Marked) for value in held)
        return self._dumped() if marked else self._inner.dumps_typed(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        return self._loaded() if data[0] == self._tag else self._inner.loads_typed(data)


def raising(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


ID = "1f1e509d-d83a-67f0-bfff-69717c2a9797"
WHERE = f"checkpoint '{ID}', namespace 'child:1', thread 'a thread'"
PLACE = config_of("a thread", "child:1")
CHECKPOINT = config_of("a thread", "child:1", ID)
OUT_REMEDY = "Change the value, or pass a serde= that knows it"
IN_REMEDY = "Read it with the serde it was written with"

DUMPED: dict[str, tuple[Callable[[], Any], str]] = {
    "raises": (raising(LookupError("no form")), "LookupError: no form"),
    "recurses": (raising(RecursionError("too deep")), "RecursionError: too deep"),
    "gives nothing": (lambda: None, "TypeError: cannot unpack non-iterable NoneType object"),
    "gives three": (lambda: ("a", b"", 1), "ValueError: too many values to unpack (expected 2"),
    "gives text": (lambda: ("a", "b"), "TypeError: memoryview: a bytes-like object is required"),
    "gives no data": (
        lambda: ("a", None),
        "TypeError: memoryview: a bytes-like object is required",
    ),
    "gives a tag of bytes": (
        lambda: (b"a", b"b"),
        "TypeError: the serializer gave a tag of type bytes, not str",
    ),
    "gives a tag too long": (
        lambda: ("t" * 2_000_000, b""),
        "ValueError: the serializer gave a tag of more than 1024 bytes",
    ),
    "gives a tag that is no Unicode": (lambda: ("\ud800", b""), "surrogates not allowed"),
}


@pytest.mark.parametrize("trouble", DUMPED)
async def test_a_value_that_cannot_be_serialised(
    make_saver: Callable[..., Any], trouble: str
) -> None:
    dumped, reason = DUMPED[trouble]
    saver = make_saver(serde=Serializer(dumped, raising(AssertionError())))
    bad = Marked()
    checkpoints = {
        "channel": new_checkpoint({"good": 1, "bad": bad}, None, ID),
        "body": new_checkpoint({}, None, ID, updated_channels=bad),
        "none": new_checkpoint({}, None, ID),
    }
    writes = [("good", 1), ("bad", bad)]
    write = f"write to channel 'bad' of task 'the task', {WHERE}"
    for call, what, kind in (
        (saver.aput(PLACE, checkpoints["channel"], {}, {}), f"channel 'bad' of {WHERE}", "Marked"),
        (saver.aput(PLACE, checkpoints["body"], {}, {}), f"the body of {WHERE}", "dict"),
        (
            saver.aput(PLACE, checkpoints["none"], {"a": bad}, {}),
            f"the metadata of {WHERE}",
            "dict",
        ),
        (saver.aput_writes(CHECKPOINT, writes, "the task"), write, "Marked"),
    ):
        error = await refused(
            call,
            "SerializationError",
            f"{what} cannot be serialised: it holds a value of type {kind}; ",
            reason,
            OUT_REMEDY,
        )
        assert isinstance(error, TypeError)
        assert error.__cause__ is not None
    assert saver.stats()["queries"] == saver.stats()["ingest_requests"] == 0
    stored = await saver.aput(PLACE, new_checkpoint({"good": trouble}, None, ID), {}, {})
    assert await values_of(saver, stored) == {"good": trouble}


@pytest.mark.parametrize("part", ["channel", "large channel", "write", "metadata", "body"])
async def test_a_value_that_cannot_be_read_back(
    make_saver: Callable[..., Any], new_id: str, part: str
) -> None:
    """What pickle wrote, read by a serializer that does not take it."""
    odd = 2**80
    thread = config_of(new_id)
    values = {"a": odd if part == "channel" else 1}
    if part == "large channel":
        values["b"] = [odd, noise(50_000)]  # type: ignore[assignment]  # larger than a row takes
    more = {"updated_channels": [odd]} if part == "body" else {}
    metadata: Any = {"source": "loop", **({"note": odd} if part == "metadata" else {})}
    writer = make_saver(serde=JsonPlusSerializer(pickle_fallback=True))
    stored = await writer.aput(thread, new_checkpoint(values, **more), metadata, {"a": 1, "b": 1})
    if part == "write":
        await writer.aput_writes(stored, [("c", odd)], "the task")
    checkpoint_id = stored["configurable"]["checkpoint_id"]
    where = f"checkpoint '{checkpoint_id}', namespace '', thread '{new_id}'"
    what = {
        "channel": f"channel 'a' of {where}",
        "large channel": f"channel 'b' of {where}",
        "write": f"the write to channel 'c' of task 'the task', {where}",
        "metadata": f"the metadata of {where}",
        "body": f"the body of {where}",
    }[part]

    reader = make_saver(
        serde=Serializer(raising(AssertionError()), raising(LookupError("no")), "pickle")
    )
    calls = [reader.aget_tuple(thread), reader.aget_tuple(stored), listed(reader, thread)]
    calls += [listed(reader, thread, filter={"source": "loop"})]
    for call in calls:
        await refused(
            call,
            "DeserializationError",
            f"{what}, stored as 'pickle', cannot be read back: LookupError: no. {IN_REMEDY}",
        )
    assert reader.stats()["errors"] == 4
    assert (await writer.aget_tuple(thread)).checkpoint["channel_values"] == values


@pytest.mark.parametrize("loaded", [None, [], "text", b"x"])
async def test_a_serializer_that_gives_back_something_else(
    make_saver: Callable[..., Any], new_id: str, loaded: Any
) -> None:
    """A wrong key without a checksum: it does not fail, it gives nonsense."""
    thread = config_of(new_id)
    await make_saver().aput(thread, new_checkpoint({"a": 1}), {"source": "loop"}, {"a": 1})
    wrong = Serializer(raising(AssertionError()), lambda: loaded, "msgpack")
    for call, what in (
        (make_saver(serde=wrong).aget_tuple(thread), "the body of"),
        (listed(make_saver(serde=wrong), thread), "the body of"),
        (listed(make_saver(serde=wrong), thread, filter={"source": "x"}), "the metadata of"),
    ):
        await refused(
            call,
            "DeserializationError",
            what,
            f"thread '{new_id}', stored as 'msgpack', cannot be read back: the serializer gave a"
            f" {type(loaded).__name__}, not a dict. {IN_REMEDY}",
        )


async def test_what_is_larger_than_a_value_may_be(
    make_saver: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a bound of 1,000 bytes instead of a gibibyte."""
    monkeypatch.setattr(_codec, "MAX_VALUE_BYTES", 1_000)
    large = b"x" * 1_001
    versions = {f"channel {number}": 1 for number in range(200)}
    saver = make_saver()
    for call, what in (
        (
            saver.aput(PLACE, new_checkpoint({"a": large}, None, ID), {}, {}),
            f"channel 'a' of {WHERE}",
        ),
        (saver.aput(PLACE, new_checkpoint({}, versions, ID), {}, {}), f"the body of {WHERE}"),
        (
            saver.aput(PLACE, new_checkpoint({}, {}, ID), {"a": "x" * 1_001}, {}),
            f"the metadata of {WHERE}",
        ),
        (
            saver.aput_writes(CHECKPOINT, [("a", 1), ("b", large)], "task"),
            f"write to channel 'b' of task 'task', {WHERE}",
        ),
    ):
        error = await refused(
            call,
            "ValueTooLargeError",
            f"{what} has ",
            " bytes, more than 1000; keep large data outside of the state, and a reference to it"
            " inside",
        )
        assert isinstance(error, ValueError)
    assert saver.stats()["ingest_requests"] == 0


async def test_an_untyped_serializer_is_taken(make_saver: Callable[..., Any], new_id: str) -> None:
    """LangGraph still wraps those of old, which only dump and load."""
    stored = await make_saver(serde=pickle).aput(
        config_of(new_id), new_checkpoint({"a": {1, 2}}), {}, {"a": 1}
    )
    assert await values_of(make_saver(serde=pickle), stored) == {"a": {1, 2}}


@pytest.fixture
def new_id(request: pytest.FixtureRequest) -> str:
    """A thread id of this test's own; the database ends with the module."""
    return str(request.node.name)
