"""Bodies: deleted threads are gone, stay gone, and may be used again."""

from __future__ import annotations

from typing import Any

from .savers import MakeSaver
from .threads import Chain, config_of, listed, new_checkpoint, noise, values_of


async def is_gone(reader: Any, thread_id: str, chain: Chain) -> bool:
    """Nothing of the thread is read in any way."""
    assert await listed(reader, config_of(thread_id, None)) == []
    assert await reader.aget_tuple(chain.place) is None
    for config in chain.stored:
        assert await reader.aget_tuple(config) is None
    return True


class DeleteBodies:
    async def test_a_deleted_thread_is_gone_for_everybody(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver, other = make_saver(), make_saver()
        root, child = Chain(saver, thread_id), Chain(saver, thread_id, "child:1")
        await root.step(a=1, large=noise(50_000))
        await child.step(a=2)
        await saver.aput_writes(await root.step(a=3), [("a", 1)], "task")
        assert await other.aget_tuple(root.place) is not None

        await saver.adelete_thread(thread_id)

        for reader in (saver, other, make_saver()):
            assert await is_gone(reader, thread_id, root)
            assert await is_gone(reader, thread_id, child)

    async def test_other_threads_stay(
        self, make_saver: MakeSaver, thread_id: str, new_thread: Any
    ) -> None:
        saver = make_saver()
        kept = Chain(saver, new_thread())
        await kept.step(a="kept")
        await Chain(saver, thread_id).step(a=1)

        await saver.adelete_thread(thread_id)

        assert await values_of(make_saver(), kept.place) == {"a": "kept"}

    async def test_deleting_twice_or_what_is_not_there_is_no_error(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        await saver.adelete_thread(thread_id)
        chain = Chain(saver, thread_id)
        await chain.step(a=1)
        await saver.adelete_thread(thread_id)
        await make_saver().adelete_thread(thread_id)

        assert await is_gone(make_saver(), thread_id, chain)

    async def test_a_thread_may_be_used_again(self, make_saver: MakeSaver, thread_id: str) -> None:
        saver = make_saver()
        for life in range(3):
            chain = Chain(saver, thread_id)
            await chain.step(life=life, large=noise(30_000, life))
            last = await chain.step(step=2)
            await saver.aput_writes(last, [("a", life)], "task")

            for reader in (saver, make_saver()):
                found = await listed(reader, config_of(thread_id, None))
                assert [item.checkpoint["channel_values"]["life"] for item in found] == [life] * 2
                assert found[0].pending_writes == [("task", "a", life)]
            await (saver if life else make_saver()).adelete_thread(thread_id)
        assert await is_gone(make_saver(), thread_id, chain)

    async def test_the_same_checkpoint_id_may_live_again(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        for text in ("first life", "second life"):
            checkpoint = new_checkpoint({"text": text}, checkpoint_id="1")
            stored = await saver.aput(config_of(thread_id), checkpoint, {}, {"text": 1})
            assert await values_of(make_saver(), stored) == {"text": text}
            assert await values_of(saver, config_of(thread_id)) == {"text": text}
            if text == "first life":
                await make_saver().adelete_thread(thread_id)

    async def test_writes_of_a_saver_that_did_not_read_belong_to_the_life_that_is_there(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        config = config_of(thread_id)
        for life in range(2):
            checkpoint = new_checkpoint({"life": life}, checkpoint_id="1")
            stored = await make_saver().aput(config, checkpoint, {}, {"life": 1})
            await make_saver().aput_writes(stored, [("a", life)], "task")
            found = await make_saver().aget_tuple(config)
            assert found.pending_writes == [("task", "a", life)]
            if not life:
                await make_saver().adelete_thread(thread_id)

    async def test_a_late_put_of_the_same_saver_stays_dead(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        run = Chain(saver, thread_id)
        await run.step(a=1)
        await saver.adelete_thread(thread_id)

        last = await run.step(a=2, large=noise(30_000))
        await saver.aput_writes(last, [("a", 1)], "task")

        for reader in (saver, make_saver()):
            assert await is_gone(reader, thread_id, run)
        assert saver.stats()["dead_puts"] == 1

    async def test_a_late_put_of_another_saver_stays_dead(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        """The deleting saver is another one, so the running one has not heard of it."""
        running, stranger = make_saver(), make_saver()
        run = Chain(running, thread_id)
        first = await run.step(a=1)
        await make_saver().adelete_thread(thread_id)

        await run.step(a=2)
        await stranger.aput(first, new_checkpoint({"a": 3}), {}, {"a": 3})
        await running.aput_writes(run.config, [("a", 1)], "task")
        await stranger.aput_writes(first, [("a", 1)], "task")

        for reader in (running, stranger, make_saver()):
            assert await is_gone(reader, thread_id, run)

    async def test_a_late_put_does_not_hide_the_new_life(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        old = Chain(saver, thread_id)
        await old.step(life="old")
        await make_saver().adelete_thread(thread_id)
        new = Chain(make_saver(), thread_id)
        await new.step(life="new")

        await old.step(life="old", late=True)

        for reader in (saver, new.saver, make_saver()):
            assert await values_of(reader, config_of(thread_id)) == {"life": "new"}
            assert len(await listed(reader, config_of(thread_id))) == 1

    async def test_writes_before_their_checkpoint_beside_a_run_of_a_deleted_life(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        """One saver for two runs: one has not heard of the delete, one is of the new life."""
        saver = make_saver()
        old, new = Chain(saver, thread_id), Chain(saver, thread_id)
        await old.step(life="old")
        await make_saver().adelete_thread(thread_id)
        await new.step(life="new")
        await old.step(life="old", late=True)  # the last epoch this saver used is dead

        checkpoint = new_checkpoint({"life": "new", "n": 1})
        named = config_of(thread_id, "", checkpoint["id"])
        await saver.aput_writes(named, [("n", 1)], "task")
        await saver.aput(new.config, checkpoint, {}, {"n": 1})

        for reader in (saver, make_saver()):
            found = await reader.aget_tuple(config_of(thread_id))
            assert found.checkpoint["channel_values"] == {"life": "new", "n": 1}
            assert found.pending_writes == [("task", "n", 1)]

    async def test_a_late_put_after_its_parent_was_deleted_before_it_was_visible(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        """The delete of the thread finds nothing of it, in Kusto or among what is shown."""
        saver = make_saver(write_mode="buffered", flush_interval=300.0)
        chain = Chain(saver, thread_id)
        await saver.adelete_checkpoint(await chain.step(a=1))
        await saver.adelete_thread(thread_id)
        await saver.flush()

        late = make_saver()
        await late.aput(chain.config, new_checkpoint({"a": 2}), {}, {"a": 2})

        for reader in (late, saver, make_saver()):
            assert await reader.aget_tuple(chain.place) is None
            assert await listed(reader, config_of(thread_id, None)) == []

    async def test_writes_to_an_older_checkpoint_of_a_thread_copied_anew(
        self, make_saver: MakeSaver, thread_id: str, new_thread: Any
    ) -> None:
        """The saver knows a later one only; under the older id there is a dead copy, too."""
        template, saver, other = new_thread(), make_saver(), make_saver()
        chain = Chain(saver, template)
        first = (await chain.step(a=1))["configurable"]["checkpoint_id"]
        await chain.step(a=2)
        await saver.acopy_thread(template, thread_id)
        await saver.adelete_thread(thread_id)
        await saver.acopy_thread(template, thread_id)
        assert await other.aget_tuple(config_of(thread_id)) is not None
        older = config_of(thread_id, "", first)

        await other.aput_writes(older, [("a", 3)], "task")

        for reader in (other, saver, make_saver()):
            assert (await reader.aget_tuple(older)).pending_writes == [("task", "a", 3)]

    async def test_the_first_put_of_a_subgraph_of_a_deleted_run_stays_dead(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        root = Chain(saver, thread_id)
        first = await root.step(a=1)
        await make_saver().adelete_thread(thread_id)
        enclosing = {"": first["configurable"]["checkpoint_id"]}
        inner = Chain(saver, thread_id, "child:1", checkpoint_map=enclosing)
        await inner.step(a=2)
        await inner.step(a=3)

        for reader in (saver, make_saver()):
            assert await is_gone(reader, thread_id, inner)
