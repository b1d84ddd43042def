"""Read the options of a `--config` file, each with its line."""

from pathlib import Path

from sparx_nas.ground.errors import OptionError, did_you_mean
from sparx_nas.search.asked.options import CONFIGURABLE, HINT, Given, raw_of
from sparx_nas.search.asked.settings import RECORDED
from sparx_nas.space.tree import Entry, Mistakes, read_tree


def read_config_file(path: Path) -> dict[str, Given]:
    """Return the options that a YAML file gives, unchecked; null gives nothing.

    Keys are the names of the flags, with '_' or '-'.

    Raises: OptionError if there is no such file, or with every key that is no option.
    """
    mistakes = Mistakes(str(path))
    tree = read_tree(_text(path), mistakes)
    entries: dict[str, Entry] = tree.value if tree else {}
    out = {}
    for key, entry in entries.items():
        name = key.replace("-", "_")
        if name in RECORDED:
            continue
        if name not in CONFIGURABLE:
            near = did_you_mean(name, CONFIGURABLE) or f" Known are {', '.join(CONFIGURABLE)}."
            mistakes.add_line(entry.line, f"{key}: unknown option.{near}")
        elif entry.value not in (None, []):
            out[name] = Given(f"{path}:{entry.line}: {key}", raw_of(_value(entry)))
    if mistakes.found:
        found = [f"{path}:{line}: {text}" for line, text in sorted(mistakes.found)]
        message = (
            found[0]
            if len(found) == 1
            else "\n".join(
                [f"{path} has {len(found)} mistakes", *(f"  - {line}" for line in found)]
            )
        )
        raise OptionError(message, hint=HINT)
    return out


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


def _value(entry: Entry) -> object:
    """Return the plain value of an entry."""
    if isinstance(entry.value, list):
        return [_value(item) for item in entry.value]
    if isinstance(entry.value, dict):
        return {key: _value(item) for key, item in entry.value.items()}
    return entry.value
