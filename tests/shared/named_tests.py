"""Tests that a document names, `folder/file.py::test`: they must be there. No test stands here."""

from __future__ import annotations

import re

from .processes import ROOT

_NAMED = re.compile(r"`([\w/]+\.py)((?:::\w+)+)`")


def named_tests(text: str) -> list[tuple[str, str]]:
    """The file and the path inside it of each test that a text names."""
    return _NAMED.findall(text)


def assert_there(file: str, path: str) -> None:
    """The file has that class, and a test of that name."""
    source = (ROOT / "tests" / file).read_text(encoding="utf-8")
    for name in path.removeprefix("::").split("::"):
        kind = "class" if name[0].isupper() else "def"
        assert re.search(rf"^ *(async )?{kind} {name}\b", source, re.MULTILINE), f"{file}: {name}"
