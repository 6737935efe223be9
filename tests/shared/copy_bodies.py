"""Bodies: copies of threads, and pruned ones."""

from __future__ import annotations

from typing import Any

import pytest

from langgraph.checkpoint.kusto import errors

from .savers import MakeSaver
from .threads import Chain, config_of, id_of, listed, listed_ids, new_checkpoint, noise, values_of


def comparable(items: list[Any], thread_id: str) -> list[Any]:
    """Everything a list gives, without the name of the thread."""
    found = []
    for item in items:
        assert item.config["configurable"]["thread_id"] == thread_id
        parent = item.parent_config
        found.append(
            (
                item.config["configurable"]["checkpoint_ns"],
                item.checkpoint,
                item.metadata,
                None if parent is None else id_of(parent),
                item.pending_writes,
            )
        )
    return found


async def write_thread(saver: Any, thread_id: str) -> Chain:
    """A thread with large values that do not change, namespaces, writes and a fork."""
    chain = Chain(saver, thread_id)
    for number in range(4):
        stored = await chain.step(a=number, **({"large": noise(60_000)} if number == 0 else {}))
        await saver.aput_writes(stored, [("a", number), ("b", b"x")], f"task{number}", "~path")
        await saver.aput_writes(stored, [("__interrupt__", number)], f"task{number}", "~path")
    fork = Chain(saver, thread_id)
    fork.config = chain.stored[1]
    await fork.step({"source": "fork"}, a="forked")
    inner = Chain(saver, thread_id, "child:1", checkpoint_map={"": id_of(chain.stored[-1])})
    await inner.step(inner=1)
    await inner.step(inner=2)
    return chain


class CopyBodies:
    async def test_a_copy_is_the_same_thread_under_another_name(
        self, make_saver: MakeSaver, new_thread: Any
    ) -> None:
        saver, source, target = make_saver(), new_thread(), new_thread("copy")
        await write_thread(saver, source)
        before = comparable(await listed(saver, config_of(source, None)), source)
        blobs = saver.stats()["blobs_stored"]

        copier = make_saver()
        await copier.acopy_thread(source, target)

        assert copier.stats()["blobs_stored"] == blobs, "a shared value is stored once"
        for reader in (copier, saver, make_saver()):
            assert comparable(await listed(reader, config_of(target, None)), target) == before
            assert comparable(await listed(reader, config_of(source, None)), source) == before
        await saver.adelete_thread(source)
        for reader in (copier, make_saver()):
            assert comparable(await listed(reader, config_of(target, None)), target) == before

    async def test_a_copy_goes_its_own_way(self, make_saver: MakeSaver, new_thread: Any) -> None:
        saver, source, target = make_saver(), new_thread(), new_thread("copy")
        chain = Chain(saver, source)
        await chain.step(a=1, large=noise(50_000))
        await saver.acopy_thread(source, target)
        other = make_saver()
        copied = (await other.aget_tuple(config_of(target))).config
        await other.aput(copied, new_checkpoint({"a": "copy"}), {}, {"a": 2})
        await chain.step(a="source")
        for reader in (saver, make_saver()):
            assert await values_of(reader, config_of(target)) == {"a": "copy"}
            assert await values_of(reader, config_of(source)) == chain.values

    async def test_a_copy_into_a_deleted_thread_lives(
        self, make_saver: MakeSaver, new_thread: Any
    ) -> None:
        """Also when the ids are those that were deleted, with writes that came before theirs."""
        saver, source, target = make_saver(), new_thread(), new_thread("copy")
        chain = Chain(saver, source)
        first = await chain.step(a=1)
        early = config_of(target, "", id_of(first))
        await make_saver().aput_writes(early, [("a", "of the old life")], "task")
        await saver.acopy_thread(source, target)
        found = await make_saver().aget_tuple(config_of(target))
        assert found.pending_writes == [("task", "a", "of the old life")]
        for _ in range(2):
            await make_saver().adelete_thread(target)
            assert await make_saver().aget_tuple(config_of(target)) is None
            await make_saver().acopy_thread(source, target)
            for reader in (saver, make_saver()):
                found = await reader.aget_tuple(config_of(target))
                assert found.checkpoint["channel_values"] == {"a": 1}
                assert found.pending_writes == []

    async def test_the_run_of_a_deleted_target_cannot_touch_the_copy(
        self, make_saver: MakeSaver, new_thread: Any
    ) -> None:
        saver, source, target = make_saver(), new_thread(), new_thread("copy")
        await Chain(saver, source).step(a="source")
        running = Chain(make_saver(), target)
        await running.step(a="old")
        await saver.adelete_thread(target)
        await saver.acopy_thread(source, target)
        late = await running.step(a="late")
        await running.saver.aput_writes(late, [("a", 1)], "task")
        for reader in (saver, running.saver, make_saver()):
            assert await values_of(reader, config_of(target)) == {"a": "source"}
            assert len(await listed(reader, config_of(target))) == 1

    async def test_winners_only(self, make_saver: MakeSaver, new_thread: Any) -> None:
        saver, source, target = make_saver(), new_thread(), new_thread("copy")
        for text in ("first", "last"):
            checkpoint = new_checkpoint({"a": text}, checkpoint_id="1")
            stored = await saver.aput(config_of(source), checkpoint, {}, {"a": 1})
            await saver.aput_writes(stored, [("a", text), ("__resume__", text)], "task")
        await saver.acopy_thread(source, target)
        for reader in (saver, make_saver()):
            found = await listed(reader, config_of(target))
            assert [item.checkpoint["channel_values"] for item in found] == [{"a": "last"}]
            assert found[0].pending_writes == [
                ("task", "__resume__", "last"),
                ("task", "a", "first"),
            ]

    async def test_nothing_to_copy_and_nowhere_to_copy_to(
        self, make_saver: MakeSaver, new_thread: Any
    ) -> None:
        saver, source, target = make_saver(), new_thread(), new_thread("copy")
        await saver.acopy_thread(source, target)
        assert await listed(saver, config_of(target, None)) == []
        with pytest.raises(errors.InvalidConfigError, match="same thread"):
            await saver.acopy_thread(source, source)
        with pytest.raises(errors.MissingThreadIdError):
            await saver.acopy_thread(source, "")


class PruneBodies:
    async def test_only_the_newest_of_each_namespace_stays(
        self, make_saver: MakeSaver, new_thread: Any
    ) -> None:
        saver, other, pruned, kept = make_saver(), make_saver(), new_thread(), new_thread()
        chain = await write_thread(saver, pruned)
        await write_thread(saver, kept)
        untouched = comparable(await listed(saver, config_of(kept, None)), kept)
        newest = [
            await other.aget_tuple(config_of(pruned, namespace)) for namespace in ("", "child:1")
        ]
        planned = await other.aprune([pruned], dry_run=True)
        assert len(await listed(other, config_of(pruned, None))) == 7
        [report] = planned
        assert (report.thread_id, report.kept, report.deleted) == (pruned, 2, 5)

        assert await other.aprune([pruned]) == planned

        for reader in (saver, other, make_saver()):
            found = await listed(reader, config_of(pruned, None))
            assert sorted(map(repr, found)) == sorted(map(repr, newest))
            assert await reader.aget_tuple(chain.place) == newest[0]
            assert comparable(await listed(reader, config_of(kept, None)), kept) == untouched
        assert (await saver.aprune([pruned]))[0].deleted == 0

    async def test_a_pruned_thread_goes_on(self, make_saver: MakeSaver, thread_id: str) -> None:
        saver, other = make_saver(), make_saver()
        chain = Chain(saver, thread_id)
        for number in range(3):
            await chain.step(a=number, **({"large": noise(50_000)} if number == 0 else {}))
        await other.aprune([thread_id])
        await chain.step(a="new")
        for reader in (saver, other, make_saver()):
            assert await values_of(reader, chain.place) == {"a": "new", "large": noise(50_000)}
            assert len(await listed(reader, config_of(thread_id))) == 2

    async def test_strategies(self, make_saver: MakeSaver, thread_id: str) -> None:
        saver = make_saver()
        chain = Chain(saver, thread_id)
        await chain.step(a=1)
        await chain.step(a=2)
        with pytest.raises(errors.InvalidOptionError, match="'keep_latest' or 'delete'"):
            await saver.aprune([thread_id], strategy="keep_some")
        with pytest.raises(errors.InvalidConfigError, match="thread_ids"):
            await saver.aprune(thread_id)
        [planned] = await saver.aprune([thread_id], strategy="delete", dry_run=True)
        assert (planned.kept, planned.deleted) == (0, 2)
        assert len(await listed_ids(saver, config_of(thread_id))) == 2
        assert await saver.aprune([thread_id], strategy="delete") == [planned]
        for reader in (saver, make_saver()):
            assert await listed_ids(reader, config_of(thread_id)) == []
        [nothing] = await saver.aprune([thread_id])
        assert (nothing.kept, nothing.deleted) == (0, 0)
