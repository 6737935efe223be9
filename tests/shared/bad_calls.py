"""Calls that cannot be meant: the call, the class of the error, and its message. Plain data."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from .threads import config_of, listed, new_checkpoint

Call = Callable[[Any], Any]

TOO_LONG = "x" * 65_537
LONE = "a\ud800"
THREAD_FORM = 'pass {"configurable": {"thread_id": "<any non-empty text>"}}'
BOUND_FORM = 'pass {"configurable": {"checkpoint_id": "<an id>"}}'
PAIRS_FORM = "pass [(channel, value), ...]"


def put(**given: Any) -> Call:
    """A `put` that is right but for what is given."""
    arguments = {
        "config": config_of("t"),
        "checkpoint": new_checkpoint({"a": 1}),
        "metadata": {},
        "new_versions": {"a": 1},
    }
    return lambda saver: saver.aput(*(arguments | given).values())


def put_writes(**given: Any) -> Call:
    """A `put_writes` that is right but for what is given."""
    arguments = {
        "config": config_of("t", "", "1"),
        "writes": [("a", 1)],
        "task_id": "task",
        "task_path": "",
    }
    return lambda saver: saver.aput_writes(*(arguments | given).values())


def lists(config: Any = None, **range_: Any) -> Call:
    return lambda saver: listed(saver, config, **range_)


def delete(thread_id: Any) -> Call:
    return lambda saver: saver.adelete_thread(thread_id)


class Unprintable:
    def __str__(self) -> str:
        raise LookupError("no name")

    __repr__ = object.__repr__


def printing(kind: str) -> str:
    return (
        f"thread_id must be text, or a number or UUID that prints as it, not {kind};"
        " pass the id alone"
    )


MISSING = f"the config has no thread_id; {THREAD_FORM}"
SURROGATE = "holds a lone surrogate, which no text column can hold; decode it properly first"
LENGTH = "has 65537 bytes, more than 65536; shorten it"

CONFIGS: list[tuple[Any, str, str]] = [
    ([], "InvalidConfigError", f"the config must be a dict, not list; {THREAD_FORM}"),
    ("t", "InvalidConfigError", f"the config must be a dict, not str; {THREAD_FORM}"),
    ({}, "MissingThreadIdError", MISSING),
    ({"configurable": None}, "MissingThreadIdError", MISSING),
    ({"configurable": ["t"]}, "MissingThreadIdError", MISSING),
    ({"configurable": {"checkpoint_id": "1"}}, "MissingThreadIdError", MISSING),
    ({"metadata": {"thread_id": "t"}}, "MissingThreadIdError", MISSING),
    (config_of(None), "MissingThreadIdError", MISSING),
    (config_of(""), "MissingThreadIdError", MISSING),
    (config_of(b"t"), "InvalidConfigError", printing("bytes")),
    (config_of(["t"]), "InvalidConfigError", printing("list")),
    (config_of(config_of("t")), "InvalidConfigError", printing("dict")),
    (
        config_of(Unprintable()),
        "InvalidConfigError",
        "thread_id is a Unprintable, which cannot be printed (LookupError: no name); pass text",
    ),
    (config_of(LONE), "InvalidConfigError", f"thread_id 'a\\ud800' {SURROGATE}"),
    (config_of(TOO_LONG), "InvalidConfigError", f"thread_id {LENGTH}"),
    (config_of("t", 5), "InvalidConfigError", "checkpoint_ns must be text, not int"),  # type: ignore[arg-type]  # the case
    (config_of("t", LONE), "InvalidConfigError", f"checkpoint_ns 'a\\ud800' {SURROGATE}"),
    (config_of("t", TOO_LONG), "InvalidConfigError", f"checkpoint_ns {LENGTH}"),
    (config_of("t", "", 5), "InvalidConfigError", "checkpoint_id must be text, not int"),  # type: ignore[arg-type]  # the case
    (config_of("t", "", 0), "InvalidConfigError", "checkpoint_id must be text, not int"),  # type: ignore[arg-type]  # the case
    (config_of("t", "", b""), "InvalidConfigError", "checkpoint_id must be text, not bytes"),  # type: ignore[arg-type]  # the case
    (config_of("t", "", LONE), "InvalidConfigError", f"checkpoint_id 'a\\ud800' {SURROGATE}"),
    (config_of("t", "", TOO_LONG), "InvalidConfigError", f"checkpoint_id {LENGTH}"),
]


CASES: dict[str, tuple[Call, str, str]] = {
    # what `put` was given
    "checkpoint None": (
        put(checkpoint=None),
        "InvalidConfigError",
        "the checkpoint must be a dict, not NoneType; pass one as LangGraph makes them",
    ),
    "checkpoint a list": (
        put(checkpoint=[]),
        "InvalidConfigError",
        "the checkpoint must be a dict, not list; pass one as LangGraph makes them",
    ),
    "checkpoint without id": (
        put(checkpoint={"v": 4, "channel_values": {}}),
        "InvalidConfigError",
        "the checkpoint has no id; use any non-empty text",
    ),
    "checkpoint id empty": (
        put(checkpoint={**new_checkpoint(), "id": ""}),
        "InvalidConfigError",
        "the checkpoint has an empty id; use any non-empty text",
    ),
    "checkpoint id a UUID": (
        put(checkpoint={**new_checkpoint(), "id": uuid.UUID(int=7)}),
        "InvalidConfigError",
        "checkpoint id must be text, not UUID",
    ),
    "checkpoint id too long": (
        put(checkpoint=new_checkpoint(checkpoint_id=TOO_LONG)),
        "InvalidConfigError",
        f"checkpoint id {LENGTH}",
    ),
    "channel values a list": (
        put(checkpoint={**new_checkpoint(), "channel_values": [("a", 1)]}),
        "InvalidConfigError",
        "the checkpoint's channel_values must be a dict, not list; pass a dict by channel, {} for"
        " none",
    ),
    "channel versions a number": (
        put(checkpoint={**new_checkpoint({"a": 1}), "channel_versions": 3}),
        "InvalidConfigError",
        "the checkpoint's channel_versions must be a dict, not int; pass a dict by channel, {} for"
        " none",
    ),
    "channel a number": (
        put(checkpoint=new_checkpoint({1: "a"})),  # type: ignore[dict-item]  # the case
        "InvalidConfigError",
        "channel must be text, not int",
    ),
    "channel with a lone surrogate": (
        put(checkpoint=new_checkpoint({LONE: 1})),
        "InvalidConfigError",
        f"channel 'a\\ud800' {SURROGATE}",
    ),
    "channel too long": (
        put(checkpoint=new_checkpoint({TOO_LONG: 1})),
        "InvalidConfigError",
        f"channel {LENGTH}",
    ),
    "new versions None": (
        put(new_versions=None),
        "InvalidConfigError",
        "new_versions must be a dict, not NoneType; pass the channels that changed, {} for none",
    ),
    "new versions a list": (
        put(new_versions=["a"]),
        "InvalidConfigError",
        "new_versions must be a dict, not list; pass the channels that changed, {} for none",
    ),
    "new versions text": (
        put(new_versions="a"),
        "InvalidConfigError",
        "new_versions must be a dict, not str; pass the channels that changed, {} for none",
    ),
    "metadata None": (
        put(metadata=None),
        "InvalidConfigError",
        "metadata must be a dict, not NoneType; pass {} for none",
    ),
    "metadata a list": (
        put(metadata=[("a", 1)]),
        "InvalidConfigError",
        "metadata must be a dict, not list; pass {} for none",
    ),
    "metadata of the config a number": (
        put(config={**config_of("t"), "metadata": 5}),
        "InvalidConfigError",
        "config['metadata'] must be a dict, not int; leave it out for none",
    ),
    "metadata of the config with a number for a key": (
        put(config={**config_of("t"), "metadata": {1: "a"}}),
        "InvalidConfigError",
        "config['metadata'] has the key 1; keys must be text",
    ),
    "configurable with a number for a key": (
        put(config={"configurable": {"thread_id": "t", 1: "a"}}),
        "InvalidConfigError",
        "config['configurable'] has the key 1; keys must be text",
    ),
    "run id with a lone surrogate": (
        put(metadata={"run_id": LONE}),
        "InvalidConfigError",
        f"run_id 'a\\ud800' {SURROGATE}",
    ),
    "run id too long": (
        put(config=config_of("t", run_id=TOO_LONG)),
        "InvalidConfigError",
        f"run_id {LENGTH}",
    ),
    "run id that does not print": (
        put(config=config_of("t", run_id=Unprintable())),
        "InvalidConfigError",
        "run_id is a Unprintable, which cannot be printed (LookupError: no name); pass text",
    ),
    "checkpoint map with a lone surrogate": (
        put(config=config_of("t", "child", checkpoint_map={"": LONE})),
        "InvalidConfigError",
        f"checkpoint_map 'a\\ud800' {SURROGATE}",
    ),
    # what `put_writes` was given
    "writes without a checkpoint id": (
        put_writes(config=config_of("t")),
        "InvalidConfigError",
        "put_writes needs config['configurable']['checkpoint_id'], the checkpoint the task runs on",
    ),
    "writes with an empty checkpoint id": (
        put_writes(config=config_of("t", "", "")),
        "InvalidConfigError",
        "put_writes needs config['configurable']['checkpoint_id'], the checkpoint the task runs on",
    ),
    "writes None": (
        put_writes(writes=None),
        "InvalidConfigError",
        f"writes must be pairs of channel and value, not NoneType; {PAIRS_FORM}",
    ),
    "writes a dict": (
        put_writes(writes={"ab": 1}),
        "InvalidConfigError",
        f"writes must be pairs of channel and value, not dict; {PAIRS_FORM}",
    ),
    "writes text": (
        put_writes(writes="ab"),
        "InvalidConfigError",
        f"writes must be pairs of channel and value, not str; {PAIRS_FORM}",
    ),
    "a write of two characters": (
        put_writes(writes=[("a", 1), "ab"]),
        "InvalidConfigError",
        f"write 1 is no pair of channel and value, but str; {PAIRS_FORM}",
    ),
    "a write of three": (
        put_writes(writes=[("a", 1, 2)]),
        "InvalidConfigError",
        f"write 0 is no pair of channel and value, but tuple; {PAIRS_FORM}",
    ),
    "a write to a number": (
        put_writes(writes=[(1, "a")]),
        "InvalidConfigError",
        "channel must be text, not int",
    ),
    "a write to a lone surrogate": (
        put_writes(writes=[(LONE, 1)]),
        "InvalidConfigError",
        f"channel 'a\\ud800' {SURROGATE}",
    ),
    "task id None": (
        put_writes(task_id=None),
        "InvalidConfigError",
        "task_id must be text, not NoneType",
    ),
    "task id too long": (
        put_writes(task_id=TOO_LONG),
        "InvalidConfigError",
        f"task_id {LENGTH}",
    ),
    "task path a tuple": (
        put_writes(task_path=("a", 1)),
        "InvalidConfigError",
        "task_path must be text, not tuple",
    ),
    "task path with a lone surrogate": (
        put_writes(task_path=LONE),
        "InvalidConfigError",
        f"task_path 'a\\ud800' {SURROGATE}",
    ),
    # what `list` was given
    "filter a list": (
        lists(filter=["source"]),
        "UnsupportedFilterError",
        "filter must be a dict, not list; pass the metadata to look for",
    ),
    "filter an empty list": (
        lists(filter=[]),
        "UnsupportedFilterError",
        "filter must be a dict, not list; pass the metadata to look for",
    ),
    "filter with a number for a key": (
        lists(filter={1: "a"}),
        "UnsupportedFilterError",
        "filter has the key 1; keys must be text",
    ),
    "filter for a set": (
        lists(filter={"a": {"b": {1}}}),
        "UnsupportedFilterError",
        "filter['a']['b'] is {1} (set), which cannot be compared exactly; use text, numbers,"
        " booleans, None, lists and dicts of them",
    ),
    "filter for NaN": (
        lists(filter={"a": [float("nan")]}),
        "UnsupportedFilterError",
        "filter['a'][0] is nan (float), which cannot be compared exactly; use text, numbers,",
    ),
    "limit text": (
        lists(limit="2"),
        "InvalidConfigError",
        "limit must be a whole number, or None for all, not str",
    ),
    "limit a fraction": (
        lists(limit=1.5),
        "InvalidConfigError",
        "limit must be a whole number, or None for all, not float",
    ),
    "limit a boolean": (
        lists(limit=True),
        "InvalidConfigError",
        "limit must be a whole number, or None for all, not bool",
    ),
    "before text": (
        lists(before="1"),
        "InvalidConfigError",
        f"before must be a dict, not str; {BOUND_FORM}",
    ),
    "before an empty dict": (
        lists(before={}),
        "InvalidConfigError",
        f"before['configurable'] must be a dict, not NoneType; {BOUND_FORM}",
    ),
    "before a number": (
        lists(before=config_of("t", "", 0)),  # type: ignore[arg-type]  # the case
        "InvalidConfigError",
        "before must be text, not int",
    ),
    "before a lone surrogate": (
        lists(before=config_of("t", "", LONE)),
        "InvalidConfigError",
        f"before 'a\\ud800' {SURROGATE}",
    ),
    "before too long": (
        lists(before=config_of("t", "", TOO_LONG)),
        "InvalidConfigError",
        f"before {LENGTH}",
    ),
    # what `delete_thread` was given
    "delete None": (delete(None), "MissingThreadIdError", MISSING),
    "delete nothing": (delete(""), "MissingThreadIdError", MISSING),
    "delete a config": (delete(config_of("t")), "InvalidConfigError", printing("dict")),
    "delete bytes": (delete(b"t"), "InvalidConfigError", printing("bytes")),
    "delete several": (delete(["t", "u"]), "InvalidConfigError", printing("list")),
    "delete a lone surrogate": (
        delete(LONE),
        "InvalidConfigError",
        f"thread_id 'a\\ud800' {SURROGATE}",
    ),
}
