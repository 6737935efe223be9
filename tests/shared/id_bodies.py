"""Bodies: ids are opaque text, and what is no id is refused."""

from __future__ import annotations

from typing import Any

import pytest

from .refusals import refused
from .savers import MakeSaver
from .threads import Chain, config_of, listed, new_checkpoint, new_id, values_of

HOSTILE = (
    "' or 1 == 1 //",
    '"; .drop table Checkpoints',
    "a\nb\r\n\tc",
    "back\\slash\\",
    "child:1|grandchild:2",
    ",comma,",
    "☃ \U0001f600 中文 ß",
    "{p_thread} %s {0}",
    "A" * 2_000,
    " leading and trailing ",
    "\x00\x01",
    "NaN",
    'x" or 1==1 //',
    "Checkpoints | take 0",
    "00012",
    "2026-01-02T03:04:05.1234567Z",
    "\u202eright to left: \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627\u200f",
    "語" * 10_000,
)


class IdBodies:
    @pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
    async def test_any_text_is_an_id(
        self, make_saver: MakeSaver, new_thread: Any, text: str
    ) -> None:
        saver, name = make_saver(), new_thread(text)
        bystander = new_thread()
        await Chain(saver, bystander).step(a="other")
        chain = Chain(saver, name, text)
        stored = await saver.aput(
            chain.config, new_checkpoint({text: text}, checkpoint_id=text), {text: text}, {text: 1}
        )
        await saver.aput_writes(stored, [(text, text)], text, text)

        for reader in (saver, make_saver()):
            found = await reader.aget_tuple(config_of(name, text))
            assert found.config == config_of(name, text, text)
            assert found.checkpoint["channel_values"] == {text: text}
            assert found.pending_writes == [(text, text, text)]
            assert [i.config for i in await listed(reader, config_of(name, None))] == [stored]
            everywhere = config_of(name, None)
            assert await listed(reader, everywhere, before=stored) == []
            kept = text.replace("\x00", "")  # LangGraph takes NUL out of metadata
            (item,) = await listed(reader, everywhere, filter={text: kept})
            assert item.config == stored
            assert item.metadata[text] == kept
            assert await listed(reader, everywhere, filter={text: kept + "x"}) == []
            assert await listed(reader, everywhere, filter={text + "x": kept}) == []
        await saver.adelete_thread(name)
        assert await make_saver().aget_tuple(stored) is None
        assert await values_of(make_saver(), config_of(bystander)) == {"a": "other"}

    async def test_ids_that_differ_little_are_different(
        self, make_saver: MakeSaver, new_thread: Any
    ) -> None:
        saver, stem = make_saver(), new_thread()
        names = [new_thread() for _ in range(3)]
        pairs = [stem, *names]
        for name in pairs:
            for ns in ("a", "A", "a ", ""):
                await Chain(saver, name, ns).step(name=name, ns=ns)

        for name in pairs:
            for ns in ("a", "A", "a ", ""):
                assert await values_of(make_saver(), config_of(name, ns)) == {
                    "name": name,
                    "ns": ns,
                }
            assert await make_saver().aget_tuple(config_of(name.upper())) is None
            assert await make_saver().aget_tuple(config_of(name + " ")) is None

    async def test_a_thread_id_may_be_anything_that_prints(
        self, make_saver: MakeSaver, thread_id: str
    ) -> None:
        class Named:
            def __str__(self) -> str:
                return thread_id

        stored = await Chain(make_saver(), Named()).step(a=1)  # type: ignore[arg-type]
        assert stored == config_of(thread_id, "", stored["configurable"]["checkpoint_id"])
        assert await values_of(make_saver(), config_of(thread_id)) == {"a": 1}

    @pytest.mark.parametrize(
        "config",
        [{}, {"configurable": {}}, config_of(None), config_of(""), {"configurable": None}],
        ids=["empty", "nothing", "None", "empty text", "no dict"],
    )
    async def test_no_thread_id_is_refused_by_every_method(self, saver: Any, config: Any) -> None:
        message = (
            'the config has no thread_id; pass {"configurable": {"thread_id":'
            ' "<any non-empty text>"}}'
        )
        for call in (
            saver.aget_tuple(config),
            saver.aput(config, new_checkpoint(), {}, {}),
            saver.aput_writes(config, [("a", 1)], "task"),
            listed(saver, config),
        ):
            error = await refused(call, "MissingThreadIdError", message)
            assert isinstance(error, ValueError)

    @pytest.mark.parametrize("thread_id", [None, ""])
    async def test_no_thread_is_deleted_without_an_id(self, saver: Any, thread_id: Any) -> None:
        await refused(
            saver.adelete_thread(thread_id),
            "MissingThreadIdError",
            "the config has no thread_id; pass",
        )

    async def test_text_that_no_column_can_hold_is_refused(
        self, saver: Any, thread_id: str
    ) -> None:
        lone = "a\ud800"
        place, checkpoint = config_of(thread_id), new_checkpoint()
        empty: Any = {**checkpoint, "id": ""}
        remedy = "'a\\ud800' holds a lone surrogate, which no text column can hold; decode it"
        writes = [("a", 1)]
        at = config_of(thread_id, "", new_id())
        for call, message in (
            (saver.aget_tuple(config_of(lone)), f"thread_id {remedy}"),
            (saver.aput(config_of(thread_id, lone), checkpoint, {}, {}), f"checkpoint_ns {remedy}"),
            (saver.aput(place, new_checkpoint({lone: 1}), {}, {lone: 1}), f"channel {remedy}"),
            (saver.aput_writes(at, writes, lone), f"task_id {remedy}"),
            (saver.aput_writes(at, writes, "task", lone), f"task_path {remedy}"),
            (saver.aput_writes(at, [(lone, 1)], "task"), f"channel {remedy}"),
            (saver.aput(place, empty, {}, {}), "an empty id; use any non-empty text"),
            (saver.aget_tuple(config_of("x" * 70_000)), "more than 65536; shorten it"),
        ):
            await refused(call, "InvalidConfigError", message)
