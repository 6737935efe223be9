"""What becomes of measurements: quantiles, medians, targets, tables, ratios. No server."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main as run_all
from benchmarks.bench import FULL
from benchmarks.compare import compared, main
from benchmarks.driver import run_here
from benchmarks.meter import Meter
from benchmarks.runs import _median
from benchmarks.tables import aligned, results_text, targets_text
from benchmarks.targets import TARGETS, outcomes
from benchmarks.workloads import WORKLOADS

_ROOT = Path(__file__).parents[2]


def result(**changed: Any) -> dict[str, Any]:
    """What one client measures."""
    operations = {
        name: {"count": count, "p50": 1.0, "p95": 2.0, "p99": 3.0}
        for name, count in (("put", 100), ("put_writes", 100), ("get_tuple", 20))
    }
    counts = {
        "query": 20,
        "mgmt": 0,
        "ingest": 250,
        "ingest_bytes": 22_000,
        "server_cpu_seconds": 0.11,
    }
    tables = {"Checkpoints": 100, "CheckpointBlobs": 50, "CheckpointWrites": 100}
    counts |= {f"ingest_{name}": number for name, number in tables.items()}
    made = {
        "units": 220,
        "seconds": 2.0,
        "per_second": 110.0,
        "cpu_us_per_unit": 500.0,
        "peak_growth_bytes": 5_000_000,
        "operations": operations,
        "notes": {},
        "counts": counts,
    }
    return {**made, **changed}


def postgres(**changed: Any) -> dict[str, Any]:
    return result(counts={"stored_bytes": 440_000}, **changed)


def test_quantiles_are_latencies_that_occurred() -> None:
    meter = Meter()
    for number in range(1, 101):
        meter.note("put", number / 1000)
    meter.note("get", 0.5)

    assert meter.report() == {
        "get": {"count": 1, "p50": 500.0, "p95": 500.0, "p99": 500.0},
        "put": {"count": 100, "p50": 50.0, "p95": 95.0, "p99": 99.0},
    }
    assert meter.units == 101
    meter.add_units(7)
    assert meter.units == 7


def test_medians_at_every_depth() -> None:
    runs = [{"a": number, "b": {"c": -number}} for number in (1, 5, 2)]

    assert _median(runs) == {"a": 2, "b": {"c": -2}}


def test_a_body_over_a_sync_saver_must_not_suspend() -> None:
    async def answer() -> int:
        return 7

    async def suspends() -> None:
        await asyncio.sleep(0)

    assert run_here(answer()) == 7
    with pytest.raises(RuntimeError, match="not its saver's"):
        run_here(suspends())


def test_targets_are_read_off_the_results() -> None:
    results = {
        "chat_100": {"kusto": result()},
        "chats_500": {"kusto": result(), "kusto+latency": result(per_second=2_000.0)},
        "chats_100": {
            "kusto": result(per_second=330.0),
            "postgres": postgres(cpu_us_per_unit=800.0),
        },
        "chat_500": {"kusto": result(), "postgres": postgres()},
        "large_100mb": {"kusto": result(notes={"peak_states": 4.5})},
        "list": {
            "kusto": result(
                notes={
                    "queries_before_first": 2,
                    "growth_bytes_all": 3_000_000,
                    "growth_bytes_few": 2_500_000,
                }
            )
        },
        "growing_8mb": {"kusto": result(notes={"ingested_bytes_per_step": 31_000})},
    }

    held = [(outcome.measured, outcome.met) for outcome in outcomes(results)]

    assert held == [
        (1.0, True),
        (1.5, True),
        (1.5, False),
        (1.0, True),
        (1.0, True),
        (0.625, False),
        (3.0, True),
        (2_000.0, True),
        (4.5, False),
        (2, True),
        (0.5, True),
        (0.05, True),
        (None, None),
        (31.0, True),
        (None, None),
    ]
    text = targets_text(outcomes(results)).splitlines()
    assert len(text) == 1 + len(TARGETS)
    assert text[6].split()[-5:] == ["at", "most", "0.5", "0.625", "MISSED"]
    assert text[-1].endswith("not measured")


def test_a_saver_that_was_skipped_leaves_its_targets_unmeasured() -> None:
    results = {"chats_100": {"kusto": result()}, "chat_500": {"kusto": result()}}

    assert {outcome.met for outcome in outcomes(results)} == {None}


def test_a_table_for_each_workload() -> None:
    results = {"chat_100": {"kusto": result(notes={"peak_states": 2}), "postgres": postgres()}}

    lines = results_text(list(WORKLOADS.values()), FULL, results).splitlines()

    assert lines[0] == "chat_100: one chat (chats 1, steps 100)"
    assert lines[2].split()[:7] == ["kusto", "110.0", "500", "500", "5.0", "1.227", "0.10"]
    assert lines[3].split()[:7] == ["postgres", "110.0", "500", "-", "5.0", "-", "2.00"]
    assert lines[2].split()[7:] == ["1.0/2.0/3.0"] * 3
    assert lines[4].strip() == "kusto: peak_states 2"


def test_columns_stand_in_line() -> None:
    assert aligned([["a", "bb"], ["long", "1"]]) == ["a     bb", "long   1"]


def test_an_earlier_run_is_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    run = {"size": "quick", "machine": {"cores": 2}, "failures": ["list over kusto: why"]}
    path.write_text(json.dumps({**run, "results": {"chat_100": {"kusto": result()}}}))

    assert run_all(["--show", str(path)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "chat_100: one chat (chats 1, steps 40)"
    assert shown[2].split()[:3] == ["kusto", "110.0", "500"]
    assert any(line.startswith("requests for checkpoint rows") for line in shown)
    assert shown[-3:] == [
        "The targets are about full sizes; these are quick.",
        '{"cores": 2}',
        "FAILED: list over kusto: why",
    ]


def test_a_run_that_is_none_is_not_shown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, text in (("missing", None), ("cut", '{"size"'), ("other", "{}"), ("list", "[]")):
        path = tmp_path / name
        if text is not None:
            path.write_text(text)

        assert run_all(["--show", str(path)]) == 2
        assert f"{path} " in capsys.readouterr().err


def _committed_run() -> tuple[str, dict[str, Any]]:
    text = (_ROOT / "docs/performance.md").read_text(encoding="utf-8")
    (name,) = re.findall(r"the whole run is in\s+\[benchmarks/results/([\w-]+\.json)\]", text)
    return text, json.loads((_ROOT / "benchmarks/results" / name).read_text())


def test_the_documented_targets_are_those_of_the_committed_run() -> None:
    text, run = _committed_run()
    rows = r"^\| (.+?) \| (at \w+ [\d.,]+) \| ([\d.,]+) \| (\w+|\*\*missed\*\*) \|$"
    found = re.findall(rows, text, re.MULTILINE)

    told = [(what.replace("`", ""), wanted, verdict) for what, wanted, _, verdict in found]
    assert told == [
        (outcome["what"], outcome["wanted"], "met" if outcome["met"] else "**missed**")
        for outcome in run["targets"]
    ]
    assert [_number(measured) for _, _, measured, _ in found] == pytest.approx(
        [outcome["measured"] for outcome in run["targets"]], rel=0.005
    )


def test_the_documented_chats_are_those_of_the_committed_run() -> None:
    text, run = _committed_run()
    detail = text.partition("The chats in detail")[2].partition("\n\n![")[0]
    rows = re.findall(r"^\| `(\w+)`, `([\w+-]+)` \| (.*) \|$", detail, re.MULTILINE)

    assert len(rows) == 17
    for workload, saver, row in rows:
        measured, cells = run["results"][workload][saver], row.split(" | ")
        for operation, cell in zip(("put", "put_writes", "get_tuple"), cells, strict=False):
            taken = measured["operations"][operation]
            quantiles = [taken[name] for name in ("p50", "p95", "p99")]
            assert [*map(_number, cell.split(" / "))] == pytest.approx(
                quantiles, rel=0.01, abs=0.051
            )
        assert _number(cells[3]) == pytest.approx(measured["peak_growth_bytes"] / 1e6, abs=0.051)


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def test_ratios_of_what_both_runs_measured() -> None:
    before = {"results": {"chat_100": {"kusto": result(), "sqlite": result()}}}
    after = {
        "results": {
            "chat_100": {"kusto": result(per_second=220.0, cpu_us_per_unit=250.0)},
            "list": {"kusto": result()},
        }
    }

    _, *rows = compared(before, after)

    latencies = "put 1.00, put_writes 1.00, get_tuple 1.00"
    assert rows == [["chat_100, kusto", "2.00", "0.50", "1.00", "1.00", latencies]]


def test_runs_of_two_sizes_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = []
    for size in ("full", "quick"):
        paths.append(str(tmp_path / size))
        Path(paths[-1]).write_text(f'{{"size": "{size}", "results": {{}}}}')

    assert main(paths) == 1
    assert "sizes differ: full and quick" in capsys.readouterr().err
    assert main(paths[:1]) == 2
    assert main([paths[0], paths[0]]) == 0
