"""The command `sparx-nas export`."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from sparx_nas.command.flags import filled
from sparx_nas.command.prompt import exit_code, make_ready
from sparx_nas.export.request import OPSETS, Check, Full, read_request
from sparx_nas.export.target import RECORD
from sparx_nas.ground.errors import ExportError, OptionError
from sparx_nas.ground.quantities import counted
from sparx_nas.ground.record import read_json

PROG = "python -m sparx_nas.export"
DESCRIPTION = """Hand a network over, in forms that other programs read: trained, or with --full
the design alone, untrained and at full size, for a training script of one's own.

safetensors: model.safetensors, config.json and arch.json, for sparx_nas and timm,

onnx: model.onnx, checked in onnxruntime,

torch_export: model.pt2, a program that needs torch alone,

python: model.py, the network as one readable file of plain PyTorch, with the weights it reads,

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
    full: Annotated[
        bool,
        tyro.conf.arg(
            help="export the design at full size with new, untrained weights; FOLDER may then be "
            "an arch.json or a named design as well"
        ),
        tyro.conf.FlagCreatePairsOff,
    ] = False
    classes: Annotated[
        int | None,
        tyro.conf.arg(
            metavar="N",
            help="of an untrained design",
            help_behavior_hint="(default: those of the run's data)",
        ),
    ] = None
    in_chans: Annotated[
        int | None,
        tyro.conf.arg(
            metavar="N",
            help="channels of an image, of an untrained design",
            help_behavior_hint="(default: those of the run's data)",
        ),
    ] = None
    to: Annotated[
        Path | None,
        tyro.conf.arg(
            metavar="DIR", help_behavior_hint="(default: FOLDER/export; with --full FOLDER/full)"
        ),
    ] = None
    formats: Annotated[
        str,
        tyro.conf.arg(
            metavar="NAMES",
            help="apart by commas, as above, or all",
            help_behavior_hint="(default: all; with --full python,card)",
        ),
    ] = ""
    image_size: Annotated[
        str,
        tyro.conf.arg(
            metavar="PX|H,W",
            help="of onnx and torch_export, where it is fixed",
            help_behavior_hint="(default: the network's; with --full the target's)",
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

    Raises: SparxError for a wrong option, a folder that is no network, or a form that failed.
    """
    check, full = None, Full(classes=asked.classes, in_chans=asked.in_chans)
    if not asked.full and full != Full():
        raise OptionError(
            "--classes and --in-chans are of an untrained design; a trained network has its own",
            hint="add --full to export the design at full size, untrained",
        )
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
        full=full if asked.full else None,
    )
    # torch takes seconds to import, and --help shall be instant.
    from sparx_nas.export.make import make_export

    folder = make_export(request, _tell)
    print(f"written to {folder}")
    if asked.full:
        print(_untrained_words(read_json(folder / RECORD, ExportError)["untrained"]))
    return 0


def _untrained_words(network: Mapping[str, Any]) -> str:
    """Say that a design is untrained, and for which images and classes it was built."""
    classes, channels = network["num_classes"], network["in_chans"]
    size = " x ".join(map(str, network["preprocessing"]["image_size"]))
    return (
        f"Its weights are untrained. It takes images of {size} px with "
        f"{counted(channels, 'channel')} and tells {classes:,} class{'es' * (classes != 1)} apart "
        "(--image-size, --in-chans, --classes)."
    )


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
