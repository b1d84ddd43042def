"""The command `sparx-nas importance`."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sparx_nas.command.flags import filled
from sparx_nas.command.prompt import exit_code, make_ready
from sparx_nas.ground.errors import OptionError

PROG = "python -m sparx_nas.importance"
DESCRIPTION = """Say which aggregated edges of a trained trial matter.

An edge leads from an earlier output of a stage to a ganglion layer, whose channel aggregator (DMCA)
joins what it reads.

Measured on validation images; the test split is never opened:

mass: what the layer's attention has learnt to read from each source,

gradient: gradient x activation where a source enters the aggregator,

ablation: the accuracy and likelihood that are lost when the edge is cut.

The result is kept in the run, as importance/<architecture id>.json.
"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is measured, and on what."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help="a run's folder")]
    trial: Annotated[int, tyro.conf.arg(metavar="N", help="a trained trial, weights kept")]
    images: Annotated[
        int, tyro.conf.arg(metavar="N", help="validation images, or all if there are fewer")
    ] = 256
    device: Annotated[
        Literal["auto", "cpu", "cuda"], tyro.conf.arg(help="auto takes a GPU if there is one")
    ] = "auto"
    format: Annotated[Literal["plain", "json"], tyro.conf.arg(help="of what is printed")] = "plain"
    verbose: Annotated[
        bool, tyro.conf.arg(aliases=("-v",), help="show tracebacks"), tyro.conf.FlagCreatePairsOff
    ] = False


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Measure the edges of a trial and print what came of it; return the exit code."""
    make_ready()
    asked: Options = tyro.cli(
        Options,
        args=argv if argv is None else list(argv),
        prog=prog,
        description=filled(DESCRIPTION),
    )
    return exit_code(lambda: _run(asked), verbose=asked.verbose)


def _run(asked: Options) -> int:
    """Do what the options ask for.

    Raises: OptionError for a number of images below 1; SparxError if the trial cannot be measured.
    """
    if asked.images < 1:
        raise OptionError(f"--images is {asked.images}; it takes at least 1")
    # torch takes seconds to import, and --help shall be instant.
    from rich.console import Console
    from rich.progress import Progress

    from sparx_nas.importance.report import record_importance, table

    console = Console(stderr=True)
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)

    def begun(edges: int) -> Callable[[], None]:
        task = bar.add_task("cutting edges", total=edges)
        return lambda: bar.advance(task)

    with bar:
        record, file = record_importance(
            asked.run, asked.trial, images=asked.images, device=asked.device, begun=begun
        )
    if asked.format == "json":
        print(json.dumps(record, indent=2, ensure_ascii=False))
    else:
        print(f"{table(record, asked.run.resolve().name)}\n\nwritten to {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
