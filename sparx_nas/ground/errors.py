"""The errors a user can cause: each names the place and the fix, and carries an exit code."""

import difflib
from collections.abc import Iterable, Sequence


class SparxError(Exception):
    """Report one or more user mistakes; the command line prints it without a traceback.

    `exit_code` is what the process ends with, `code` the short tag printed in brackets.
    """

    exit_code = 2
    code = "E-USAGE"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @classmethod
    def of(cls, where: str, mistakes: Sequence[str], *, hint: str = "") -> "SparxError":
        """Join mistakes under the place they were found; one mistake stays on one line."""
        if len(mistakes) == 1:
            return cls(f"{where}: {mistakes[0]}", hint=hint)
        lines = "\n".join(f"  - {mistake}" for mistake in mistakes)
        return cls(f"{where}: {len(mistakes)} mistakes\n{lines}", hint=hint)


class GraphError(SparxError):
    """A wiring that no network could have."""

    code = "E-GRAPH"


class ArchitectureError(SparxError):
    """An architecture, or an official configuration, that cannot be built."""

    code = "E-ARCH"


class SpaceError(SparxError):
    """A search space file that does not say what it should."""

    code = "E-SPACE"


class OptionError(SparxError):
    """A command-line option or configuration file entry with a wrong value."""

    code = "E-OPTION"


class NoFeasibleError(SparxError):
    """No candidate satisfies the limits."""

    exit_code = 3
    code = "E-FEASIBLE"


class RunError(SparxError):
    """A run folder that exists already, is missing, or does not match."""

    exit_code = 4
    code = "E-RUN"


class DataError(SparxError):
    """A data set that is missing or corrupt."""

    exit_code = 5
    code = "E-DATA"


class DeviceError(SparxError):
    """A device, backend or cluster that is asked for and not there."""

    exit_code = 5
    code = "E-DEVICE"


class MachineError(SparxError):
    """What the machine refuses: room on a disk, leave to write, another open file."""

    exit_code = 5
    code = "E-MACHINE"


class FailureLimitError(SparxError):
    """More trials failed than `--max-failures` allows."""

    exit_code = 6
    code = "E-FAILURES"


class ExportError(SparxError):
    """A trained network that cannot be handed over, or not in one of the forms asked for."""

    exit_code = 7
    code = "E-EXPORT"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x' or 'y'?`, or nothing where no known word is near."""
    near = difflib.get_close_matches(word, list(known), n=2, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
