"""What a stored value's own constructor does not bring back, and putting it back (pure).

`default_dict` and `restored` are called by name from stored data: they keep their names and
arguments for ever. Neither makes an object of a class that the data names; `restored` is given one
that LangGraph's reader made under its allowlist, or that reader's plain data where it refused.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

FACTORIES: Mapping[str, Callable[[], Any] | None] = {
    "None": None,
    **{kind.__name__: kind for kind in (bool, bytes, dict, float, int, list, set, str, tuple)},
}
"""The default factories a `defaultdict` can be stored with."""


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
        return {"fields": dict(value.__dict__), "set": sorted(value.__fields_set__)}
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
        return value
    value.__dict__.update({name: item for name, item in fields.items() if name in known})
    object.__setattr__(value, "__pydantic_fields_set__", set(state["set"]) & set(known))
    for part, attribute in (("extra", "__pydantic_extra__"), ("private", "__pydantic_private__")):
        stored, present = state.get(part), getattr(value, attribute)
        if stored is not None and present is not None:
            object.__setattr__(value, attribute, {**present, **stored})
    return value


def default_dict(factory: str, items: Mapping[Any, Any]) -> defaultdict[Any, Any]:
    """Make a `defaultdict` with one of a few factories."""
    return defaultdict(FACTORIES[factory], items)
