"""Reading LangGraph configs: ids as opaque text, checked once (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ._rows import CheckpointKey
from .errors import InvalidConfigError, MissingThreadIdError

MAX_ID_BYTES = 65_536
"""Longest id, namespace, channel or task path, in UTF-8; well under a Kusto cell."""

_CONTAINERS = (bytes, bytearray, memoryview, Mapping, list, tuple, set, frozenset)
"""What prints as something, but was hardly meant as an id: `b"t"` would become `b't'`."""


@dataclass(frozen=True)
class Place:
    """Where a config points; None where it leaves something open."""

    thread_id: str
    checkpoint_ns: str | None
    checkpoint_id: str | None

    @property
    def namespace(self) -> str:
        """The namespace, the root when the config names none."""
        return self.checkpoint_ns or ""

    def key(self, checkpoint_id: str) -> CheckpointKey:
        """Name a checkpoint in this place."""
        return CheckpointKey(self.thread_id, self.namespace, checkpoint_id)


def read_place(config: Mapping[str, Any]) -> Place:
    """Read thread, namespace and checkpoint id of a config.

    Raises:
        MissingThreadIdError: There is no thread id, or it is empty.
        InvalidConfigError: An id is not text that can be stored.
    """
    configurable = configurable_of(config)
    given = configurable.get("thread_id")
    if isinstance(given, _CONTAINERS):
        raise InvalidConfigError(
            f"thread_id must be text, or a number or UUID that prints as it, not"
            f" {type(given).__name__}; pass the id alone"
        )
    thread_id = "" if given is None else _printed("thread_id", given)
    if not thread_id:
        raise MissingThreadIdError
    namespace = configurable.get("checkpoint_ns")
    checkpoint_id = configurable.get("checkpoint_id")
    return Place(
        thread_id=check_text("thread_id", thread_id),
        checkpoint_ns=None if namespace is None else check_text("checkpoint_ns", namespace),
        checkpoint_id=check_optional("checkpoint_id", checkpoint_id),
    )


def configurable_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `config["configurable"]`; without one there is no thread id either."""
    check_dict("the config", config, 'pass {"configurable": {"thread_id": "<any non-empty text>"}}')
    configurable = config.get("configurable")
    if not isinstance(configurable, Mapping):
        raise MissingThreadIdError
    return configurable


def run_id_of(config: Mapping[str, Any]) -> str:
    """The id of the run, which LangGraph puts in the metadata or in `configurable`."""
    for part in ("metadata", "configurable"):
        values = config.get(part)
        found = values.get("run_id") if isinstance(values, Mapping) else None
        if found:
            return check_text("run_id", _printed("run_id", found))
    return ""


def checkpoint_map_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Checkpoints of the enclosing graphs, by namespace, when a subgraph runs."""
    found = configurable_of(config).get("checkpoint_map")
    if not isinstance(found, Mapping):
        return {}
    return {
        check_text("checkpoint_map", str(namespace)): check_text("checkpoint_map", str(item))
        for namespace, item in found.items()
        if item
    }


def check_dict(name: str, value: Any, remedy: str) -> Mapping[str, Any]:
    """Return what has to be a dict.

    Raises:
        InvalidConfigError: It is something else.
    """
    if not isinstance(value, Mapping):
        raise InvalidConfigError(f"{name} must be a dict, not {type(value).__name__}; {remedy}")
    return value


def check_optional(name: str, value: Any) -> str | None:
    """Return text that can be stored as it is; None when it is empty or not there."""
    return None if value is None else check_text(name, value) or None


def _printed(name: str, value: Any) -> str:
    try:
        return str(value)
    except Exception as error:
        raise InvalidConfigError(
            f"{name} is a {type(value).__name__}, which cannot be printed"
            f" ({type(error).__name__}: {error}); pass text"
        ) from error


def check_text(name: str, value: Any) -> str:
    """Return text that can be stored as it is.

    Raises:
        InvalidConfigError: Not a string, not valid Unicode, or too long.
    """
    if not isinstance(value, str):
        raise InvalidConfigError(f"{name} must be text, not {type(value).__name__}")
    text = str.__str__(value)  # a subclass may hash, compare and print as it likes
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidConfigError(
            f"{name} {text[:100]!r} holds a lone surrogate, which no text column can hold;"
            " decode it properly first"
        ) from None
    if size > MAX_ID_BYTES:
        raise InvalidConfigError(f"{name} has {size} bytes, more than {MAX_ID_BYTES}; shorten it")
    return text


def as_config(key: CheckpointKey) -> dict[str, Any]:
    """The config that names a checkpoint, complete."""
    return {
        "configurable": {
            "thread_id": key.thread_id,
            "checkpoint_ns": key.checkpoint_ns,
            "checkpoint_id": key.checkpoint_id,
        }
    }
