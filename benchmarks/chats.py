"""Chats written step by step, as LangGraph writes them: one, or many at the same time."""

from __future__ import annotations

import random
import uuid
from datetime import datetime, timezone
from functools import partial
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.base.id import uuid6

from .bench import Bench

READ_EVERY = 5
MESSAGE_CHARACTERS = 500

_WORDS = (
    "the of and to in is that for it as was with be by on not he his but at are this have from or"
    " had an they which one you were all her she there would their we him been has when who will"
    " no more if out so up said what its about than into them can only other time new some could"
    " these two may first then do any like my now over such our man me even most made after also"
    " did many off before must well back through years much where your way down should because"
    " long each just people too little good world state very make still own see men work here get"
    " both between life being under three never know same last another while us might great year"
    " go come since against right came take used himself few house use place during high without"
    " again home around small however found thought went say part once general upon school every"
    " does got united left number course war until always away something fact though water less"
    " public put think almost hand enough far took head yet government system better set told"
).split()


def message_text(chance: random.Random, characters: int = MESSAGE_CHARACTERS) -> str:
    """A text in words, so that it compresses as language does."""
    words: list[str] = []
    size = 0
    while size <= characters:
        words.append(chance.choice(_WORDS))
        size += len(words[-1]) + 1
    return " ".join(words)[:characters]


def checkpoint_of(
    values: dict[str, Any], versions: dict[str, Any], seen: dict[str, Any], changed: list[str]
) -> dict[str, Any]:
    """A checkpoint as LangGraph hands it over."""
    return {
        "v": 4,
        "id": str(uuid6(clock_seq=-1)),
        "ts": datetime.now(timezone.utc).isoformat(),
        "channel_values": values,
        "channel_versions": dict(versions),
        "versions_seen": seen,
        "updated_channels": changed,
    }


class Chat:
    """A thread of six channels, of which three change with each step."""

    def __init__(
        self, bench: Bench, thread_id: str, steps: int, characters: int = MESSAGE_CHARACTERS
    ) -> None:
        chance = random.Random(thread_id)
        kinds = (HumanMessage, AIMessage)
        self._new = [
            kinds[number % 2](
                content=message_text(chance, characters),
                id=str(uuid.UUID(int=chance.getrandbits(128))),
            )
            for number in range(steps)
        ]
        self._bench = bench
        self._place = bench.thread(thread_id)
        self._config = self._place
        self._values: dict[str, Any] = {
            "messages": [],
            "turn": -1,
            "scratch": {},
            "user": {"id": thread_id, "name": "Ada Lovelace", "languages": ["en", "fr"]},
            "plan": ["look", "think", "answer"],
            "summary": "",
        }
        self._versions: dict[str, Any] = {}

    async def run(self) -> None:
        """Write every step; read and compare every few."""
        for number in range(len(self._new)):
            await self._step(number)
            if (number + 1) % READ_EVERY == 0:
                await self._read(number)

    async def _step(self, number: int) -> None:
        saver, meter, message = self._bench.saver, self._bench.meter, self._new[number]
        changed: dict[str, Any] = {
            "messages": [*self._values["messages"], message],
            "turn": number,
            "scratch": {"tool": "search", "score": number / 7, "tried": list(range(number % 4))},
        }
        if number == 0:
            changed = {**self._values, **changed}
        self._values |= changed
        before = self._versions.get
        new = {name: saver.get_next_version(before(name), None) for name in changed}
        seen = {"__input__": {}, "agent": {"branch:to:agent": self._versions.get("turn", "0")}}
        self._versions |= new
        body = checkpoint_of(dict(self._values), self._versions, seen, sorted(changed))
        metadata = {"source": "loop", "step": number, "parents": {}, "user": "ada"}
        stored = await meter.timed("put", saver.aput(self._config, body, metadata, new))
        self._config = stored
        writes = [("messages", [message]), ("turn", number), ("branch:to:agent", None)]
        task = str(uuid.UUID(int=number))
        await meter.timed("put_writes", saver.aput_writes(stored, writes, task, "~agent"))

    async def _read(self, number: int) -> None:
        saver, meter = self._bench.saver, self._bench.meter
        found = await meter.timed("get_tuple", saver.aget_tuple(self._place))
        if found is None or found.checkpoint["channel_values"] != self._values:
            raise ValueError(f"other values in {self._place} at step {number}")
        if len(found.pending_writes) != 3:
            raise ValueError(f"{len(found.pending_writes)} writes at step {number}, not 3")


async def prepare(bench: Bench, *, chats: int, steps: int) -> list[Chat]:
    """Make the messages beforehand."""
    return [Chat(bench, f"chat {number}", steps) for number in range(chats)]


async def run(bench: Bench, chats: list[Chat]) -> None:
    """Run all chats at the same time."""
    await bench.driver.together([partial(Chat.run, chat) for chat in chats])


async def warm_up(bench: Bench) -> None:
    """Open connections and load code, in a thread of its own."""
    await Chat(bench, "warm-up", READ_EVERY).run()
