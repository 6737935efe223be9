"""Reading a management command from left to right.

Lives here: expecting words, names, literals, property lists and blocks, with Kusto's syntax error
where the text says something else. Does not live here: any particular command (`commands`).
"""

from __future__ import annotations

from typing import Any

from .errors import ServiceError
from .schema import SCALAR_TYPES, TYPE_ALIASES
from .text import Token, block_end, error_at, token_at

_TYPED_LITERALS = {"datetime", "date", "time", "timespan", "guid", "dynamic", "long", "int", "bool"}

# entity-names.md
MAX_NAME_CHARACTERS = 1024


class Cursor:
    """A place in the text of one command."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._token = token_at(text, 0)

    def __repr__(self) -> str:
        return f"Cursor(at {self._token.start}: {self._token.text!r})"

    def peek(self) -> Token:
        """Return the token at the cursor."""
        return self._token

    def take(self) -> Token:
        """Return the token at the cursor and step over it."""
        token = self._token
        self._token = token_at(self.text, token.end)
        return token

    def at(self, *texts: str) -> bool:
        """Tell whether the token at the cursor is one of these words or signs."""
        return self._token.kind in ("word", "sign") and self._token.text in texts

    def accept(self, *texts: str) -> str:
        """Step over one of these words or signs; return it, or "" when none is there."""
        return self.take().text if self.at(*texts) else ""

    def expect(self, *texts: str) -> str:
        """Step over one of these words or signs.

        Raises:
            ServiceError: something else is there.
        """
        found = self.accept(*texts)
        if not found:
            raise self.error("Expected " + " or ".join(f"'{text}'" for text in texts))
        return found

    def error(self, problem: str) -> ServiceError:
        """Return the syntax error for the present place."""
        found = self._token.text or "the end of the command"
        return error_at(self.text, self._token.start, f"{problem}, found '{found}'.")

    def end(self) -> None:
        """Expect the end of the command, after an optional semicolon."""
        self.accept(";")
        if self._token.kind != "end":
            raise self.error("Expected the end of the command")

    def name(self) -> str:
        """Take an entity name: a word, or a literal in brackets such as ['my table']."""
        if self._token.kind == "word":
            if len(self._token.text) > MAX_NAME_CHARACTERS:
                raise self.error(f"A name has 1 to {MAX_NAME_CHARACTERS} characters")
            return self.take().text
        if self.accept("["):
            if self._token.kind != "string":
                raise self.error("Expected a quoted name")
            name = self.take().value
            self.expect("]")
            if not 1 <= len(name) <= MAX_NAME_CHARACTERS:
                raise self.error(f"A name has 1 to {MAX_NAME_CHARACTERS} characters")
            return name
        raise self.error("Expected a name")

    def names(self) -> list[str]:
        """Take a list of names in parentheses."""
        self.expect("(")
        found = [self.name()]
        while self.accept(","):
            found.append(self.name())
        self.expect(")")
        return found

    def string(self) -> str:
        """Take string literals; adjacent ones concatenate."""
        if self._token.kind != "string":
            raise self.error("Expected a string literal")
        parts = [self.take().value]
        while self._token.kind == "string":
            parts.append(self.take().value)
        return "".join(parts)

    def single_string(self, what: str) -> str:
        """Take one string literal, `what` naming it; adjacent ones are left where they are."""
        if self._token.kind != "string":
            raise self.error(f"Expected {what}")
        return self.take().value

    def scalar_type(self) -> str:
        """Take the name of a scalar type."""
        type_ = TYPE_ALIASES.get(self._token.text, self._token.text)
        if self._token.kind != "word" or type_ not in SCALAR_TYPES:
            raise self.error("Expected a scalar type")
        self.take()
        return type_

    def columns(self) -> list[tuple[str, str]]:
        """Take a schema: (name:type, ...)."""
        self.expect("(")
        found = [self._column()]
        while self.accept(","):
            found.append(self._column())
        self.expect(")")
        return found

    def block(self, opening: str) -> str:
        """Take a bracketed block and return its text, brackets included."""
        if not self.at(opening):
            raise self.error(f"Expected '{opening}'")
        start = self._token.start
        end = block_end(self.text, start)
        self._token = token_at(self.text, end)
        return self.text[start:end]

    def rest(self, opening: str = "<|") -> str:
        """Take everything after a sign, as it is."""
        if not self.at(opening):
            raise self.error(f"Expected '{opening}'")
        start = self._token.end
        self._token = Token("end", "", "", len(self.text), len(self.text))
        return self.text[start:]

    def literal(self) -> Any:
        """Take a literal: string, a number or timespan as text, a bool, a typed literal's text."""
        token = self._token
        if token.kind == "string":
            return self.string()
        if token.kind in ("number", "guid"):
            return self.take().text
        if token.text in ("true", "false"):
            return self.take().text == "true"
        if token.text in _TYPED_LITERALS:
            self.take()
            return self.block("(")[1:-1].strip()
        if token.kind == "word":
            return self.take().text
        raise self.error("Expected a literal")

    def properties(self, known: dict[str, str]) -> dict[str, Any]:
        """Take an optional `with (name = value, ...)`.

        Args:
            known: the names allowed, in lower case, and the name to report each one by.

        Raises:
            ServiceError: a property is not known, or stands twice.
        """
        found: dict[str, Any] = {}
        if not self.accept("with"):
            return found
        self.expect("(")
        while True:
            place = self._token
            key = known.get(self.name().lower())
            if key is None or key in found:
                problem = "is given twice" if key else "is not known here"
                raise error_at(self.text, place.start, f"The property '{place.text}' {problem}.")
            self.expect("=")
            found[key] = self.literal()
            if not self.accept(","):
                break
        self.expect(")")
        return found

    def _column(self) -> tuple[str, str]:
        name = self.name()
        self.expect(":")
        return name, self.scalar_type()


def as_bool(value: Any) -> bool:
    """Return a property's value as a bool; Kusto also takes it as text."""
    return value is True or str(value).lower() == "true"
