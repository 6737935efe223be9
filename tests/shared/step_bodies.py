"""Bodies: checkpoints step by step, read by the saver that wrote them and by another one."""

from __future__ import annotations

from typing import Any

import pytest

from .savers import MakeSaver
from .threads import Chain, config_of, id_of, listed, new_checkpoint, new_id, noise, values_of

# Around every boundary: inline, spilled, one chunk, several, decoded off the event loop.
SIZES = (0, 1, 23_999, 24_001, 719_999, 720_001, 1_048_577, 5_000_000)


class StepBodies:
    async def test_a_saver_reads_what_it_wrote(self, saver: Any, thread_id: str) -> None:
        checkpoint = new_checkpoint({"a": 1, "b": "two"}, {"a": "1.5", "b": "2.5"})
        metadata = {"source": "input", "step": -1, "parents": {"": "x"}}

        stored = await saver.aput(config_of(thread_id), checkpoint, metadata, {"a": "1.5"})
        newest = await saver.aget_tuple(config_of(thread_id))
        by_id = await saver.aget_tuple(stored)

        assert stored == config_of(thread_id, "", checkpoint["id"])
        assert newest == by_id
        assert newest.config == stored
        assert newest.checkpoint == checkpoint
        assert {k: newest.metadata[k] for k in metadata} == metadata
        assert newest.parent_config is None
        assert newest.pending_writes == []

    async def test_another_saver_reads_it_too(
        self, saver: Any, make_saver: MakeSaver, thread_id: str
    ) -> None:
        chain = Chain(saver, thread_id)
        await chain.step(a=1)
        last = await chain.step(a=2, large=noise(100_000))
        mine = await saver.aget_tuple(chain.place)

        other = await make_saver().aget_tuple(config_of(thread_id))

        assert other == mine
        assert other.config == last
        assert other.checkpoint["channel_values"] == {"a": 2, "large": noise(100_000)}

    async def test_what_is_not_there_is_none(self, saver: Any, thread_id: str) -> None:
        assert await saver.aget_tuple(config_of(thread_id)) is None
        assert await saver.aget_tuple(config_of(thread_id, "", new_id())) is None
        assert await listed(saver, config_of(thread_id)) == []

        await Chain(saver, thread_id).step(a=1)

        assert await saver.aget_tuple(config_of(thread_id, "", new_id())) is None
        assert await saver.aget_tuple(config_of(thread_id, "child:1")) is None

    async def test_the_config_may_leave_the_namespace_out_or_the_id_empty(
        self, saver: Any, thread_id: str
    ) -> None:
        stored = await Chain(saver, thread_id).step(a=1)

        found = await saver.aget_tuple(config_of(thread_id, None))
        assert found.config == stored
        found = await saver.aget_tuple(
            {"configurable": {"thread_id": thread_id, "checkpoint_id": None}}
        )
        assert found.config == stored

    async def test_parents_are_complete_configs(self, saver: Any, thread_id: str) -> None:
        chain = Chain(saver, thread_id, "child:1")
        first = await chain.step(a=1)
        second = await chain.step(a=2)

        found = await saver.aget_tuple(second)
        assert found.parent_config == first
        assert (await saver.aget_tuple(found.parent_config)).parent_config is None

    @pytest.mark.parametrize("size", SIZES)
    async def test_values_of_every_size_come_back(
        self, make_saver: MakeSaver, thread_id: str, size: int
    ) -> None:
        saver = make_saver()
        value = {"bytes": noise(size), "small": size}
        stored = await saver.aput(
            config_of(thread_id), new_checkpoint(value), {}, dict.fromkeys(value, 1)
        )

        assert await values_of(saver, stored) == value
        assert await values_of(make_saver(), stored) == value
        assert saver.stats()["blobs_stored"] == (size > 24_000)

    async def test_many_values_that_are_small_only_one_by_one(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        values = {f"channel {number}": noise(20_000, number) for number in range(60)}
        saver = make_saver()
        stored = await Chain(saver, thread_id).step(**values)

        assert await values_of(make_saver(), stored) == values
        assert 0 < saver.stats()["blobs_stored"] < 60

    async def test_channels_by_the_thousand(self, make_saver: MakeSaver, thread_id: str) -> None:
        values = {f"a rather long name of a channel, number {n}": n for n in range(8_000)}
        stored = await Chain(make_saver(), thread_id).step(**values)

        assert await values_of(make_saver(), stored) == values

    async def test_a_channel_not_written_again_is_still_there(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        chain = Chain(make_saver(), thread_id)
        await chain.step(small="kept", large=noise(200_000), counter=0)
        last = await chain.step(counter=1)

        expected = {"small": "kept", "large": noise(200_000), "counter": 1}
        assert await values_of(chain.saver, last) == expected
        assert await values_of(make_saver(), last) == expected

    async def test_a_channel_that_became_empty_is_gone(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        chain = Chain(make_saver(), thread_id)
        first = await chain.step(a=noise(50_000), b=1)
        second = await chain.saver.aput(
            first, new_checkpoint({"b": 1}, {"a": 2, "b": 1}), {}, {"a": 2}
        )

        assert await values_of(make_saver(), second) == {"b": 1}
        assert await values_of(make_saver(), first) == {"a": noise(50_000), "b": 1}

    @pytest.mark.counts
    async def test_unchanged_large_values_are_not_written_again(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        chain = Chain(make_saver(), thread_id)
        await chain.step(large=noise(300_000), other=noise(30_000, 1))
        before = chain.saver.stats()
        for number in range(3):
            await chain.step(counter=number)
        after = chain.saver.stats()

        assert after["blobs_stored"] == before["blobs_stored"] == 2
        assert after["blobs_reused"] == 6
        assert after["ingest_bytes"] - before["ingest_bytes"] < 20_000
        await chain.step(large=noise(300_000, 2))
        assert chain.saver.stats()["blobs_stored"] == 3
        assert await values_of(make_saver(), chain.place) == {
            "large": noise(300_000, 2),
            "other": noise(30_000, 1),
            "counter": 2,
        }

    async def test_a_value_with_another_version_is_written(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        """Whatever the names of the new versions say, a version means one value."""
        saver = make_saver()
        parent = config_of(thread_id)
        for version in (1, 2, 2.0, "2"):
            value = noise(50_000, hash(str(version)))
            checkpoint = new_checkpoint({"large": value}, {"large": version})
            parent = await saver.aput(parent, checkpoint, {}, {})
            assert await values_of(make_saver(), parent) == {"large": value}
        assert saver.stats()["blobs_stored"] == 4

    async def test_a_fork_keeps_the_values_of_its_parent(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        chain = Chain(make_saver(), thread_id)
        first = await chain.step(large=noise(50_000), n=1)
        versions = dict(chain.versions)
        second = await chain.step(large=noise(50_000, 1), n=2)
        fork = await chain.saver.aput(
            first, new_checkpoint({"large": noise(50_000), "n": 3}, versions), {}, {"n": 3}
        )
        assert chain.saver.stats()["blobs_reused"] == 1
        for reader in (chain.saver, make_saver()):
            assert await values_of(reader, fork) == {"large": noise(50_000), "n": 3}
            assert await values_of(reader, second) == {"large": noise(50_000, 1), "n": 2}
            assert (await reader.aget_tuple(fork)).parent_config == first

    async def test_a_saver_that_read_a_thread_refers_to_its_values(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        first = Chain(make_saver(), thread_id)
        await first.step(large=noise(300_000))
        second = Chain(make_saver(), thread_id)
        found = await second.saver.aget_tuple(first.place)
        second.config, second.values = found.config, dict(found.checkpoint["channel_values"])
        second.versions = dict(found.checkpoint["channel_versions"])
        await second.step(counter=1)

        assert second.saver.stats()["blobs_reused"] == 1
        assert second.saver.stats()["blobs_stored"] == 0
        assert await values_of(first.saver, first.place) == {"large": noise(300_000), "counter": 1}

    async def test_newest_is_the_greatest_id_whatever_came_last(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        for checkpoint_id in ("b", "a", "aa"):
            checkpoint = new_checkpoint({"id": checkpoint_id}, checkpoint_id=checkpoint_id)
            await saver.aput(config_of(thread_id, "", "0"), checkpoint, {}, {"id": 1})

        for reader in (saver, make_saver()):
            assert await values_of(reader, config_of(thread_id)) == {"id": "b"}

    async def test_putting_an_id_again_replaces_it(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        parent = config_of(thread_id, "", "1")
        for text in ("first", "second"):
            checkpoint = new_checkpoint({"a": text, "b": noise(40_000)}, checkpoint_id="2")
            await saver.aput(parent, checkpoint, {"text": text}, {"a": 1, "b": 1})

        for reader in (saver, make_saver()):
            found = await reader.aget_tuple(config_of(thread_id))
            assert found.checkpoint["channel_values"]["a"] == "second"
            (item,) = await listed(reader, config_of(thread_id))
            assert item.metadata["text"] == "second"
            assert item.checkpoint["channel_values"] == {"a": "second", "b": noise(40_000)}

    async def test_namespaces_are_apart(self, make_saver: MakeSaver, thread_id: str) -> None:
        saver = make_saver()
        names = ["", "child:1", "child:1|grandchild:2", "child", "child|1"]
        for name in names:
            await Chain(saver, thread_id, name).step(where=name)

        for reader in (saver, make_saver()):
            for name in names:
                assert await values_of(reader, config_of(thread_id, name)) == {"where": name}

    async def test_two_savers_take_turns(self, make_saver: MakeSaver, thread_id: str) -> None:
        savers = [make_saver(), make_saver()]
        chain = Chain(savers[0], thread_id)
        for number in range(6):
            chain.saver = savers[number % 2]
            await chain.step(counter=number, large=noise(30_000, number))
            for reader in savers:
                found = await reader.aget_tuple(chain.place)
                assert id_of(found.config) == id_of(chain.config)
                assert found.checkpoint["channel_values"]["large"] == noise(30_000, number)
        assert len(await listed(savers[0], chain.place)) == 6
