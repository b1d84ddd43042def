"""A design in the forms that other programs read, and the table of a run."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO

import networkx

from sparx_nas.architecture import Architecture
from sparx_nas.cost import to_networkx
from sparx_nas.drawing.paint import Paint
from sparx_nas.drawing.wiring import wiring_svg
from sparx_nas.ground.scalars import yaml_text


@dataclass(frozen=True)
class Export:
    """A file to be handed over: its ending, its type, and how it is made.

    `write` takes a design, a title and the target (the arguments of `estimate`).
    """

    ending: str
    media_type: str
    write: Callable[[Architecture, str, Mapping[str, int]], str]


def _svg(architecture: Architecture, title: str, target: Mapping[str, int]) -> str:
    """Draw the wiring with its style and legend in it."""
    paint = Paint(image_size=target["image_size"])
    svg = wiring_svg(architecture, title=title, paint=paint)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{svg}\n'


def _json(architecture: Architecture, title: str, target: Mapping[str, int]) -> str:
    """Write what `Architecture.load` reads."""
    return json.dumps(architecture.to_dict(), indent=2) + "\n"


def _yaml(architecture: Architecture, title: str, target: Mapping[str, int]) -> str:
    """Write the fields of the JSON as YAML, the wiring one layer a line."""
    text = yaml_text(architecture.to_dict(), default_flow_style=None)
    return f"# {_line(title)}\n{text}"


def _graphml(architecture: Architecture, title: str, target: Mapping[str, int]) -> str:
    """Write the graph with shapes and cost on its nodes."""
    graph = to_networkx(architecture, target["image_size"])
    graph.graph["title"] = _line(title)
    out = BytesIO()
    networkx.write_graphml(graph, out)
    return out.getvalue().decode()


def _node_link(architecture: Architecture, title: str, target: Mapping[str, int]) -> str:
    """Write the graph as networkx's node-link JSON."""
    graph = to_networkx(architecture, target["image_size"])
    graph.graph["title"] = title
    return json.dumps(networkx.node_link_data(graph, edges="edges"), indent=1) + "\n"


def _python(architecture: Architecture, title: str, target: Mapping[str, int]) -> str:
    """Write a program that builds the network with new weights."""
    said = json.dumps(architecture.to_dict(), indent=4)
    built = ", ".join(f"{name}={target[name]}" for name in ("num_classes", "in_chans"))
    lines = [
        f"# {_line(title)}: the backbone at full width, with new weights.",
        "import json",
        "",
        "import sparx_nas",
        "",
        f"ARCHITECTURE = r'''{said}'''",
        "",
        "architecture = sparx_nas.Architecture.from_dict(json.loads(ARCHITECTURE))",
        f"model = sparx_nas.build(architecture, {built})",
        "",
    ]
    return "\n".join(lines)


EXPORTS: Mapping[str, Export] = {
    "svg": Export("svg", "image/svg+xml", _svg),
    "json": Export("json", "application/json", _json),
    "yaml": Export("yaml", "application/yaml", _yaml),
    "graphml": Export("graphml", "application/graphml+xml", _graphml),
    "graph": Export("graph.json", "application/json", _node_link),
    "py": Export("py", "text/x-python", _python),
}
"""By the name in an address."""


def _line(title: str) -> str:
    """Keep a title on one line of printable characters."""
    return "".join(c if c.isprintable() else " " for c in title)
