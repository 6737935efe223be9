"""What a stored value's own constructor does not bring back, and putting it back (pure).

`default_dict` and `restored` are called by name from stored data: they keep their names and
arguments for ever. Neither makes an object of a class that the data names; `restored` is given one
that LangGraph's reader made under its allowlist, or that reader's plain data where it refused.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer, _create_msgpack_ext_hook

logger = logging.getLogger(__name__)

FACTORIES: Mapping[str, Callable[[], Any] | None] = {
    "None": None,
    **{kind.__name__: kind for kind in (bool, bytes, dict, float, int, list, set, str, tuple)},
}
"""The default factories a `defaultdict` can be stored with."""


class _Everything:
    """Says yes to every class, without a word."""

    def __contains__(self, _: object) -> bool:
        return True


_everything: Any = _Everything()
READER = JsonPlusSerializer(__unpack_ext_hook__=_create_msgpack_ext_hook(_everything))
"""Reads what was just written, to see how it comes back; never data from elsewhere."""


def is_model(value: Any) -> bool:
    """Tell whether LangGraph writes it as a pydantic model, of either version."""
    return callable(getattr(value, "model_dump", None)) or callable(getattr(value, "dict", None))


def is_pydantic(value: Any) -> bool:
    """Tell whether it is one indeed; other classes have such methods too."""
    return hasattr(type(value), "__pydantic_fields__") or hasattr(value, "__fields_set__")


def dumped_model(value: Any) -> Any:
    """A model as its class shows it, without warnings for fields of other types."""
    if not callable(getattr(value, "model_dump", None)):
        return value.dict()
    if hasattr(type(value), "__pydantic_fields__"):
        return value.model_dump(warnings=False)
    return value.model_dump()


def rebuilt(kind: Any, dumped: Any) -> Any:
    """What LangGraph's reader makes of a dump: validated, else not; None is neither.

    A list is the arguments instead, which it does not try again.
    """
    construct = getattr(kind, "model_construct", None) or getattr(kind, "construct", None)
    try:
        return kind(*dumped) if isinstance(dumped, list) else kind(**dumped)
    except Exception:
        logger.debug("%s refuses its own dump", kind, exc_info=True)
    try:
        return construct(**dumped) if construct is not None else None
    except Exception:
        logger.debug("%s cannot be made of its own dump", kind, exc_info=True)
    return None


def fields_of(value: Any) -> dict[str, Any]:
    """The fields of a dataclass, not copied."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def state_of(value: Any) -> dict[str, Any]:
    """What makes a model or dataclass the value it is; fields marked `exclude` are no part."""
    if dataclasses.is_dataclass(value):
        return {"fields": fields_of(value)}
    known = getattr(type(value), "__pydantic_fields__", None)
    if known is None:
        if not is_pydantic(value):
            return {"fields": dumped_model(value)}
        names = [name for name in value.__private_attributes__ if hasattr(value, name)]
        private = {name: getattr(value, name) for name in names}
        return {
            "fields": dict(value.__dict__),
            "private": private or None,
            "set": sorted(value.__fields_set__),
        }
    kept = [name for name, field in known.items() if not field.exclude]
    present = value.__dict__
    return {
        "fields": {name: present[name] for name in kept if name in present},
        "extra": value.__pydantic_extra__,
        "private": value.__pydantic_private__,
        "set": sorted(value.__pydantic_fields_set__.intersection(kept)),
    }


def restored(value: Any, state: Mapping[str, Any]) -> Any:
    """Give an object the state it was stored with; a field its class no longer has is left out."""
    if not dataclasses.is_dataclass(value) and not is_pydantic(value):
        return value  # its data: the class is not on the reader's allowlist, or gone
    fields = state["fields"]
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            if field.name in fields:
                object.__setattr__(value, field.name, fields[field.name])
        return value
    known = getattr(type(value), "__pydantic_fields__", None)
    if known is None:
        object.__setattr__(value, "__dict__", {**value.__dict__, **fields})
        object.__setattr__(value, "__fields_set__", set(state["set"]))
        for name in (state.get("private") or {}).keys() & value.__private_attributes__.keys():
            object.__setattr__(value, name, state["private"][name])
        return value
    value.__dict__.update({name: item for name, item in fields.items() if name in known})
    object.__setattr__(value, "__pydantic_fields_set__", set(state["set"]) & set(known))
    extra, private = state.get("extra"), state.get("private")
    if extra is not None and value.__pydantic_extra__ is not None:
        object.__setattr__(value, "__pydantic_extra__", dict(extra))
    if private is not None and value.__pydantic_private__ is not None:
        # Those that could not be stored, or are new in the class, stay as the class made them.
        merged = {**value.__pydantic_private__, **private}
        object.__setattr__(value, "__pydantic_private__", merged)
    return value


def default_dict(factory: str, items: Mapping[Any, Any]) -> defaultdict[Any, Any]:
    """Make a `defaultdict` with one of a few factories."""
    return defaultdict(FACTORIES[factory], items)
