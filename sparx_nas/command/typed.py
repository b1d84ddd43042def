"""Commands that are printed for a person to paste: quoted, and called as this installation is."""

import shlex
import shutil
import sys
from pathlib import Path

NAME = "sparx-nas"
DASHBOARD = "optuna-dashboard"


def typed(tool: str, *words: object) -> str:
    """Return the command line of a tool; words with blanks are quoted."""
    command = _script(NAME) or f"{_python()} -m sparx_nas"
    return " ".join([command, tool, *map(quoted, words)])


def typed_anywhere(tool: str, *words: object) -> str:
    """Return the same for a file that may be read elsewhere: the command by its name."""
    return " ".join([NAME, tool, *map(quoted, words)])


def quoted(word: object) -> str:
    """Return one word of a command line, such as a path, as a shell takes it."""
    return shlex.quote(str(word))


def dashboard(storage: str) -> str:
    """Return the command that shows a study in a browser; it installs what that takes first."""
    command = f"{_script(DASHBOARD) or DASHBOARD} {quoted(storage)}"
    if _script(DASHBOARD):
        return command
    return f"{_python()} -m pip install {quoted(f'{NAME}[dashboard]')} && {command}"


def _script(name: str) -> str:
    """Return how a script of this Python's environment is called; "" where there is none.

    A virtual environment need not be active, and another's script of that name is not meant.
    """
    python = Path(sys.executable)
    found = shutil.which(name)
    if found and python.parent.resolve() in (Path(found).parent.resolve(), _home(found)):
        return name
    return _called(python.with_name(name)) if python.with_name(name).is_file() else ""


def _python() -> str:
    """Return how this Python is called."""
    python = Path(sys.executable)
    found = shutil.which(python.name)
    return python.name if found and Path(found) == python else _called(python)


def _called(program: Path) -> str:
    """Return the path of a program, from here where it is below."""
    here = Path.cwd()
    short = program.relative_to(here) if program.is_relative_to(here) else program
    return quoted(short if len(short.parts) > 1 else program)


def _home(script: str) -> Path:
    """Return the folder of what a script, which may be a link, is."""
    return Path(script).resolve().parent
