"""Every kind of value on every path: small, large, as a pending write, in the metadata."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.base import CipherProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import TASKS
from langgraph.types import Command, Send
from shared.exact_values import (
    VALUES,
    Account,
    Colour,
    Trimmed,
    differences,
    numpy_values,
    pydantic_1_values,
)
from shared.graphs import Effects, asking, fan_out
from shared.places import Place
from shared.processes import ROOT, child_environment
from shared.savers import MakeSaver, of_kind
from shared.threads import Chain, config_of, listed, new_checkpoint, noise, values_of

from langgraph.checkpoint.kusto import ExactSerializer, errors

ALL = {**VALUES, **pydantic_1_values()}

# LangGraph itself, not the serializer, takes NUL out of metadata texts, and their class with it.
NOT_IN_METADATA = {"words", "text of a message"}

SPILLED = 40_000
PADDING = noise(SPILLED).hex()  # text, which every serializer takes


@pytest.fixture(params=["async", "sync"])
def make_saver(
    request: pytest.FixtureRequest,
    async_saver: Callable[..., Any],
    sync_saver: Callable[..., Any],
) -> MakeSaver:
    return of_kind(request.param, async_saver, sync_saver, {})


async def through_the_saver(
    make_saver: MakeSaver, thread_id: str, value: Any, **options: Any
) -> Mapping[str, Any]:
    """Store a value on every path; what a saver that never saw it finds there."""
    writer = make_saver(**options)
    first = await Chain(writer, thread_id).step(
        {"value": value}, small=value, large=[value, PADDING]
    )
    await writer.aput_writes(first, [("small", value), ("large", [value, PADDING])], "task")

    found = await make_saver(**options).aget_tuple(first)
    assert found is not None
    assert found.checkpoint["channel_values"]["large"][1] == PADDING
    writes = {channel: item for _, channel, item in found.pending_writes}
    (item,) = await listed(make_saver(**options), config_of(thread_id))
    return {
        "small": found.checkpoint["channel_values"]["small"],
        "large": found.checkpoint["channel_values"]["large"][0],
        "write": writes["small"],
        "large write": writes["large"][0],
        "listed": item.checkpoint["channel_values"]["small"],
        "metadata": found.metadata["value"],
        "own": (await writer.aget_tuple(first)).checkpoint["channel_values"]["small"],
    }


@pytest.mark.parametrize("name", ALL)
async def test_a_value_comes_back_on_every_path(
    async_saver: Callable[..., Any], thread_id: str, name: str
) -> None:
    found = await through_the_saver(async_saver, thread_id, ALL[name])
    for path, value in found.items():
        if path != "metadata" or name not in NOT_IN_METADATA:
            assert list(differences(ALL[name], value, path)) == []


async def test_all_values_in_one_checkpoint(make_saver: MakeSaver, thread_id: str) -> None:
    saver = make_saver()
    stored = await Chain(saver, thread_id).step(**ALL)
    await saver.aput_writes(stored, list(ALL.items()), "task")

    found = await make_saver().aget_tuple(stored)
    values = found.checkpoint["channel_values"]
    assert list(differences(ALL, {name: values[name] for name in ALL})) == []
    written = {channel: value for _, channel, value in found.pending_writes}
    assert list(differences(ALL, {name: written[name] for name in ALL})) == []


async def test_empty_is_not_absent(make_saver: MakeSaver, thread_id: str) -> None:
    """None, empty containers and a channel without a value are different things."""
    values = {"none": None, "list": [], "dict": {}, "text": "", "tuple": (), "bytes": b""}
    saver = make_saver()
    checkpoint = new_checkpoint(values, {**dict.fromkeys(values, 1), "absent": 1})
    stored = await saver.aput(config_of(thread_id), checkpoint, {}, {"absent": 1})

    found = await values_of(make_saver(), stored)
    assert list(differences(values, {name: found[name] for name in values})) == []
    assert "absent" not in found


@pytest.mark.parametrize("name", list(numpy_values(json)))
async def test_arrays(async_saver: Callable[..., Any], thread_id: str, name: str) -> None:
    numpy = pytest.importorskip("numpy", reason="NumPy is not installed")
    value = numpy_values(numpy)[name]()
    for path, found in (await through_the_saver(async_saver, thread_id, value)).items():
        assert list(differences(value, found, path)) == []


async def test_a_data_frame(make_saver: MakeSaver, thread_id: str) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", None]})
    with pytest.raises(errors.SerializationError, match="DataFrame"):
        await Chain(make_saver(), thread_id).step(frame=frame)
    found = await through_the_saver(
        make_saver, thread_id, frame, serde=ExactSerializer(pickle_fallback=True)
    )
    for value in found.values():
        pandas.testing.assert_frame_equal(value, frame)


# -- refused ---------------------------------------------------------------------------------------


async def test_what_would_not_come_back_is_refused_before_anything_is_stored(
    make_saver: MakeSaver, thread_id: str
) -> None:
    saver = make_saver()
    chain = Chain(saver, thread_id)
    stored = await chain.step(a=1)
    with pytest.raises(
        errors.SerializationError, match=r"channel 'b' of .*memoryview would not come back"
    ):
        await chain.step(b=[memoryview(b"x")])
    with pytest.raises(errors.SerializationError, match=r"write to channel 'b' of task 'task'"):
        await saver.aput_writes(stored, [("a", 1), ("b", memoryview(b"x"))], "task")

    found = await make_saver().aget_tuple(config_of(thread_id))
    assert found.checkpoint["channel_values"] == {"a": 1}
    assert found.pending_writes == []


# -- other serializers -----------------------------------------------------------------------------


class Reversed(CipherProtocol):
    """A cipher for tests."""

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        return "reversed", plaintext[::-1]

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        assert ciphername == "reversed"
        return ciphertext[::-1]


class Json:
    """A serializer of the older kind, with no tags."""

    def dumps(self, obj: Any) -> bytes:
        return json.dumps(obj).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


MIXED = {"tuple": (1, 2**70), "text": "\ud800", "model": Account(name="a", balance=Decimal("1"))}


async def test_encrypted(make_saver: MakeSaver, thread_id: str) -> None:
    serde = EncryptedSerializer(Reversed(), ExactSerializer())
    found = await through_the_saver(make_saver, thread_id, MIXED, serde=serde)
    for path, value in found.items():
        assert list(differences(MIXED, value, path)) == []
    with pytest.raises(errors.DeserializationError, match=r"'msgpack\+reversed'"):
        await make_saver().aget_tuple(config_of(thread_id))


async def test_encrypted_with_aes(make_saver: MakeSaver, thread_id: str) -> None:
    pytest.importorskip("Crypto", reason="pycryptodome is not installed")
    serde = EncryptedSerializer.from_pycryptodome_aes(ExactSerializer(), key=b"k" * 32)
    found = await through_the_saver(make_saver, thread_id, MIXED, serde=serde)
    for path, value in found.items():
        assert list(differences(MIXED, value, path)) == []


async def test_an_older_kind_of_serializer(make_saver: MakeSaver, thread_id: str) -> None:
    value = {"a": [1, 2.5, None, "☃"]}
    found = await through_the_saver(make_saver, thread_id, value, serde=Json())
    assert all(item == value for item in found.values())


async def test_pickle_is_for_those_who_ask_for_it(make_saver: MakeSaver, thread_id: str) -> None:
    serde = ExactSerializer(pickle_fallback=True)
    value = {"range": range(3), "tuple": (1, 2**70)}
    found = await through_the_saver(make_saver, thread_id, value, serde=serde)
    for path, item in found.items():
        assert list(differences(value, item, path)) == []
    with pytest.raises(errors.DeserializationError, match="'pickle'"):
        await make_saver().aget_tuple(config_of(thread_id))


async def test_langgraphs_own_serializer_reads_the_thread(
    make_saver: MakeSaver, thread_id: str
) -> None:
    """And its threads are read by ours: nobody has to convert anything."""
    plain = JsonPlusSerializer(allowed_msgpack_modules=True)
    value = {**MIXED, "pair": Colour.PAIR, "trimmed": Trimmed(text="abc")}
    stored = await Chain(make_saver(), thread_id).step(value=value)
    found = await values_of(make_saver(serde=plain), stored)
    assert list(differences(value, found["value"])) == []

    written = await Chain(make_saver(serde=plain), thread_id).step(value=[(1, 2), {"a": 1}])
    assert (await values_of(make_saver(), written))["value"] == [[1, 2], {"a": 1}]


async def test_a_serializer_given_later_is_used(make_saver: MakeSaver, thread_id: str) -> None:
    saver = make_saver()
    stored = await Chain(saver, thread_id).step(value=(1,))
    saver.serde = EncryptedSerializer(Reversed(), ExactSerializer())
    later = await Chain(saver, thread_id).step(value=(2,))

    assert (await values_of(saver, stored))["value"] == (1,)  # by its tag it is not encrypted
    assert (await values_of(saver, later))["value"] == (2,)
    clone = saver.with_allowlist([("any", "thing")])
    assert (await values_of(clone, later))["value"] == (2,)


def test_a_graph_under_strict_msgpack(place: Place, thread_id: str) -> None:
    """Each compiled graph works on a clone of the saver with an allowlist of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.shared.strict_agent", place.uri, place.database, thread_id],
        env=child_environment({"LANGGRAPH_STRICT_MSGPACK": "true"}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    big = 2**70
    assert json.loads(done.stdout) == {
        "strict": True,
        "cloned": True,
        "serde": "ExactSerializer",
        "asked": f"('sure?', {big})",
        "trail": f"[('work', {big}, '\\ud800'), ('ask', ('yes', {big}))]",
        "account": "Account(name='a', balance=Decimal('1.10'), history=(1, 2))",
        "place": "Place(where=(1.5, -0.0))",
        # Not in the schema, so not on the list: its data, as with any other saver.
        "anything": "[{'a': (1,)}, OrderedDict({'a': (1,)}), bytearray(b'x')]"
        if sys.version_info >= (3, 12)
        else "[{'a': (1,)}, OrderedDict([('a', (1,))]), bytearray(b'x')]",
        "messages": ["HumanMessage", "AIMessage"],
    }


# -- versions, and threads of older LangGraph ------------------------------------------------------


class Numbering(InMemorySaver):
    """A saver of another make, whose versions are numbers or text."""

    def __init__(self, kind: type) -> None:
        super().__init__()
        self.kind = kind

    def get_next_version(self, current: Any, channel: None) -> Any:
        if self.kind is str:
            return f"{int(current.split('.')[0]) + 1 if current else 1:032}.5"
        return self.kind((current or 0) + 1)


def move(source: Any, target: Any, thread_id: str) -> None:
    """Bring a thread from one saver to another through what every saver has."""
    for item in reversed(list(source.list(config_of(thread_id, None)))):
        config = item.parent_config or config_of(thread_id)
        versions = item.checkpoint["channel_versions"]
        stored = target.put(config, item.checkpoint, item.metadata, versions)
        for task_id, channel, value in item.pending_writes or []:
            target.put_writes(stored, [(channel, value)], task_id)


@pytest.mark.parametrize("kind", [int, float, str])
async def test_a_thread_of_another_saver_goes_on(
    sync_saver: Callable[..., Any], thread_id: str, kind: type
) -> None:
    """LangGraph compares the versions of a checkpoint, so they must stay of one type."""
    old, saver, config = Numbering(kind), sync_saver(), config_of(thread_id)
    asking(Effects()).compile(checkpointer=old).invoke({"trail": ["in"]}, config)
    move(old, saver, thread_id)

    graph = asking(Effects()).compile(checkpointer=saver)
    for answer in ("yes", "no"):
        result = await asyncio.to_thread(graph.invoke, Command(resume=answer), config)

    assert result["answer"] == "yes and no"
    assert result["trail"] == ["in", "before", "ask", "after"]
    again = await asyncio.to_thread(graph.invoke, {"trail": ["more"]}, config)
    assert again["trail"][-2:] == ["more", "before"]
    for item in await asyncio.to_thread(lambda: list(saver.list(config))):
        assert {type(version) for version in item.checkpoint["channel_versions"].values()} == {kind}


@pytest.mark.parametrize("kind", [int, str])
async def test_forks_with_equal_versions_keep_their_own_values(
    make_saver: MakeSaver, thread_id: str, kind: type
) -> None:
    """Two branches count to the same number; a large value is referred to, not stored again."""
    saver = make_saver()
    one, two = kind(1), kind(2)
    large = [noise(SPILLED, seed) for seed in range(3)]
    root = await saver.aput(
        config_of(thread_id), new_checkpoint({"a": large[0]}, {"a": one}), {}, {"a": one}
    )
    for value in large[1:]:
        branch = await saver.aput(root, new_checkpoint({"a": value}, {"a": two}), {}, {"a": two})
        leaf = await saver.aput(branch, new_checkpoint({"a": value}, {"a": two}), {}, {})
        assert (await values_of(make_saver(), leaf))["a"] == value
    assert (await values_of(make_saver(), root))["a"] == large[0]


@pytest.mark.parametrize("version", [1, 3])
async def test_sends_of_an_older_langgraph_are_run(
    sync_saver: Callable[..., Any], thread_id: str, version: int
) -> None:
    """Before version 4 a checkpoint kept them in a field that LangGraph still reads."""
    old, saver, config = InMemorySaver(), sync_saver(), config_of(thread_id)
    graph = fan_out(Effects()).compile(checkpointer=old, interrupt_before=["square"])
    graph.invoke({"trail": [], "items": [2, 3]}, config)
    found = old.get_tuple(config)
    assert found is not None
    body: Any = {**found.checkpoint, "v": version}
    body["pending_sends"] = body["channel_values"].pop(TASKS)
    body["channel_versions"].pop(TASKS)
    assert body["pending_sends"] == [Send("square", {"item": 2}), Send("square", {"item": 3})]
    await asyncio.to_thread(
        saver.put, config_of(thread_id), body, found.metadata, body["channel_versions"]
    )

    fresh = sync_saver()
    stored = await asyncio.to_thread(fresh.get_tuple, config)
    assert list(differences(body["pending_sends"], stored.checkpoint["pending_sends"])) == []
    assert stored.checkpoint["v"] == version
    effects = Effects()
    result = await asyncio.to_thread(
        fan_out(effects).compile(checkpointer=fresh).invoke, None, config
    )
    assert result["results"] == [4, 9]
    assert sorted(effects.ran) == ["square 2", "square 3"]
