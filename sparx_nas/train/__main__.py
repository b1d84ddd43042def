"""The command `python -m sparx_nas.train`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sparx_nas.command.prompt import exit_code
from sparx_nas.ground.errors import SparxError
from sparx_nas.train.design import read_architecture
from sparx_nas.train.options import Options, read_options

PROG = "python -m sparx_nas.train"


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Train, go on with a training, or score one; return the exit code."""
    args = sys.argv[1:] if argv is None else argv
    verbose = bool({"-v", "--verbose"} & set(args))
    return exit_code(lambda: _told_once(args, prog), verbose=verbose)


def _told_once(args: Sequence[str], prog: str) -> int:
    """Do what a command line asks for; of processes that all find it wrong, one says so.

    Raises: SparxError in the first process of a machine; the others end with its exit code.
    """
    try:
        return _run(read_options(args, prog))
    except SparxError as error:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            raise
        return error.exit_code


def _run(asked: Options) -> int:
    """Do what the options ask for; a design that is none is told before torch is imported."""
    if asked.arch:
        read_architecture(Path(asked.arch).expanduser())
    # torch takes seconds to import, and --help shall be instant.
    if asked.evaluate:
        from sparx_nas.train.judging import run_evaluation

        return run_evaluation(asked)
    from sparx_nas.train.run import run_training

    return run_training(asked)


if __name__ == "__main__":
    sys.exit(main())
