"""Bodies: values, versions and metadata come back equal and of the same type."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import uuid
from collections import deque
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from pydantic import BaseModel

from langgraph.checkpoint.kusto import errors

from .savers import MakeSaver
from .threads import Chain, config_of, eventually, listed, new_checkpoint, values_of


class Colour(Enum):
    RED = "red"


class Account(BaseModel):
    name: str
    balance: Decimal
    tags: list[str] = []


@dataclasses.dataclass
class Point:
    x: float
    y: list[int]


EXACT: dict[str, Any] = {
    "none": None,
    "empty": ["", b"", [], {}, set(), None],
    "text": "quotes ' \" ` and \\ back\nslashes, nul \x00, ☃ \U0001f600, `| take 0`",
    "integers": [0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1],
    "floats": [0.1, -0.0, 1e308, 5e-324, math.inf, -math.inf, 1.0, 118.0],
    "booleans": [True, False, 1, 0],
    "bytes": b"\x00\xff\xfe raw",
    "bytearray": bytearray(b"mutable"),
    "sets": [{1, 2}, frozenset({"a"})],
    "deque": deque([1, 2], maxlen=5),
    "datetimes": [
        datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc),
        datetime(1, 1, 1),
        datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    ],
    "dates": [date(2026, 2, 28), time(1, 2, 3, 4), timedelta(days=-1, microseconds=7)],
    "uuid": uuid.UUID(int=7),
    "decimal": Decimal("1.10"),
    "enum": Colour.RED,
    "model": Account(name="a", balance=Decimal("0.30"), tags=["x"]),
    "dataclass": Point(1.5, [1, 2]),
    "messages": [
        HumanMessage("hello", id="1"),
        AIMessage("", tool_calls=[{"name": "t", "args": {"a": 1.0}, "id": "c"}], id="2"),
        ToolMessage("done", tool_call_id="c", id="3"),
    ],
    "keys": {1: "a", "1": "b", None: "c"},
    "looks like a number": "00012",
    "looks like a date": "2026-01-02T03:04:05Z",
}


def same(first: Any, second: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(first) is not type(second):
        return False
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple | deque):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, float):
        return repr(first) == repr(second)
    return bool(first == second)


class ValueBodies:
    @pytest.mark.parametrize("name", EXACT)
    async def test_a_value_comes_back_as_it_was(
        self, make_saver: MakeSaver, thread_id: str, name: str
    ) -> None:
        value = EXACT[name]
        stored = await Chain(make_saver(), thread_id).step(value=value)
        await make_saver().aput_writes(stored, [("channel", value)], "task")

        found = await make_saver().aget_tuple(stored)

        assert same(found.checkpoint["channel_values"]["value"], value)
        assert same(found.pending_writes[0][2], value)

    async def test_nan_stays_nan(self, make_saver: MakeSaver, thread_id: str) -> None:
        stored = await Chain(make_saver(), thread_id).step({"score": math.nan}, value=math.nan)

        found = await make_saver().aget_tuple(stored)
        assert math.isnan(found.checkpoint["channel_values"]["value"])
        assert math.isnan(found.metadata["score"])

    async def test_what_only_pickle_can_hold(self, make_saver: MakeSaver, thread_id: str) -> None:
        value = {"surrogate": "a\ud800b", "big": 2**200, "complex": 1 + 2j, "tuple": (1, (2,))}
        serde = JsonPlusSerializer(pickle_fallback=True)
        stored = await Chain(make_saver(serde=serde), thread_id).step(value=value)

        found = await values_of(make_saver(serde=serde), stored)
        assert same(found["value"], value)
        with pytest.raises(errors.DeserializationError, match=r"channel 'value' .* 'pickle'"):
            await make_saver().aget_tuple(stored)

    async def test_the_checkpoint_body_is_exact(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        checkpoint = new_checkpoint(
            {"a": 1},
            {"a": 3, "b": 0, "__start__": 2},
            versions_seen={"node": {"a": 2}, "__input__": {}, "extra": {"x": 1}},
            updated_channels=["a", "b"],
            from_a_later_version={"unknown": [1, {"a": None}]},
        )
        stored = await make_saver().aput(config_of(thread_id), checkpoint, {}, {"a": 3})

        found = await make_saver().aget_tuple(stored)
        assert same(dict(sorted(found.checkpoint.items())), dict(sorted(checkpoint.items())))
        assert [type(v) for v in found.checkpoint["channel_versions"].values()] == [int] * 3

    @pytest.mark.parametrize("version", [7, 7.5, "00007.123"])
    async def test_versions_keep_their_type(
        self, make_saver: MakeSaver, thread_id: str, version: Any
    ) -> None:
        saver = make_saver()
        checkpoint = new_checkpoint({"a": 1}, {"a": version})
        stored = await saver.aput(config_of(thread_id), checkpoint, {}, {"a": version})

        found = await make_saver().aget_tuple(stored)
        assert same(found.checkpoint["channel_versions"], {"a": version})
        following = saver.get_next_version(version, None)
        assert type(following) is type(version)
        first = saver.get_next_version(None, None)
        assert following > (first if isinstance(version, str) else version)

    async def test_metadata_is_exact(self, make_saver: MakeSaver, thread_id: str) -> None:
        metadata = {
            "source": "loop",
            "step": 3,
            "parents": {"": "1ef"},
            "writes": None,
            "score": 1.0,
            "big": 2**60 + 1,
            "nested": {"list": [1, 2.0, True, None, ""], "quote": 'it\'s "x"'},
            "when": datetime(2026, 1, 1, tzinfo=timezone.utc),
        }
        config = config_of(thread_id, custom="from the config")
        config["metadata"] = {"user": "u1"}
        stored = await make_saver().aput(config, new_checkpoint(), metadata, {})

        expected = {**metadata, "custom": "from the config", "user": "u1"}
        for reader in (make_saver(), make_saver()):
            found = await reader.aget_tuple(stored)
            assert {k: v for k, v in found.metadata.items() if k != "thread_id"} == expected
            assert same(found.metadata["step"], 3)
            assert same(found.metadata["score"], 1.0)
            (item,) = await listed(reader, config_of(thread_id))
            assert item == found

    async def test_large_metadata_and_versions_spill(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        metadata = {"note": "".join(chr(33 + byte % 90) for byte in range(700_000)), "step": 1}
        versions = {f"channel {number:06}": f"{number:032}.{number}" for number in range(20_000)}
        saver = make_saver()
        stored = await saver.aput(config_of(thread_id), new_checkpoint({}, versions), metadata, {})

        found = await make_saver().aget_tuple(stored)
        assert found.checkpoint["channel_versions"] == versions
        assert found.metadata["note"] == metadata["note"]
        (item,) = await listed(make_saver(), config_of(thread_id), filter={"step": 1})
        assert item == found

    async def test_a_value_changed_after_the_call_began_is_stored_as_it_was(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        """LangGraph hands over live containers and goes on working with them."""
        saver = make_saver()
        live = [1, 2, 3]
        call = asyncio.ensure_future(Chain(saver, thread_id).step(value=live))

        async def begun() -> bool:
            return bool(saver.stats()["ingest_requests"])

        await eventually(begun)
        live.append(4)
        stored = await call

        assert await values_of(saver, stored) == {"value": [1, 2, 3]}
        assert await values_of(make_saver(), stored) == {"value": [1, 2, 3]}
