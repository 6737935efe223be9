"""Bodies: runs and single checkpoints that were deleted are gone, whoever writes late."""

from __future__ import annotations

from typing import Any

import pytest

from langgraph.checkpoint.kusto import errors

from .savers import MakeSaver
from .threads import Chain, config_of, id_of, listed, listed_ids, new_checkpoint, noise, values_of


class RunChain(Chain):
    """A chain whose steps belong to runs."""

    async def run_step(self, run_id: str, **changed: Any) -> Any:
        return await self.step({"run_id": run_id}, **changed)

    def with_run(self, run_id: str) -> Any:
        return {**self.config, "metadata": {"run_id": run_id}}


class RunBodies:
    async def test_a_deleted_run_is_rolled_back(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver, other = make_saver(), make_saver()
        chain = RunChain(saver, thread_id)
        kept = await chain.run_step("first", a=1, large=noise(50_000))
        await saver.aput_writes(chain.with_run("first"), [("a", 1)], "task")
        await saver.aput_writes(chain.with_run("second"), [("a", 2)], "other task")
        for number in range(3):
            await chain.run_step("second", a=number)
        assert await values_of(other, chain.place) == chain.values

        await saver.adelete_for_runs(["second", "no such run"])

        for reader in (saver, other, make_saver()):
            found = await reader.aget_tuple(chain.place)
            assert id_of(found.config) == id_of(kept)
            assert found.checkpoint["channel_values"] == {"a": 1, "large": noise(50_000)}
            assert found.pending_writes == [("task", "a", 1)]
            assert await listed_ids(reader, config_of(thread_id)) == [id_of(kept)]
            for config in chain.stored[1:]:
                assert await reader.aget_tuple(config) is None

    @pytest.mark.counts
    async def test_a_second_request_only_while_the_newest_is_deleted(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver, reader = make_saver(), make_saver()
        chain = RunChain(saver, thread_id)
        await chain.run_step("kept", a=1)
        await chain.run_step("gone", a=2)

        async def queries() -> int:
            before: int = reader.stats()["queries"]
            await reader.aget_tuple(chain.place)
            return int(reader.stats()["queries"]) - before

        assert await queries() == 1
        await saver.adelete_for_runs(["gone"])
        assert await queries() == 2
        await chain.run_step("again", a=3)
        assert await queries() == 1

    async def test_a_late_put_of_a_deleted_run_stays_dead(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        """The cancelled run's last put arrives after it was deleted, here and elsewhere."""
        saver, running = make_saver(), make_saver()
        chain = RunChain(running, thread_id)
        kept = await chain.run_step("kept", a=1)
        await chain.run_step("cancelled", a=2)
        await saver.adelete_for_runs(["cancelled"])

        await chain.run_step("cancelled", a=3, large=noise(40_000))
        await running.aput_writes(chain.with_run("cancelled"), [("a", 4)], "task")
        for reader in (running, saver, make_saver()):
            assert await listed_ids(reader, config_of(thread_id)) == [id_of(kept)]
            assert await values_of(reader, chain.place) == {"a": 1}
        chain.saver = saver
        await chain.run_step("cancelled", a=5)
        assert saver.stats()["dead_puts"] == 1
        for reader in (running, saver, make_saver()):
            assert await values_of(reader, chain.place) == {"a": 1}

    async def test_the_thread_goes_on_after_a_deleted_run(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        chain = RunChain(saver, thread_id)
        kept = await chain.run_step("kept", a=1)
        await chain.run_step("gone", a=2)
        await saver.adelete_for_runs(["gone"])
        chain.config = kept
        new = await chain.run_step("again", a=3)
        for reader in (saver, make_saver()):
            assert await values_of(reader, chain.place) == {"a": 3}
            assert await listed_ids(reader, config_of(thread_id)) == [id_of(new), id_of(kept)]

    async def test_runs_are_deleted_in_all_threads_and_only_they(
        self, make_saver: MakeSaver, new_thread: Any
    ) -> None:
        saver = make_saver()
        run_id, other_id = new_thread(), new_thread() + '", "x'
        chains = [RunChain(saver, new_thread()) for _ in range(3)]
        for chain in chains:
            await chain.run_step(other_id, a=1)
            await chain.run_step(run_id, a=2)
        inner = RunChain(saver, chains[0].thread_id, "child:1")
        await inner.run_step(run_id, a=3)
        await saver.adelete_for_runs([run_id])
        for reader in (saver, make_saver()):
            for chain in chains:
                assert await values_of(reader, chain.place) == {"a": 1}
            assert await reader.aget_tuple(inner.place) is None
        await saver.adelete_for_runs([other_id])
        for reader in (saver, make_saver()):
            for chain in chains:
                assert await reader.aget_tuple(chain.place) is None

    @pytest.mark.parametrize("run_ids", ["one", [""], [None]])
    async def test_what_is_no_list_of_runs_is_refused(
        self, make_saver: MakeSaver, run_ids: Any
    ) -> None:
        with pytest.raises(errors.InvalidConfigError, match="run_ids"):
            await make_saver().adelete_for_runs(run_ids)


class CheckpointDeleteBodies:
    async def test_a_deleted_checkpoint_is_gone(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver, other = make_saver(), make_saver()
        chain = Chain(saver, thread_id)
        first = await chain.step(a=1)
        second = await chain.step(a=2, large=noise(50_000))
        third = await chain.step(a=3)
        await saver.aput_writes(second, [("a", 1)], "task")
        assert await other.aget_tuple(second) is not None

        assert await other.adelete_checkpoint(second)
        for reader in (saver, other, make_saver()):
            assert await reader.aget_tuple(second) is None
            assert await listed_ids(reader, config_of(thread_id)) == [id_of(third), id_of(first)]
            assert await values_of(reader, chain.place) == chain.values
        assert await other.adelete_checkpoint(third)
        for reader in (saver, other, make_saver()):
            assert await values_of(reader, chain.place) == {"a": 1}

    async def test_a_deleted_checkpoint_may_be_put_again(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        for life in ("first", "second", "third"):
            for writer in (saver, make_saver()):
                checkpoint = new_checkpoint({"life": life}, checkpoint_id="1")
                stored = await writer.aput(config_of(thread_id), checkpoint, {}, {"life": 1})
                await writer.aput_writes(stored, [("a", life)], "task")
                for reader in (saver, writer, make_saver()):
                    found = await reader.aget_tuple(config_of(thread_id))
                    assert found.checkpoint["channel_values"] == {"life": life}
                    assert found.pending_writes == [("task", "a", life)]
                assert await writer.adelete_checkpoint(stored)
                for reader in (saver, writer, make_saver()):
                    assert await reader.aget_tuple(stored) is None
                    assert await reader.aget_tuple(config_of(thread_id)) is None
        assert not await make_saver().adelete_checkpoint(config_of(thread_id, "", "2"))

    async def test_only_that_checkpoint_of_that_namespace(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        ids = ("1", "1@", "1,2", "|", "a" * 300, 'x" or 1==1 //', "\N{GRINNING FACE}")
        for namespace in ("", "child:1", "a|b:1"):
            for checkpoint_id in ids:
                checkpoint = new_checkpoint({"a": checkpoint_id}, checkpoint_id=checkpoint_id)
                await saver.aput(config_of(thread_id, namespace), checkpoint, {}, {"a": 1})
        for gone in ids:
            await saver.adelete_checkpoint(config_of(thread_id, "child:1", gone))
            left = [item for item in sorted(ids, reverse=True) if ids.index(item) > ids.index(gone)]
            for reader in (saver, make_saver()):
                assert await listed_ids(reader, config_of(thread_id, "child:1")) == left
        for namespace in ("", "a|b:1"):
            found = await listed_ids(make_saver(), config_of(thread_id, namespace))
            assert found == sorted(ids, reverse=True)

    async def test_a_config_without_a_checkpoint_is_refused(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        await Chain(saver, thread_id).step(a=1)
        with pytest.raises(errors.InvalidConfigError, match=r"checkpoint_id.*delete_thread"):
            await saver.adelete_checkpoint(config_of(thread_id))
        assert len(await listed(saver, config_of(thread_id))) == 1
