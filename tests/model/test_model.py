"""Random sequences of calls on savers and on the reference, compared after each step.

Here a few, always the same; many with `make test-model`.
"""

from __future__ import annotations

import pytest

from .campaign import run
from .operations import LEAST_STEPS
from .sequences import FIRST, SOME
from .ways import Way

pytestmark = pytest.mark.local_only


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("ingestion", "count"), [("streaming", SOME), ("inline", SOME // 5)])
def test_savers_show_what_the_reference_shows(
    ingestion: str, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        again = f"make test-model SEQUENCES=1 FIRST=... INGESTION={ingestion}"
        print(f"\nsequences {FIRST} to {FIRST + count - 1} ({again})")
    found = list(run(FIRST, count, Way(ingestion)))
    failures = [f"sequence {number}: {error}" for number, _, error in found if error]
    assert not failures, "\n".join(failures)
    assert len(found) == count
    assert min(taken for _, taken, _ in found) >= LEAST_STEPS
