"""How a command runs and ends: errors in two lines, exit codes, tracebacks only when asked for."""

import os
import sys
import traceback
from collections.abc import Callable

from sparx_nas.ground.errors import SparxError

INTERRUPTED, BUG, CLOSED_PIPE = 130, 1, 141


def error_text(error: SparxError) -> str:
    """Write what is wrong, how to mend it, and the code of the error."""
    if error.hint:
        return f"error: {error}\nhint: {error.hint}  [{error.code}]\n"
    head, _, rest = str(error).partition("\n")
    return f"error: {head}  [{error.code}]\n" + (f"{rest}\n" if rest else "")


def exit_code(command: Callable[[], int], *, verbose: bool) -> int:
    """Run a command and return what the process ends with; anything raised is told on stderr."""
    # Read when torch loads. Threads that spin while they wait take the cores from one another and
    # from whoever else is on the machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = command()
        sys.stdout.flush()
    except SparxError as error:
        _trace(verbose)
        sys.stderr.write(error_text(error))
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except Exception as error:
        _trace(verbose)
        sys.stderr.write(f"error: {type(error).__name__}: {error}  [E-BUG]\n")
        if not verbose:
            sys.stderr.write("hint: -v shows where it happened, as search.log does\n")
        return BUG
    return code


def _trace(verbose: bool) -> None:
    """Print where an error came from."""
    if verbose:
        traceback.print_exc()
