"""The command `python -m sparx_nas.viewer`: the connectivity explorer in a browser."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from sparx_nas.command.prompt import exit_code
from sparx_nas.ground.errors import OptionError, did_you_mean

USAGE = 2
ABOUT = (
    "See every wiring that a search found beside its front, change one, know its cost, and send it "
    "to the search. A wiring says which layers are ganglion layers, which read several earlier "
    "outputs of their stage, and which are normal layers, which read the one before."
)


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints look like all others: what is wrong, and how to mend it."""

    def error(self, message: str) -> NoReturn:
        """Print an error in two lines and end."""
        word = message.rpartition(" ")[2] if message.startswith("unrecognized") else ""
        near = did_you_mean(word.partition("=")[0], self._option_string_actions) if word else ""
        self.exit(USAGE, f"error: {message}.{near}\nhint: {self.prog} --help  [E-USAGE]\n")


def main(argv: Sequence[str] | None = None, prog: str = "python -m sparx_nas.viewer") -> int:
    """Serve the explorer until it is interrupted; return the exit code."""
    args = _parser(prog).parse_args(sys.argv[1:] if argv is None else argv)
    return exit_code(lambda: _serve(args), verbose=args.verbose)


def _parser(prog: str) -> argparse.ArgumentParser:
    """Return the command line."""
    parser = _Parser(prog=prog, description=ABOUT)
    parser.add_argument(
        "run",
        nargs="?",
        type=Path,
        help="a run, or a folder of runs (default: runs)",
    )
    parser.add_argument("--space", default="", metavar="NAME|FILE", help="look at a space instead")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to serve at; any but this machine's own "
        "needs the printed token (default: 127.0.0.1)",
    )
    parser.add_argument(
        "--port", type=int, metavar="N", help="port (default: 8050, or the next free one)"
    )
    parser.add_argument("--read-only", action="store_true", help="let nobody send designs")
    parser.add_argument("-v", "--verbose", action="store_true", help="show tracebacks and requests")
    return parser


def _serve(args: argparse.Namespace) -> int:
    """Open what is asked for and serve it.

    Raises: SparxError for a run, space or port that cannot be had.
    """
    if args.space and args.run:
        raise OptionError("a run and --space together", hint="leave one of them out")
    if args.port is not None and not 0 <= args.port < 65536:
        raise OptionError(f"--port {args.port}: ports are 0 to 65535")
    # Dash takes a second to import, and --help shall be instant.
    from sparx_nas.viewer.server.serving import serve

    target = None if args.space else args.run or Path("runs")
    serve(
        target,
        args.space,
        host=args.host,
        port=args.port,
        read_only=args.read_only,
        verbose=args.verbose,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
