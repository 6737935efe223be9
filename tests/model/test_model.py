"""Random sequences of calls on savers and on the reference, compared after each step.

Here a few, always the same; many with `make test-model`.
"""

from __future__ import annotations

import pytest

from .campaign import run
from .operations import LEAST_STEPS
from .sequences import FIRST, SOME

pytestmark = pytest.mark.local_only


@pytest.mark.timeout(600)
def test_savers_show_what_the_reference_shows(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\nsequences {FIRST} to {FIRST + SOME - 1} (make test-model SEQUENCES=1 FIRST=...)")
    found = list(run(FIRST, SOME))
    failures = [f"sequence {number}: {error}" for number, _, error in found if error]
    assert not failures, "\n".join(failures)
    assert len(found) == SOME
    assert min(taken for _, taken, _ in found) >= LEAST_STEPS
