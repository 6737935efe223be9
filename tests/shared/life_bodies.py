"""Bodies: opening, closing, clones, buffered writing, many calls at a time."""

from __future__ import annotations

import asyncio
import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph.checkpoint.kusto import errors

from .savers import MakeSaver
from .threads import Chain, config_of, eventually, listed, new_checkpoint, noise, values_of


class NumberSerializer:
    """A serializer of another kind, which knows nothing but what it is given."""

    def __init__(self, shift: int) -> None:
        self._inner = JsonPlusSerializer()
        self._shift = shift

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        tag, data = self._inner.dumps_typed(obj)
        return f"shift{self._shift}+{tag}", bytes((b + self._shift) % 256 for b in data)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        mark, tag = data[0].split("+")
        assert mark == f"shift{self._shift}"
        return self._inner.loads_typed((tag, bytes((b - self._shift) % 256 for b in data[1])))


class LifeBodies:
    async def test_setup_checks_what_is_there(self, saver: Any) -> None:
        await saver.setup()

    async def test_a_saver_is_a_context_and_stays_closed(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        async with make_saver() as saver:
            chain = Chain(saver, thread_id)
            for number in range(12):
                stored = await chain.step(a=number)
            begun = saver.alist(config_of(thread_id))
            while (await begun.__anext__()).config != chain.stored[2]:  # the end of its first group
                pass
        await saver.aclose()

        for call in (
            lambda: saver.aget_tuple(config_of(thread_id)),
            lambda: saver.aput(config_of(thread_id), new_checkpoint(), {}, {}),
            lambda: saver.aput_writes(stored, [("a", 1)], "task"),
            lambda: saver.adelete_thread(thread_id),
            lambda: saver.adelete_for_runs(["run"]),
            lambda: saver.adelete_checkpoint(stored),
            lambda: saver.acopy_thread(thread_id, thread_id + " copy"),
            lambda: saver.aprune([thread_id]),
            lambda: saver.aget_delta_channel_history(config=stored, channels=["a"]),
            lambda: saver.afind_forks(stored),
            lambda: listed(saver, config_of(thread_id)),
            lambda: begun.__anext__(),
            lambda: saver.flush(),
            lambda: saver.setup(),
            lambda: saver.__aenter__(),
        ):
            with pytest.raises(errors.SaverClosedError, match="create a new one"):
                await call()
        assert "closed" in repr(saver)

    async def test_closing_at_the_same_time(self, make_saver: MakeSaver, thread_id: str) -> None:
        saver = make_saver()
        stored = await Chain(saver, thread_id).step(a=1)
        chains = [Chain(saver, thread_id, f"child:{number}") for number in range(5)]
        puts = [asyncio.ensure_future(chain.step(large=noise(50_000))) for chain in chains]
        await asyncio.gather(*[saver.aclose() for _ in range(3)])

        ends = await asyncio.gather(*puts, return_exceptions=True)
        found = [item.config for item in await listed(make_saver(), config_of(thread_id, None))]
        assert stored in found
        for end in ends:
            assert isinstance(end, errors.SaverClosedError) or end in found

    async def test_closing_a_saver_that_was_never_used(self, make_saver: MakeSaver) -> None:
        saver = make_saver()
        assert "not opened" in repr(saver)
        await saver.aclose()
        await saver.aclose()
        assert saver.stats()["queries"] == 0

    @pytest.mark.counts
    async def test_counters(self, saver: Any, thread_id: str) -> None:
        chain = Chain(saver, thread_id)
        await chain.step(a=1)
        await saver.aput_writes(chain.config, [("a", 1)], "task")
        await saver.aget_tuple(chain.place)
        await listed(saver, chain.place)
        with pytest.raises(errors.MissingThreadIdError):
            await listed(saver, config_of(None))
        await saver.adelete_thread(thread_id)

        stats = saver.stats()
        for name in ("puts", "put_writes", "get_tuples", "lists", "deletes"):
            assert stats[name] == 1, name
        assert stats["ingest_rows"] == 3
        assert stats["ingest_requests"] == 3
        assert stats["retries"] == stats["throttled"] == 0

    @pytest.mark.counts
    async def test_one_request_for_a_put_and_one_for_a_get(
        self, saver: Any, thread_id: str
    ) -> None:
        chain = Chain(saver, thread_id)
        await chain.step(a=1)
        await saver.aget_tuple(chain.place)
        before = saver.stats()
        await chain.step(a=2)
        await saver.aget_tuple(chain.place)
        await chain.step(large=noise(100_000))
        await saver.aget_tuple(chain.place)
        after = saver.stats()

        assert after["ingest_requests"] - before["ingest_requests"] == 3  # a row; a blob, a row
        assert after["queries"] - before["queries"] == 2

    async def test_the_overlay_forgets_what_queries_show(self, saver: Any, thread_id: str) -> None:
        chain = Chain(saver, thread_id)
        stored = await chain.step(a=1, large=noise(30_000))
        await saver.aput_writes(stored, [("a", 1)], "task")
        assert saver.stats()["overlay_rows"] == 3
        await saver.aget_tuple(chain.place)

        assert saver.stats()["overlay_rows"] == saver.stats()["overlay_bytes"] == 0
        assert (await saver.aget_tuple(chain.place)).pending_writes == [("task", "a", 1)]

    async def test_clones_share_everything_but_the_serializer(
        self, make_saver: MakeSaver, thread_id: str, new_thread: Any
    ) -> None:
        saver = make_saver()
        clone = copy.copy(saver)
        clone.serde = NumberSerializer(3)
        mine, other = Chain(saver, thread_id), Chain(clone, new_thread())
        await mine.step(a={1, 2}, large=noise(30_000))
        await other.step(a={3, 4}, large=noise(30_000))

        assert await values_of(saver, mine.place) == {"a": {1, 2}, "large": noise(30_000)}
        assert await values_of(clone, other.place) == {"a": {3, 4}, "large": noise(30_000)}
        assert saver.stats() == clone.stats()
        assert saver.stats()["puts"] == 2
        with pytest.raises(errors.DeserializationError, match="serde"):
            await saver.aget_tuple(other.place)
        await clone.aclose()
        with pytest.raises(errors.SaverClosedError):
            await saver.aget_tuple(mine.place)

    async def test_an_allowlist_makes_a_clone(self, make_saver: MakeSaver, thread_id: str) -> None:
        """As every graph does under LANGGRAPH_STRICT_MSGPACK."""
        from .value_bodies import Point

        strict = make_saver(serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        allowed = strict.with_allowlist([(Point.__module__, Point.__name__)])
        assert allowed is not strict
        stored = await Chain(allowed, thread_id).step(point=Point(1.0, [2]))

        assert await values_of(allowed, stored) == {"point": Point(1.0, [2])}
        assert not isinstance((await values_of(strict, stored))["point"], Point)

    async def test_the_serializer_may_be_replaced(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        saver.serde = NumberSerializer(7)
        stored = await Chain(saver, thread_id).step(a=b"x" * 1_000)

        assert await values_of(make_saver(serde=NumberSerializer(7)), stored) == {"a": b"x" * 1_000}

    async def test_what_cannot_be_serialised_names_its_place(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        checkpoint = new_checkpoint({"good": 1, "bad one": open})
        with pytest.raises(errors.SerializationError) as refused:
            await saver.aput(config_of(thread_id), checkpoint, {}, {"bad one": 1})

        message = str(refused.value)
        for part in (
            thread_id,
            checkpoint["id"],
            "'bad one'",
            "builtin_function_or_method",
            "serde=",
        ):
            assert part in message
        assert isinstance(refused.value, TypeError)
        with pytest.raises(errors.SerializationError, match=r"task 'the task'.*" + thread_id):
            await saver.aput_writes(
                config_of(thread_id, "", checkpoint["id"]), [("c", open)], "the task"
            )
        assert await make_saver().aget_tuple(config_of(thread_id)) is None
        assert saver.stats()["ingest_requests"] == 0

    @pytest.mark.counts
    async def test_buffered_puts_return_at_once_and_are_read_at_once(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver(write_mode="buffered", batch_size=1_000, flush_interval=3_600.0)
        chain = Chain(saver, thread_id)
        for number in range(5):
            stored = await chain.step(n=number, large=noise(30_000, number))
            await saver.aput_writes(stored, [("a", number)], "task")

        assert saver.stats()["ingest_requests"] == 0
        assert await make_saver().aget_tuple(chain.place) is None
        found = await saver.aget_tuple(chain.place)
        assert found.checkpoint["channel_values"] == {"n": 4, "large": noise(30_000, 4)}
        assert found.pending_writes == [("task", "a", 4)]
        assert len(await listed(saver, chain.place)) == 5

        await saver.flush()

        other = make_saver()
        assert len(await listed(other, chain.place)) == 5
        assert await other.aget_tuple(chain.place) == found
        assert saver.stats()["ingest_rows"] == 15

    @pytest.mark.counts
    async def test_buffered_rows_leave_when_there_are_enough(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver(write_mode="buffered", batch_size=10, flush_interval=3_600.0)
        chain = Chain(saver, thread_id)
        for number in range(10):
            await chain.step(n=number)
        other = make_saver()

        async def visible() -> bool:
            return await other.aget_tuple(chain.place) is not None

        await eventually(visible)
        await saver.flush()  # before they are acknowledged, others need not see them again
        assert len(await listed(other, chain.place)) == 10
        assert saver.stats()["ingest_requests"] == 1

    async def test_buffered_rows_leave_after_a_while(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver(write_mode="buffered", batch_size=1_000, flush_interval=0.05)
        chain = Chain(saver, thread_id)
        await chain.step(n=1)
        other = make_saver()

        async def visible() -> bool:
            return await other.aget_tuple(chain.place) is not None

        await eventually(visible)

    async def test_leaving_drains_what_is_buffered(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        options: dict[str, Any] = {"write_mode": "buffered", "flush_interval": 3_600.0}
        async with make_saver(**options) as saver:
            chain = Chain(saver, thread_id)
            for number in range(5):
                await chain.step(n=number, large=noise(30_000, number))

        found = await listed(make_saver(), chain.place)
        assert [item.checkpoint["channel_values"]["n"] for item in found] == [4, 3, 2, 1, 0]

    async def test_a_buffered_delete_is_seen_at_once(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver(write_mode="buffered", flush_interval=3_600.0)
        old = Chain(saver, thread_id)
        await old.step(life="old")
        await saver.adelete_thread(thread_id)
        assert await saver.aget_tuple(old.place) is None
        await Chain(saver, thread_id).step(life="new")
        assert await values_of(saver, old.place) == {"life": "new"}

        await saver.flush()
        assert await values_of(make_saver(), old.place) == {"life": "new"}

    @pytest.mark.counts
    async def test_many_puts_share_requests(self, make_saver: MakeSaver, new_thread: Any) -> None:
        saver = make_saver(max_in_flight=2)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(40))
        chains = [Chain(saver, new_thread()) for _ in range(40)]
        for number in range(5):
            await asyncio.gather(*[chain.step(n=number) for chain in chains])

        stats = saver.stats()
        assert stats["puts"] == stats["ingest_rows"] == 200
        assert stats["ingest_requests"] < 100
        other = make_saver()
        found = await asyncio.gather(*[values_of(other, chain.place) for chain in chains])
        assert found == [{"n": 4}] * 40

    async def test_everything_at_once(self, make_saver: MakeSaver, new_thread: Any) -> None:
        """Large and small puts, writes, reads and deletes of many threads do not mix."""
        savers = [make_saver(), make_saver()]

        async def live(number: int) -> None:
            name = new_thread()
            chain = Chain(savers[number % 2], name)
            for step in range(4):
                large = noise(40_000 * (number % 3), number * 10 + step)
                stored = await chain.step(n=[number, step], large=large)
                await chain.saver.aput_writes(stored, [("a", [number, step])], f"task {step}")
                found = await savers[(number + step) % 2].aget_tuple(config_of(name))
                assert found.checkpoint["channel_values"] == {"n": [number, step], "large": large}
                assert found.pending_writes == [(f"task {step}", "a", [number, step])]
            if number % 4 == 0:
                await savers[1].adelete_thread(name)
                assert await savers[0].aget_tuple(config_of(name)) is None
            else:
                assert len(await listed(savers[0], config_of(name))) == 4

        await asyncio.gather(*[live(number) for number in range(16)])
