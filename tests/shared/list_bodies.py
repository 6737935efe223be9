"""Bodies: lists, their ranges, filters and pages."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig

from langgraph.checkpoint.kusto import errors

from .savers import MakeSaver
from .threads import Chain, config_of, id_of, listed, listed_ids, new_checkpoint, noise

ALL = [4, 3, 2, 1, 0]
# A filter, and the numbers of the checkpoints that it finds among five, which have `MORE`, too.
FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, ALL),
    ({"number": 3}, [3]),
    ({"number": 3.0}, [3]),
    ({"number": "3"}, []),
    ({"number": True}, []),
    ({"parity": "odd"}, [3, 1]),
    ({"parity": "odd", "number": 1}, [1]),
    ({"parity": "odd", "number": 2}, []),
    ({"missing": None}, []),
    ({"nothing": None}, ALL),
    ({"deep": {"a": {"b": 2}}}, ALL),
    ({"deep": {"a": {"b": 3}}}, []),
    ({"deep": {}}, ALL),
    ({"deep": {"a": None}}, []),
    ({"deep": {"a": {"missing": None}}}, []),
    ({"deep": {"a": {"nothing": None}}}, ALL),
    ({"nothing": {}}, []),
    ({"nothing": False}, []),
    ({"tags": ["x"]}, ALL),
    ({"tags": ["y", "x", "y"]}, ALL),
    ({"tags": []}, ALL),
    ({"tags": "x"}, []),
    ({"tags": ["x", "z"]}, []),
    ({"a.b": "dotted"}, ALL),
    ({"a": {"b": "dotted"}}, []),
    ({"a": {"b": "nested"}}, ALL),
    ({"a.b": "nested"}, []),
    ({"deep.a.b": 2}, []),
    ({"$.number": 3}, []),
    ({"Größe ☃": "é"}, ALL),
    ({"Größe ☃": "e\u0301"}, []),
    ({"GRÖSSE ☃": "é"}, []),
    ({"": "no name"}, ALL),
    ({"": None}, []),
    ({"ratio": 0.5, "yes": True}, ALL),
    ({"yes": 1}, []),
    ({"yes": "true"}, []),
    ({"quo'te\"|": "it's; .drop table Checkpoints"}, ALL),
    ({"quo'te\"|' or 1 == 1 //": "x"}, []),
]
MORE: dict[str, Any] = {
    "nothing": None,
    "deep": {"a": {"b": 2, "c": 1, "nothing": None}},
    "tags": ["x", "y"],
    "a.b": "dotted",
    "a": {"b": "nested"},
    "Größe ☃": "é",
    "": "no name",
    "ratio": 0.5,
    "yes": True,
    "quo'te\"|": "it's; .drop table Checkpoints",
}


async def put_many(saver: Any, thread_id: str, count: int, ns: str = "") -> list[RunnableConfig]:
    """Checkpoints with ids in order, the oldest first."""
    chain = Chain(saver, thread_id, ns)
    for number in range(count):
        await chain.step({"number": number, "parity": "odd" if number % 2 else "even"}, n=number)
    return chain.stored


class ListBodies:
    async def test_newest_first_with_limits_and_before(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        stored = await put_many(saver, thread_id, 7)
        newest_first = [id_of(config) for config in reversed(stored)]
        place = config_of(thread_id)

        for reader in (saver, make_saver()):
            assert await listed_ids(reader, place) == newest_first
            assert await listed_ids(reader, place, limit=None) == newest_first
            assert await listed_ids(reader, place, limit=1) == newest_first[:1]
            assert await listed_ids(reader, place, limit=3) == newest_first[:3]
            assert await listed_ids(reader, place, limit=100) == newest_first
            assert await listed_ids(reader, place, limit=0) == []
            assert await listed_ids(reader, place, limit=-1) == []
            assert await listed_ids(reader, place, before=stored[4]) == newest_first[3:]
            assert await listed_ids(reader, place, before=stored[4], limit=1) == newest_first[3:4]
            assert await listed_ids(reader, place, before=stored[0]) == []
            assert await listed_ids(reader, stored[2]) == [id_of(stored[2])]
            assert await listed_ids(reader, stored[2], before=stored[2]) == []

    async def test_before_is_only_a_bound(self, make_saver: MakeSaver, thread_id: str) -> None:
        """LangGraph passes the id of a parent graph's checkpoint, with nothing else."""
        saver = make_saver()
        stored = await put_many(saver, thread_id, 3, "child:1")
        bound: RunnableConfig = {"configurable": {"checkpoint_id": id_of(stored[1]) + "!"}}

        expected = [id_of(stored[1]), id_of(stored[0])]
        for reader in (saver, make_saver()):
            assert (
                await listed_ids(reader, config_of(thread_id, "child:1"), before=bound) == expected
            )

    async def test_items_are_what_get_gives(self, make_saver: MakeSaver, thread_id: str) -> None:
        saver = make_saver()
        chain = Chain(saver, thread_id)
        for number in range(4):
            stored = await chain.step(number=number, large=noise(30_000 + number % 2))
            await saver.aput_writes(stored, [("a", number)], f"task {number}")

        for reader in (saver, make_saver()):
            items = await listed(reader, chain.place)
            assert items == [await reader.aget_tuple(config) for config in reversed(chain.stored)]
            assert [item.parent_config for item in items] == [*reversed(chain.stored[:-1]), None]

    async def test_no_namespace_means_all_of_them(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        """A namespace is one, not those below it; `before` and `limit` go across all."""
        saver = make_saver()
        names = ["", "child:1", "child:1|inner:2", "child:1|inner:2|1", "child:2"]
        stored = {name: await put_many(saver, thread_id, 2, name) for name in names}
        newest_first = [config for name in reversed(names) for config in reversed(stored[name])]
        root = newest_first[-1]

        async def found(reader: Any, namespace: str | None, **range_: Any) -> list[RunnableConfig]:
            items = await listed(reader, config_of(thread_id, namespace), **range_)
            return [item.config for item in items]

        for reader in (saver, make_saver()):
            assert await found(reader, None) == newest_first
            assert await found(reader, None, limit=1) == newest_first[:1]
            assert await found(reader, None, before=stored["child:1"][0]) == newest_first[-2:]
            for name in names:
                assert await found(reader, name) == stored[name][::-1]
                assert await found(reader, name, before=root) == []
            assert await found(reader, "child:1", before=newest_first[0]) == stored["child:1"][::-1]
            assert await found(reader, "child") == []
            assert await found(reader, "child:1|") == []

    async def test_filters_mean_containment(self, make_saver: MakeSaver, thread_id: str) -> None:
        saver = make_saver()
        chain = Chain(saver, thread_id)
        for number in range(5):
            parity = "odd" if number % 2 else "even"
            await chain.step({**MORE, "number": number, "parity": parity}, n=number)

        for reader in (saver, make_saver()):
            for wanted, numbers in FILTERS:
                found = await listed(reader, chain.place, filter=wanted)
                assert [item.metadata["number"] for item in found] == numbers, wanted
                found = await listed(reader, chain.place, filter=wanted, limit=2)
                assert [item.metadata["number"] for item in found] == numbers[:2], wanted

    @pytest.mark.parametrize(
        "wanted", [{1: "a"}, {"a": {1, 2}}, {"a": [b"x"]}, {"a": float("nan")}]
    )
    async def test_a_filter_that_cannot_be_honoured_is_refused(
        self, saver: Any, thread_id: str, wanted: Any
    ) -> None:
        with pytest.raises(errors.UnsupportedFilterError, match="filter"):
            await listed(saver, config_of(thread_id), filter=wanted)

    async def test_all_threads(
        self, make_saver: MakeSaver, new_thread: Any, thread_id: str
    ) -> None:
        """Told apart by a mark in the metadata: others may use the database at the same time."""
        saver = make_saver()
        mark = {"mark": thread_id}
        stored = []
        for name in (new_thread(), new_thread()):
            chain = Chain(saver, name)
            for number in range(2):
                stored.append(await chain.step(mark, n=number))

        newest_first = sorted(stored, key=id_of, reverse=True)
        for reader in (saver, make_saver()):
            found = [item.config for item in await listed(reader, None, filter=mark)]
            assert found == newest_first
            bounded = await listed(reader, None, filter=mark, before=newest_first[0], limit=2)
            assert [item.config for item in bounded] == newest_first[1:3]

    async def test_one_id_in_several_threads(
        self, make_saver: MakeSaver, new_thread: Any, thread_id: str
    ) -> None:
        saver = make_saver()
        names = sorted(new_thread() for _ in range(3))
        for name in names:
            checkpoint = new_checkpoint({"name": name}, checkpoint_id="1")
            await saver.aput(config_of(name, "", "0"), checkpoint, {"mark": thread_id}, {"name": 1})

        found = await listed(make_saver(), None, filter={"mark": thread_id})
        assert [item.checkpoint["channel_values"]["name"] for item in found] == names

    async def test_more_than_a_page(self, make_saver: MakeSaver, thread_id: str) -> None:
        """A page of keys has 200 rows."""
        import asyncio

        saver = make_saver()
        root = await saver.aput(config_of(thread_id), new_checkpoint(checkpoint_id="000"), {}, {})
        await asyncio.gather(
            *[
                saver.aput(root, new_checkpoint(checkpoint_id=f"{n:03}"), {"odd": n % 2}, {})
                for n in range(1, 450)
            ]
        )

        expected = [f"{number:03}" for number in reversed(range(450))]
        for reader in (saver, make_saver()):
            assert await listed_ids(reader, config_of(thread_id)) == expected
            odd = await listed_ids(reader, config_of(thread_id), filter={"odd": 1}, limit=210)
            assert odd == [i for i in expected if int(i) % 2][:210]

    async def test_a_list_may_be_abandoned_and_the_saver_used_inside(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        stored = await put_many(saver, thread_id, 12)

        items = saver.alist(config_of(thread_id))
        first = await items.__anext__()
        assert first.config == stored[-1]
        await saver.aput(stored[-1], new_checkpoint({"n": 99}), {}, {"n": 1})
        assert len(await listed_ids(saver, config_of(thread_id))) == 13
        assert (await items.__anext__()).config == stored[-2]
        await items.aclose()

    async def test_lists_that_were_left_hold_nothing(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        """More of them than queries may be on their way."""
        saver = make_saver(max_queries=1)
        stored = await put_many(saver, thread_id, 12)
        left = [saver.alist(config_of(thread_id)) for _ in range(5)]
        for items in left:
            assert (await items.__anext__()).config == stored[-1]

        assert len(await listed_ids(saver, config_of(thread_id))) == 12
        await saver.adelete_thread(thread_id)
        assert await saver.aget_tuple(config_of(thread_id)) is None
        await saver.aclose()
        for items in left:
            await items.aclose()

    async def test_every_call_works_inside_a_list(
        self, make_saver: MakeSaver, new_thread: Any
    ) -> None:
        """What the list has not fetched yet it gives as it is then."""
        saver, name, copy = make_saver(), new_thread(), new_thread("copy")
        stored = await put_many(saver, name, 15)
        seen: list[RunnableConfig] = []
        async for item in saver.alist(config_of(name)):
            seen.append(item.config)
            assert await saver.aget_tuple(item.config) == item
            await saver.aput_writes(item.config, [("a", len(seen))], "task")
            if len(seen) == 1:
                await saver.aput(item.config, new_checkpoint(), {"source": "update"}, {})
                await saver.acopy_thread(name, copy)
                await saver.aprune([copy])
                await saver.adelete_for_runs(["no such run"])
                await saver.aget_delta_channel_history(config=item.config, channels=["n"])
                assert await saver.afind_forks(config_of(name)) == []
                assert await saver.adelete_checkpoint(stored[0])
                assert len(await listed_ids(saver, config_of(copy))) == 1
            if len(seen) == 14:
                await saver.adelete_thread(name)
        # Ten were fetched first, and then `stored[0]` was not there any more.
        assert seen == stored[:0:-1]
        assert await listed(saver, config_of(name)) == []
        assert len(await listed(saver, config_of(copy))) == 1
