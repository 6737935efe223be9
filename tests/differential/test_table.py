"""The table of differences in docs/contract.md: each row has its test, each test its row."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
CONTRACT = HERE.parents[1] / "docs" / "contract.md"
TITLE = "## Differences from the Postgres saver"
NO_DIFFERENCE = {"test_nul_at_the_top_of_metadata_is_stripped_by_both"}


def test_every_difference_has_a_row_and_a_test() -> None:
    section = CONTRACT.read_text().split(TITLE + "\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    named = [re.findall(r"`(test_\w+)`", row.rsplit("|", 2)[1]) for row in rows]
    sources = [path.read_text() for path in sorted(HERE.glob("test_different_*.py"))]
    tests = re.findall(r"^def (test_\w+)", "\n".join(sources), re.M)

    assert [row for row, names in zip(rows, named, strict=True) if not names] == []
    assert [len(row.split(" | ")) for row in rows] == [5] * len(rows)
    flat = [name for names in named for name in names]
    assert len(set(flat)) == len(flat)
    assert set(flat) == set(tests) - NO_DIFFERENCE
