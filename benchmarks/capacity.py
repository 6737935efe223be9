"""What a load needs of a Kusto cluster: `python -m benchmarks.capacity --chats-per-s 5`.

Computed from bytes and requests that were measured on the local server (`measured.json`), from
limits that Microsoft documents, and from assumptions, which the options set. Each line says which.
docs/scaling.md explains it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from . import limits
from .advice import advice
from .sizing import SIZES, Cluster, Estimate, Load, Measured, estimate, partitions, room
from .tables import aligned

MEASURED = Path(__file__).with_name("measured.json")
DOCUMENTED, MEASURED_HERE, ASSUMED = "documented", "measured", "assumed"

EXAMPLES = {
    "a pilot": Load(chats_per_s=0.05, processes=2),
    "a team's assistant": Load(chats_per_s=1, kb_per_step=2, mean_share=0.3),
    "a product": Load(chats_per_s=10, kb_per_step=2, mean_share=0.4, processes=16),
    "a large product": Load(chats_per_s=50, kb_per_step=4, mean_share=0.4, processes=64),
    "large states": Load(chats_per_s=2, kb_per_step=32, steps_per_chat=50, processes=16),
}

_ABOUT = {
    "chats_per_s": "chats begun a second, at the peak",
    "steps_per_chat": "checkpoints of a chat; each has the pending writes of one task",
    "kb_per_step": "kB of text that a step adds to the state",
    "read_every": "steps for each read of the newest checkpoint (one for each turn of a user)",
    "mean_share": "the mean load as a share of the peak, for what is stored",
    "processes": "processes with a saver each",
    "max_in_flight": "the saver's option: ingest requests at a time of one process",
    "ingest_ms": "assumed: time of one ingest request",
    "query_ms": "assumed: time of one query",
    "retention_days": "days of the view: how long a thread nobody uses can be resumed",
    "hot_days": "days that checkpoints are in the hot cache",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Compute and print."""
    parser = _parser()
    asked = vars(parser.parse_args(arguments))
    measured: Measured = json.loads(MEASURED.read_text())
    if asked["examples"]:
        print(examples_text(measured))
        return 0
    load = Load(**{field.name: asked[field.name] for field in fields(Load)})
    if load.hot_days > load.retention_days:
        parser.error("--hot-days are more than --retention-days")
    cluster = Cluster(asked["nodes"], asked["cores"])
    found = estimate(load, measured)
    if asked["json"]:
        print(json.dumps(as_json(load, cluster, found), indent=1))
    else:
        print(report(load, cluster, found))
    return 0


def as_json(load: Load, cluster: Cluster, found: Estimate) -> dict[str, Any]:
    """Everything that was computed, and the advice."""
    return {
        "load": asdict(load),
        "cluster": asdict(cluster),
        "estimate": asdict(found),
        "partitions": {table: partitions(found, table) for table in found.hot_gb},
        "enough": room(cluster, found.streams, found.queries),
        "advice": list(advice(load, cluster, found)),
        "limits": [asdict(limit) for limit in limits.LIMITS],
    }


def report(load: Load, cluster: Cluster, found: Estimate) -> str:
    """The estimate for one load and cluster, with where each figure comes from."""
    asked = [f"--{name.replace('_', '-')} {value:g}" for name, value in asdict(load).items()]
    lines = [
        " ".join(asked),
        "",
        *aligned([["", "", "from"], *_lines(load, cluster, found)]),
        "",
        *aligned([["cluster", "streaming", "queries", "enough"], *_sizes(found)]),
        "",
        *(f"- {line}" for line in advice(load, cluster, found)),
    ]
    return "\n".join(lines)


def _lines(load: Load, cluster: Cluster, found: Estimate) -> Iterator[list[str]]:
    yield ["steps a second", figure(found.steps_per_s), "asked"]
    yield ["calls of savers a second", figure(found.calls_per_s), "asked: two a step, and reads"]
    yield [
        "ingest requests a second, if no calls share one",
        figure(found.alone_requests_per_s),
        MEASURED_HERE,
    ]
    yield [
        f"ingest requests a second, {load.max_in_flight} in flight in each process",
        figure(found.requests_per_s),
        f"{ASSUMED}: {load.ingest_ms:g} ms each",
    ]
    streams = f"{figure(found.streams)} of {cluster.streams:g}"
    yield ["streaming requests at a time", streams, f"{DOCUMENTED}: 6 a core"]
    queries = f"{figure(found.queries)} of {cluster.queries:g}"
    yield ["queries at a time", queries, f"{DOCUMENTED}: 10 a core of a node"]
    yield ["queries a second", figure(found.queries_per_s), MEASURED_HERE]
    yield ["MB read a second", figure(found.answer_mb_per_s), MEASURED_HERE]
    for table, rate in found.gb_per_hour.items():
        yield [f"GB an hour into {table}", figure(rate), f"{MEASURED_HERE}, as sent"]
    yield [
        "GB for a million steps",
        figure(found.gb_per_million_steps),
        f"{MEASURED_HERE}, as sent",
    ]
    packed = found.packed_share
    source = f"{ASSUMED}: as gzip packs the requests, {packed:.2f}"
    yield [
        "GB for a million steps, compressed",
        figure(found.gb_per_million_steps * packed),
        source,
    ]
    yield ["GB stored, compressed", figure(sum(found.stored_gb.values()) * packed), ASSUMED]
    yield [
        "GB in the hot cache, compressed",
        figure(sum(found.hot_gb.values()) * packed),
        ASSUMED,
    ]
    yield ["rows of the view", figure(found.view_rows), "computed: a row for each thread"]
    yield ["GB of the view, as sent", figure(found.view_gb), MEASURED_HERE]
    yield [
        "cores of all clients",
        figure(found.client_cores),
        f"{MEASURED_HERE}, without the agents",
    ]


def _sizes(found: Estimate) -> Iterator[list[str]]:
    for size in SIZES:
        cluster = Cluster(*size)
        yield [
            f"{cluster.nodes} x {cluster.cores} cores",
            f"{found.streams / cluster.streams:.0%}",
            f"{found.queries / cluster.queries:.0%}",
            "yes" if room(cluster, found.streams, found.queries) else "no",
        ]


def figure(value: float) -> str:
    """Three digits that count, and no powers of ten."""
    if not value:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    text = f"{round(value, digits):,.{max(digits, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def examples_text(measured: Measured) -> str:
    """The worked examples of docs/scaling.md: a column for each."""
    found = {name: estimate(load, measured) for name, load in EXAMPLES.items()}
    rows = [["", *EXAMPLES]]
    rows += [
        [f"--{name.replace('_', '-')}", *(f"{getattr(load, name):g}" for load in EXAMPLES.values())]
        for name in ("chats_per_s", "steps_per_chat", "kb_per_step", "mean_share", "processes")
    ]
    shown: list[tuple[str, Callable[[Estimate], str]]] = [
        ("steps a second", lambda each: figure(each.steps_per_s)),
        ("ingest requests a second", lambda each: figure(each.requests_per_s)),
        ("streaming requests at a time", lambda each: figure(each.streams)),
        ("queries at a time", lambda each: figure(each.queries)),
        ("GB an hour, busiest table", lambda each: figure(max(each.gb_per_hour.values()))),
        ("databases", lambda each: str(each.databases)),
        ("GB for a million steps, as sent", lambda each: figure(each.gb_per_million_steps)),
        ("GB stored, compressed", lambda each: figure(_packed(each, each.stored_gb))),
        ("GB hot, compressed", lambda each: figure(_packed(each, each.hot_gb))),
        ("rows of the view", lambda each: figure(each.view_rows)),
        ("tables to partition", _partitioned),
        ("cores of all clients", lambda each: figure(each.client_cores)),
        ("smallest cluster", _smallest),
    ]
    rows += [[what, *map(show, found.values())] for what, show in shown]
    return "\n".join([*aligned(rows), "", *_measured_lines(measured)])


def _measured_lines(measured: Measured) -> list[str]:
    """What the text of docs/scaling.md refers to."""
    shared, view = measured["shared"], measured["chats"][0]["view_row_bytes"]
    calls = shared["writes"] / shared["ingest_requests"]
    sent = shared["ingest_requests"] / shared["seconds"]
    bound = shared["max_in_flight"] / shared["ingest_seconds"]
    return [
        f"measured on {measured['machine']['when'][:10]}:",
        f"  {calls:.0f} calls a request, {sent:.0f} requests a second where the bound is"
        f" {bound:.0f} (500 callers, {shared['max_in_flight']} in flight, 100 ms for each ingest)",
        f"  {view} bytes a row of the view, as sent",
        f"  {measured['client_us_per_call']:.0f} us of a client's CPU a call, 100 callers",
    ]


def with_examples(document: str, measured: Measured) -> str:
    """docs/scaling.md with the examples as they are now: its first block of text."""
    before, opening, rest = document.partition("```text\n")
    _, closing, after = rest.partition("\n```")
    return before + opening + examples_text(measured) + closing + after


def _packed(found: Estimate, sizes: dict[str, float] | Any) -> float:
    return float(sum(sizes.values()) * found.packed_share)


def _partitioned(found: Estimate) -> str:
    return str(sum(partitions(found, table) > 0 for table in found.hot_gb))


def _smallest(found: Estimate) -> str:
    cluster = found.cluster
    return "none listed" if cluster is None else f"{cluster.nodes} x {cluster.cores} cores"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    for field in fields(Load):
        kind = _whole if isinstance(field.default, int) else _positive
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=_share if field.name == "mean_share" else kind,
            default=field.default,
            help=_ABOUT[field.name],
            metavar="N",
        )
    parser.add_argument("--nodes", type=_whole, default=2, metavar="N", help="of the cluster")
    parser.add_argument("--cores", type=_whole, default=8, metavar="N", help="of each node")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument(
        "--examples", action="store_true", help="print the table of docs/scaling.md"
    )
    return parser


def _whole(text: str) -> int:
    value = int(text)
    if not 0 < value <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to 1,000,000")
    return value


def _positive(text: str, most: int = 1_000_000) -> float:
    value = float(text)
    if not 0 < value <= most:
        raise argparse.ArgumentTypeError(f"{text} is not over 0 and at most {most:,}")
    return value


def _share(text: str) -> float:
    return _positive(text, 1)


if __name__ == "__main__":
    sys.exit(main())
