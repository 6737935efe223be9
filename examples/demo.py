"""The main job, end to end: an agent is killed with SIGKILL and resumes, on a local Kusto.

No cluster, no keys: `make demo`. Exit code 0 only if every step held. `--seed` repeats the moment
of a kill, as far as the machine's own timing allows.

Here: the steps and what each must prove. `demo_processes.py` starts and kills, `demo_kql.py` asks
Kusto, `demo_travel.py` travels in time, `agent.py` is the agent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from agent import WAITING
from agent_graph import STEPS, AgentState, Effects, agent_graph
from demo_kql import TASK_RESULTS, TIMELINE, ask, print_table, print_timeline, results_by_node
from demo_processes import DATABASE, ROOT, START_SECONDS, Child, DemoFailed, LocalServer, end_all
from demo_travel import Journey, travel_async, travel_sync
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from langgraph.checkpoint.kusto import KustoSaver

INPUT, OTHER_INPUT = "README.md", "provision.kql"
STEP_DELAY = 0.2
SAME_TIME = ("check_counts", "check_quotes")

GUARANTEE = """\
   What counts as finished: Kusto has the node's result, or a later step has left its line (with
   durability="sync" LangGraph begins a step when the checkpoint of the one before is acknowledged).
   Such a node must appear exactly once in the effects file. A node cut short by the kill runs again
   and may appear twice: its effect happened, its result was not kept. No checkpointer can know
   that; effects that must not repeat need an idempotency key of their own."""


def main() -> int:
    """Run the demo; return 0 only if each step held."""
    parser = argparse.ArgumentParser(description="Kill an agent and resume it, on a local Kusto.")
    parser.add_argument("--seed", type=int, help="repeat the kills of an earlier run")
    seed = parser.parse_args().seed
    if seed is None:
        seed = random.SystemRandom().randrange(1_000_000)
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="kusto-demo-") as folder:
            end_cleanly_on_signals(folder)
            run(Path(folder), seed)
    except DemoFailed as failure:
        print(f"   ✗ {failure}\nThe demo failed. Again: python examples/demo.py --seed {seed}")
        return 1
    print(f"\nEvery step held, in {time.monotonic() - began:.0f} s (seed {seed}).")
    return 0


def end_cleanly_on_signals(folder: str) -> None:
    """Let Ctrl-C and SIGTERM end the children too, at once, wherever the demo stands."""

    def end(number: int, _: object) -> None:
        end_all()
        shutil.rmtree(folder, ignore_errors=True)
        print(f"\nThe demo was ended by {signal.Signals(number).name}.", flush=True)
        # Not an exception: one raised while a thread is being started can wait for it for ever.
        os._exit(1)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def run(folder: Path, seed: int) -> None:
    """Do all steps, on copies of the input files: the repository may be edited meanwhile."""
    for name in (INPUT, OTHER_INPUT):
        shutil.copy(ROOT / name, folder)
    os.chdir(folder)
    chance = random.Random(seed)
    heading(f"A local Kusto, as a process of its own (seed {seed})")
    with LocalServer(folder / "kusto.db") as server:
        pid = server.start()
        print(f"   process {pid}, {server.url}, database {DATABASE}")
        with KustoSaver.from_connection_string(server.url, DATABASE) as saver:
            saver.setup(create=True)
            saver.setup()
        check(True, "provisioned: tables, view and functions are there")
        print(GUARANTEE)

        expected = {name: report_of(name) for name in (INPUT, OTHER_INPUT)}
        for sync in (False, True):
            half(server, folder, chance, expected, sync=sync)

        heading("The end")
        check(server.stop() == 0, "the server stopped in order")


def half(
    server: LocalServer,
    folder: Path,
    chance: random.Random,
    expected: dict[str, str],
    *,
    sync: bool,
) -> None:
    """Kill, resume, travel and look with one of the two savers."""
    saver = "KustoSaver" if sync else "AsyncKustoSaver"
    way = ["--sync"] if sync else []
    # The first agent is killed before the question to the human, the second one anywhere.
    targets = STEPS[: STEPS.index("publish")] if sync else STEPS[: STEPS.index("draft")]

    heading(f"{saver}: the agent works on {INPUT} and is killed")
    thread, effects = kill_agent(server, folder, chance, targets, way)
    finished = finished_steps(server, thread, lines_of(effects))

    if not sync:
        heading("The server is killed too, and starts again on the same file")
        check(server.kill() == -signal.SIGKILL, "the server died of SIGKILL")
        print(f"   process {server.start()}, {server.url}")

    heading(f"{saver}: a new process resumes the thread")
    resume_agent(server, thread, effects, way, finished, expected[INPUT], ask_first=not sync)

    heading(f"{saver}: time travel")
    if sync:
        journey = travel_sync(server.url, DATABASE, thread, OTHER_INPUT)
    else:
        journey = asyncio.run(travel_async(server.url, DATABASE, thread, OTHER_INPUT))
    check_journey(journey, expected)

    heading(f"{saver}: the same thread in KQL: ThreadTimeline('{thread}')")
    timeline = ask(server.url, DATABASE, TIMELINE, thread)
    print_timeline(timeline)
    check(
        len(timeline) == journey.checkpoints,
        f"{len(timeline)} rows: every checkpoint the saver lists, the fork and the subgraph too",
    )
    check(sum(row["interrupts"] for row in timeline) >= 2, "both questions to the human are in it")


# ------------------------------------------------------------------------------ kill and resume


def kill_agent(
    server: LocalServer, folder: Path, chance: random.Random, targets: list[str], way: list[str]
) -> tuple[str, Path]:
    """Start an agent and kill it at a random moment in its middle."""
    for attempt in range(1, 4):
        target, delay = chance.choice(targets), chance.uniform(0, STEP_DELAY)
        thread = f"demo-{'sync' if way else 'async'}-{attempt}"
        effects = folder / f"{thread}.effects"
        print(f"   chosen at random: SIGKILL {delay * 1000:.0f} ms after {target} left its line")
        with agent(server, thread, effects, [*way, "--approve", "yes"]) as child:
            started = time.monotonic()
            while target not in lines_of(effects) and child.running:
                if time.monotonic() > started + START_SECONDS:
                    raise DemoFailed(f"{target} left no line within {START_SECONDS} s")
                time.sleep(0.002)
            time.sleep(delay)
            if child.running:
                moment = time.monotonic() - started
                code = child.kill()
                print(f"   killed process {child.pid}, {moment:.3f} s after it was started")
                check(code == -signal.SIGKILL, "the agent died of SIGKILL, in the middle")
                return thread, effects
            code = child.wait(10)
            if code != 0:
                raise DemoFailed(f"the agent ended by itself, exit code {code}")
            print("   it had finished before the kill landed: again, with another thread")
    raise DemoFailed("the kill never landed in time: this machine is too busy")


def finished_steps(server: LocalServer, thread: str, lines: list[str]) -> set[str]:
    """Find what was finished before the kill, by Kusto's word and by the effects file's."""
    results = results_by_node(ask(server.url, DATABASE, TASK_RESULTS, thread))
    last = max(level(step) for step in lines)
    finished = set()
    for step in STEPS:
        node, _, visit = step.partition("#")
        if results.get(node, 0) >= int(visit or 1) or level(step) < last:
            finished.add(step)
    print(f"   before the kill: {len(set(lines))} nodes left a line, {len(finished)} had finished")
    check(finished <= set(lines), "every finished node had left its line")
    return finished


def resume_agent(
    server: LocalServer,
    thread: str,
    effects: Path,
    way: list[str],
    finished: set[str],
    report: str,
    *,
    ask_first: bool,
) -> None:
    """Resume in a new process, with nobody to ask at first, and check the effects file."""
    before = lines_of(effects)
    answers = ["ask", "yes"] if ask_first else ["yes"]
    for answer in answers:
        with agent(server, thread, effects, [*way, "--approve", answer]) as child:
            code = child.wait(60)
        if answer == "ask":
            check(code == WAITING, "the run waits for a human; the process has ended")
        else:
            check(code == 0, "the run finished")
    lines = lines_of(effects)
    print_effects(before, lines, finished)
    counts = Counter(lines)
    check(set(counts) == set(STEPS), "every node of the run left its line")
    check(
        all(counts[step] == 1 for step in finished),
        f"each of the {len(finished)} nodes finished before the kill appears exactly once",
    )
    repeated = sorted(step for step, count in counts.items() if count > 1)
    check(
        all(counts[step] == 2 for step in repeated) and len({level(step) for step in repeated}) < 2,
        f"run twice because the kill cut it short: {', '.join(repeated) or 'nothing'}",
    )
    with KustoSaver.from_connection_string(server.url, DATABASE) as saver:
        state = agent_graph(saver, Effects()).get_state(config_of(thread))
    check(
        state.values["published"] == report,
        "the report is the one an agent that was never killed writes",
    )


def print_effects(before: list[str], lines: list[str], finished: set[str]) -> None:
    """Print how often each node left its line, before the kill and after."""
    table: list[tuple[str, ...]] = [("node", "before the kill", "finished", "after", "in all")]
    for step in STEPS:
        first, whole = before.count(step), lines.count(step)
        known = "yes" if step in finished else "cut short" if first else "no"
        table.append((step, str(first), known, str(whole - first), str(whole)))
    print_table(table)


def check_journey(journey: Journey, expected: dict[str, str]) -> None:
    """Check that the fork went its own way and that the original is what it was."""
    steps = [(state.metadata or {})["step"] for state in reversed(journey.before)]
    check(
        steps == list(range(-1, len(steps) - 1)),
        f"{len(steps)} steps of the agent itself, none missing and none double",
    )
    check(
        journey.fork.values["published"] == expected[OTHER_INPUT],
        f"forked before the first node, the agent described {OTHER_INPUT} instead",
    )
    same = [
        (old.values, old.next, old.metadata) == (new.values, new.next, new.metadata)
        for old, new in zip(journey.before, journey.after, strict=True)
    ]
    check(all(same), f"all {len(same)} checkpoints of the original are what they were")
    check(
        journey.after[0].values["published"] == expected[INPUT],
        "the original still ends with its own report",
    )


# --------------------------------------------------------------------------------------- pieces


def agent(server: LocalServer, thread: str, effects: Path, more: list[str]) -> Child:
    """Start an agent process on the thread."""
    arguments = [str(ROOT / "examples" / "agent.py"), "--thread", thread, "--input", INPUT]
    arguments += ["--effects", str(effects), "--step-delay", str(STEP_DELAY), *more]
    return Child("agent", arguments, server.environment)


def report_of(path: str) -> str:
    """Return the report of an agent that is not disturbed, kept in memory only."""
    graph = agent_graph(InMemorySaver(), Effects())
    given: AgentState = {"path": path}
    graph.invoke(given, config_of("undisturbed"))
    state = graph.invoke(Command(resume="yes"), config_of("undisturbed"))
    return str(state["published"])


def config_of(thread: str) -> RunnableConfig:
    """Name a thread."""
    return {"configurable": {"thread_id": thread}}


def lines_of(effects: Path) -> list[str]:
    """Return the steps in the effects file, in order; a line without its end is not there yet."""
    if not effects.exists():
        return []
    text = effects.read_text(encoding="utf-8")
    return [json.loads(line)["step"] for line in text.splitlines(keepends=True) if "\n" in line]


def level(step: str) -> int:
    """Return a step's place in the order; the two checks run at the same time."""
    return STEPS.index(SAME_TIME[0] if step in SAME_TIME else step)


def heading(text: str) -> None:
    """Print the heading of the next step."""
    print(f"\n── {text}", flush=True)


def check(held: bool, text: str) -> None:
    """Print what held, or stop the demo."""
    if not held:
        raise DemoFailed(f"did not hold: {text}")
    print(f"   ✓ {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
