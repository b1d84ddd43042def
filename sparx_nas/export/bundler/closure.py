"""All that a few functions need, over all modules of this package: what a single file holds."""

import ast
import builtins
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from sparx_nas.export.bundler.modules import OURS, Definition, External, Module, read_module
from sparx_nas.export.bundler.names import free_names
from sparx_nas.export.bundler.trimming import Need, Trimmed, trimmed
from sparx_nas.ground.errors import ExportError

PLAIN = "sparx_nas.export.plain"
ATTENTION = "sparx_nas.kernels.channel_attention"
REPLACED: Mapping[tuple[str, str], tuple[str, str]] = {
    ("sparx_nas.kernels", "ss2d"): (PLAIN, "ss2d"),
    (ATTENTION, "channel_attention"): (PLAIN, "channel_attention"),
    ("sparx_nas.kernels.convolution", "DepthwiseConv2d"): (PLAIN, "DepthwiseConv2d"),
    ("timm.layers", "DropPath"): (PLAIN, "DropPath"),
    ("sparx_nas.ground.errors", "ArchitectureError"): ("builtins", "ValueError"),
}
"""What a single file has instead: kernels and timm's layers in plain PyTorch."""

OMITTED = (
    ("sparx_nas.kernels", "check_name"),
    ("sparx_nas.kernels.fusing", "stands_in"),
    ("sparx_nas.models.fused", "first_half"),
    ("sparx_nas.models.fused_aggregator", "aggregated"),
    ("sparx_nas.models.fused", "second_half"),
    ("sparx_nas.models.backbone", "_rename_in_place"),
    ("sparx_nas.models.backbone", "_feature_info"),
)
"""What a single file has not got; statements that mention one, or ask for it, are left out: there
is one kernel and no compiled part, weights have one spelling of their names, and nobody asks for
lists of features."""

Key = tuple[str, str]
Target = Key | External | None


@dataclass
class Closure:
    """The definitions that are needed, by module and name, each with what its names stand for.

    `modules` is in an order in which each stands after those it needs.
    """

    pieces: dict[Key, Trimmed] = field(default_factory=dict)
    targets: dict[Key, list[tuple[ast.Name, Target]]] = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)


def resolve(module: Module, name: str) -> Target:
    """Return what a name of a module stands for; None for one of Python's own.

    Raises: ExportError for a name of another package than torch, or of nowhere.
    """
    if (replaced := REPLACED.get((module.name, name))) and module.name != PLAIN:
        return _at(*replaced)
    if name in module.definitions:
        return (module.name, name)
    if name in module.imports:
        return _at(*module.imports[name])
    if hasattr(builtins, name) or name == "__file__":
        return None
    raise ExportError(f"{module.name}: {name!r} comes from nowhere")


def _at(module: str, name: str) -> Target:
    """Return what stands under a name in a module of any package."""
    module, name = REPLACED.get((module, name), (module, name))
    if module == "builtins":
        return External(module, name)
    package = module.split(".")[0]
    if package == OURS and name:
        return resolve(read_module(module), name)
    if package == "torch" or package in sys.stdlib_module_names:
        return External(module, name)
    what = f"{name} of {module}" if name else f"the module {module}"
    raise ExportError(f"a single file of plain PyTorch has not got {what}")


def omitted(module: Module, name: str) -> bool:
    """Tell whether a name of a module stands for what a single file has not got."""
    told = module.imports.get(name, (module.name, name))
    return told in OMITTED or (module.name, name) in OMITTED


def closure(roots: list[Key], *, words: set[str], types: set[str]) -> Closure:
    """Return what some definitions need; `words` and `types` are those of the network's plan.

    Raises: ExportError if they need something that plain PyTorch has not got.
    """
    attributes: set[str] = set()
    while True:
        found = Closure()
        need = Need(attributes=attributes, words=words, types=types, omitted=omitted)
        for root in roots:
            _follow(root, need, found)
        used = {
            node.attr
            for piece in found.pieces.values()
            for node in piece.kept()
            if isinstance(node, ast.Attribute)
        }
        # What is called decides which methods stay, and those call others.
        if used == attributes:
            found.modules = _ordered(found)
            return found
        attributes = used


def _follow(key: Key, need: Need, found: Closure) -> None:
    """Add a definition and all that it needs."""
    if key in found.pieces:
        return
    module = read_module(key[0])
    definition: Definition = module.definitions[key[1]]
    piece = trimmed(module, definition, need)
    found.pieces[key] = piece
    names = list(free_names(definition.node, piece.skipped))
    found.targets[key] = [(name, resolve(module, name.id)) for name in names]
    for _, target in found.targets[key]:
        if isinstance(target, tuple):
            _follow(target, need, found)


def _ordered(found: Closure) -> list[str]:
    """Return the modules, each after those it needs."""
    needs: dict[str, dict[str, None]] = {}
    for key, targets in found.targets.items():
        row = needs.setdefault(key[0], {})
        row.update({t[0]: None for _, t in targets if isinstance(t, tuple) and t[0] != key[0]})
    order: dict[str, None] = {}

    def visit(module: str, above: tuple[str, ...]) -> None:
        if module in above:
            raise ExportError(f"modules need one another: {' -> '.join((*above, module))}")
        for other in needs[module]:
            if other not in order:
                visit(other, (*above, module))
        order[module] = None

    for module in needs:
        if module not in order:
            visit(module, ())
    return list(order)
