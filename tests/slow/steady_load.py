"""Steady load on a slow server that throttles: `make load`.

50 durable calls a second for 5 minutes, 100 ms for each ingest, one ingest in 20 answered with 429.
Exits with 1 when a call raised, a read gave other values, or the client's memory grew after the
first minute by more than a tenth.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from shared.places import server_process
from shared.processes import Child

MOST = 1.1
"""Resident memory at the end, divided by that after the first minute."""

FAULTS = ("latency:0.1,endpoint=ingest", "status:429,endpoint=ingest,probability=0.05")


def main() -> int:
    """Run the load; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=50.0, help="calls a second")
    parser.add_argument("--minutes", type=int, default=5)
    asked = parser.parse_args()
    faults = [option for fault in FAULTS for option in ("--fault", fault)]
    with (
        tempfile.TemporaryDirectory() as folder,
        server_process(Path(folder, "kusto.db"), "--seed", "1", *faults) as server,
    ):
        place = server.place
        command = [sys.executable, "-m", "slow.steady_client", place.uri, place.database]
        client = Child([*command, str(asked.rate), str(asked.minutes)], patience=600.0)
        lines = [json.loads(line) for line in client.rest()]
        code, said = client.wait(), client.errors()
        client.close()
    if code or len(lines) != asked.minutes + 1:
        print(f"the client ended with {code}: {said}")
        return 1
    *minutes, end = lines
    stats = end["stats"]
    for minute in minutes:
        print(
            f"minute {minute['minute']}: {minute['calls']} calls acknowledged, median"
            f" {minute['median']:.3f} s, 99 % within {minute['p99']:.3f} s,"
            f" {minute['resident'] / 1e6:.1f} MB resident"
        )
    calls = sum(minute["calls"] for minute in minutes) + end["rest"]
    grown = minutes[-1]["resident"] / minutes[0]["resident"]
    print(
        f"{calls} calls, {len(end['errors'])} errors; {stats['ingest_requests']} ingest requests,"
        f" {stats['throttled']} of them throttled; memory at the end {grown:.3f} times that after"
        " the first minute"
    )
    for error in end["errors"][:5]:
        print(f"WRONG: {error}")
    expected = asked.rate * asked.minutes * 60
    return 1 if end["errors"] or grown > MOST or calls < expected or not stats["throttled"] else 0


if __name__ == "__main__":
    sys.exit(main())
