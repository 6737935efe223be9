"""The savers' default serializer: LangGraph's, made exact where it rounds (pure).

`JsonPlusSerializer` gives tuples back as lists, a lone surrogate as "?", a nested bytearray as
bytes, and refuses integers over 64 bits. Here such values are written in its own format, as "call
this constructor with that argument" (`builtins.tuple`, `builtins.int`, ...), so the tag stays, all
other values keep its bytes, and a plain `JsonPlusSerializer` still reads what was written. What
cannot be made to come back as it was is refused. What finds that out is in `_exact.py`.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Iterable
from typing import Any, Literal

import ormsgpack
from langgraph.checkpoint.serde.event_hooks import emit_serde_event
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer, _create_msgpack_ext_hook

from ._exact import CONSTRUCTORS, Encoder
from ._losses import warn_once

# `ormsgpack.packb` raises TypeError under this name.
_EncodeError: type[Exception] = ormsgpack.MsgpackEncodeError


class ExactSerializer(JsonPlusSerializer):
    """`JsonPlusSerializer` whose values come back equal and of the same type, or are refused.

    The allowlists, `LANGGRAPH_STRICT_MSGPACK` and `pickle_fallback` mean what they mean there; with
    `pickle_fallback=True` what would be refused is pickled. Nothing is unpickled without it. Use it
    inside of an `EncryptedSerializer` as `EncryptedSerializer(cipher, ExactSerializer())`.
    """

    def __init__(
        self,
        *,
        pickle_fallback: bool = False,
        allowed_json_modules: Iterable[tuple[str, ...]] | Literal[True] | None = None,
        **allowed: Any,
    ) -> None:
        """Make a serializer.

        Args:
            pickle_fallback: Pickle what cannot be written otherwise, and unpickle on reading.
            allowed_json_modules: See `JsonPlusSerializer`.
            **allowed: `allowed_msgpack_modules`, see `JsonPlusSerializer`.
        """
        super().__init__(
            pickle_fallback=pickle_fallback, allowed_json_modules=allowed_json_modules, **allowed
        )
        if self._custom_unpack_ext_hook:
            return
        if self._allowed_msgpack_modules is True:
            # Only a container can say yes to ours without the warning for the user's.
            permissive: Any = _Permissive()
            self._unpack_ext_hook = _create_msgpack_ext_hook(permissive)
        else:
            # `with_msgpack_allowlist` of the base starts from this set and keeps it.
            self._allowed_msgpack_modules = (self._allowed_msgpack_modules or set()) | CONSTRUCTORS
            self._unpack_ext_hook = _create_msgpack_ext_hook(self._allowed_msgpack_modules)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Serialise a value.

        Raises:
            TypeError: It would not come back as it was, and `pickle_fallback` is off.
        """
        if obj is None or type(obj) is bytes or type(obj) is bytearray:
            return super().dumps_typed(obj)
        try:
            return "msgpack", Encoder().pack(obj)
        except _EncodeError:
            if not self.pickle_fallback:
                raise
            return "pickle", pickle.dumps(obj)


class _Permissive:
    """Says yes to every type, as LangGraph does unless it is strict, and warns as it does."""

    def __contains__(self, key: tuple[str, ...]) -> bool:
        if key in CONSTRUCTORS:
            return True
        module, name = key
        emit_serde_event({"kind": "msgpack_unregistered_allowed", "module": module, "name": name})
        warn_once(
            key,
            "Deserializing unregistered type %s.%s from checkpoint. Set"
            " LANGGRAPH_STRICT_MSGPACK=true to block it, or name it in allowed_msgpack_modules",
            module,
            name,
        )
        if not _is_found(module, name):  # of a model LangGraph gives the fields, and says nothing
            warn_once(
                ("gone", module, name),
                "values of %s.%s are not rebuilt: the class is not found under that name in its"
                " module",
                module,
                name,
            )
        return True


def _is_found(module: str, name: str) -> bool:
    try:
        return hasattr(importlib.import_module(module), name)
    except Exception:  # noqa: BLE001 - a module may raise anything; the reader meets it again
        return False
