"""Bodies: the history of delta channels, held against LangGraph's own walk, one get an ancestor."""

from __future__ import annotations

import random
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from langgraph.checkpoint.kusto import errors

from .savers import MakeSaver
from .threads import Chain, config_of, id_of, listed_ids, new_checkpoint, noise


async def by_the_walk(saver: Any, config: Any, channels: list[str]) -> Any:
    """What LangGraph's default gives: `get_tuple` for each ancestor."""
    return await BaseCheckpointSaver.aget_delta_channel_history(
        saver, config=config, channels=channels
    )


async def history(saver: Any, config: Any, channels: list[str]) -> Any:
    return await saver.aget_delta_channel_history(config=config, channels=channels)


class DeltaChain(Chain):
    """A thread with delta channels: values only now and then, writes in between."""

    async def delta_step(
        self,
        writes: list[tuple[str, Any]],
        metadata: Any = None,
        versions: Any = None,
        **snapshots: Any,
    ) -> Any:
        """Write to the newest checkpoint, then put the next, with or without values."""
        if self.stored:
            await self.saver.aput_writes(self.config, writes, f"task{len(self.stored):04}", "~a")
        stored = await self.saver.aput(
            self.config,
            new_checkpoint(
                {name: _DeltaSnapshot(value) for name, value in snapshots.items()}, versions
            ),
            {"source": "loop", "step": len(self.stored), **(metadata or {})},
            {},
        )
        self.config = stored
        self.stored.append(stored)
        return stored


class HistoryBodies:
    async def test_a_channel_that_was_never_written_keeps_no_ancestors(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        """LangGraph counts supersteps for it all the same; the empty name is a channel like any."""
        saver = make_saver()
        chain = DeltaChain(saver, thread_id)
        for number in range(6):
            counters = {"": [number, number], "never": [0, number]} if number else {}
            metadata = {"counters_since_delta_snapshot": counters} if counters else {}
            values = {"": [number]} if number == 3 else {}
            await chain.delta_step([("", number)], metadata, {"": number + 1}, **values)
        expected = await history(saver, chain.config, ["", "never"])
        assert [write[2] for write in expected[""]["writes"]] == [4, 5]
        assert expected == await by_the_walk(saver, chain.config, ["", "never"])
        [report] = await saver.aprune([thread_id])
        assert (report.kept, report.deleted) == (3, 3)
        assert await history(make_saver(), chain.config, ["", "never"]) == expected

    async def test_channels_with_names_of_great_length(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        """As one list they would pass 1 MiB, of which Kusto makes nothing at all."""
        chain = DeltaChain(make_saver(), thread_id)
        names = [f"{number:02}" + "x" * 60_000 for number in range(16)]
        await chain.delta_step([])
        for number, name in enumerate(names):
            await chain.delta_step([(name, number)])
        found = await history(make_saver(), chain.config, names)
        assert [[write[2] for write in found[name]["writes"]] for name in names] == [
            [number] for number in range(16)
        ]

    async def test_a_channel_that_was_never_written_has_no_history_in_a_pruned_thread(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        chain = Chain(saver, thread_id)
        await chain.step(a=1)
        last = await chain.step(a=2)
        await saver.aprune([thread_id])
        for reader in (saver, make_saver()):
            assert await history(reader, last, ["new"]) == {"new": {"writes": []}}
            with pytest.raises(errors.PartsLostError, match="'a' cannot be rebuilt"):
                await history(reader, last, ["new", "a"])

    @pytest.mark.parametrize("name", ["refs", "documents"])
    async def test_prune_keeps_the_chain_when_a_name_stands_elsewhere_in_a_row(
        self, make_saver: MakeSaver, thread_id: str, name: str
    ) -> None:
        """A large channel beside it, and metadata without counters at the head."""
        saver = make_saver()
        chain = DeltaChain(saver, thread_id)
        await chain.delta_step([], messages=["seed"])
        for number in range(4):
            counters = {"messages": [number + 1, number + 1]}
            metadata = {"counters_since_delta_snapshot": counters} if number < 3 else {}
            await chain.delta_step([("messages", number)], metadata, **{name: noise(60_000)})
        before = await history(saver, chain.config, ["messages"])
        assert [write[2] for write in before["messages"]["writes"]] == [0, 1, 2, 3]
        [report] = await make_saver().aprune([thread_id])
        assert report.deleted == 0
        assert await history(make_saver(), chain.config, ["messages"]) == before

    async def test_seed_and_writes_from_the_nearest_value(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        chain = DeltaChain(saver, thread_id)
        await chain.delta_step([], messages=["old"])
        await chain.delta_step([("messages", "m1"), ("other", "o1")])
        await chain.delta_step([("messages", "m2")], messages=["old", "m1", "m2"])
        await chain.delta_step([("messages", "m3"), ("messages", "m4")])
        target = await chain.delta_step([("other", "o2")])
        await saver.aput_writes(target, [("messages", "not of the target's ancestors")], "late")

        for reader in (saver, make_saver()):
            found = await history(reader, target, ["messages", "other", "unknown"])
            assert found["messages"]["seed"] == _DeltaSnapshot(["old", "m1", "m2"])
            assert [write[1:] for write in found["messages"]["writes"]] == [
                ("messages", "m3"),
                ("messages", "m4"),
            ]
            assert [write[2] for write in found["other"]["writes"]] == ["o1", "o2"]
            assert "seed" not in found["other"]
            assert found["unknown"] == {"writes": []}
            assert found == await by_the_walk(reader, target, ["messages", "other", "unknown"])
            newest = await history(reader, config_of(thread_id), ["messages"])
            assert newest == {"messages": found["messages"]}
        assert await history(saver, target, []) == {}
        assert await history(saver, config_of("no such thread"), ["a"]) == {"a": {"writes": []}}

    @pytest.mark.parametrize("seed", range(3))
    async def test_random_forks_and_many_tasks(
        self, make_saver: MakeSaver, thread_id: str, seed: int
    ) -> None:
        """Only ancestors count; every answer is what LangGraph's own walk gives."""
        choose = random.Random(seed)
        saver, other = make_saver(), make_saver()
        channels = ["messages", 'x":["', "\N{GRINNING FACE}", "large"]
        chain = DeltaChain(saver, thread_id)
        for number in range(14):
            if chain.stored and choose.random() < 0.3:
                chain.config = choose.choice(chain.stored)
            for task in range(choose.randrange(4) if chain.stored else 0):
                writes = [
                    (choose.choice(channels), f"{number}.{task}.{item}")
                    for item in range(choose.randrange(4))
                ]
                # The same task may write twice; the first write of an index counts.
                await choose.choice((saver, other)).aput_writes(
                    chain.config, writes, f"task{choose.randrange(3)}", choose.choice("~ab")
                )
            values = {
                channel: [number] if channel != "large" else [noise(40_000, number)]
                for channel in channels
                if choose.random() < 0.15
            }
            await chain.delta_step([], **values)
        for reader in (saver, other, make_saver()):
            for config in chain.stored:
                found = await history(reader, config, channels)
                assert found == await by_the_walk(reader, config, channels)

    async def test_the_length_of_the_chain_costs_no_requests(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        chain = DeltaChain(saver, thread_id)
        await chain.delta_step([], messages=noise(50_000))
        for number in range(60):
            await chain.delta_step([("messages", number)])
        reader = make_saver(write_mode="acknowledged")
        assert await reader.aget_tuple(chain.config) is not None
        before = reader.stats()["queries"]
        found = await history(reader, chain.config, ["messages"])
        if reader.stats()["retries"] == 0:
            assert reader.stats()["queries"] - before <= 3
        assert [write[2] for write in found["messages"]["writes"]] == list(range(60))
        assert found["messages"]["seed"] == _DeltaSnapshot(noise(50_000))

    async def test_an_ancestor_that_another_saver_put_again(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        """The nearest row with a value is on no path here, so the ancestor lies beyond what is read
        first; the saver's own copy of it is not the last one."""
        saver, other = make_saver(), make_saver()

        async def put(writer: Any, checkpoint_id: str, parent: str | None, **values: Any) -> Any:
            checkpoint = {**new_checkpoint(values), "id": checkpoint_id}
            return await writer.aput(config_of(thread_id, "", parent), checkpoint, {}, {})

        await put(saver, "1", None, a=_DeltaSnapshot("first"))
        await put(other, "1", None, a=_DeltaSnapshot("second"))
        await put(other, "2", "1", a=_DeltaSnapshot("elsewhere"))
        leaf = await put(saver, "3", "1")
        for reader in (saver, other, make_saver()):
            found = await history(reader, leaf, ["a"])
            assert found["a"]["seed"] == _DeltaSnapshot("second")

    @pytest.mark.counts
    async def test_a_fork_with_a_value_costs_one_request_more(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        """By ids the value of the other branch is the nearest; the way to ours leads past it."""
        saver = make_saver()
        chain = DeltaChain(saver, thread_id)
        for number in range(6):
            await chain.delta_step([("messages", number)], **({} if number else {"messages": [0]}))
        fork = DeltaChain(saver, thread_id)
        fork.config = chain.stored[2]
        await fork.delta_step([], messages=["of the fork"])
        await fork.delta_step([("messages", "of the fork")])
        for number in range(6, 9):
            await chain.delta_step([("messages", number)])
        for config, requests in ((fork.config, 2), (chain.config, 3), (config_of(thread_id), 3)):
            reader = make_saver()
            found = await history(reader, config, ["messages"])
            assert reader.stats()["queries"] == requests
            on_fork = config is fork.config
            seed = ["of the fork"] if on_fork else [0]
            assert found["messages"]["seed"] == _DeltaSnapshot(seed)
            written = [write[2] for write in found["messages"]["writes"]]
            assert written == (["of the fork"] if on_fork else list(range(1, 9)))

    async def test_a_deleted_ancestor_is_an_error_not_a_shorter_history(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        chain = DeltaChain(saver, thread_id)
        await chain.delta_step([], messages=["seed"])
        for number in range(4):
            await chain.delta_step([("messages", number)], metadata={"run_id": f"run{number}"})
        other = make_saver()
        await other.adelete_for_runs(["run1"])
        for reader in (saver, other, make_saver()):
            with pytest.raises(errors.PartsLostError, match="is deleted") as refused:
                await history(reader, chain.config, ["messages"])
            assert id_of(chain.stored[2]) in str(refused.value)
            assert not refused.value.retriable
            with pytest.raises(errors.PartsLostError, match="is deleted itself"):
                await history(reader, chain.stored[2], ["messages"])
            before_it = await history(reader, chain.stored[1], ["messages"])
            assert [write[2] for write in before_it["messages"]["writes"]] == [0]

    async def test_prune_keeps_what_delta_channels_need(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        chain = DeltaChain(saver, thread_id)
        for number in range(8):
            snapshots = {"messages": [number]} if number in (0, 4) else {}
            since = number - 4 if number > 4 else number
            counters = {"messages": [since, since]} if since else {}
            await chain.delta_step(
                [("messages", number)],
                metadata={"counters_since_delta_snapshot": counters} if counters else {},
                **snapshots,
            )
        plain = Chain(saver, thread_id, "child:1")
        await plain.step(a=1)
        await plain.step(a=2)
        expected = await history(saver, chain.config, ["messages"])
        pruner = make_saver()
        [planned] = await pruner.aprune([thread_id], dry_run=True)
        assert (planned.kept, planned.deleted) == (5, 5)
        assert await pruner.aprune([thread_id]) == [planned]
        for reader in (saver, pruner, make_saver()):
            assert await history(reader, chain.config, ["messages"]) == expected
            assert await listed_ids(reader, config_of(thread_id)) == [
                id_of(config) for config in reversed(chain.stored[4:])
            ]
            assert await listed_ids(reader, config_of(thread_id, "child:1")) == [
                id_of(plain.stored[1])
            ]
