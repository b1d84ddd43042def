"""The names of a single file: its imports, and one name for each of its definitions."""

from collections.abc import Iterator

from sparx_nas.export.bundler.closure import Closure, Key
from sparx_nas.export.bundler.modules import External
from sparx_nas.ground.errors import ExportError


def import_lines(found: Closure) -> str:
    """Write the imports: the standard library, then torch."""
    wanted = {
        (target, name.id)
        for targets in found.targets.values()
        for name, target in targets
        if isinstance(target, External) and target.module != "builtins"
    }
    ours = {(t, n) for t, n in wanted if t.module.split(".")[0] == "torch"}
    return "\n\n".join("\n".join(_lines(part)) for part in (wanted - ours, ours) if part)


def _lines(wanted: set[tuple[External, str]]) -> Iterator[str]:
    """Yield modules first, then names of modules."""
    for module, name in sorted((t.module, n) for t, n in wanted if not t.name):
        yield f"import {module}" + (f" as {name}" if name != module else "")
    by_module: dict[str, set[str]] = {}
    for target, name in wanted:
        if target.name:
            said = target.name if target.name == name else f"{target.name} as {name}"
            by_module.setdefault(target.module, set()).add(said)
    for module, names in sorted(by_module.items()):
        yield f"from {module} import {', '.join(sorted(names, key=_isort))}"


def _isort(name: str) -> tuple[int, str]:
    """Order names as ruff does: constants, classes, the rest."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return kind, name


def emitted_names(found: Closure) -> dict[Key, str]:
    """Give every definition a name: the one that other modules import it by, if it is one.

    Where two would have the same, the later one gets its module's name at the end.

    Raises: ExportError if two things of torch or Python have the same name.
    """
    taken: dict[str, object] = {}
    called: dict[Key, set[str]] = {}
    for reader, targets in found.targets.items():
        for name, target in targets:
            if isinstance(target, tuple) and target[0] != reader[0]:
                called.setdefault(target, set()).add(name.id)
            elif isinstance(target, External) and taken.setdefault(name.id, target) != target:
                raise ExportError(f"a single file has no two things called {name.id!r}")
    names: dict[Key, str] = {}
    for key in sorted(found.pieces, key=lambda key: (found.modules.index(key[0]), key)):
        imported = called.get(key, {key[1]})
        wanted = min(imported) if len(imported) == 1 else key[1]
        own = wanted if wanted not in taken else f"{wanted}_{key[0].split('.')[-1]}"
        assert own not in taken, "two definitions of one module have two names"
        taken[own] = key
        names[key] = own
    return names
