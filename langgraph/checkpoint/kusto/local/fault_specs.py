"""Faults as the command line words them: `--fault status:503,endpoint=ingest,probability=0.05`.

Lives here: reading one such text. Does not live here: what the settings mean (`fault_kinds`).
"""

from __future__ import annotations

from typing import Any

from .fault_kinds import ACTIONS, DEFAULTS, KINDS, check, settings_of

FORM = (
    "ACTION[:VALUE][,NAME=VALUE]... with an action of "
    + ", ".join(ACTIONS)
    + "; the names are the keywords of Faults.add, and without times= it lasts"
)
_WORDS = {"none": None, "true": True, "false": False}
_WHOLE = ("times", "status", "rows", "commands")
_NUMBERS = ("probability", "seconds", "retry_after")


def parse_fault(text: str) -> dict[str, Any]:
    """Return the arguments of `Faults.add` that a text names.

    A fault of the command line lasts, where `Faults.add` is for one request: nobody is there to add
    it again.

    Raises:
        ValueError: the text is not a fault; the message names the choices.
    """
    head, *parts = (part.strip() for part in text.split(","))
    action, colon, value = (part.strip() for part in head.partition(":"))
    allowed = settings_of(action)
    found: dict[str, Any] = {}
    if colon:
        main = KINDS[action].main
        if main is None:
            raise ValueError(f"{action} takes no value behind a colon, but {', '.join(allowed)}")
        found[main] = _value(main, value)
    for part in parts:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in allowed:
            raise ValueError(f"{part!r} is no setting of {action}; it takes {', '.join(allowed)}")
        if name in found:
            raise ValueError(f"{name} is given twice in {text!r}")
        found[name] = _value(name, value)
    settings = {"times": None, **found}
    check(action, {**DEFAULTS, **settings})
    return {"action": action, **settings}


def _value(name: str, text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if not text:
        raise ValueError(f"{name} has no value")
    try:
        if name in _WHOLE:
            return int(text)
        if name in _NUMBERS:
            return float(text)
    except ValueError:
        kind = "whole number" if name in _WHOLE else "number"
        raise ValueError(f"{name} is a {kind}, not {text!r}") from None
    return text
