"""Comparing: what a saver gave in the reference's terms, exactly, and a difference one can read."""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.base import CheckpointTuple

from .reference import Key, Shown


class Difference(AssertionError):
    """A saver and the reference do not agree."""


def shown_by(item: CheckpointTuple) -> Shown:
    """What a saver gave, in the reference's terms."""
    place = item.config["configurable"]
    key = Key(place["thread_id"], place["checkpoint_ns"], place["checkpoint_id"])
    parent = None
    if item.parent_config is not None:
        named = item.parent_config["configurable"]
        parent = named["checkpoint_id"]
        if (named["thread_id"], named["checkpoint_ns"]) != key[:2]:
            raise Difference(f"the parent of {key} is elsewhere: {named}")
    body: dict[str, Any] = dict(item.checkpoint)
    values = body.pop("channel_values")
    writes = tuple((task, channel, value) for task, channel, value in item.pending_writes or ())
    return Shown(key, parent, body, values, dict(item.metadata), writes)


def exact(value: Any) -> Any:
    """A value with its types, so that 1, 1.0 and True differ and NaN equals itself."""
    kind = type(value).__name__
    if isinstance(value, Shown):
        return (kind, *map(exact, vars(value).values()))
    if isinstance(value, dict):
        return (kind, {exact(name): exact(item) for name, item in value.items()})
    if isinstance(value, list | tuple):
        return (kind, *map(exact, value))
    if isinstance(value, float):
        return (kind, repr(value))
    return (kind, value)


def same(what: str, found: Any, wanted: Any) -> None:
    if exact(found) != exact(wanted):
        raise Difference(
            f"{what}\n  the saver:     {brief(found)}\n  the reference: {brief(wanted)}"
        )


def brief(value: Any) -> str:
    """A value without what is long in it."""
    if isinstance(value, list):
        return "[" + "".join(f"\n      {brief(item)}" for item in value) + "]"
    if isinstance(value, Shown):
        parts = [f"{name}={_short(item)}" for name, item in vars(value).items() if name != "body"]
        return f"Shown({', '.join(parts)})"
    return _short(value)


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_short(k)}: {_short(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple) and not isinstance(value, Key):
        return "(" + ", ".join(map(_short, value)) + ")"
    text = repr(value)
    return text if len(text) < 90 or isinstance(value, Key) else f"{text[:60]}...{len(text)}"
