"""Markup made so that a forgotten escape is a type error: text becomes `Markup` only by `text`."""

import html
import re
from collections.abc import Iterable
from typing import NewType

Markup = NewType("Markup", str)
Attribute = str | int | float | None

VOID = frozenset({"meta", "br", "hr"})
NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML document may hold, escaped or not."""

TIMES = "\u00d7"
CREDENTIALS = re.compile(r"(?<=://)[^/\s]+(?=@)")
BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:%|[kMGTP]?B?|px)(?:\W|$))")


def text(value: object) -> Markup:
    """Escape a value for content and quoted attributes; illegal characters become U+FFFD."""
    return Markup(html.escape(NOT_XML.sub("\ufffd", str(value)), quote=True))


def unbroken(words: str) -> str:
    """Keep numbers and their units on one line."""
    return BEFORE_UNIT.sub("\u00a0", words)


def masked(words: str) -> str:
    """Hide the user and password of any address, for reports are passed on."""
    return CREDENTIALS.sub("***", words)


def join(parts: Iterable[Markup], between: str = "") -> Markup:
    """Join markup; `between` is text and is escaped."""
    return Markup(text(between).join(parts))


def tag(name: str, /, *content: Markup, **attributes: Attribute) -> Markup:
    """Write one element, well-formed as HTML and as XML.

    `class_` stands for `class` and `data_layer` for `data-layer`; an attribute of None is left
    out, a float is rounded to 2 decimals.
    """
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{pairs} />")
    return Markup(f"<{name}{pairs}>{''.join(content)}</{name}>")


def _value(value: str | int | float) -> str:
    """Write an attribute's value."""
    return f"{round(value, 2):.10g}" if isinstance(value, float) else text(value)


def style(css: str) -> Markup:
    """Wrap a style sheet of our own; it must hold neither `<` nor `&`."""
    assert not set(css) & set("<&"), "a style sheet with markup in it"
    return Markup(f"<style>{css}</style>")
