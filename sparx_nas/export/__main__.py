"""The command `sparx-nas export`."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from sparx_nas.command.flags import filled
from sparx_nas.command.prompt import exit_code
from sparx_nas.export.request import ALL, OPSETS, Check, read_request

PROG = "python -m sparx_nas.export"
DESCRIPTION = """Hand a trained network over, in forms that other programs read.

safetensors: model.safetensors, config.json and arch.json, for sparx_nas and timm,

onnx: model.onnx, checked in onnxruntime,

torch_export: model.pt2, a program that needs torch alone,

python: model.py, the network as one readable file of plain PyTorch,

card: README.md with the wiring, its cost, accuracy and origin.

Each is compared with the network on random and extreme inputs; export.json says how near it came.
"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is exported, to what, and how."""

    folder: Annotated[
        Path,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="FOLDER", help="config.json with model.safetensors, or a run"),
    ]
    to: Annotated[
        Path | None,
        tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: FOLDER/export)"),
    ] = None
    formats: Annotated[
        str, tyro.conf.arg(metavar="NAMES", help="apart by commas, as above, or all")
    ] = ALL
    image_size: Annotated[
        str,
        tyro.conf.arg(
            metavar="PX|H,W",
            help="of onnx and torch_export, where it is fixed",
            help_behavior_hint="(default: the network's)",
        ),
    ] = ""
    dynamic_batch: Annotated[bool, tyro.conf.arg(help="any batch size, otherwise 1")] = True
    opset: Annotated[int, tyro.conf.arg(metavar="N", help="of ONNX's operators")] = OPSETS[0]
    check_data: Annotated[
        str,
        tyro.conf.arg(
            metavar="NAME|DIR",
            help="score every form on real images and demand equal counts of right ones",
            help_behavior_hint="(default: none)",
        ),
    ] = ""
    data_dir: Annotated[
        Path | None,
        tyro.conf.arg(
            metavar="DIR",
            help="where that data set is",
            help_behavior_hint="(default: where it is usually found)",
        ),
    ] = None
    split: Annotated[Literal["val", "test"], tyro.conf.arg(help="of that data set")] = "test"
    verbose: Annotated[
        bool, tyro.conf.arg(aliases=("-v",), help="show tracebacks"), tyro.conf.FlagCreatePairsOff
    ] = False


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Export a network and print what was written; return the exit code."""
    asked: Options = tyro.cli(
        Options,
        args=argv if argv is None else list(argv),
        prog=prog,
        description=filled(DESCRIPTION),
    )
    return exit_code(lambda: _run(asked), verbose=asked.verbose)


def _run(asked: Options) -> int:
    """Do what the options ask for.

    Raises: SparxError for a wrong option, a folder that is no network, or a form that failed.
    """
    check = None
    if asked.check_data:
        check = Check(data=asked.check_data, data_dir=asked.data_dir, split=asked.split)
    request = read_request(
        asked.folder,
        to=asked.to,
        formats=(asked.formats,),
        image_size=asked.image_size,
        dynamic_batch=asked.dynamic_batch,
        opset=asked.opset,
        check=check,
    )
    # torch takes seconds to import, and --help shall be instant.
    from sparx_nas.export.make import make_export

    folder = make_export(request, _tell)
    print(f"written to {folder}")
    return 0


def _tell(form: str, entry: Mapping[str, Any]) -> None:
    """Print that a form is made and how near it is to the network."""
    off = entry.get("largest_difference")
    says = "" if off is None else f"largest difference {off:.1e} of the largest logit"
    if counts := entry.get("correct"):
        right = next(iter(counts.values()))
        says = f"{right} of {entry['images']} images right in each of {', '.join(counts)}"
    print(f"{form:<14}{says}".rstrip(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
