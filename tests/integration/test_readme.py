"""The documents say what is so: their code runs, their tables are complete, their links resolve.

The quick starts run as processes of their own against a local server in another process; only the
endpoint and the `StateGraph(...)` placeholder are filled in. No cluster is ever contacted here.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import inspect
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import kql_lint
import pytest

from langgraph.checkpoint.kusto import AsyncKustoSaver, KustoSaver, SaverOptions, errors
from langgraph.checkpoint.kusto._schema import TABLES
from langgraph.checkpoint.kusto._stats import Stats

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md"]
DOCUMENTS += sorted((ROOT / "docs").glob("*.md"))
README = (ROOT / "README.md").read_text(encoding="utf-8")

# What a user has to fill in, and nothing else.
URI = re.compile(r'https://<your-cluster>[^"]*')
DATABASE = "<your-database>"
GRAPH = "StateGraph(...)"
# One node that answers with the number of messages so far, so that a resumed thread shows.
FILLED_GRAPH = """StateGraph(
    __import__("langgraph.graph", fromlist=["MessagesState"]).MessagesState
).add_node(
    "answer", lambda state: {"messages": [("ai", f"heard {len(state['messages'])}")]}
).add_edge("__start__", "answer")"""

SCRIPT_LINE = ".execute database script with (ThrowOnErrors=true) <|"
# Purge exists on another endpoint (`ingest-...`) of Azure Data Explorer only; the local server has
# nothing to delete in a view, which it computes from the table. SECURITY.md says both.
NOT_RUN_HERE = re.compile(r"\.purge\b|\.delete materialized-view\b")


def text_of(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Give the fenced blocks of a language, those inside of list items too."""
    fence = re.compile(rf"^( *)```{language}\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
    return [
        re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, body in fence.findall(text)
    ]


def section(text: str, heading: str) -> str:
    """Give the text under a heading, up to the next heading of the same level."""
    level = heading.split(" ")[0]
    _, found, rest = text.partition(f"\n{heading}\n")
    assert found, f"no heading {heading!r}"
    return re.split(rf"^{level} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def table_rows(text: str, first_header: str) -> list[list[str]]:
    """Give the cells of the table whose first header cell is given."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(f"| {first_header} |"):
            break
    else:
        raise AssertionError(f"no table {first_header!r}")
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows


def in_backticks(cell: str) -> str:
    found = re.fullmatch(r"`([^`]+)`", cell)
    assert found, f"{cell!r} is not one name in backticks"
    return found.group(1)


# ------------------------------------------------------------------------------ a server to talk to


@dataclass(frozen=True)
class Place:
    """A local server in a process of its own."""

    uri: str
    database: str

    def post(self, path: str, text: str) -> Any:
        """Send a query or a management command as anybody could, and give the answer."""
        request = urllib.request.Request(
            f"{self.uri}{path}",
            json.dumps({"db": self.database, "csl": text}).encode(),
            {"Content-Type": "application/json", "Accept": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{text}\n{error.code}: {error.read().decode()}") from error

    def command(self, text: str) -> list[dict[str, Any]]:
        table = self.post("/v1/rest/mgmt", text)["Tables"][0]
        names = [column["ColumnName"] for column in table["Columns"]]
        return [dict(zip(names, row, strict=True)) for row in table["Rows"]]

    def query(self, text: str) -> list[dict[str, Any]]:
        frames = self.post("/v2/rest/query", text)
        assert not frames[-1]["HasErrors"]
        (table,) = (frame for frame in frames if frame.get("TableKind") == "PrimaryResult")
        names = [column["ColumnName"] for column in table["Columns"]]
        return [dict(zip(names, row, strict=True)) for row in table["Rows"]]


def environment() -> dict[str, str]:
    """Our environment without the names of a live cluster."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KUSTO_")}


@contextlib.contextmanager
def local_server(file: Path, database: str) -> Iterator[Place]:
    arguments = ["--path", str(file), "--database", database]
    command = [sys.executable, "-m", "langgraph.checkpoint.kusto.local", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().strip() for _ in range(2)]
            said = dict(line.split("=", 1) for line in lines)
            yield Place(said["KUSTO_CLUSTER_URI"], said["KUSTO_DATABASE"])
        finally:
            process.terminate()
            process.wait(timeout=30)
    assert process.returncode == 0


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Place]:
    """A database with nothing in it."""
    with local_server(tmp_path / "bare.db", "agents") as place:
        yield place


# ------------------------------------------------------------------------------------- quick starts


def quick_starts() -> dict[str, str]:
    found = [block for block in blocks(README, "python") if GRAPH in block]
    by_saver = {re.search(r"\b(\w+)\.from_connection_string", block)[1]: block for block in found}  # type: ignore[index]  # a block without it fails here, as it should
    assert len(by_saver) == len(found)
    return by_saver


def fill_in(block: str, place: Place) -> str:
    assert block.count(GRAPH) == 1
    assert len(URI.findall(block)) == 1
    assert block.count(DATABASE) == 1
    filled = URI.sub(place.uri, block).replace(DATABASE, place.database)
    filled = filled.replace(GRAPH, FILLED_GRAPH)
    assert "<" not in filled
    assert "..." not in filled
    return filled


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment()
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_quick_starts_run_and_continue_one_thread(bare: Place) -> None:
    """Each in a process of its own, on an empty database: the second resumes the thread."""
    starts = quick_starts()
    assert set(starts) == {"AsyncKustoSaver", "KustoSaver"}

    first = run(fill_in(starts["AsyncKustoSaver"], bare))
    second = run(fill_in(starts["KustoSaver"], bare))

    assert re.findall(r"heard \d", first) == ["heard 1"]
    assert re.findall(r"heard \d", second) == ["heard 1", "heard 3"]
    steps = bare.query('LiveCheckpoints() | where thread_id == "thread-1" | summarize n = count()')
    assert steps == [{"n": 6}]


# ------------------------------------------------------------------------- provisioning and the KQL


def statements(block: str) -> list[str]:
    """Cut a block: management commands stand on a line each, anything else is one query."""
    if block.startswith("."):
        return [line for line in block.splitlines() if line]
    return [block]


def test_the_front_door_of_the_web_ui_provisions(bare: Place) -> None:
    """The documented first line and the file below it, sent as one text."""
    assert SCRIPT_LINE in blocks(README, "kusto")[0]
    script = (ROOT / "provision.kql").read_text(encoding="utf-8")

    results = bare.command(f"{SCRIPT_LINE}\n{script}")

    assert {row["Result"] for row in results} == {"Completed"}
    assert len(results) > len(TABLES)
    with KustoSaver(bare.uri, bare.database) as saver:
        saver.setup()  # raises when anything is missing


def test_every_kql_of_the_documents_runs(bare: Place) -> None:
    run(fill_in(quick_starts()["KustoSaver"], bare))
    answers: dict[str, list[dict[str, Any]]] = {}
    deleting: list[str] = []

    for document in DOCUMENTS:
        for block in blocks(text_of(document), "kusto"):
            for statement in statements(block.replace(DATABASE, bare.database)):
                if statement == SCRIPT_LINE or NOT_RUN_HERE.match(statement):
                    continue
                if statement.startswith(".delete"):
                    deleting.append(statement)
                    continue
                ask = bare.command if statement.startswith(".") else bare.query
                answers[statement] = ask(statement)
    for statement in deleting:
        bare.command(statement)

    threads = [rows for text, rows in answers.items() if "by thread_id\n| top 20" in text]
    assert [(row["thread_id"], row["checkpoints"]) for row in threads[0]] == [("thread-1", 3)]
    timeline = [rows for text, rows in answers.items() if text.startswith("ThreadTimeline")]
    assert [(row["step"], row["source"]) for row in timeline[0]] == [
        (-1, "input"),
        (0, "loop"),
        (1, "loop"),
    ]
    assert len(deleting) == 3
    assert bare.query('Checkpoints | where thread_id == "thread-1" | count') == [{"Count": 0}]


def test_every_kql_of_the_documents_passes_microsofts_parser() -> None:
    """Also what the local server does not know (`NOT_RUN_HERE`)."""
    texts = {
        f"{path.name}:{number}": statement.replace(DATABASE, "database")  # as the judge calls it
        for path in DOCUMENTS
        for number, statement in enumerate(
            statement for block in blocks(text_of(path), "kusto") for statement in statements(block)
        )
        if statement != SCRIPT_LINE
    }

    found = kql_lint.lint(texts.items(), kql_lint.provision_commands())

    assert len(texts) > 20
    assert [str(diagnostic) for diagnostic in found] == []


# ------------------------------------------------------------------------------------------- tables


def test_the_table_of_options_is_that_of_the_code() -> None:
    rows = table_rows(section(README, "## Configuration"), "option")
    written = {in_backticks(name): (default, unit) for name, default, unit, _ in rows}
    options = {field.name: field.default for field in fields(SaverOptions)}

    assert list(written) == list(options)
    for name, default in options.items():
        shown = ast.literal_eval(in_backticks(written[name][0]))
        assert (type(shown), shown) == (type(default), default), name
        if name.endswith("_bytes"):
            assert written[name][1] == "bytes"
        elif isinstance(default, float):
            assert written[name][1] == "seconds"
        elif isinstance(default, int):
            assert written[name][1] in {"rows", "reads", "requests", "attempts"}
        else:
            assert written[name][1] == ""


def test_the_settings_described_are_valid() -> None:
    rows = table_rows(section(README, "## Configuration"), "setting")
    described = [re.findall(r"[\d.]+", setting) for setting, *_ in rows]

    assert described == [["500", "60"], ["1", "0.1"], ["100", "30"]]
    for size, interval in described:
        SaverOptions(batch_size=int(size), flush_interval=float(interval), write_mode="buffered")


def test_the_table_of_errors_is_complete() -> None:
    troubleshooting = section(README, "## Troubleshooting")
    in_table = [in_backticks(row[0]) for row in table_rows(troubleshooting, "error")]
    named = set(re.findall(r"`(\w+Error)`", troubleshooting.partition("| error |")[0]))
    public = {
        name: item
        for name, item in vars(errors).items()
        if inspect.isclass(item) and item.__module__ == errors.__name__
    }

    assert len(set(in_table)) == len(in_table)
    assert set(in_table) & named == set()
    assert set(in_table) | named == set(public)
    assert all(len(public[name].__subclasses__()) > 0 for name in named)


def test_errors_named_anywhere_exist() -> None:
    named = {name for path in DOCUMENTS for name in re.findall(r"`(\w+Error)`", text_of(path))}

    known = {*vars(errors), *vars(builtins)}
    assert named - known == set()


def test_the_columns_described_are_those_of_the_tables() -> None:
    text = section(text_of(ROOT / "docs" / "architecture.md"), "## Tables")

    for table in TABLES:
        rows = table_rows(section(text, f"### {table.name}"), "column")
        described = [(in_backticks(name), kind) for name, kind, _ in rows]
        assert described == [(column.name, column.type) for column in table.columns]


def test_the_layers_described_hold_every_module() -> None:
    package = ROOT / "langgraph" / "checkpoint" / "kusto"
    rows = table_rows(text_of(ROOT / "docs" / "architecture.md"), "layer")
    described = [name for _, modules, _ in rows for name in re.findall(r"`(\w+)`", modules)]
    modules = {path.stem for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}

    assert len(set(described)) == len(described)
    assert set(described) == modules - {"__init__", "__pycache__", "local"}


def test_the_counters_described_are_those_of_stats() -> None:
    rows = table_rows(text_of(ROOT / "docs" / "operations.md"), "counter")
    described = [in_backticks(name) for name, _ in rows]
    saver = AsyncKustoSaver("http://127.0.0.1:1", "agents")

    assert described == list(saver.stats())
    assert set(Stats.NAMES) < set(described)


# ------------------------------------------------------------------------------- links and commands


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text_of(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_resolves(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", text_of(document))

    for link in links:
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / urllib.parse.unquote(name)).resolve() if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_leads_to_every_document() -> None:
    linked = {name.partition("#")[0] for name in re.findall(r"\]\(([^)\s]+)\)", README)}
    named = {str(path.relative_to(ROOT)) for path in DOCUMENTS} - {"README.md"}

    assert named - linked == set()
    assert len(README.splitlines()) < 350


def test_every_make_target_named_exists() -> None:
    makefile = text_of(ROOT / "Makefile")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {
        (path.name, name)
        for path in DOCUMENTS
        for name in re.findall(r"(?:^|`)make ([a-z-]+)", text_of(path), re.MULTILINE)
    }

    assert ("README.md", "demo") in named
    assert {(place, name) for place, name in named if name not in targets} == set()


LOCAL = "langgraph.checkpoint.kusto.local"


def test_every_flag_named_exists() -> None:
    shown = ""
    for module in (
        LOCAL,
        "benchmarks",
        "benchmarks.capacity",
        "benchmarks.growth",
        "benchmarks.profiled",
        "benchmarks.local_server",
        "crash.campaign",
    ):
        asked = [sys.executable, "-m", module, "--help"]
        env = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
        done = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=ROOT, env=env)
        shown += done.stdout
    # The flags of other programs: az's, pip's.
    foreign = {"--cluster-name", "--database-name", "--resource-group", "--name"}
    foreign |= {"--script-content", "--force-update-tag"}
    named = {
        flag
        for path in DOCUMENTS
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text_of(path))
    }

    assert {"--path", "--port", "--database", "--allow-remote"} <= named
    assert {flag for flag in named - foreign if flag not in shown} == set()


def test_every_extra_named_exists() -> None:
    project = text_of(ROOT / "pyproject.toml")
    extras = set(re.findall(r"^(\w+) = \[$", project, re.MULTILINE))
    named = {
        name
        for path in DOCUMENTS
        for name in re.findall(
            r'pip install "(?:\.|langgraph-checkpoint-kusto)\[(\w+)\]', text_of(path)
        )
    }

    assert named == {"local"}
    assert named <= extras


def test_every_method_of_a_saver_named_exists() -> None:
    named = {name for path in DOCUMENTS for name in re.findall(r"\bsaver\.(\w+)\(", text_of(path))}

    assert "setup" in named
    for name in named:
        assert hasattr(AsyncKustoSaver, name) or hasattr(KustoSaver, name), name


def test_the_python_blocks_are_complete_programs() -> None:
    """Those that are not run: they compile, and what they import exists."""
    imported = 0
    for document in DOCUMENTS:
        for block in blocks(text_of(document), "python"):
            tree = ast.parse(block)
            imports: list[ast.stmt] = [
                node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)
            ]
            exec(compile(ast.Module(imports, []), str(document), "exec"), {})
            imported += len(imports)
    assert imported > 0
