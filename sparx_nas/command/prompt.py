"""How a command runs and ends: errors in two lines, exit codes, tracebacks only when asked for."""

import atexit
import io
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from sparx_nas.command.stopping import interruptible
from sparx_nas.ground.errors import SparxError
from sparx_nas.ground.machine import refusal

SIGNALLED, INTERRUPTED, BUG, CLOSED_PIPE = 128, 130, 1, 141
NO_HOME = (
    "note: HOME is not set and user {} has no home folder; caches last for this command only "
    "(set HOME to keep them)\n"
)


def error_text(error: SparxError) -> str:
    """Write what is wrong, how to mend it, and the code of the error."""
    if error.hint:
        return f"error: {error}\nhint: {error.hint}  [{error.code}]\n"
    head, _, rest = str(error).partition("\n")
    return f"error: {head}  [{error.code}]\n" + (f"{rest}\n" if rest else "")


def exit_code(command: Callable[[], int], *, verbose: bool) -> int:
    """Run a command and return what the process ends with; anything raised is told on stderr."""
    make_ready()
    try:
        with interruptible():
            code = command()
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except KeyboardInterrupt as error:
        sys.stderr.write("interrupted\n")
        return SIGNALLED + error.args[0] if error.args else INTERRUPTED
    except Exception as error:
        if verbose:
            traceback.print_exc()
        return _told(error, verbose=verbose)
    return code


def make_ready() -> None:
    """Bring the process to where a command can run: streams, home folder, threads.

    Characters that standard output lacks are replaced, for a word with a `?` is better than none.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    # Read when torch loads. Threads that spin while they wait take the cores from one another and
    # from whoever else is on the machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        Path.home()
    except RuntimeError:
        # Ray, torch and others ask for it as well.
        os.environ["HOME"] = tempfile.mkdtemp(prefix="sparx-nas-home-")
        os.environ.setdefault("USER", str(os.getuid()))
        atexit.register(shutil.rmtree, os.environ["HOME"], ignore_errors=True)
        sys.stderr.write(NO_HOME.format(os.getuid()))


def _told(error: Exception, *, verbose: bool) -> int:
    """Tell of an error and return its exit code; one that nobody foresaw is a bug."""
    if isinstance(error, OSError) and error.errno:
        error = refusal(error)
    if isinstance(error, SparxError):
        sys.stderr.write(error_text(error))
        return error.exit_code
    sys.stderr.write(f"error: {type(error).__name__}: {error}  [E-BUG]\n")
    if not verbose:
        sys.stderr.write("hint: -v shows where it happened, as search.log does\n")
    return BUG
