"""What docs say of the mutants, without running any: `make mutants` does that.

Lives here: that every explanation is of a mutant there is, and that the table counts them all. Does
not live here: whether the unit tests notice a mutant.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from mutants import PACKAGE, explained, pure_modules  # noqa: E402
from mutations import mutants_of  # noqa: E402


@pytest.fixture(scope="module")
def names() -> dict[str, list[str]]:
    """The mutants of each pure module."""
    sources = {name: PACKAGE / f"{name}.py" for name in pure_modules()}
    return {
        name: [mutant.name for mutant in mutants_of(path.read_text("utf-8"), f"{name}.py")]
        for name, path in sources.items()
    }


def test_what_is_explained_is_there(names: dict[str, list[str]]) -> None:
    assert len(explained()) > 50
    assert explained() - {name for some in names.values() for name in some} == set()


def test_the_table_counts_them(names: dict[str, list[str]]) -> None:
    text = (ROOT / "docs/attacks.md").read_text(encoding="utf-8")
    table = text.partition("| file | mutants |")[2].partition("\n\n")[0]
    counted = re.findall(r"\| `([\w/]+)` \| (\d+) ", table)

    assert {name: int(count) for name, count in counted} == {
        name: len(some) for name, some in names.items()
    }
    total = sum(map(len, names.values()))
    assert f"{total:,} mutants" in text


def test_a_mutant_differs_from_its_module_in_one_place() -> None:
    source = "def f(a, b):\n    return a < b + 1\n"
    mutants = list(mutants_of(source, "m.py"))

    assert [mutant.name for mutant in mutants][:2] == [
        "m.py f: return a < b + 1 -> return None",
        "m.py f: a < b + 1 -> a <= b + 1",
    ]
    texts = {ast.unparse(mutant.tree()) for mutant in mutants}
    assert len(texts) == len(mutants)
    assert ast.unparse(ast.parse(source)) not in texts
