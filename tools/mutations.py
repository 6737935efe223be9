"""Mutations: every small change of a module's syntax tree that `mutants.py` tries (pure).

Left alone, because a change there means nothing to a reader of the code's behaviour: annotations,
docstrings, decorators (`frozen=True` is for the type checker), the words of f-strings (messages),
`__repr__`, imports, and what stands under `if TYPE_CHECKING` or `if sys.version_info`.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
Path = tuple[tuple[str, int | None], ...]

_TWINS = {"min": "max", "max": "min", "all": "any", "any": "all", "sorted": "list"}


@dataclass(frozen=True)
class Mutant:
    """A module with one change; the name says where and what, without a line number."""

    name: str
    line: int
    _tree: ast.Module
    _path: Path
    _changed: ast.AST

    def tree(self) -> ast.Module:
        """A tree of the whole module, with the change."""
        return _replaced(self._tree, self._path, self._changed)


def mutants_of(source: str, file_name: str) -> Iterator[Mutant]:
    """Yield every mutant of a module."""
    tree = ast.parse(source)
    seen: Counter[str] = Counter()
    for path, where in _places(tree, (), ""):
        node = _at(tree, path)
        for changed in _changes(node):
            before, after = _shown(node), _shown(changed)
            name = f"{file_name} {where or 'module'}: {before} -> {after}"
            seen[name] += 1
            if seen[name] > 1:
                name += f" ({seen[name]})"
            yield Mutant(name, int(getattr(node, "lineno", 0)), tree, path, changed)


class _Shorter(ast.Constant):
    """A text of several lines (a query, a list of columns) without one of them."""

    lost = ""


def _shown(node: ast.AST) -> str:
    if isinstance(node, _Shorter):
        return f"without {node.lost}"
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 90 else text[:60] + " ... " + text[-25:]


# -- where -----------------------------------------------------------------------------------------


def _places(node: ast.AST, path: Path, where: str) -> Iterator[tuple[Path, str]]:
    """Yield the path of every node that may be changed, and the name of what it stands in."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "bases"}:
            continue
        items = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, child in items:
            if isinstance(child, ast.AST) and not _is_left_alone(child):
                inner = where
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    inner = f"{where}.{child.name}" if where else child.name
                step = (*path, (name, index))
                yield step, inner
                yield from _places(child, step, inner)


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr):
        return True
    if isinstance(node, ast.FunctionDef):
        return node.name == "__repr__"
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):
        test = ast.unparse(node.test)
        return test == "TYPE_CHECKING" or test.startswith("sys.version_info")
    # `K = TypeVar("K")`: the text is for the type checker.
    return isinstance(node, ast.Call) and ast.unparse(node.func) in {"TypeVar", "cast"}


def _at(tree: ast.AST, path: Path) -> ast.AST:
    node: Any = tree
    for name, index in path:
        node = getattr(node, name)
        if index is not None:
            node = node[index]
    found: ast.AST = node
    return found


def _replaced(tree: ast.Module, path: Path, changed: ast.AST) -> ast.Module:
    mutated = copy.deepcopy(tree)
    parent: Any = _at(mutated, path[:-1])
    name, index = path[-1]
    ast.copy_location(changed, _at(mutated, path))
    if index is None:
        setattr(parent, name, changed)
    else:
        getattr(parent, name)[index] = changed
    return ast.fix_missing_locations(mutated)


# -- what ------------------------------------------------------------------------------------------


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    for kind, change in _CHANGES.items():
        if isinstance(node, kind):
            yield from change(copy.deepcopy(node))


def _of_comparison(node: ast.Compare) -> Iterator[ast.AST]:
    for index, operator in enumerate(node.ops):
        for other in _COMPARISONS[type(operator)]:
            ops = [*node.ops[:index], other(), *node.ops[index + 1 :]]
            yield ast.Compare(node.left, ops, node.comparators)


def _of_logic(node: ast.BoolOp) -> Iterator[ast.AST]:
    yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    for index in range(len(node.values)):  # one condition less
        rest = [*node.values[:index], *node.values[index + 1 :]]
        yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)


def _of_arithmetic(node: ast.BinOp) -> Iterator[ast.AST]:
    other = _ARITHMETIC.get(type(node.op))
    if other is not None:
        yield ast.BinOp(node.left, other(), node.right)


def _of_assignment_in_place(node: ast.AugAssign) -> Iterator[ast.AST]:
    other = _ARITHMETIC.get(type(node.op))
    if other is not None:
        yield ast.AugAssign(node.target, other(), node.value)
    yield ast.Pass()


def _of_sign(node: ast.UnaryOp) -> Iterator[ast.AST]:
    yield node.operand


def _of_constant(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        yield ast.Constant(value + 1)
    elif isinstance(value, str):
        yield ast.Constant(value + "~")
        yield from _of_lines(value)
    elif isinstance(value, bytes):
        yield ast.Constant(value + b"~")


def _of_lines(text: str) -> Iterator[ast.AST]:
    lines = text.splitlines(keepends=True)
    for index, line in enumerate(lines):
        if line.strip() and len(lines) > 1:
            shorter = _Shorter("".join([*lines[:index], *lines[index + 1 :]]))
            shorter.lost = " ".join(line.split())
            yield shorter


def _of_condition(node: ast.If) -> Iterator[ast.AST]:
    yield ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)


def _of_choice(node: ast.IfExp) -> Iterator[ast.AST]:
    yield node.body
    yield node.orelse


def _of_return(node: ast.Return) -> Iterator[ast.AST]:
    if node.value is not None and ast.unparse(node.value) != "None":
        yield ast.Return(ast.Constant(None))


def _of_raise(node: ast.Raise) -> Iterator[ast.AST]:
    yield ast.Pass()


def _of_call_alone(node: ast.Expr) -> Iterator[ast.AST]:
    yield ast.Pass()


def _of_break(node: ast.Break) -> Iterator[ast.AST]:
    yield ast.Continue()


def _of_continue(node: ast.Continue) -> Iterator[ast.AST]:
    yield ast.Break()


def _of_name(node: ast.Name) -> Iterator[ast.AST]:
    if node.id in _TWINS and isinstance(node.ctx, ast.Load):
        yield ast.Name(_TWINS[node.id], ast.Load())


def _of_call(node: ast.Call) -> Iterator[ast.AST]:
    for index in range(len(node.keywords)):  # one keyword less, where the callee has a default
        rest = [*node.keywords[:index], *node.keywords[index + 1 :]]
        yield ast.Call(node.func, node.args, rest)


def _of_loop(node: ast.comprehension) -> Iterator[ast.AST]:
    for index in range(len(node.ifs)):
        rest = [*node.ifs[:index], *node.ifs[index + 1 :]]
        yield ast.comprehension(node.target, node.iter, rest, node.is_async)


_CHANGES: dict[type[ast.AST], Callable[[Any], Iterator[ast.AST]]] = {
    ast.Compare: _of_comparison,
    ast.BoolOp: _of_logic,
    ast.BinOp: _of_arithmetic,
    ast.AugAssign: _of_assignment_in_place,
    ast.UnaryOp: _of_sign,
    ast.Constant: _of_constant,
    ast.If: _of_condition,
    ast.IfExp: _of_choice,
    ast.Return: _of_return,
    ast.Raise: _of_raise,
    ast.Expr: _of_call_alone,
    ast.Break: _of_break,
    ast.Continue: _of_continue,
    ast.Name: _of_name,
    ast.Call: _of_call,
    ast.comprehension: _of_loop,
}
