"""Modules as text: what each defines, where that stands, and where its other names come from."""

import ast
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sparx_nas.ground.errors import ExportError

OURS = "sparx_nas"


@dataclass(frozen=True)
class External:
    """A module of torch or of the standard library, or a name in one ("" for the module)."""

    module: str
    name: str


@dataclass(frozen=True)
class Definition:
    """A class, function or table of a module; `end` is behind the docstring of a table.

    `start` and `end` are bytes of the module's text, comments above included.
    """

    module: str
    name: str
    node: ast.stmt
    start: int
    end: int


@dataclass(frozen=True)
class Module:
    """A module of this package, read and not run."""

    name: str
    text: bytes
    definitions: Mapping[str, Definition]
    imports: Mapping[str, tuple[str, str]]

    def offset(self, line: int, column: int) -> int:
        """Return the byte of a position as `ast` gives it: lines from 1, columns in bytes."""
        return _line_starts(self.text)[line - 1] + column

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Return the bytes of a node."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        first = self.offset(node.lineno, node.col_offset)
        return first, self.offset(node.end_lineno, node.end_col_offset)


@cache
def read_module(name: str) -> Module:
    """Read a module's source.

    Raises: ExportError if its source is not there.
    """
    found = importlib.util.find_spec(name)
    if found is None or not found.origin or not found.origin.endswith(".py"):
        raise ExportError(f"the source of {name} is not there, so no single file can be made of it")
    text = Path(found.origin).read_bytes()
    tree = ast.parse(text)
    definitions = {d.name: d for d in _definitions(name, text, tree.body)}
    return Module(name=name, text=text, definitions=definitions, imports=dict(_imports(tree)))


def _definitions(module: str, text: bytes, body: list[ast.stmt]) -> Iterator[Definition]:
    """Yield what stands at the top of a module; tables of one statement share its text."""
    starts = _line_starts(text)
    for node, after in zip(body, [*body[1:], None], strict=True):
        names = list(_defined(node))
        if not names:
            continue
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(d.lineno for d in decorators)])
        while first > 1 and text[starts[first - 2] :].startswith(b"#"):
            first -= 1
        docstring = not isinstance(node, ast.FunctionDef | ast.ClassDef) and _is_text(after)
        last = after if docstring else node
        assert last is not None
        assert last.end_lineno is not None
        for name in names:
            yield Definition(module, name, node, starts[first - 1], starts[last.end_lineno])


def _defined(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement at the top of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            parts = target.elts if isinstance(target, ast.Tuple) else [target]
            yield from (part.id for part in parts if isinstance(part, ast.Name))


def _is_text(node: ast.stmt | None) -> bool:
    """Tell whether a statement is a docstring."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _imports(tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield where imported names come from, in whatever block they are imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name, (alias.name, "")
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, (node.module or "", alias.name)


@cache
def _line_starts(text: bytes) -> list[int]:
    """Return where each line starts, and the end of the text."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts
