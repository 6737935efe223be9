"""The command line of the local server: `python -m langgraph.checkpoint.kusto.local`.

Lives here: options, the two lines that tell a client where to connect, and signals. Does not live
here: the server (`server`).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .server import LocalKusto

DESCRIPTION = (
    "Run a local server that speaks Kusto's REST protocol and keeps its data in one SQLite file. "
    "For development and tests: it does not authenticate anybody."
)


def main(arguments: list[str] | None = None) -> int:
    """Run the server until SIGINT or SIGTERM; return the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    try:
        from .errors import LocalKustoError
        from .server import LocalKusto
    except ModuleNotFoundError as error:
        if error.name not in ("aiohttp", "lark"):
            raise
        from . import INSTALL

        print(f"error: the local Kusto server needs {error.name}: {INSTALL}", file=sys.stderr)
        return 1
    try:
        local = LocalKusto(
            options.path,
            port=options.port,
            host=options.host,
            database=options.database,
            seed=options.seed,
            turbulence=options.turbulence,
            visibility=options.visibility,
            streaming=not options.no_streaming,
            schema_cache=options.schema_cache,
            roles=set(options.role) if options.role else None,
            token=options.token,
            allow_remote=options.allow_remote,
            azurite=options.azurite,
            queue_delay=options.queue_delay,
        )
        for fault in options.fault or ():
            local.faults.add(**fault)
        if options.allow_remote:
            print(
                f"warning: listening on {options.host}: everybody who can reach it can read and "
                "change all data, there is no authentication",
                file=sys.stderr,
            )
        asyncio.run(_serve(local))
    except LocalKustoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(local: LocalKusto) -> None:
    stopping = asyncio.Event()
    _on_signals(stopping)
    async with local:
        print(f"KUSTO_CLUSTER_URI={local.url}")
        print(f"KUSTO_DATABASE={local.database}", flush=True)
        await stopping.wait()


def _on_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stopping.set)
        except NotImplementedError:  # Windows' loops have no signal handlers
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopping.set))


def _parser() -> argparse.ArgumentParser:
    from .fault_specs import FORM
    from .roles import ROLES

    parser = argparse.ArgumentParser(
        prog="python -m langgraph.checkpoint.kusto.local", description=DESCRIPTION
    )
    add = parser.add_argument
    add("--path", metavar="FILE", help="SQLite file (default: a temporary one, removed at the end)")
    add("--port", type=_port, default=0, help="port (default: any free one)")
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--allow-remote", action="store_true", help="allow a --host that others can reach")
    add("--database", default="NetDefaultDB", help="database (default: %(default)s)")
    add("--seed", type=int, help="decide at random, by this seed, what Kusto leaves open")
    add("--turbulence", action="store_true", help="by the seed, fail some requests transiently")
    add(
        "--visibility",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="by the seed, hide what a table took for up to so long (default: %(default)s)",
    )
    add("--no-streaming", action="store_true", help="switch streaming ingestion off")
    add("--schema-cache", action="store_true", help="ingest by an old schema until it is cleared")
    add("--role", action="append", choices=ROLES, help="a role of every caller (default: admin)")
    add("--azurite", metavar="URL", help="blob service of an Azurite, for queued ingestion")
    add(
        "--queue-delay",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="how long queued rows wait before they are ingested (default: %(default)s)",
    )
    add(
        "--fault",
        action="append",
        type=_fault,
        metavar="SPEC",
        help=f"trouble on demand, repeatable: {FORM}",
    )
    add("--token", help="bearer token that every request must carry")
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; use 1 to 65535, or 0 for any")
    return int(text)


def _fault(text: str) -> dict[str, Any]:
    from .fault_specs import parse_fault

    try:
        return parse_fault(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan  # refused as any other that is none
    if not (seconds >= 0 and math.isfinite(seconds)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
