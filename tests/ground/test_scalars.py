"""Numbers and words of YAML files: read as they look, or refused with the reason."""

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sparx_nas.ground.errors import SpaceError
from sparx_nas.ground.scalars import yaml_text
from sparx_nas.ground.tree import Mistakes, read_tree


def read(text: str):
    mistakes = Mistakes("x.yaml")
    tree = read_tree(text, mistakes)
    mistakes.raise_all(SpaceError)
    return tree.plain


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *(("0", 0), ("12", 12), ("-3", -3), ("+4", 4), ("0.5", 0.5), (".5", 0.5), ("1.", 1.0)),
        *(("5e-1", 0.5), ("1e0", 1.0), ("1E3", 1000.0), ("4.0e-3", 0.004), ("-2.5e+1", -25.0)),
        *(("'010'", "010"), ('"5:20"', "5:20"), ("'~'", "~"), ("'2024-01-01'", "2024-01-01")),
        *(("null", None), ("", None), ("true", True), ("off", False), ("tpe", "tpe")),
        *(("31M", "31M"), ("1h30m", "1h30m"), ("1e", "1e"), ("a:20", "a:20"), ("e5", "e5")),
    ],
)
def test_words_are_what_they_look_like(word: str, value):
    found = read(f"key: {word}\n")["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("word", "why"),
    [
        *((word, "begins with 0") for word in ("010", "0500", "-010", "+07", "00", "08", "0_7")),
        *((word, "another base") for word in ("0x1F", "0b101", "0o17", "-0x0a")),
        *((word, "base 60") for word in ("5:20", "1:30:00", "190:20:30.15", "-1:30")),
        *((word, "has '_' in it") for word in ("1_000", "1_0.5", "1_0e5")),
        *((word, "no finite number") for word in (".inf", "-.INF", ".nan", "+.Inf")),
        *((word, "reads as a date") for word in ("2024-01-01", "2001-12-14t21:59:43.10-05:00")),
        *((("~", "spelling of null"), ("=", "default value"), ("<<", "merges"))),
        *((word, "tag") for word in ("!!int '5'", "!!float '1'", "!mine 'x'", "!!binary 'aGk='")),
        ("9" * 5000, "5000 digits"),
    ],
)
def test_what_is_read_otherwise_is_refused_with_its_line_and_the_reason(word: str, why: str):
    with pytest.raises(SpaceError) as caught:
        read(f"first: 1\nlist:\n  - {word}\n")
    assert str(caught.value).startswith("x.yaml:3: list[1]: is ")
    assert why in str(caught.value)


def test_merge_keys_are_refused():
    with pytest.raises(SpaceError, match=r"x\.yaml:2: a\.<<: merges other mappings"):
        read("a:\n  <<: {b: 1}\n")


@given(st.text(alphabet="0123456789e+-._:xobEinfa~", min_size=1, max_size=16))
def test_text_that_is_written_is_read_as_the_same_text(word: str):
    text = yaml_text({"key": word, "list": [word]}, default_flow_style=None)
    assert read(text) == {"key": word, "list": [word]}
    assert yaml.safe_load(text) == {"key": word, "list": [word]}


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_numbers_that_are_written_are_read_as_the_same_numbers(number):
    found = read(yaml_text({"key": number}))["key"]
    assert found == number
    assert type(found) is type(number)
    assert math.copysign(1, found) == math.copysign(1, number)
