"""Commands as they are printed, read by the real parsers; nothing is run."""

import contextlib
import io
import re
import shlex
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import tyro

from sparx_nas.__main__ import PACKAGES, TOOLS

PLACEHOLDER = {"N": "1"}
"""What stands for a number in texts."""
OTHERS = ("optuna-dashboard", "pip", "tensorboard", "git", "apt-get", "cd", "make")
"""Commands of others that texts show; `pip` is looked into."""


def main_of(tool: str) -> Any:
    """Return the module that is the command of a tool."""
    return import_module(f"sparx_nas.{PACKAGES.get(tool, tool)}.__main__")


@cache
def help_of(tool: str) -> str:
    """Return what `--help` prints of a tool; of `` the list of tools."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        if tool:
            main_of(tool).main(["--help"], prog=f"sparx-nas {tool}")
        else:
            import_module("sparx_nas.__main__").main(["--help"])
    return re.sub(r"\x1b\[[0-9;]*m", "", said.getvalue())


@cache
def flags_of(tool: str) -> frozenset[str]:
    """Return the flags that a tool takes."""
    return frozenset(re.findall(r"--[a-z][a-z-]*", help_of(tool)))


def parsed(command: str) -> str:
    """Read a command as its tool does and return the tool, or the other's name.

    Raises: SystemExit or SparxError where the tool would refuse it; AssertionError where it is
    none that is known.
    """
    # A second command stands behind `&&`, and what follows `#` is a remark.
    words = shlex.split(command, comments=True)
    while "&&" in words:
        parsed(shlex.join(words[: words.index("&&")]))
        words = words[words.index("&&") + 1 :]
    words = [PLACEHOLDER.get(word, word) for word in words]
    tool, rest = _tool(words)
    if tool in TOOLS:
        READ[tool](rest)
    return tool


def _tool(words: list[str]) -> tuple[str, list[str]]:
    """Split a command into the tool and what it is given."""
    first = words[0].rpartition("/")[2]
    if first == "sparx-nas":
        return words[1], words[2:]
    if "-m" in words and first in ("python", "python3", "torchrun"):
        at = words.index("-m") + 1
        module = words[at]
        if module == "sparx_nas":
            return words[at + 1], words[at + 2 :]
        if module.startswith("sparx_nas."):
            by_module = {PACKAGES.get(tool, tool): tool for tool in TOOLS}
            return by_module[module.removeprefix("sparx_nas.")], words[at + 1 :]
        return module, words[at + 1 :]
    assert first in (*OTHERS, "python", "python3") or "=" in first, f"what is {words[0]}?"
    return first, words[1:]


def _search(words: list[str]) -> None:
    from sparx_nas.search.asked.options import command_line, read_options

    read_options(command_line(words, "sparx-nas search"))


def _calibrate(words: list[str]) -> None:
    from sparx_nas.search.calibrating.options import command_line, read

    read(command_line(words, "sparx-nas calibrate"))


def _train(words: list[str]) -> None:
    from sparx_nas.train.options import read_options

    read_options(words, "sparx-nas train")


def _export(words: list[str]) -> None:
    from sparx_nas.export.request import read_request

    asked = tyro.cli(main_of("export").Options, args=words, prog="sparx-nas export")
    read_request(
        asked.folder,
        to=asked.to,
        formats=(asked.formats,),
        image_size=asked.image_size,
        dynamic_batch=asked.dynamic_batch,
        opset=asked.opset,
        check=None,
    )


def _importance(words: list[str]) -> None:
    tyro.cli(main_of("importance").Options, args=words, prog="sparx-nas importance")


def _argparsed(tool: str) -> Callable[[list[str]], None]:
    return lambda words: main_of(tool)._parser(f"sparx-nas {tool}").parse_args(words)


READ = {
    "search": _search,
    "calibrate": _calibrate,
    "train": _train,
    "export": _export,
    "importance": _importance,
    "view": _argparsed("view"),
    "doctor": _argparsed("doctor"),
}
