import re
import xml.etree.ElementTree as ET

import pytest

from sparx_nas.drawing.associations import Association
from sparx_nas.drawing.associations_chart import ASSOCIATIONS_CSS, WIDTH, associations_svg
from sparx_nas.drawing.markup import style

SVG = "{http://www.w3.org/2000/svg}"


def example(feature, slope, half):
    return Association(
        feature=feature,
        slope=slope,
        low=slope - half,
        high=slope + half,
        n=48,
        low_value=0.2,
        high_value=0.6,
    )


FOUND = [
    example("sources per ganglion", 0.02, 0.04),
    example("density of stage 3", 0.012, 0.009),
    example("mean span", -0.004, 0.015),
]


def rows(root):
    return [g for g in root.iter(f"{SVG}g") if g.find(f"{SVG}title") is not None]


def name(row):
    return " ".join(part.text for part in row.iter(f"{SVG}tspan"))


def estimate(row):
    return float(row.find(f"{SVG}circle").get("cx"))


def zero(root):
    (line,) = [p for p in root.iter(f"{SVG}path") if p.get("class") == "sx-zero"]
    return float(re.match(r"M([\d.]+)", line.get("d"))[1])


def ends(row):
    path = row.find(f"{SVG}path").get("d")
    return sorted(float(x) for x in re.findall(r"M([\d.]+) [\d.]+H", path))


def test_every_feature_is_a_row_and_clear_ones_come_first():
    root = ET.fromstring(associations_svg(FOUND))
    assert [(name(row), row.get("class")) for row in rows(root)] == [
        ("density of stage 3", "sx-clear"),
        ("sources per ganglion", "sx-unclear"),
        ("mean span", "sx-unclear"),
    ]


def test_points_and_intervals_stand_on_their_side_of_the_zero_line():
    root = ET.fromstring(associations_svg(FOUND))
    at = zero(root)
    for row, one in zip(rows(root), [FOUND[1], FOUND[0], FOUND[2]], strict=True):
        low, high = ends(row)
        assert low < estimate(row) < high
        assert (estimate(row) > at) == (one.slope > 0)
        assert (low > at or high < at) == one.clear


def test_the_chart_is_an_image_that_says_what_it_comes_to():
    root = ET.fromstring(associations_svg(FOUND))
    assert root.get("role") == "img"
    assert "3 of 3 features" in root.get("aria-label")
    assert "clear for density of stage 3 +1.2" in root.get("aria-label")
    unclear = ET.fromstring(associations_svg(FOUND[2:]))
    assert unclear.get("aria-label").endswith("none of them clear")


def test_a_row_says_its_numbers():
    (row, *_) = rows(ET.fromstring(associations_svg(FOUND)))
    assert row.find(f"{SVG}title").text == (
        "density of stage 3 from 0.2 to 0.6: +1.20 points of top-1 at equal cost, "
        "95 % interval +0.30 to +2.10, 48 wirings"
    )


def test_the_limit_leaves_out_what_is_not_clear():
    (row,) = rows(ET.fromstring(associations_svg(FOUND, limit=1)))
    assert name(row) == "density of stage 3"


def test_one_interval_of_absurd_width_does_not_squeeze_the_others():
    root = ET.fromstring(associations_svg([*FOUND, example("window", 0.01, 5.0)]))
    widths = {name(row): ends(row)[1] - ends(row)[0] for row in rows(root)}
    assert widths["density of stage 3"] > 25
    assert all(0 <= end <= WIDTH for row in rows(root) for end in ends(row))
    wide = next(row for row in rows(root) if name(row) == "window")
    assert wide.find(f"{SVG}path").get("d").count("L") == 2


@pytest.mark.parametrize("slope", [0.0, 0.01])
def test_an_interval_without_width_is_drawn(slope):
    (row,) = rows(ET.fromstring(associations_svg([example("window", slope, 0.0)])))
    assert 0 < estimate(row) < WIDTH


def test_names_are_escaped_and_nothing_is_an_empty_chart():
    drawn = associations_svg([example("<script>&", 0.01, 0.02)])
    assert "<script>" not in drawn
    assert name(rows(ET.fromstring(drawn))[0]) == "<script>&"
    assert associations_svg([]) == ""


def test_every_class_is_ours_and_the_style_sheet_holds_no_markup():
    root = ET.fromstring(associations_svg(FOUND))
    used = {word for e in root.iter() for word in (e.get("class") or "").split()} - {"sx"}
    assert all(word.startswith("sx-") for word in used)
    assert ASSOCIATIONS_CSS in style(ASSOCIATIONS_CSS)
    assert all(word.startswith("sx-") for word in re.findall(r"\.([a-z][\w-]*)", ASSOCIATIONS_CSS))


def test_names_fit_their_column():
    root = ET.fromstring(associations_svg([example("ganglia in the middle third", 0.01, 0.02)]))
    lines = [part.text for part in root.iter(f"{SVG}tspan")]
    assert lines == ["ganglia in the", "middle third"]
