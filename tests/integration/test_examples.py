"""The examples and the demo as their users run them: processes of their own, on a local server.

What they do inside is not tested here, only what they say and leave behind.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from shared.places import Place, ServerProcess, server_process
from shared.processes import ROOT, Child

EXAMPLES = ROOT / "examples"
ORDER = ["plan", "assistant#1", "tools#1", "assistant#2", "tools#2", "assistant#3", "tools#3"]
ORDER += ["assistant#4", "check_counts", "check_quotes", "draft", "approve"]
SAME_TIME = slice(8, 10)
WAITING = 3


@dataclass(frozen=True)
class Outcome:
    code: int
    lines: list[str]
    errors: str


def run(*arguments: str, env: dict[str, str] | None = None) -> Outcome:
    child = Child([sys.executable, *arguments], env=env)
    try:
        lines = child.rest()
        return Outcome(child.wait(), lines, child.errors())
    finally:
        child.close()


def run_example(place: Place, name: str | Path, *arguments: str, **more: str) -> Outcome:
    endpoint = {"KUSTO_CLUSTER_URI": place.uri, "KUSTO_DATABASE": place.database}
    return run(str(EXAMPLES / name), *arguments, env=endpoint | more)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with server_process(tmp_path_factory.mktemp("server") / "kusto.db") as server:
        yield server.place


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Place]:
    """A database with nothing in it."""
    server = ServerProcess(tmp_path / "bare.db")
    server.start()
    yield server.place
    server.stop()


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    file = tmp_path / "notes.txt"
    file.write_text("# Title\n\nsilver silver copper\na line that is the longest of all\n")
    return file


# ------------------------------------------------------------------------------- the small examples


def test_the_quick_starts_create_the_tables_and_go_on(bare: Place) -> None:
    """The second run of each is another process: what it knows, it knows from the server."""
    first = ["human: Hello", "ai: I have 1 message(s) now."]
    second = ["human: Hello", "ai: I have 3 message(s) now."]

    for name in ("basic_async.py", "basic_sync.py"):
        created = run_example(bare, name, "--create")
        resumed = run_example(bare, name)

        assert created == Outcome(0, [*first, "checkpoints: 3"], "")
        assert resumed == Outcome(0, [*first, *second, "checkpoints: 6"], "")


def test_encrypted_values_are_not_readable_in_kusto(provisioned: Place) -> None:
    done = run_example(provisioned, "custom_serializer.py", LANGGRAPH_AES_KEY="0123456789abcdef")
    found = [re.search(r"readable in (\d+) of (\d+) cells", line) for line in done.lines]
    counts = [(int(match[1]), int(match[2])) for match in found if match]

    assert (done.code, done.errors) == (0, "")
    (plain, plain_cells), (encrypted, encrypted_cells) = counts
    assert 0 < plain <= plain_cells
    assert encrypted == 0
    assert encrypted_cells == plain_cells


# -------------------------------------------------------------------------------------- the agent


def run_agent(
    place: Place, file: Path, *arguments: str, program: str | Path = "agent.py"
) -> tuple[Outcome, list[str]]:
    effects = file.with_suffix(".effects")
    named = ["--thread", "t", "--input", str(file), "--effects", str(effects)]
    done = run_example(place, program, *named, *arguments)
    lines = effects.read_text().splitlines() if effects.exists() else []
    return done, [json.loads(line)["step"] for line in lines]


@pytest.mark.parametrize("way", [[], ["--sync"]], ids=["async", "sync"])
@pytest.mark.parametrize(
    ("answer", "last", "said"),
    [("yes", "publish", "published"), ("no", "discard", "discarded: the answer was no")],
)
def test_the_agent_waits_for_a_human_and_goes_on(
    bare: Place, text_file: Path, way: list[str], answer: str, last: str, said: str
) -> None:
    waiting, before = run_agent(bare, text_file, "--create", *way)
    finished, after = run_agent(bare, text_file, "--approve", answer, *way)
    again, unchanged = run_agent(bare, text_file, "--approve", answer, *way)

    assert (waiting.code, waiting.errors) == (WAITING, "")
    assert "question: Publish this report?" in waiting.lines
    report = "\n".join(waiting.lines)
    assert "It has 4 lines, 13 words, 64 characters, 1 headings" in report
    assert "Longest line: a line that is the longest of all" in report
    assert "Frequent words: silver (2), copper (1), longest (1), title (1)" in report
    assert "Checked: line count confirmed; quote found." in report

    assert (finished.code, finished.errors) == (0, "")
    assert finished.lines[0] == "thread t: found in Kusto at step 9, next approve"
    assert finished.lines[-1] == said
    assert after[: len(before)] == before
    after[SAME_TIME] = sorted(after[SAME_TIME])
    assert after == [*ORDER, last]

    assert (again.code, again.errors) == (0, "")
    assert again.lines == ["thread t: found in Kusto at step 11, finished before", said]
    assert len(unchanged) == len(after)


def test_the_agent_resumes_between_a_result_and_its_checkpoint(
    bare: Place, text_file: Path, tmp_path: Path
) -> None:
    """Killed when Kusto has the result of step 2 and not its checkpoint: `next` is empty then."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    agent = tmp_path / "examples" / "agent.py"
    source, start = agent.read_text(encoding="utf-8"), "\ndef main("
    dying = """
async def die(saver, config, checkpoint, metadata, new_versions):
    if metadata["step"] == 2:
        await saver.flush()
        os._exit(9)
    return await put(saver, config, checkpoint, metadata, new_versions)


put, AsyncKustoSaver.aput = AsyncKustoSaver.aput, die

"""
    assert source.count(start) == 1
    agent.write_text(source.replace(start, dying + start), encoding="utf-8")

    died, before = run_agent(bare, text_file, "--create", program=agent)
    resumed, after = run_agent(bare, text_file, "--approve", "yes")

    assert died.code == 9
    assert before == ["plan", "assistant#1"]
    found = "thread t: found in Kusto at step 1, its results are there, its checkpoint is next"
    assert (resumed.code, resumed.errors) == (0, "")
    assert resumed.lines[0] == found
    after[SAME_TIME] = sorted(after[SAME_TIME])
    assert after == [*ORDER, "publish"]


def test_the_agent_says_what_it_needs(bare: Place, text_file: Path, tmp_path: Path) -> None:
    task = ["--thread", "t", "--input"]

    nowhere = run(str(EXAMPLES / "agent.py"), *task, str(text_file))
    assert nowhere.code == 2
    assert "KUSTO_CLUSTER_URI" in nowhere.errors
    assert "KUSTO_DATABASE" in nowhere.errors
    assert "Traceback" not in nowhere.errors

    missing = run_example(bare, "agent.py", *task, str(tmp_path / "missing.txt"))
    assert missing.code == 2
    assert "missing.txt: there is no such file" in missing.errors

    unprovisioned = run_example(bare, "agent.py", *task, str(text_file))
    assert unprovisioned.code == 1
    assert "TableNotFoundError" in unprovisioned.errors
    assert "setup(create=True)" in unprovisioned.errors
    assert "Traceback" not in unprovisioned.errors


# --------------------------------------------------------------------------------------- the demo


@pytest.mark.parametrize("seed", [4, 5])
def test_the_demo_holds(seed: int) -> None:
    done = run(str(EXAMPLES / "demo.py"), "--seed", str(seed))
    text = "\n".join(done.lines)

    assert (done.code, done.errors) == (0, ""), text
    assert "✗" not in text
    assert re.search(rf"Every step held, in \d+ s \(seed {seed}\)\.", done.lines[-1])
    assert text.count("✓ the agent died of SIGKILL, in the middle") == 2
    assert text.count("✓ the server died of SIGKILL") == 1
    assert len(re.findall(r"nodes finished before the kill appears exactly once", text)) == 2
    assert text.count("checkpoints of the original are what they were") == 2
    assert text.count("every checkpoint the saver lists, the fork and the subgraph too") == 2
    pids = {int(pid) for pid in re.findall(r"\bprocess (\d+)", text)}
    assert len(pids) == 4  # two agents, the server before and after its kill
    assert not any(map(alive, pids))


def test_the_demo_fails_when_checkpoints_are_lost(tmp_path: Path) -> None:
    """The same demo with an agent whose saver answers before Kusto has acknowledged."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    for name in ("README.md", "provision.kql"):
        shutil.copy(ROOT / name, tmp_path)
    agent = tmp_path / "examples" / "agent.py"
    source, saver = agent.read_text(encoding="utf-8"), "Saver.from_connection_string(uri, database"
    assert source.count(saver) == 2
    agent.write_text(source.replace(saver, saver + ', write_mode="buffered"'), encoding="utf-8")

    done = run(str(tmp_path / "examples" / "demo.py"), "--seed", "6")

    assert done.code == 1
    assert any("✗ did not hold: each of the" in line for line in done.lines), done.lines
    assert done.lines[-1].endswith("--seed 6")
    assert not any("Every step held" in line for line in done.lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_demo_that_is_ended_ends_its_server(number: signal.Signals) -> None:
    child = Child([sys.executable, str(EXAMPLES / "demo.py"), "--seed", "1"])
    try:
        while (line := child.line()) is not None:
            if found := re.search(r"process (\d+), http", line):
                break
        assert line is not None
        assert found is not None
        server = int(found[1])
        assert alive(server)
        os.kill(child.pid, number)
        rest = child.rest()
        code = child.wait()
    finally:
        child.close()

    assert code == 1
    assert rest[-1] == f"The demo was ended by {number.name}."
    assert not alive(server)
