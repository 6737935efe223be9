"""Large states through real HTTP, each put and read by a fresh process: `make test-slow`.

Prints what a client grew by, and exits with 1 when a state did not come back equal or a client grew
by more than `MOST` times the serialised bytes.
"""

from __future__ import annotations

import json
import sys

from shared.places import local_place
from shared.processes import Child

from .states import BOUNDED, MOST, STATES

_PATIENCE_SECONDS = 900.0


def main() -> int:
    """Run every state; give the exit code."""
    failed = 0
    with local_place() as place:
        for name in STATES:
            for what in ("put", "get"):
                client = Child(
                    [
                        sys.executable,
                        "-m",
                        "slow.large_client",
                        what,
                        place.uri,
                        place.database,
                        name,
                    ],
                    patience=_PATIENCE_SECONDS,
                )
                found: dict[str, float] = {}
                for line in client.rest():
                    found |= json.loads(line)
                code = client.wait()
                errors = client.errors()
                client.close()
                if code or "bytes" not in found:
                    print(f"{name}: {what} failed: {errors}")
                    failed = 1
                    continue
                ratio = found["grown"] / found["bytes"]
                too_much = name in BOUNDED and ratio > MOST
                failed |= too_much
                print(
                    f"{name}: {what} {found['bytes'] / 1e6:.0f} MB in {found['seconds']:.1f} s,"
                    f" grew by {found['grown'] / 1e6:.0f} MB"
                    + (f" = {ratio:.2f} times" if name in BOUNDED else "")
                    + (f", MORE THAN {MOST}" if too_much else ""),
                    flush=True,
                )
    return failed


if __name__ == "__main__":
    sys.exit(main())
