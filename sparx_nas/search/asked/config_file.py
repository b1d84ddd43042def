"""Read the options of a `--config` file, each with its line."""

from pathlib import Path

from sparx_nas.command.config_file import given_in_file
from sparx_nas.command.options import HINT, Given
from sparx_nas.ground.errors import OptionError
from sparx_nas.ground.tree import Mistakes, read_tree
from sparx_nas.search.asked.options import CONFIGURABLE
from sparx_nas.search.asked.settings import RECORDED


def read_config_file(path: Path) -> dict[str, Given]:
    """Return the options that a YAML file gives, unchecked.

    Raises: OptionError if there is no such file, or with every key that is no option.
    """
    mistakes = Mistakes(str(path))
    tree = read_tree(_text(path), mistakes)
    found = given_in_file(tree, mistakes, known=CONFIGURABLE, skipped=RECORDED, called="option")
    mistakes.raise_all(OptionError, hint=HINT)
    return found


def _text(path: Path) -> str:
    """Read a file.

    Raises: OptionError if it is missing or no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as cause:
        raise OptionError(f"cannot read --config {path}: {cause.strerror}") from cause
    except UnicodeDecodeError as cause:
        raise OptionError(f"--config {path} is not a text file") from cause
