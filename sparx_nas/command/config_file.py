"""Options of a YAML file, each with its line."""

from collections.abc import Collection

from sparx_nas.command.options import Given, raw_of
from sparx_nas.ground.errors import did_you_mean
from sparx_nas.ground.tree import Entry, Mistakes


def given_in_file(
    tree: Entry | None,
    mistakes: Mistakes,
    *,
    known: Collection[str],
    skipped: Collection[str],
    called: str,
) -> dict[str, Given]:
    """Return the options that a file gives, unchecked, noting every key that is none.

    Keys are the names of the flags, with '_' or '-'; null and empty lists give nothing. `called`
    is what messages call an option.
    """
    found = {}
    for key, entry in (tree.value if tree else {}).items():
        name = key.replace("-", "_")
        if name not in known and name not in skipped:
            near = did_you_mean(name, known) or f" Known are {', '.join(known)}."
            mistakes.add_line(entry.line, f"{key}: unknown {called}.{near}")
        elif name not in skipped and entry.value not in (None, []):
            found[name] = Given(f"{mistakes.place}:{entry.line}: {key}", raw_of(entry.plain))
    return found
