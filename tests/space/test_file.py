"""Mistakes in space files: all of them, where they are, and what to do instead."""

from pathlib import Path

import pytest

from sparx_nas.ground.errors import SpaceError
from sparx_nas.space import load_space, parse_space

GOOD = """\
schema: 1
name: small
about: a small space
backbone: mamba
wiring: published
stages:
  - {depth: 1, width: 16}
  - {depth: 3, width: 32, stride: [1, 2], start: [none, 1, 2], window: [1, all]}
baselines:
  sparx: [plain, {stride: 2, start: 1}]
  plain: [plain, plain]
  dense: [plain, dense]
limits: {params: 1M}
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(SpaceError) as caught:
        parse_space(text, "small.yaml")
    lines = str(caught.value).splitlines()
    return lines if len(lines) == 1 else [line.removeprefix("  - ") for line in lines[1:]]


def changed(before: str, after: str) -> str:
    assert before in GOOD
    return GOOD.replace(before, after)


def test_good_file_is_read():
    space = parse_space(GOOD, "small.yaml")
    assert space.limits == {"params": 1_000_000}
    assert [gene.name for gene in space.genes] == ["s2.stride", "s2.start", "s2.window"]
    assert space.source_text == GOOD


def test_five_mistakes_are_reported_at_once_in_line_order():
    text = GOOD.replace("wiring: published", "wirring: published")
    text = text.replace("width: 16", "width: wide")
    text = text.replace("stride: [1, 2],", "strid: [1, 2],")
    text = text.replace("plain: [plain, plain]", "plain: [plain]")
    text = text.replace("params: 1M", "parms: 1M")
    found = mistakes(text)
    assert [line.split(":")[1] for line in found] == ["5", "7", "8", "11", "13"]
    assert found[0] == "small.yaml:5: wirring: unknown key. Did you mean 'wiring'?"
    assert found[1].startswith("small.yaml:7: stages[1].width: is 'wide'; it is a whole number")
    assert found[2] == "small.yaml:8: stages[2].strid: unknown key. Did you mean 'stride'?"
    assert found[3] == "small.yaml:11: baselines.plain: has 1 entries for 2 stages."
    assert found[4] == "small.yaml:13: limits.parms: unknown key. Did you mean 'params'?"


@pytest.mark.parametrize(
    ("before", "after", "line", "says"),
    [
        ("schema: 1", "schema: 2", 1, "schema: is 2; it is one of 1"),
        ("name: small", "name: a/b", 2, "letters, digits"),
        ("about: a small space", "about:", 3, "is empty"),
        ("backbone: mamba", "backbone: mamba2", 4, "Did you mean 'mamba'"),
        ("wiring: published", "wiring: [free]", 5, "is a list"),
        ("depth: 1,", "depth: 0,", 7, "from 1 to"),
        ("depth: 1,", "", 7, "stages[1].depth: missing"),
        ("width: 16", "width: 16, width: 24", 7, "is here twice; first on line 7"),
        ("width: 32", "width: 30", 8, "stage 2 has ganglia and width 30"),
        ("[1, 2],", "[1, yes],", 8, "stages[2].stride[2]: is true"),
        ("[1, 2],", "[1, 1.0],", 8, "is 1.0"),
        ("[1, 2],", "[2, 2],", 8, "2 is in the list twice"),
        ("[1, 2],", "[],", 8, "is an empty list"),
        ("[none, 1, 2]", "[nnone, 1, 2]", 8, "Did you mean 'none'?"),
        ("[none, 1, 2]", "[none, 1, 4]", 8, "is 4, but the stage has 3 layers"),
        ("start: [none, 1, 2], ", "", 8, "start: missing"),
        ("window: [1, all]", "window: [0, all]", 8, "stages[2].window[1]: is 0"),
        ("window: [1, all]", "density: 1.5", 8, "is 1.5; it is a number above 0"),
        ("window: [1, all]", "density: .nan", 8, "is .nan, which is no finite number"),
        ("width: 32", "width: 0500", 8, "stages[2].width: is 0500, which begins with 0"),
        ("depth: 3", "depth: 5:20", 8, "stages[2].depth: is 5:20, which is read in base 60"),
        ("window: [1, all]", "keep: near", 8, "Did you mean 'nearest'?"),
        ("[none, 1, 2]", "[none, 2]", 10, "start is 1, the choices are none, 2"),
        ("window: [1, all]", "window: 1", 12, "window is all, the choices are 1"),
        ("stride: 2, start: 1", "stride: 2, start: 9", 10, "start is 9; the stage has 3"),
        ("stride: 2, start: 1", "stride: 2", 10, "start: missing"),
        ("dense: [plain, dense]", "tense: [plain, dense]", 9, "baselines.dense: missing"),
        ("dense: [plain, dense]", "dense: [plain, dnse]", 12, "is 'dnse'"),
        ("params: 1M", "params: 1m", 13, "Suffixes are capital letters"),
        ("params: 1M", "params: 1X", 13, "a suffix is K, M or G"),
        ("params: 1M", "params: yes", 13, "is true"),
        ("params: 1M", "params: -3", 13, "is -3"),
        ("limits: {params: 1M}", "limits: 3", 13, "it is a mapping"),
        ("limits: {params: 1M}", "target: {image_size: big}", 13, "is 'big'"),
        ("limits: {params: 1M}", "proxy: {stem_stride: 3}", 13, "one of 4, 2, 1"),
        ("limits: {params: 1M}", "mixer: {conv_kernel: 4}", 13, "conv_kernel is 4; it is odd"),
        ("limits: {params: 1M}", "reductions: [8]", 13, "has 1 entries for 2 stages"),
        ("limits: {params: 1M}", "layer_scale: [none, big]", 13, "layer_scale[2]: is 'big'"),
        ("limits: {params: 1M}", "limits: {params: 1M", 14, "not valid YAML"),
        ("limits: {params: 1M}", "limits: &a [*a]", 13, "refers to an anchor"),
    ],
)
def test_one_mistake_names_line_and_fix(before: str, after: str, line: int, says: str):
    found = mistakes(changed(before, after))
    matching = [text for text in found if says in text]
    assert matching, found
    assert matching[0].startswith(f"small.yaml:{line}: ")


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "- 1\n", "[" * 1200, "a: \x07\n", "{", "schema"]
)
def test_files_that_are_no_space(text: str):
    assert mistakes(text)[0].startswith("small.yaml:1: ")


def test_a_row_with_one_mistake_is_still_searched_for_others():
    row = "width: 30, strid: 1, start: [none, none, 1],"
    found = mistakes(changed("width: 32, stride: [1, 2], start: [none, 1, 2],", row))
    assert len(found) == 3
    assert any("ganglia and width 30" in line for line in found)
    assert any("'none' is in the list twice" in line for line in found)


@pytest.mark.parametrize(
    ("mixer", "says"),
    [
        ("mixer: {heads: [1, 3]}", "9: stage 2 has width 32, which its 3 heads do not divide; 36"),
        ("mixer: {heads: [1, 5, 1]}", "6: mixer.heads: has 3 entries for 2 stages."),
        ("mixer: {heads: [1, 0]}", "6: mixer.heads[2]: is 0; it is a whole number from 1 to 1024."),
        ("mixer: {window: 7}", "6: mixer.heads: missing; 2 stages need an entry each."),
        ("mixer: [7]", "6: mixer: is a list; it is a mapping with heads, window"),
    ],
)
def test_a_mistake_in_a_mixer_is_told_once(mixer: str, says: str):
    text = changed("backbone: mamba", "backbone: swin").replace("stages:", f"{mixer}\nstages:")
    (found,) = mistakes(text)
    assert found.startswith(f"small.yaml:{says}")


def test_a_table_that_would_be_too_large_is_refused():
    numbers = list(range(1, 61))
    row = f"depth: 60, width: 32, stride: {numbers}, start: {numbers}, window: {numbers}"
    text = changed(
        "depth: 3, width: 32, stride: [1, 2], start: [none, 1, 2], window: [1, all]", row
    )
    assert any("combinations" in line for line in mistakes(text))


def test_a_free_stage_kept_plain_cannot_be_dense():
    text = changed("wiring: published", "wiring: free")
    text = text.replace("stride: [1, 2], start: [none, 1, 2], window: [1, all]", "ganglia: no")
    found = mistakes(text)
    assert len(found) == 2
    assert all("'ganglia: no' keeps the stage plain" in line for line in found)


def test_places_that_hold_no_space(tmp_path: Path):
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(SpaceError, match="not a text file"):
        load_space(tmp_path / "binary.yaml")
    with pytest.raises(SpaceError, match="there is no file"):
        load_space(str(tmp_path / "none.yaml"))
    with pytest.raises(SpaceError, match="cannot read"):
        load_space(tmp_path)
    with pytest.raises(
        SpaceError, match=r"unknown space 'mamba_tt'\. Did you mean 'mamba_t'"
    ) as it:
        load_space("mamba_tt")
    assert it.value.hint == "--list-spaces"
