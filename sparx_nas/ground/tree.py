"""Read YAML into values that know where they stand, and collect what is wrong with them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sparx_nas.ground.errors import SpaceError, SparxError, did_you_mean
from sparx_nas.ground.scalars import ScalarError, scalar

Scalar = int | float | str | bool


@dataclass(frozen=True)
class Entry:
    """A value of the file with its place.

    `path` counts list items from 1 (`stages[3].stride`), as layers are counted; `value` is a
    scalar, None where nothing is written, a list of entries, or a dict of entries by key.
    """

    path: str
    line: int
    value: Any

    @property
    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, list):
            return [item.plain for item in self.value]
        if isinstance(self.value, dict):
            return {key: item.plain for key, item in self.value.items()}
        return self.value


@dataclass
class Mistakes:
    """Everything found wrong in one file; `place` is how the file is called in messages.

    Texts of `found` may be "": nobody is told what follows from another mistake.
    """

    place: str
    found: list[tuple[int, str]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    def add(self, where: Entry, text: str) -> None:
        """Note a mistake at an entry; of a word that was refused the first one is told."""
        said = f"{where.path}: {text}" if where.path else text
        self.add_line(where.line, "" if where.path in self.refused else said)

    def refuse(self, path: str, line: int, text: str) -> None:
        """Note that the word at a path cannot be read."""
        self.add_line(line, f"{path}: {text}")
        self.refused.add(path)

    def add_line(self, line: int, text: str) -> None:
        """Note a mistake that belongs to a line rather than to a value."""
        self.found.append((line, text))

    def raise_all(self, error: type[SparxError] = SpaceError, *, hint: str = "") -> None:
        """Raise: `error` with all mistakes in the order of the file, one on a line."""
        ordered = sorted(self.found, key=lambda mistake: mistake[0])
        lines = [f"{self.place}:{line}: {text}" for line, text in ordered if text]
        if len(lines) == 1:
            raise error(lines[0], hint=hint)
        if lines:
            items = "\n".join(f"  - {line}" for line in lines)
            raise error(f"{self.place} has {len(lines)} mistakes\n{items}", hint=hint)


def read_tree(text: str, mistakes: Mistakes) -> Entry | None:
    """Parse YAML; None where it is no mapping, the reason being among the mistakes.

    Anchors are refused: a file that repeats itself by reference is harder to read and to compare.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        aliases = [e for e in yaml.parse(text) if isinstance(e, yaml.AliasEvent)]
    except (yaml.YAMLError, RecursionError) as error:
        mistakes.add_line(*_syntax_mistake(error, text))
        return None
    for alias in aliases:
        line = alias.start_mark.line + 1 if alias.start_mark else 1
        mistakes.add_line(line, f"'*{alias.anchor}' refers to an anchor; write the value out")
    if aliases:
        return None
    if node is None:
        mistakes.add_line(1, "the file is empty; it starts with 'schema: 1'")
        return None
    if not isinstance(node, yaml.MappingNode):
        mistakes.add_line(1, "the file is no mapping of keys to values, such as 'schema: 1'")
        return None
    return _entry(node, "", mistakes)


def read_plain(path: Path, error: type[SparxError]) -> Any:
    """Return what a YAML file holds, without places.

    Raises: `error`, naming the file and every line that is wrong, if it is missing or no YAML.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as cause:
        raise error(f"cannot read {path}: {cause.strerror}") from cause
    except UnicodeDecodeError as cause:
        raise error(f"{path} is not a text file, so it is not YAML") from cause
    mistakes = Mistakes(str(path))
    tree = read_tree(text, mistakes)
    mistakes.raise_all(error)
    assert tree is not None, "what is no mapping is a mistake"
    return tree.plain


def section(
    entry: Entry, known: tuple[str, ...], mistakes: Mistakes, *, required: tuple[str, ...] = ()
) -> dict[str, Entry]:
    """Return the known keys of a mapping, noting unknown and missing ones.

    A required key that is there misspelt is one mistake, not two.
    """
    if not isinstance(entry.value, dict):
        mistakes.add(entry, f"is {shown(entry)}; it is a mapping with {', '.join(known)}")
        return {}
    inner = f"{entry.path}." if entry.path else ""
    meant = ""
    for key, value in entry.value.items():
        if key not in known:
            near = did_you_mean(key, [name for name in known if name not in entry.value])
            meant += near
            near = near or f" Known are {', '.join(known)}."
            mistakes.add_line(value.line, f"{inner}{key}: unknown key.{near}")
    for key in required:
        if key not in entry.value and repr(key) not in meant:
            mistakes.add_line(entry.line, f"{inner}{key}: missing")
    return {key: value for key, value in entry.value.items() if key in known}


def shown(value: Any) -> str:
    """Return a value as a message shows it: as it stands in the file, strings in quotes."""
    if isinstance(value, Entry):
        value = value.value
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"{str(value).lower()} (yes, no, on and off are true and false in YAML)"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return repr(value) if isinstance(value, str | int | float) else f"'{value}'"


def _entry(node: yaml.Node, path: str, mistakes: Mistakes) -> Entry:
    """Turn a YAML node and all below it into entries."""
    line = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        items = [_entry(item, f"{path}[{i}]", mistakes) for i, item in enumerate(node.value, 1)]
        return Entry(path, line, items)
    if isinstance(node, yaml.MappingNode):
        return Entry(path, line, _mapping(node, path, mistakes))
    assert isinstance(node, yaml.ScalarNode), "a node is a list, a mapping or a word"
    try:
        return Entry(path, line, scalar(node))
    except ScalarError as wrong:
        mistakes.refuse(path, line, str(wrong))
        return Entry(path, line, None)


def _mapping(node: yaml.MappingNode, path: str, mistakes: Mistakes) -> dict[str, Entry]:
    """Read a mapping; of a key that is there twice the first counts."""
    out: dict[str, Entry] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = key_node.value
        inner = f"{path}.{key}" if path else str(key)
        if not isinstance(key_node, yaml.ScalarNode):
            mistakes.add_line(line, f"{path}: a key is a word, not a list or a mapping")
        elif key == "<<":
            mistakes.add_line(line, f"{inner}: merges other mappings; write the values out")
        elif key in out:
            mistakes.add_line(line, f"{inner}: is here twice; first on line {out[key].line}")
        else:
            out[key] = Entry(inner, line, _entry(value_node, inner, mistakes).value)
    return out


def _syntax_mistake(error: yaml.YAMLError | RecursionError, text: str) -> tuple[int, str]:
    """Return the line of a syntax error and what it is."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        what = ", ".join(part for part in (error.context, error.problem) if part)
        return line, f"not valid YAML: {what}"
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return line, "not valid YAML: a character that no text file has"
    return 1, "not valid YAML: nested too deeply"
