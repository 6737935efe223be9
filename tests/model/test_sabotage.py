"""What the sabotage breaks is still there: each way can be applied, and changes something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from . import sabotage


def test_every_way_breaks_what_is_there() -> None:
    """In a process of its own: what is broken there stays broken."""
    program = (
        "from model.sabotage import WAYS\n"
        "for name, apply in WAYS.items():\n"
        "    apply()\n"
        "print(len(WAYS))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == (f"{len(sabotage.WAYS)}\n", "")
    assert len(sabotage.WAYS) > 20
