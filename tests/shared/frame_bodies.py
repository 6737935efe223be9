"""Bodies: large values that grow are stored as what changed, and come back exact everywhere."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from .savers import MakeSaver
from .threads import Chain, config_of, id_of, listed, noise, values_of


def history(steps: int) -> list[HumanMessage]:
    """Messages that do not compress, each of about 700 characters."""
    return [HumanMessage(noise(350, number).hex(), id=str(number)) for number in range(steps)]


async def grow(chain: Chain, first: int, last: int) -> None:
    """Write steps of a conversation: a message more at each."""
    for number in range(first, last):
        await chain.step(messages=history(number + 1), count=number)


async def assert_exact(saver: Any, chain: Chain, steps: int) -> None:
    """Read all steps of a conversation, one by one and in a list."""
    found = await listed(saver, chain.place)
    counts = [item.checkpoint["channel_values"]["count"] for item in found]
    assert counts == [*reversed(range(steps))]
    for item in found:
        values = item.checkpoint["channel_values"]
        assert values["messages"] == history(values["count"] + 1)
        assert await saver.aget_tuple(item.config) == item


class FrameBodies:
    async def test_a_conversation_costs_what_it_grows_by(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        chain = Chain(saver, thread_id)
        await grow(chain, 0, 100)
        stats = saver.stats()

        assert stats["frames_stored"] > 80
        whole = sum(len(message.content) for number in range(100) for message in history(number))
        assert stats["ingest_bytes"] < whole / 5
        await assert_exact(saver, chain, 100)
        await assert_exact(make_saver(), chain, 100)
        assert stats["blobs_stored"] < 15, "few of the steps needed a request more"

    async def test_another_process_goes_on(self, make_saver: MakeSaver, thread_id: str) -> None:
        chain = Chain(make_saver(), thread_id)
        await grow(chain, 0, 30)
        other = make_saver()
        assert (await values_of(other, chain.place))["count"] == 29
        chain.saver = other
        await grow(chain, 30, 50)

        assert other.stats()["frames_stored"] >= 18
        await assert_exact(make_saver(), chain, 50)

    async def test_a_process_that_has_read_nothing_stores_it_whole(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        chain = Chain(make_saver(), thread_id)
        await grow(chain, 0, 30)
        other = make_saver()
        chain.saver = other
        await grow(chain, 30, 31)
        assert other.stats()["frames_stored"] == 0
        await grow(chain, 31, 50)

        assert other.stats()["frames_stored"] >= 18
        await assert_exact(make_saver(), chain, 50)

    async def test_two_processes_in_turn(self, make_saver: MakeSaver, thread_id: str) -> None:
        savers = [make_saver(), make_saver()]
        chain = Chain(savers[0], thread_id)
        for turn in range(12):
            chain.saver = savers[turn % 2]
            await chain.saver.aget_tuple(chain.place)
            await grow(chain, turn * 5, turn * 5 + 5)

        assert all(saver.stats()["frames_stored"] >= 12 for saver in savers)
        for saver in (*savers, make_saver()):
            await assert_exact(saver, chain, 60)

    async def test_nothing_is_kept_without_a_cache(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver(frame_cache_bytes=0)
        chain = Chain(saver, thread_id)
        await grow(chain, 0, 30)

        assert saver.stats()["frames_stored"] == 0
        await assert_exact(make_saver(), chain, 30)

    async def test_forks_of_old_steps(self, make_saver: MakeSaver, thread_id: str) -> None:
        saver, rng = make_saver(), random.Random(1)
        chain = Chain(saver, thread_id)
        chain.values["text"] = noise(20_000)
        expected: dict[str, bytes] = {}
        for number in range(60):
            if chain.stored and number % 3 == 0:
                chain.config = rng.choice(chain.stored)
                values = expected[id_of(chain.config)]
            else:
                values = chain.values["text"]
            cut = rng.randrange(len(values))
            stored = await chain.step(text=values[:cut] + rng.randbytes(100) + values[cut:])
            expected[id_of(stored)] = chain.values["text"]

        assert saver.stats()["frames_stored"] > 40
        for reader in (saver, make_saver()):
            found = await listed(reader, chain.place)
            assert {
                item.checkpoint["id"]: item.checkpoint["channel_values"]["text"] for item in found
            } == expected

    async def test_a_channel_that_does_not_change_is_not_serialised_again(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        chain = Chain(saver, thread_id)
        await grow(chain, 0, 30)
        before = saver.stats()
        # What stands in memory is not looked at: the version did not change.
        chain.values["messages"] = "not serialised"
        for number in range(10):
            await chain.step(count=100 + number)
        after = saver.stats()

        assert after["blobs_reused"] + after["frames_stored"] >= before["frames_stored"] + 10
        reader = make_saver()
        for stored in chain.stored[-10:]:
            found = await values_of(reader, stored)
            assert found["messages"] == history(30)
        chain.values["messages"] = history(30)
        await chain.step(messages=history(31), count=30)
        assert (await values_of(make_saver(), chain.place))["messages"] == history(31)

    async def test_a_copy_is_exact_and_as_small(
        self, make_saver: MakeSaver, thread_id: str, new_thread: Callable[..., str]
    ) -> None:
        saver = make_saver()
        chain = Chain(saver, thread_id)
        await grow(chain, 0, 60)
        copier = make_saver()
        target = new_thread(" copy")
        await copier.acopy_thread(thread_id, target)
        assert copier.stats()["ingest_bytes"] < 2 * saver.stats()["ingest_bytes"]
        await saver.adelete_thread(thread_id)

        copy = Chain(make_saver(), target)
        await assert_exact(copy.saver, copy, 60)
        assert await listed(make_saver(), chain.place) == []

    async def test_what_is_left_of_a_prune_is_exact(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        chain = Chain(make_saver(), thread_id)
        await grow(chain, 0, 40)
        saver = make_saver()
        await saver.aprune([thread_id])
        assert [item.checkpoint["id"] for item in await listed(saver, chain.place)] == [
            id_of(chain.stored[-1])
        ]
        chain.saver = saver
        await grow(chain, 40, 60)

        found = await listed(make_saver(), chain.place)
        assert [item.checkpoint["channel_values"]["messages"] for item in found] == [
            history(number + 1) for number in reversed(range(39, 60))
        ]

    async def test_a_thread_of_the_same_name_begins_anew(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        chain = Chain(saver, thread_id)
        await grow(chain, 0, 30)
        await saver.adelete_thread(thread_id)
        again = Chain(saver, thread_id)
        await grow(again, 0, 40)

        await assert_exact(make_saver(), again, 40)

    async def test_steps_put_again(self, make_saver: MakeSaver, thread_id: str) -> None:
        """The last copy wins, and what follows is stored against that."""
        saver = make_saver()
        chain = Chain(saver, thread_id)
        await grow(chain, 0, 25)
        config, stored = chain.stored[-2], chain.stored[-1]
        found = await saver.aget_tuple(stored)
        checkpoint = dict(found.checkpoint)
        checkpoint["channel_values"] = {"messages": history(24)[3:] + history(25)[-1:], "count": 24}
        versions = checkpoint["channel_versions"]
        await saver.aput(config, checkpoint, found.metadata, versions)
        chain.values["messages"] = None
        await chain.step(messages=history(26), count=25)

        reader = make_saver()
        first = await values_of(reader, stored)
        assert first["messages"] == checkpoint["channel_values"]["messages"]
        assert (await values_of(reader, chain.place))["messages"] == history(26)

    async def test_a_step_put_again_whole_and_a_child_that_does_not_change_it(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        saver = make_saver()
        chain = Chain(saver, thread_id)
        await grow(chain, 0, 25)
        found = await saver.aget_tuple(chain.place)
        for messages in (history(3), ["short"], history(30)[20:]):
            checkpoint = dict(found.checkpoint)
            checkpoint["channel_values"] = {"messages": messages, "count": 24}
            await saver.aput(
                chain.stored[-2], checkpoint, found.metadata, checkpoint["channel_versions"]
            )
            child = Chain(saver, thread_id)
            child.config, child.versions = chain.stored[-1], dict(checkpoint["channel_versions"])
            child.values = {"messages": messages, "count": 24}
            stored = await child.step(count=25)
            for reader in (saver, make_saver()):
                assert await values_of(reader, stored) == {"messages": messages, "count": 25}
                assert (await values_of(reader, chain.stored[-1]))["messages"] == messages

    async def test_a_channel_without_a_name(self, make_saver: MakeSaver, thread_id: str) -> None:
        saver = make_saver()
        chain = Chain(saver, thread_id)
        data = noise(50_000)
        for number in range(5):
            data += noise(300, number)
            await chain.step(**{"": data, "other": number})
            for reader in (saver, make_saver()):
                assert await values_of(reader, chain.place) == {"": data, "other": number}
        assert saver.stats()["frames_stored"] == 4

    async def test_encrypted_values_are_stored_whole(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        serde = EncryptedSerializer.from_pycryptodome_aes(key=b"0123456789abcdef")
        saver = make_saver(serde=serde)
        chain = Chain(saver, thread_id)
        await grow(chain, 0, 30)

        assert saver.stats()["frames_stored"] == 0
        await assert_exact(make_saver(serde=serde), chain, 30)

    @pytest.mark.counts
    async def test_a_delta_channel_whose_frame_rides_is_held(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        """Nobody has to ask which ancestors it is rebuilt from."""
        saver = make_saver()
        chain = Chain(saver, thread_id)
        counted = {"counters_since_delta_snapshot": {"delta": [0, 0]}}
        await chain.step(counted, delta=noise(40_000), n=0)
        await chain.step(counted, delta=noise(40_000) + b"more", n=1)
        queries = saver.stats()["queries"]
        for number in range(4):
            await chain.step(counted, n=number)

        assert saver.stats()["frames_stored"] + saver.stats()["blobs_reused"] >= 5
        assert saver.stats()["queries"] == queries

    @pytest.mark.counts
    async def test_requests(self, make_saver: MakeSaver, thread_id: str) -> None:
        """A put whose frame rides in its row is one request, and a read is one."""
        saver = make_saver()
        chain = Chain(saver, thread_id)
        chain.values["messages"] = noise(40_000)
        await chain.step(messages=noise(40_000))
        before = saver.stats()["ingest_requests"]
        for number in range(5):
            await chain.step(messages=chain.values["messages"] + noise(300, number))
        assert saver.stats()["ingest_requests"] == before + 5

        reader = make_saver()
        assert (await values_of(reader, chain.place)) == chain.values
        assert (await values_of(reader, config_of(thread_id))) == chain.values
        assert reader.stats()["queries"] == 2
