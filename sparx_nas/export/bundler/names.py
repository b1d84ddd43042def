"""Which names of a piece of Python stand for something outside of it."""

import ast
from collections.abc import Container, Iterable, Iterator

FUNCTIONS = (ast.FunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
NONE: frozenset[str] = frozenset()


def free_names(
    node: ast.AST, skipped: Container[ast.AST] = (), bound: frozenset[str] = NONE
) -> Iterator[ast.Name]:
    """Yield the names that a node takes from around it, without what is below `skipped` nodes.

    Scopes are those of Python: a name that a function binds anywhere is its own everywhere, and
    what a class binds is not seen by its methods.
    """
    if node in skipped:
        return
    if isinstance(node, ast.Name):
        if node.id not in bound:
            yield node
    elif isinstance(node, FUNCTIONS):
        yield from _many(_around(node), skipped, bound)
        body = node.body if isinstance(node.body, list) else [node.body]
        yield from _many(body, skipped, bound | _locals(node))
    elif isinstance(node, ast.ClassDef):
        around = [*node.decorator_list, *node.bases, *node.keywords]
        yield from _many(around, skipped, bound)
        own = bound | set(_stored(node.body))
        for part in node.body:
            yield from free_names(part, skipped, bound if isinstance(part, FUNCTIONS) else own)
    elif isinstance(node, COMPREHENSIONS):
        inner = bound | set(_stored([made.target for made in node.generators]))
        yield from _many(ast.iter_child_nodes(node), skipped, inner)
    else:
        yield from _many(ast.iter_child_nodes(node), skipped, bound)


def _many(
    nodes: Iterable[ast.AST], skipped: Container[ast.AST], bound: frozenset[str]
) -> Iterator[ast.Name]:
    """Yield the free names of several nodes."""
    for node in nodes:
        yield from free_names(node, skipped, bound)


def _around(node: ast.FunctionDef | ast.Lambda) -> Iterator[ast.AST]:
    """Yield what a function takes from the scope it is defined in."""
    args = node.args
    yield from args.defaults
    yield from (default for default in args.kw_defaults if default is not None)
    if isinstance(node, ast.FunctionDef):
        yield from node.decorator_list
        yield from (arg.annotation for arg in arguments(node) if arg.annotation is not None)
        if node.returns is not None:
            yield node.returns


def arguments(node: ast.FunctionDef | ast.Lambda) -> list[ast.arg]:
    """Return all arguments of a function."""
    args = node.args
    starred = [arg for arg in (args.vararg, args.kwarg) if arg is not None]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *starred]


def _locals(node: ast.FunctionDef | ast.Lambda) -> frozenset[str]:
    """Return the names that a function binds."""
    body = node.body if isinstance(node.body, list) else []
    return frozenset(arg.arg for arg in arguments(node)) | frozenset(_stored(body))


def _stored(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that statements bind, without those of scopes inside."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((a.asname or a.name).split(".")[0] for a in node.names)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
            yield from _stored(ast.iter_child_nodes(node))
        elif not isinstance(node, (ast.Lambda, *COMPREHENSIONS)):
            yield from _stored(ast.iter_child_nodes(node))
