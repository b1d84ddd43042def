"""What of a definition one network does not need, and the text without it.

Left out are: the choice of a kernel (`backend`), methods that nothing calls, statements about names
that a single file has not got, and entries of tables that this network does not look up.
"""

import ast
from collections.abc import Callable, Collection, Container, Iterator, Sequence
from dataclasses import dataclass

import torch

from sparx_nas.export.bundler.modules import Definition, Module
from sparx_nas.export.bundler.names import arguments
from sparx_nas.export.bundler.signatures import header
from sparx_nas.ground.errors import ExportError

BACKEND = "backend"
PUBLIC = ("forward_features", "forward_head", "set_grad_checkpointing")
"""Methods that stay though the network itself does not call all of them."""

Edit = tuple[int, int, bytes]
"""Bytes from, to, and what takes their place."""


@dataclass(frozen=True)
class Need:
    """What a network needs: attributes that are used, words of its plan, types in its plan."""

    attributes: Collection[str]
    words: Collection[str]
    types: Collection[str]
    omitted: Callable[[Module, str], bool]


@dataclass(frozen=True)
class Trimmed:
    """A definition with the nodes that are left out of it, and the edits that do that."""

    definition: Definition
    skipped: Container[ast.AST]
    edits: list[Edit]

    def kept(self) -> Iterator[ast.AST]:
        """Yield all nodes that stay."""
        return _kept(self.definition.node, self.skipped)


def trimmed(module: Module, definition: Definition, need: Need) -> Trimmed:
    """Trim a definition.

    Raises: ExportError if the choice of a kernel is used in a way that cannot be left out.
    """
    trim = _Trim(module, need)
    trim.visit(definition.node)
    out = Trimmed(definition, trim.skipped, trim.edits)
    for node in out.kept():
        named = getattr(node, "id", None) or getattr(node, "attr", None)
        if named == BACKEND:
            raise ExportError(f"{module.name}.{definition.name} uses {BACKEND!r} in a new way")
    return out


def _kept(node: ast.AST, skipped: Container[ast.AST]) -> Iterator[ast.AST]:
    """Yield a node and what is below it, without what is skipped."""
    if node not in skipped:
        yield node
        for child in ast.iter_child_nodes(node):
            yield from _kept(child, skipped)


class _Trim(ast.NodeVisitor):
    """Walk through a definition and note what is left out."""

    def __init__(self, module: Module, need: Need) -> None:
        self.module, self.need = module, need
        self.skipped: set[ast.AST] = set()
        self.edits: list[Edit] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in node.body:
            if isinstance(part, ast.FunctionDef) and not self._called(part.name):
                self._drop_lines(part)
            else:
                self.visit(part)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        left_out = [arg for arg in arguments(node) if arg.arg == BACKEND]
        if left_out:
            self.skipped.update(left_out)
            self.edits.append(header(self.module, node, left_out))
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        self._statement(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        target, value = node.targets[0], node.value
        if _is_backend(target):
            self._drop_lines(node)
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = list(zip(target.elts, value.elts, strict=True))
            kept = [pair for pair in pairs if not _is_backend(pair[0])]
            if len(kept) < len(pairs):
                self.skipped.update(part for p in pairs if p not in kept for part in p)
                sides = (", ".join(map(ast.unparse, side)) for side in zip(*kept, strict=True))
                self.edits.append((*self.module.span(node), " = ".join(sides).encode()))
            self.generic_visit(node)
        else:
            self._statement(node)

    def visit_If(self, node: ast.If) -> None:
        if self._mentions_omitted(node.test) and not node.orelse:
            self._drop_lines(node)
        else:
            self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._statement(node)

    def visit_Call(self, node: ast.Call) -> None:
        parts: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
        for part in parts:
            if getattr(part, "arg", None) == BACKEND or _is_backend(part):
                self.skipped.add(part)
                self.edits.append(self._out_of_a_list(part, first=part is parts[0]))
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        pairs = [(key, value) for key, value in zip(node.keys, node.values, strict=True) if key]
        kept = [pair for pair in pairs if getattr(pair[0], "value", None) in self.need.words]
        if len(pairs) == len(node.keys) and 0 < len(kept) < len(pairs):
            self.skipped.update(part for pair in pairs if pair not in kept for part in pair)
            self.edits.append((*self.module.span(node), self._dict(node, kept)))
        self.generic_visit(node)

    def _statement(self, node: ast.Expr | ast.Assign | ast.AnnAssign) -> None:
        if self._mentions_omitted(node):
            self._drop_lines(node)
        elif union := _union(getattr(node, "value", None)):
            kept = [part for part in union if part.id in self.need.types]
            if kept and node.value is not None:
                self.skipped.update(part for part in union if part not in kept)
                text = " | ".join(part.id for part in kept)
                self.edits.append((*self.module.span(node.value), text.encode()))
        else:
            self.generic_visit(node)

    def _mentions_omitted(self, node: ast.AST) -> bool:
        """Tell whether there is a name that a single file has not got."""
        names = (n.id for n in ast.walk(node) if isinstance(n, ast.Name))
        return any(self.need.omitted(self.module, name) for name in names)

    def _dict(self, node: ast.Dict, kept: Sequence[tuple[ast.expr, ast.expr]]) -> bytes:
        """Write a table with some of its entries, each in a line if they were."""
        first, last = self.module.span(node)
        spans = [(self.module.span(key)[0], self.module.span(value)[1]) for key, value in kept]
        parts = [self.module.text[start:end] for start, end in spans]
        if not self.module.text[first:last].endswith(b",\n}"):
            return b"{" + b", ".join(parts) + b"}"
        return b"{\n" + b"".join(b"    " + part + b",\n" for part in parts) + b"}"

    def _called(self, method: str) -> bool:
        """Tell whether anything calls a method: what is kept, or torch."""
        wanted = (*PUBLIC, *self.need.attributes)
        torchs = hasattr(torch.nn.Module, method) or hasattr(torch.autograd.Function, method)
        return method in wanted or torchs or method.startswith("__")

    def _drop_lines(self, node: ast.stmt) -> None:
        """Leave out the lines of a statement, and the empty ones before it."""
        self.skipped.add(node)
        decorators = getattr(node, "decorator_list", [])
        line = min([node.lineno, *(d.lineno for d in decorators)])
        start = self.module.offset(line, 0)
        text = self.module.text
        while text[:start].endswith(b"\n\n"):
            start -= 1
        _, end = self.module.span(node)
        self.edits.append((start, text.index(b"\n", end) + 1, b""))

    def _out_of_a_list(self, part: ast.expr | ast.keyword, *, first: bool) -> Edit:
        """Leave an argument out of a call."""
        start = self.module.offset(part.lineno, part.col_offset)
        end = self.module.offset(part.end_lineno or 0, part.end_col_offset or 0)
        return self._wider(start, end, first=first)

    def _wider(self, start: int, end: int, *, first: bool) -> Edit:
        """Widen a span of a list by its comma: its whole line, if it has one of its own."""
        text = self.module.text
        line, comma = text.rindex(b"\n", 0, start) + 1, text[end : end + 1] == b","
        stop = end + comma
        if not text[line:start].strip() and text[stop : stop + 1] == b"\n":
            return line, stop + 1, b""
        if first:
            rest = text[stop:]
            return start, stop + len(rest) - len(rest.lstrip(b" ")), b""
        return text.rindex(b",", 0, start), end, b""


def _is_backend(node: ast.AST) -> bool:
    """Tell whether a node is the choice of a kernel: `backend`, or an attribute of that name."""
    return BACKEND in (getattr(node, "id", None), getattr(node, "attr", None))


def _union(node: ast.AST | None) -> list[ast.Name]:
    """Return the parts of `A | B | …` where all are plain names."""
    if isinstance(node, ast.Name):
        return [node]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        left, right = _union(node.left), _union(node.right)
        return [*left, *right] if left and right else []
    return []
