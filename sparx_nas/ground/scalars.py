"""What a word of a YAML file is: the numbers and words that people mean, and traps refused.

YAML 1.1, which most readers follow, reads `010` as 8, `5:20` as 320 and `1e-3` as text. Here a
word is a number where it is written as one; what would be read as something else is a mistake.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml

PREFIX = "tag:yaml.org,2002:"
WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
DECIMAL = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
DIGITS = 4000
"""Of a whole number at most; Python reads no longer ones."""
TRAPS: Mapping[str, str] = {
    r"[-+]?0[0-9_]+": "begins with 0, which YAML reads in base 8; write it without the 0",
    r"[-+]?0[xob][0-9a-fA-F_]+": "is in another base; write it in base 10",
    r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?": "is read in base 60, as a time is; write it "
    "in base 10",
    r"[-+]?(?=[0-9.]*_)[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?": "has '_' in it; write the "
    "digits alone",
    r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)": "is no finite number",
    r"~": "is another spelling of null; write null, or leave the line out",
    r"=": "stands for a default value in YAML",
    r"<<": "merges other mappings; write the values out",
}
"""What a word looks like that YAML 1.1 reads as something else than it seems, and what to do."""
QUOTES = "in quotes if it is text"


class ScalarError(ValueError):
    """A word that is not what it seems; the text follows the word's place in a message."""


def scalar(node: yaml.ScalarNode) -> Any:
    """Return the value of a word: None, a boolean, a number or text.

    Raises: ScalarError for what YAML reads otherwise than it looks.
    """
    word, kind = node.value, node.tag.removeprefix(PREFIX)
    if node.style:
        if kind != "str":
            raise ScalarError(f"is {kind!r} by its tag; write the value without a tag")
        return word
    if why := _trap(word, kind):
        raise ScalarError(f"is {word}, which {why} ({QUOTES})")
    if WHOLE.fullmatch(word):
        if len(word) > DIGITS:
            raise ScalarError(f"is a number of {len(word)} digits")
        return int(word)
    if DECIMAL.fullmatch(word):
        return float(word)
    if kind == "bool":
        return word.lower() in ("yes", "true", "on")
    return None if kind == "null" else word


def _trap(word: str, kind: str) -> str:
    """Say what YAML 1.1 reads a word as that is not what it seems; "" where it is."""
    for pattern, why in TRAPS.items():
        if re.fullmatch(pattern, word):
            return why
    if kind == "timestamp":
        return "YAML reads as a date"
    number = WHOLE.fullmatch(word) or DECIMAL.fullmatch(word)
    return "" if number or kind in ("str", "null", "bool") else f"YAML reads as {kind!r}"


class _Dumper(yaml.SafeDumper):
    """Puts text in quotes that `scalar` would not read as text."""


for _pattern in (DECIMAL.pattern, *TRAPS):
    # Text that resolves to any tag but that of text is written in quotes.
    _Dumper.add_implicit_resolver(f"{PREFIX}float", re.compile(f"(?:{_pattern})$"), None)


def yaml_text(value: Any, **how: Any) -> str:
    """Write a value as YAML that `scalar` and every other reader read alike; keys keep order."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, **how)
    return text
