"""Bodies: pending writes, which of them win and in what order they come back."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import pytest
from langgraph.checkpoint.base import WRITES_IDX_MAP
from langgraph.types import Interrupt

from langgraph.checkpoint.kusto import errors

from .savers import MakeSaver
from .threads import Chain, config_of, id_of, listed, new_checkpoint, new_id, noise

Write = tuple[str, str, Any]


async def writes_of(saver: Any, config: Any) -> list[Write]:
    found = await saver.aget_tuple(config)
    assert found is not None
    return list(found.pending_writes)


class WriteBodies:
    async def test_order_is_task_path_then_task_then_position(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        stored = await Chain(saver, thread_id).step(a=1)
        many = [(f"channel {number}", number) for number in range(12)]
        await saver.aput_writes(stored, many, "task b", "~__pregel_pull, b")
        await saver.aput_writes(stored, [("x", 1), ("y", 2)], "task z", "~__pregel_pull, a")
        await saver.aput_writes(stored, [("x", 3)], "task a", "~__pregel_pull, b")
        await saver.aput_writes(stored, [("n", 4)], "task n")

        expected = [
            ("task n", "n", 4),
            ("task z", "x", 1),
            ("task z", "y", 2),
            ("task a", "x", 3),
            *[("task b", name, number) for name, number in many],
        ]
        assert await writes_of(saver, stored) == expected
        assert await writes_of(make_saver(), config_of(thread_id)) == expected
        (item,) = await listed(make_saver(), config_of(thread_id))
        assert item.pending_writes == expected

    async def test_the_first_ordinary_write_wins(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        first, second = make_saver(), make_saver()
        stored = await Chain(first, thread_id).step(a=1)
        await first.aput_writes(stored, [("a", "first"), ("b", "first")], "task")
        await second.aput_writes(stored, [("a", "late"), ("b", "late"), ("c", "late")], "task")

        expected = [("task", "a", "first"), ("task", "b", "first"), ("task", "c", "late")]
        for reader in (first, second, make_saver()):
            assert await writes_of(reader, stored) == expected

    @pytest.mark.parametrize("channel", sorted(WRITES_IDX_MAP))
    async def test_the_last_special_write_wins(
        self, make_saver: MakeSaver, thread_id: str, channel: str
    ) -> None:
        """Of one saver and of several; in a call of its own and beside others."""
        saver, other = make_saver(), make_saver()
        stored = await Chain(saver, thread_id).step(a=1)
        calls = [(saver, "first"), (saver, "second"), (other, "third"), (saver, "fourth")]
        for number, (writer, text) in enumerate(calls):
            beside = [("a", text)] if number % 2 else []
            await writer.aput_writes(stored, [*beside, (channel, text)], "task")

            # The ordinary write has the first place, and the first of all counts there.
            expected = [("task", channel, text), *([("task", "a", "second")] if number else [])]
            for reader in (saver, other, make_saver()):
                assert await writes_of(reader, stored) == expected
        (item,) = await listed(make_saver(), config_of(thread_id))
        assert item.pending_writes == expected

    async def test_a_call_made_again_shows_once(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        """LangGraph sends the whole list of its null task again and again; two workers do, too."""
        saver, other = make_saver(), make_saver()
        stored = await Chain(saver, thread_id).step(a=1)
        writes = [("a", 1), ("__resume__", ["yes"]), ("a", 2), ("b", noise(30_000))]
        for number, writer in enumerate((saver, saver, other, make_saver())):
            again = [*writes, ("more", 0)] if number == 3 else writes
            await writer.aput_writes(stored, again, "null", "~")

            shown = [("null", *again[index]) for index in range(len(again)) if index != 1]
            expected = [("null", "__resume__", ["yes"]), *shown]
            for reader in (saver, other, make_saver()):
                assert await writes_of(reader, stored) == expected
        (item,) = await listed(make_saver(), config_of(thread_id))
        assert item.pending_writes == expected

    async def test_interrupts_and_resumes_of_several_tasks(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        stored = await Chain(saver, thread_id).step(a=1)
        interrupts = [Interrupt(value={"ask": number}, id=f"i{number}") for number in range(3)]
        for number, interrupt in enumerate(interrupts):
            await saver.aput_writes(stored, [("__interrupt__", [interrupt])], f"task {number}")
        await saver.aput_writes(stored, [("__resume__", ["yes"]), ("__resume__", "no")], "null")

        found = await writes_of(make_saver(), stored)
        assert [write for write in found if write[1] == "__interrupt__"] == [
            (f"task {number}", "__interrupt__", [interrupt])
            for number, interrupt in enumerate(interrupts)
        ]
        assert [write for write in found if write[1] == "__resume__"] == [
            ("null", "__resume__", "no")
        ]

    async def test_writes_may_be_a_deque_or_empty(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        """LangGraph hands over a deque; an empty one for a task that wrote nothing tracked."""
        saver = make_saver()
        checkpoint = new_checkpoint({"a": 1})
        place = config_of(thread_id, "", checkpoint["id"])
        await saver.aput_writes(place, deque(), "early")
        stored = await saver.aput(config_of(thread_id), checkpoint, {}, {"a": 1})
        given = deque([("a", 1), ("__resume__", "yes"), ("b", 2)])
        await saver.aput_writes(stored, given, "task")
        await saver.aput_writes(stored, [], "task")
        await saver.aput_writes(stored, [], "other", "~path")
        await saver.aput_writes(stored, deque(), "another")

        assert len(given) == 3
        expected = [("task", "__resume__", "yes"), ("task", "a", 1), ("task", "b", 2)]
        for reader in (saver, make_saver()):
            assert await writes_of(reader, stored) == expected

    async def test_writes_may_come_before_their_checkpoint(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        checkpoint = new_checkpoint({"a": 1})
        place = config_of(thread_id, "", checkpoint["id"])
        await saver.aput_writes(place, [("a", "early")], "task")
        assert await saver.aget_tuple(place) is None
        assert await make_saver().aget_tuple(config_of(thread_id)) is None

        await saver.aput(config_of(thread_id), checkpoint, {}, {"a": 1})

        for reader in (saver, make_saver()):
            assert await writes_of(reader, place) == [("task", "a", "early")]
            assert await writes_of(reader, config_of(thread_id)) == [("task", "a", "early")]

    async def test_large_writes_come_in_chunks(self, make_saver: MakeSaver, thread_id: str) -> None:
        saver = make_saver()
        stored = await Chain(saver, thread_id).step(a=1)
        large = [("a", noise(3_000_000)), ("small", 1), ("b", noise(3_000_000, 1)), ("c", b"")]
        await saver.aput_writes(stored, large, "task")

        expected = [("task", name, value) for name, value in large]
        for reader in (saver, make_saver()):
            assert await writes_of(reader, stored) == expected

    @pytest.mark.counts
    async def test_one_call_is_one_submission_and_one_request(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        stored = await Chain(saver, thread_id).step(a=1)
        before = saver.stats()["ingest_requests"]
        await saver.aput_writes(stored, [("a", number) for number in range(500)], "task")

        assert saver.stats()["ingest_requests"] - before == 1
        assert len(await writes_of(make_saver(), stored)) == 500

    async def test_tasks_write_at_the_same_time(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        stored = await Chain(saver, thread_id).step(a=1)
        await asyncio.gather(
            *[saver.aput_writes(stored, [("a", n), ("b", n)], f"task {n:02}") for n in range(20)]
        )

        expected = [(f"task {n:02}", name, n) for n in range(20) for name in "ab"]
        for reader in (saver, make_saver()):
            assert await writes_of(reader, stored) == expected

    async def test_writes_belong_to_one_checkpoint_of_one_namespace(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        root, child = Chain(saver, thread_id), Chain(saver, thread_id, "child:1")
        first, second = await root.step(a=1), await root.step(a=2)
        inner = await child.step(a=3)
        checkpoint = new_checkpoint({}, checkpoint_id=id_of(first))
        same_id = await saver.aput(config_of(thread_id, "child:2"), checkpoint, {}, {})
        for place, text in ((first, "first"), (second, "second"), (inner, "inner")):
            await saver.aput_writes(place, [("a", text)], "task")

        other = make_saver()
        for place, text in ((first, "first"), (second, "second"), (inner, "inner")):
            assert await writes_of(other, place) == [("task", "a", text)]
        assert await writes_of(other, same_id) == []

    async def test_writes_need_a_checkpoint_id(self, saver: Any, thread_id: str) -> None:
        with pytest.raises(errors.InvalidConfigError, match="checkpoint_id"):
            await saver.aput_writes(config_of(thread_id), [("a", 1)], "task")
        with pytest.raises(errors.MissingThreadIdError):
            await saver.aput_writes({"configurable": {"checkpoint_id": new_id()}}, [], "task")
