"""The command `sparx-nas doctor`."""

import argparse
import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from sparx_nas.command.prompt import exit_code

if TYPE_CHECKING:
    from sparx_nas.doctor.examination import Backend, Report

WRONG = 1
MARGIN = 11


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m sparx_nas.doctor") -> int:
    """Print the report; 0 if every backend that is there is right, 1 if one is wrong."""
    args = _parser(prog).parse_args(argv)
    return exit_code(lambda: _examined(args.format), verbose=False)


def _examined(form: str) -> int:
    """Print what is found, and say whether all of it is right."""
    # torch takes seconds to import, and --help shall be instant.
    from sparx_nas.doctor.examination import examine

    report = examine()
    if form == "json":
        print(json.dumps(asdict(report) | {"right": report.right}, indent=2))
    else:
        print("\n".join(_lines(report)))
    return 0 if report.right else WRONG


def _parser(prog: str) -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Say what this machine has, which kernels are used and why, and check them "
        "against their specification.",
    )
    parser.add_argument(
        "--format", choices=("plain", "json"), default="plain", help="(default: plain)"
    )
    return parser


def _lines(report: "Report") -> list[str]:
    """Lay the report out."""
    there = " · ".join(f"{name} {number}" for name, number in report.versions.items() if number)
    facts = {"System": report.system, "Packages": there, "Device": report.device}
    facts["Kernels"] = report.cpu_kernels
    lines = [line for name, text in facts.items() for line in _wrapped(name, text)]
    lines += ["", "Backends of the scan"]
    for backend in report.backends:
        lines += _wrapped(f"  {backend.name}", _verdict(backend))
    off = [backend.name for backend in report.backends if not backend.right]
    end = f"Wrong values: {', '.join(off)}. Please report this." if off else "All is well."
    return [*lines, "", end]


def _verdict(backend: "Backend") -> str:
    """Say in a sentence what a backend is good for here."""
    if backend.difference is None:
        return f"no: {backend.missing}"
    check = f"off its specification by {backend.difference:.0e} of the spread"
    used = "used by default; " if backend.used else ""
    return f"{'yes' if backend.right else 'WRONG'}: {used}{backend.about}; {check}"


def _wrapped(name: str, text: str) -> list[str]:
    """Set a text beside its name, within the terminal."""
    width = min(shutil.get_terminal_size().columns, 100) - MARGIN - 1
    rows = textwrap.wrap(text, max(width, 30), break_on_hyphens=False)
    return [f"{name if not i else '':<{MARGIN}} {row}" for i, row in enumerate(rows)]


if __name__ == "__main__":
    sys.exit(main())
