"""`model.py`: the network as one file of plain PyTorch, put together from this package's sources.

There is no second text of a network: `closure` finds what this one needs, `trimming` leaves out
what it does not, and this module writes it down with the network's tables.
"""

import ast
import importlib.util
from collections.abc import Iterator
from importlib.metadata import version
from types import ModuleType
from typing import Any

from sparx_nas.architecture.graph import layer_name
from sparx_nas.architecture.network import WEIGHTS, Network
from sparx_nas.export.bundler.closure import Closure, Key, closure
from sparx_nas.export.bundler.literals import literal, words_and_types
from sparx_nas.export.bundler.modules import Definition, External, Module, read_module
from sparx_nas.export.bundler.namespace import emitted_names, import_lines
from sparx_nas.export.comparison import BATCHES, compare
from sparx_nas.export.design import DESIGN
from sparx_nas.export.job import Job
from sparx_nas.export.paths import refuse_local_paths
from sparx_nas.space.drawing import LEGEND, draw

FILE = "model.py"
TABLES = "sparx_nas.export.single_tables"
USE = "sparx_nas.export.single_use"
SAID = {"ArchitectureError": "ValueError", ", DeviceError for a missing backend": ""}
"""What docstrings say of errors that a single file does not raise, and what of it is true there."""

LAST = 'if __name__ == "__main__":\n    sys.exit(main())\n'


def write_python(job: Job) -> dict[str, Any]:
    """Write the file, run it, and compare it with the network at this size and at odd ones.

    Raises: ExportError if the network needs what plain PyTorch has not got, or logits differ.
    """
    text = single_file(job.network)
    refuse_local_paths(FILE, text.encode())
    model = run_file(text).Model()
    model.load_state_dict(job.source.model.state_dict(), strict=True)
    model.eval()
    # Nothing is traced here, so nothing can hold for small batches alone.
    channels, high, wide = image = job.compared_image
    entry = compare(FILE, model, job.source.model, image, batches=BATCHES[:-1])
    compare(FILE, model, job.source.model, (channels, high + 1, wide + 3), batches=(2,))
    job.target.put("python", {FILE: text.encode()}, entry)
    return entry


def run_file(text: str) -> ModuleType:
    """Return the module that a text makes."""
    spec = importlib.util.spec_from_loader("model", loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__dict__["__file__"] = FILE
    exec(compile(text, FILE, "exec"), module.__dict__)
    return module


def single_file(network: Network) -> str:
    """Write the file; the same text for the same network and version.

    Raises: ExportError if the network needs what plain PyTorch has not got.
    """
    plan = network.architecture.plan(**network.build_arguments)
    words, types = words_and_types(plan)
    roots = [(module, name) for module in (TABLES, USE) for name in read_module(module).definitions]
    found = closure(roots, words=words, types=types)
    names = emitted_names(found)
    sections = [_section(found, read_module(module), names, network) for module in found.modules]
    head = [_head(network), import_lines(found), sections[0]]
    return "\n\n\n".join(["\n\n".join(head), *sections[1:], LAST])


def _section(found: Closure, module: Module, names: dict[Key, str], network: Network) -> str:
    """Write what is needed of a module, in its order, below its name."""
    text = f"# From {module.name.replace('.', '/')}.py"
    above: Definition | None = None
    for definition, piece in _pieces(found, module, names, network):
        tables = above is not None and not _opens(above) and not _opens(definition)
        gap = "\n\n\n" if not tables else "\n\n"
        if tables and above is not None and above.end == definition.start:
            gap = "\n"
        text += gap + piece
        above = definition
    return text


def _opens(definition: Definition) -> bool:
    """Tell whether a definition is a function or a class, which two empty lines set apart."""
    return isinstance(definition.node, ast.FunctionDef | ast.ClassDef)


def _head(network: Network) -> str:
    """Write the docstring of the file."""
    channels, graph = network.in_chans, network.architecture.graph
    backbone = network.architecture.backbone
    named = f"python {FILE} IMAGE …  # names what is on images"
    if network.facts.get("made_by") == DESIGN:
        what = "An untrained network"
        use = ["model = Model(drop_path=0.1)  # new weights, in training mode"]
        after = ['torch.save(model.state_dict(), "weights.pt")  # once it is trained']
        named = named.replace("IMAGE", "--weights weights.pt IMAGE")
        after += ['model = load("weights.pt")  # evaluation mode', "", named]
    else:
        what, after = "A trained network", [named]
        use = [f'model = load("{WEIGHTS}")  # evaluation mode; Model() has new weights']
    lines = [
        f'"""{what} in one file: SparX wiring, backbone {backbone}.',
        "",
        "It needs torch and nothing else (and Pillow, to read images):",
        "",
        *(f"    {line}" for line in use),
        f"    logits = model(images)  # (B, {channels}, H, W) to (B, {network.num_classes})",
        "",
        *(f"    {line}" for line in after),
        "",
        f"Written by sparx_nas {version('sparx-nas')} from its own sources (Apache-2.0).",
        f"Architecture {network.architecture.id}, wiring {graph.id}:",
        "",
        draw(graph),
        "",
        LEGEND,
        '"""',
    ]
    return "\n".join(line.rstrip() for line in "\n".join(lines).splitlines())


def _pieces(
    found: Closure, module: Module, names: dict[Key, str], network: Network
) -> Iterator[tuple[Definition, str]]:
    """Yield the definitions of a module that are needed, in its order, as this file has them."""
    done = set()
    keys = [key for key in found.pieces if key[0] == module.name]
    for key in sorted(keys, key=lambda key: found.pieces[key].definition.start):
        piece = found.pieces[key]
        start, end = piece.definition.start, piece.definition.end
        if start in done:
            continue
        done.add(start)
        edits = list(piece.edits)
        for name, target in found.targets[key]:
            wanted = names[target] if isinstance(target, tuple) else _builtin(target, name.id)
            if wanted != name.id:
                edits.append((*module.span(name), wanted.encode()))
        if names[key] != key[1]:
            edits.append(_renamed(module, piece.definition.node, key[1], names[key]))
        if module.name == TABLES:
            edits.append(_value(module, piece.definition.node, key[1], network))
        yield piece.definition, _edited(module.text, start, end, edits)


def _builtin(target: External | None, name: str) -> str:
    """Return the name under which something from elsewhere is known here."""
    return target.name if target is not None and target.module == "builtins" else name


def _renamed(module: Module, node: ast.stmt, old: str, new: str) -> tuple[int, int, bytes]:
    """Return the edit that gives a definition another name."""
    start = module.text.index(old.encode(), module.span(node)[0])
    return start, start + len(old), new.encode()


def _value(module: Module, node: ast.stmt, name: str, network: Network) -> tuple[int, int, bytes]:
    """Return the edit that gives a declaration its value."""
    prepared = network.preprocessing
    values: dict[str, Any] = {
        "PLAN": network.architecture.plan(**network.build_arguments),
        "CLASSES": network.classes,
        "IMAGE_SIZE": prepared.image_size,
        "MEAN": prepared.mean,
        "STD": prepared.std,
        "INTERPOLATION": prepared.interpolation,
        "CROP_PCT": prepared.crop_pct,
        "CROP_MODE": _crop_mode(network),
    }
    start, end = module.span(node)
    taken = end - start + len(" = ")
    remarks = _who_reads_whom if name == "PLAN" else None
    return end, end, f" = {literal(values[name], taken=taken, remarks=remarks)}".encode()


def _crop_mode(network: Network) -> str:
    """Return how images are cut: after a full training as timm does, otherwise as in a search."""
    prepared = network.preprocessing
    high, wide = prepared.image_size
    whole = prepared.crop_mode == "center" and prepared.crop_pct == 1 and high == wide
    return "square" if whole and network.facts.get("made_by") != "train" else prepared.crop_mode


def _who_reads_whom(path: tuple[str | int, ...], entry: Any) -> str:
    """Say behind a row of a stage's contexts which layer it is, and what that reads."""
    match path:
        case ("stages", int(stage), "contexts", int(row)):
            reads = ", ".join(layer_name(stage, source) for source in entry)
            return layer_name(stage, row + 1) + (f" reads {reads}" if reads else "")
    return ""


def _edited(text: bytes, start: int, end: int, edits: list[tuple[int, int, bytes]]) -> str:
    """Return a part of a text with its edits made."""
    out, place = b"", start
    for first, last, new in sorted(edits):
        assert first >= place, "edits overlap"
        out += text[place:first] + new
        place = last
    said = (out + text[place:end]).decode().strip("\n")
    for words, instead in SAID.items():
        said = said.replace(words, instead)
    lines = said.split("\n")
    return "\n".join(line.split("  # type: ignore")[0].rstrip() for line in lines)
