"""The tree of errors, as drawn at the top of `errors.py`, and that every message helps."""

from __future__ import annotations

import ast
import copy
import inspect
import pickle
import re
from pathlib import Path

import pytest

from langgraph.checkpoint.kusto import errors
from langgraph.checkpoint.kusto.errors import (
    KustoCheckpointError,
    LoopLostError,
    ServiceError,
    WriteFailedError,
)

PACKAGE = Path(errors.__file__).parent

CLASSES = {
    name: item
    for name, item in vars(errors).items()
    if inspect.isclass(item) and issubclass(item, KustoCheckpointError)
}


def drawn_tree() -> dict[str, tuple[str | None, str | None, bool]]:
    """Read the drawing: name -> (parent, built-in base, retriable)."""
    tree: dict[str, tuple[str | None, str | None, bool]] = {}
    path: list[str] = []
    line_form = re.compile(r"^((?:│   |    )*)(├── |└── )?(\w+Error)(?: \((\w+)\))?(.*)$")
    for line in (errors.__doc__ or "").splitlines():
        found = line_form.match(line.removeprefix("    "))
        if not found or not line.startswith("    "):
            continue
        indent, branch, name, base, rest = found.groups()
        depth = len(indent) // 4 + 1 if branch else 0
        del path[depth:]
        tree[name] = (path[-1] if path else None, base, rest.strip() == "retriable")
        path.append(name)
    return tree


TREE = drawn_tree()


def test_the_drawing_names_every_class() -> None:
    assert set(TREE) == set(CLASSES)
    assert TREE["KustoCheckpointError"] == (None, None, False)
    assert TREE["ThrottledError"] == ("ServiceError", None, True)


@pytest.mark.parametrize("name", TREE)
def test_class_is_as_drawn(name: str) -> None:
    parent, builtin, retriable = TREE[name]
    cls = CLASSES[name]

    ours = [base.__name__ for base in cls.__bases__ if issubclass(base, KustoCheckpointError)]
    others = [base.__name__ for base in cls.__bases__ if not issubclass(base, KustoCheckpointError)]
    assert ours == ([parent] if parent else [])
    assert others == ([builtin] if builtin else [] if parent else ["Exception"])
    assert cls.retriable is retriable
    assert cls.__doc__


def make(cls: type[KustoCheckpointError]) -> KustoCheckpointError:
    return cls("something happened; do this")


@pytest.mark.parametrize("name", CLASSES)
def test_errors_travel_between_processes(name: str) -> None:
    """A worker pool pickles what its tasks raise; one that cannot be rebuilt breaks the pool."""
    error = make(CLASSES[name])
    if isinstance(error, ServiceError):
        error.retry_after = 1.5
    if isinstance(error, WriteFailedError | LoopLostError):
        error.failures = ("a", "b")

    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == "something happened; do this"
        assert vars(twin) == vars(error)


def test_fixed_messages_survive_pickling() -> None:
    for cls in (errors.MissingThreadIdError, errors.SaverClosedError, errors.ForkedProcessError):
        assert str(pickle.loads(pickle.dumps(cls()))) == str(cls()) != ""


def test_the_hint_of_the_server_and_the_list_of_failures_are_kept() -> None:
    assert ServiceError("x").retry_after is None
    assert ServiceError("x", retry_after=2.0).retry_after == 2.0
    for cls in (WriteFailedError, LoopLostError):
        assert cls("x").failures == ()
        assert cls("x", ["a", "b"]).failures == ("a", "b")


def test_the_message_is_all_that_is_printed() -> None:
    for cls in (WriteFailedError, LoopLostError):
        assert str(cls("x", ["a", "b"])) == "x"
    assert str(ServiceError(message="x", retry_after=2.0)) == "x"


# ----------------------------------------------------------------------------------------- messages

# Words by which a message tells what to do, as whole words.
REMEDY = re.compile(
    r"\b(pass|use|give|run|upgrade|grant|check|create|switch|sign in|change|keep|write less|raise"
    r"|must (?:be|have|not)|the options are|the form is|for example|shorten|decode|put it again"
    r"|lower|needs|see|read (?:it|less)|try again|look at|delete|await|close|call|report|set|renew"
    r"|wait)\b",
    re.IGNORECASE,
)


def raised_messages() -> list[tuple[str, str, str]]:
    """Every place that makes one of our errors from a text: (place, class, the text it shows)."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if "local" in path.relative_to(PACKAGE).parts:
            continue
        module = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: node.value
            for node in ast.walk(module)
            if isinstance(node, ast.Assign) and (node in module.body or is_text(node.value))
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(module):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in CLASSES
                and node.args
            ):
                place = f"{path.relative_to(PACKAGE)}:{node.lineno}"
                found.append((place, node.func.id, text_of(node.args[0], constants)))
    return found


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def text_of(node: ast.expr, constants: dict[str, ast.expr]) -> str:
    """The literal text of a message; what is filled in at run time shows as `{}`."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part, constants) for part in node.values)
    if isinstance(node, ast.BinOp):
        return text_of(node.left, constants) + text_of(node.right, constants)
    if isinstance(node, ast.FormattedValue):
        return text_of(node.value, constants)
    if isinstance(node, ast.Name) and node.id in constants:
        return text_of(constants[node.id], constants)
    return "{}"


MESSAGES = raised_messages()
# Texts made by a function of the same file, which has tests of its own.
COMPUTED = {"OwnLoopError"}


@pytest.mark.parametrize(
    ("place", "name", "text"), MESSAGES, ids=[place for place, _, _ in MESSAGES]
)
def test_every_message_says_what_to_do(place: str, name: str, text: str) -> None:
    if name in COMPUTED:
        assert text == "{}"
        return
    assert REMEDY.search(text), f"{place}: {name}({text!r})"


def test_messages_without_text_say_what_to_do() -> None:
    assert str(errors.MissingThreadIdError()) == (
        'the config has no thread_id; pass {"configurable": {"thread_id": "<any non-empty text>"}}'
    )
    assert str(errors.SaverClosedError()) == (
        "this saver is closed; create a new one (a closed saver stays closed)"
    )
    assert str(errors.ForkedProcessError()) == (
        "this saver was created before the process forked; create one in the child process (for"
        " example in the worker's start-up hook, or use the 'spawn' start method)"
    )


def test_every_leaf_is_raised_somewhere() -> None:
    parents = {parent for parent, _, _ in TREE.values()}
    used = {name for _, name, _ in MESSAGES}
    bare = {"MissingThreadIdError", "SaverClosedError", "ForkedProcessError"}

    assert set(TREE) - parents - used - bare == set()
