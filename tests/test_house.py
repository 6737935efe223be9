"""Bookkeeping that is easily forgotten: exports, versions, layers, contents of the wheel.

No behaviour of the library is tested here.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path, PurePosixPath

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "langgraph" / "checkpoint" / "kusto"
NAME = "langgraph.checkpoint.kusto"

# Without await, clock or network: *now* is an argument, and they return work for the caller to do.
PURE_FILES = [
    "_batch.py",
    "_caches.py",
    "_clock.py",
    "_codec.py",
    "_columns.py",
    "_config.py",
    "_delta_channel.py",
    "_exact.py",
    "_filter.py",
    "_frames.py",
    "_functions.py",
    "_kql/__init__.py",
    "_kql/checkpoint.py",
    "_kql/clauses.py",
    "_kql/commands.py",
    "_kql/lists.py",
    "_kql/overlay.py",
    "_kql/renewal.py",
    "_kql/shared.py",
    "_kql/thread.py",
    "_lineage.py",
    "_losses.py",
    "_lru.py",
    "_memory.py",
    "_overlay.py",
    "_pending_writes.py",
    "_requests.py",
    "_restore.py",
    "_retention.py",
    "_row_cells.py",
    "_rows.py",
    "_same_rows.py",
    "_schema.py",
    "_sent_again.py",
    "_serde.py",
    "_shared_reads.py",
    "_stats.py",
    "_tombstones.py",
    "_values.py",
    "errors.py",
    "options.py",
]
IMPURE_MODULES = {"aiohttp", "anyio", "asyncio", "azure", "requests", "socket", "threading", "time"}
# A lock, that nothing waits under.
ALLOWED = {("_lru.py", "threading.Lock")}

LONGEST_FILE = 500

# A path of somebody's machine, a package registry's host: true here, wrong in every other place.
FORBIDDEN_TEXT = re.compile(
    rf"{re.escape(str(ROOT))}\b"
    r"|/(?:home|root|Users)/\w|\bpypi\.org|\bnpmjs\.(?:org|com)|\bpythonhosted\.org"
)
TEXT_SUFFIXES = {
    *(".py", ".js", ".json", ".kql", ".lark", ".md", ".toml", ".txt", ".yml", ".yaml", ".cfg"),
    "",
}
NOT_OURS = {"dist", "build", "node_modules", "__pycache__"}


def project() -> dict[str, object]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        table: dict[str, object] = tomllib.load(file)["project"]
    return table


def our_files() -> Iterator[Path]:
    for directory, folders, names in os.walk(ROOT):
        hidden = {folder for folder in folders if folder.startswith(".")} - {".ci", ".github"}
        folders[:] = sorted(set(folders) - hidden - NOT_OURS)
        for name in sorted(names):
            path = Path(directory, name)
            if path.suffix in TEXT_SUFFIXES and not name.startswith("."):
                yield path


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the absolute name and the line of every import, at whatever depth it stands."""
    package = ".".join(path.parent.relative_to(ROOT).parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
            module = node.module or ""
            origin = (
                module if node.level == 0 else ".".join(part for part in (base, module) if part)
            )
            for alias in node.names:
                yield f"{origin}.{alias.name}", node.lineno


def first_line_of_docstring(text: str) -> str:
    """What stands on the line that opens the docstring of a module; empty when nothing does."""
    docstring = ast.get_docstring(ast.parse(text), clean=False) or ""
    return docstring.partition("\n")[0].strip()


def imports_between_modules() -> dict[str, set[str]]:
    """For each module of the package, the modules of the package it imports."""
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }
    graph: dict[str, set[str]] = {}
    for module, path in paths.items():
        names = {name for name, _ in imports_of(path)}
        found = {name if name in paths else name.rpartition(".")[0] for name in names}
        graph[module] = found & set(paths) - {module}
    return graph


# ------------------------------------------------------------------------------ the public surface


def test_every_public_name_resolves() -> None:
    package = importlib.import_module(NAME)

    assert sorted(set(package.__all__)) == sorted(package.__all__)
    assert {"AsyncKustoSaver", "KustoSaver"} <= set(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None


def test_exports_are_exactly_the_public_names() -> None:
    package = importlib.import_module(NAME)
    for name in package.__all__:
        getattr(package, name)  # lazily resolved names appear in the namespace only now
    submodules = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    from_future = {"annotations", "TYPE_CHECKING"}

    public = {name for name in dir(package) if not name.startswith("_")}

    listed = {name for name in package.__all__ if not name.startswith("_")}
    assert public - submodules - from_future - listed == set()
    assert listed - public == set()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NoSuchSaver"):
        importlib.import_module(NAME).NoSuchSaver  # noqa: B018 - the access is the test


def test_importing_the_package_loads_no_client() -> None:
    program = (
        f"import sys, {NAME}; "
        "print(sorted({'azure.kusto', 'aiohttp', 'lark'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------------------------------- versions


def test_version_is_the_same_everywhere() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[([^\]]+)\]", changelog, re.MULTILINE)
    newest = next(version for version in versions if version != "Unreleased")
    package = importlib.import_module(NAME)

    assert project()["version"] == newest
    assert importlib.metadata.version("langgraph-checkpoint-kusto") == newest
    assert getattr(package, "__version__", newest) == newest


# ------------------------------------------------------------------------------------------ layers


def test_import_contracts_are_kept() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run(
        [lint_imports, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 kept, 0 broken" in done.stdout


@pytest.mark.parametrize("name", [name for name in PURE_FILES if (PACKAGE / name).exists()])
def test_pure_files_are_pure(name: str) -> None:
    path = PACKAGE / name
    impure = {
        imported: line
        for imported, line in imports_of(path)
        if imported.split(".")[0] in IMPURE_MODULES and (name, imported) not in ALLOWED
    }
    awaits = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.AsyncFunctionDef, ast.Await, ast.AsyncWith, ast.AsyncFor))
    ]

    assert impure == {}
    assert awaits == []


@pytest.mark.parametrize(
    ("document", "begin", "end"),
    [
        ("docs/architecture.md", "| layer | modules |", "\n\n"),
        ("CONTRIBUTING.md", "| layer | belongs here |", "\n\n"),
        ("CONTRIBUTING.md", "bottom to top, in `langgraph/checkpoint/kusto/`", "Then `local/`"),
    ],
)
def test_the_layers_described_hold_every_module(document: str, begin: str, end: str) -> None:
    """Each once, whether a table or a reading order; what a row says of them is prose."""
    text = (ROOT / document).read_text(encoding="utf-8").partition(begin)[2].partition(end)[0]
    rows = [line.split("|") for line in text.splitlines()]
    column = 2 if "modules" in begin else 1
    said = " ".join(cells[column] if len(cells) > column else cells[0] for cells in rows)
    named = re.findall(r"`([a-z_]+)/?`", said)
    names = {path.stem for path in PACKAGE.glob("[!_]*.py")} | {
        path.name.removesuffix(".py") for path in PACKAGE.glob("_[!_]*")
    }

    assert sorted(set(named) - {"local"}) == sorted(names)
    assert len(named) == len(set(named))


def test_the_local_server_and_the_library_do_not_know_each_other() -> None:
    """Also what the contracts cannot say: the package's own `__init__`, and modules added later."""
    local = f"{NAME}.local"
    crossing = []
    for path in PACKAGE.rglob("*.py"):
        inside = path.is_relative_to(PACKAGE / "local")
        for imported, line in imports_of(path):
            ours = imported == NAME or imported.startswith(f"{NAME}.")
            is_local = imported == local or imported.startswith(f"{local}.")
            if ours and is_local != inside:
                crossing.append(f"{path.relative_to(ROOT)}:{line} imports {imported}")

    assert crossing == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = imports_between_modules()

    assert len(graph) > 100
    TopologicalSorter(graph).prepare()  # raises CycleError with the modules of the circle


def test_the_query_engine_knows_nothing_of_the_server_around_it() -> None:
    engine = f"{NAME}.local.kql"
    outside = {
        module: imported
        for module, names in imports_between_modules().items()
        for imported in names
        if module.startswith(engine) and not imported.startswith(engine)
    }

    assert outside == {}


# --------------------------------------------------------------------------------- what is shipped


def hatchling(target: str, directory: Path, source: Path = ROOT) -> Path:
    """Build with the backend itself: no network, no isolated environment."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", directory],
        cwd=source,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = directory.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(hatchling("wheel", tmp_path_factory.mktemp("wheel"))) as archive:
        yield archive


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hatchling("sdist", tmp_path_factory.mktemp("sdist"))


def test_the_tree_has_no_namespace_init() -> None:
    assert not (ROOT / "langgraph" / "__init__.py").exists()
    assert not (ROOT / "langgraph" / "checkpoint" / "__init__.py").exists()
    assert [path.name for path in (ROOT / "langgraph").iterdir() if path.is_dir()] == ["checkpoint"]


def test_the_wheel_has_no_namespace_init(wheel: zipfile.ZipFile) -> None:
    names = [PurePosixPath(name) for name in wheel.namelist()]
    contents = [name for name in names if not name.parts[0].endswith(".dist-info")]

    assert contents != []
    assert {name.parts[:3] for name in contents} == {("langgraph", "checkpoint", "kusto")}


def test_the_wheel_holds_what_is_not_python(wheel: zipfile.ZipFile) -> None:
    prefix = "langgraph/checkpoint/kusto/"
    names = set(wheel.namelist())
    data = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }

    assert wheel.read(prefix + "provision.kql") == (ROOT / "provision.kql").read_bytes()
    assert prefix + "py.typed" in names
    assert any(name.endswith(".lark") for name in names)
    assert data - names == set()
    assert not any("__pycache__" in name for name in names)


def test_the_wheel_states_its_needs(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = wheel.read(name).decode()
    needed = set(
        re.findall(r"^Requires-Dist: ([\w.-]+)[^;\n]*(?:; python_version.*)?$", metadata, re.M)
    )

    assert needed == {
        "anyio",
        "azure-identity",
        "azure-kusto-data",
        "azure-kusto-ingest",
        "azure-storage-blob",
        "backports-zstd",
        "langgraph-checkpoint",
        "orjson",
        "tenacity",
    }
    assert "Requires-Python: >=3.10" in metadata
    assert "License-Expression: MIT" in metadata


def test_a_wheel_built_from_the_sdist_is_the_same(
    sdist: Path, wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    with tarfile.open(sdist) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(tmp_path, filter="data")
        else:  # a Python older than the filter; the archive is our own
            archive.extractall(tmp_path)
    (unpacked,) = tmp_path.iterdir()

    tops = {path.name for path in unpacked.iterdir()}
    built = hatchling("wheel", tmp_path / "again", unpacked)

    assert {"CHANGELOG.md", "LICENSE", "Makefile", "README.md", "provision.kql", "tests"} <= tops
    assert not {".venv", ".git", "dist"} & tops
    with zipfile.ZipFile(built) as again:
        assert sorted(again.namelist()) == sorted(wheel.namelist())


# ------------------------------------------------------------------------------ the shape of files


def test_files_are_short() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in our_files()
        if path.suffix in {".py", ".js"}
    }

    assert {"tests/test_house.py", "tools/mutants.py"} < set(lengths)
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_every_module_says_what_lives_there() -> None:
    texts = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in our_files()
        if path.suffix == ".py"
    }

    silent = [
        name for name, text in texts.items() if text.strip() and not first_line_of_docstring(text)
    ]

    assert {"langgraph/checkpoint/kusto/aio.py", "tests/test_house.py"} < set(texts)
    assert silent == []


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for path in our_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for match in FORBIDDEN_TEXT.finditer(line)
    ]

    assert found == []
