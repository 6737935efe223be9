"""What Microsoft's binder says about every text, asked once for all tests."""

from __future__ import annotations

import kql_lint
import pytest

from .database import SCHEMA
from .right_queries import RIGHT
from .wrong_texts import WRONG


@pytest.fixture(scope="session")
def verdicts() -> dict[str, set[str]]:
    """The codes of the binder's errors and warnings, by the name of the text they are about."""
    texts = [(name, text) for name, text, _, _ in WRONG]
    texts += [(right.name, right.text) for right in RIGHT]
    found: dict[str, set[str]] = {}
    for diagnostic in kql_lint.lint(texts, SCHEMA):
        found.setdefault(diagnostic.name, set()).add(diagnostic.code)
    return found
