"""Headers of functions, written anew without some of their arguments."""

import ast
from collections.abc import Collection, Iterator

from sparx_nas.export.bundler.modules import Module
from sparx_nas.export.bundler.names import arguments

WIDTH = 100


def header(
    module: Module, node: ast.FunctionDef, left_out: Collection[ast.arg]
) -> tuple[int, int, bytes]:
    """Return the bytes of a function's header and its text without some arguments."""
    start = module.offset(node.lineno, node.col_offset)
    args = node.args
    defaults = [d for d in (*args.defaults, *args.kw_defaults) if d is not None]
    behind: list[ast.arg | ast.expr] = [*arguments(node), *defaults]
    last = max([module.offset(a.end_lineno or 0, a.end_col_offset or 0) for a in behind])
    exploded = module.text[last : last + 1] == b","
    if node.returns is not None:
        last = module.span(node.returns)[1]
    end = module.text.index(b":", last)
    parts = list(_parts(node, left_out))
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return start, end, _written(node, parts, returns, exploded=exploded).encode()


def _written(node: ast.FunctionDef, parts: list[str], returns: str, *, exploded: bool) -> str:
    """Lay a header out: in a line, its arguments in a line of their own, or each in one."""
    margin = " " * node.col_offset
    inner = f"{margin}    "
    line = f"def {node.name}({', '.join(parts)}){returns}"
    if not exploded and len(margin) + len(line) < WIDTH:
        return line
    joined = f"{inner}{', '.join(parts)}"
    if exploded or len(joined) > WIDTH:
        joined = "\n".join(f"{inner}{part}," for part in parts)
    return f"def {node.name}(\n{joined}\n{margin}){returns}"


def _parts(node: ast.FunctionDef, left_out: Collection[ast.arg]) -> Iterator[str]:
    """Yield the arguments as they are written, without some."""
    args = node.args
    plain = [*args.posonlyargs, *args.args]
    given = [None] * (len(plain) - len(args.defaults)) + list(args.defaults)
    for arg, default in zip(plain, given, strict=True):
        if arg not in left_out:
            yield _part(arg, default)
    keyword = zip(args.kwonlyargs, args.kw_defaults, strict=True)
    kept = [pair for pair in keyword if pair[0] not in left_out]
    if args.vararg is not None:
        yield f"*{_part(args.vararg, None)}"
    elif kept:
        yield "*"
    for arg, default in kept:
        yield _part(arg, default)
    if args.kwarg is not None:
        yield f"**{_part(args.kwarg, None)}"


def _part(arg: ast.arg, default: ast.expr | None) -> str:
    """Write an argument with its type and its default."""
    said = arg.arg if arg.annotation is None else f"{arg.arg}: {ast.unparse(arg.annotation)}"
    if default is None:
        return said
    return said + (" = " if arg.annotation else "=") + ast.unparse(default)
