"""The command `sparx-nas`: one word for each tool, the same as `python -m sparx_nas.<tool>`."""

import sys
import textwrap
from collections.abc import Sequence
from importlib import import_module

import sparx_nas
from sparx_nas.command.prompt import make_ready
from sparx_nas.ground.errors import did_you_mean

TOOLS = {
    "search": "search the wirings of a space and keep the Pareto front",
    "calibrate": "say how much of a short training's score is signal, on your images",
    "doctor": "say what this machine has, which kernels are used, and check them",
    "view": "explore wirings in a browser: front, what-if, send to the search",
    "train": "train one architecture in full, by a recipe",
    "export": "hand a trained network over: safetensors, ONNX, one Python file",
    "importance": "say which aggregated edges of a trained trial matter",
}
"""What each tool does, by its command."""
PACKAGES = {"view": "viewer", "calibrate": "search.calibrating"}
"""The package below `sparx_nas` of a tool that is not called as its package is."""

ABOUT = (
    "A stage of a backbone has normal layers, which read the layer before, and ganglion layers, "
    "which read several earlier ones: the sparse cross-layer connections of SparX "
    "(https://arxiv.org/abs/2409.09649)."
)
USAGE, WIDTH = 2, 80


def main(argv: Sequence[str] | None = None) -> int:
    """Run a tool and return its exit code."""
    make_ready()
    args = list(sys.argv[1:] if argv is None else argv)
    first = args[0] if args else ""
    if first in TOOLS:
        tool = import_module(f"sparx_nas.{PACKAGES.get(first, first)}.__main__")
        return int(tool.main(args[1:], prog=f"sparx-nas {first}"))
    if first == "--version":
        sys.stdout.write(f"sparx-nas {sparx_nas.__version__}\n")
        return 0
    if first in ("-h", "--help"):
        sys.stdout.write(_usage())
        return 0
    wrong = f"unknown command '{first}'.{did_you_mean(first, TOOLS)}" if first else "no command"
    sys.stderr.write(f"error: {wrong}\nhint: sparx-nas --help  [E-USAGE]\n")
    return USAGE


def _usage() -> str:
    """List the tools."""
    lines = [f"  {name:<12}{does}" for name, does in TOOLS.items()]
    about = [textwrap.fill(words, WIDTH) for words in (sparx_nas.__doc__.splitlines()[0], ABOUT)]
    head = ["usage: sparx-nas [-h] [--version] COMMAND …", "", "\n\n".join(about)]
    more = "sparx-nas COMMAND --help lists the options of a command."
    return "\n".join([*head, "", *lines, "", more]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
