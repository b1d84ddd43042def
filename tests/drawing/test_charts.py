import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import pytest

from sparx_nas.drawing.axes import nice_ticks, tick_labels
from sparx_nas.drawing.charts import curves_svg, front_svg, marks
from sparx_nas.drawing.labels import Box, Wish, around, place_labels
from sparx_nas.trial.values import Objective
from support import runs

SVG = "{http://www.w3.org/2000/svg}"
TOP1, MACS = runs.OBJECTIVES


def points(run):
    return marks(run.trials, {t.number for t in run.front}, MACS, TOP1)


def test_every_trial_with_a_cost_is_one_point():
    run = runs.full_run()
    root = ET.fromstring(front_svg(points(run), MACS, TOP1))
    drawn = sorted(int(p.get("data-trial")) for p in root.iter(f"{SVG}path") if p.get("data-trial"))
    states = ("complete", "infeasible")
    inside = [t.number for t in run.trials if t.state in states]
    assert drawn == inside


def test_points_lead_where_the_links_say():
    run = runs.full_run()
    root = ET.fromstring(front_svg(points(run), MACS, TOP1, links={3: "#wiring-3"}))
    (link,) = root.iter(f"{SVG}a")
    assert link.get("href") == "#wiring-3"
    assert link.find(f"{SVG}path").get("data-trial") == "3"


def test_baselines_differ_in_shape_and_are_named():
    run = runs.full_run()
    root = ET.fromstring(front_svg(points(run), MACS, TOP1))
    texts = {element.text for element in root.iter(f"{SVG}text")}
    assert {"sparx", "plain", "dense"} <= texts
    paths = {p.get("data-trial"): p for p in root.iter(f"{SVG}path")}
    assert len({paths[n].get("d").count("L") for n in "012"}) == 3


@pytest.mark.parametrize("direction", ["min", "max"])
def test_the_step_line_passes_no_feasible_point_that_is_better(direction):
    run = runs.full_run()
    x = Objective(name="macs", direction=direction)
    root = ET.fromstring(front_svg(points(run), x, TOP1))
    step = next(p for p in root.iter(f"{SVG}path") if p.get("class") == "sx-step")
    corners = [tuple(map(float, c.split())) for c in step.get("d")[1:].split("L")]
    for (x1, y1), (x2, y2) in pairwise(corners):
        assert x1 == x2 or y1 == y2
    rising = [y for _, y in corners]
    assert rising == sorted(rising, reverse=direction == "min")


def test_nothing_to_draw_is_an_empty_chart():
    assert front_svg([], MACS, TOP1) == ""
    assert curves_svg([]) == ""


def test_a_single_point_and_a_value_that_is_no_number():
    only = runs.trial(0, runs.PUBLISHED)
    broken = replace(only, number=1, objectives={"top1": float("nan"), "macs": 1e9})
    found = marks([only, broken], {0}, MACS, TOP1)
    assert [mark.number for mark in found] == [0]
    ET.fromstring(front_svg(found, MACS, TOP1))


def test_curves_draw_every_trial_with_epochs():
    run = runs.full_run()
    root = ET.fromstring(curves_svg(run.trials, {t.number for t in run.front}))
    drawn = {int(p.get("data-trial")) for p in root.iter(f"{SVG}path") if p.get("data-trial")}
    assert drawn == {t.number for t in run.trials if t.epochs}


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (3.2e9, 5.6e9), (0.8531, 0.8547), (1, 2), (-3, 7)]
)
def test_ticks_are_few_and_inside(low, high):
    ticks = nice_ticks(low, high)
    assert 3 <= len(ticks) <= 10
    assert all(low - 1e-9 <= tick <= high * (1 + 1e-9) for tick in ticks)


def test_tick_labels_share_a_prefix():
    assert tick_labels("macs", [4e9, 4.5e9]) == ["4.0 G", "4.5 G"]
    assert tick_labels("params", [20e6, 27e6]) == ["20 M", "27 M"]
    assert tick_labels("top1", [0.85, 0.9]) == ["85 %", "90 %"]
    assert tick_labels("activation_bytes", [1e9]) == ["1 GB"]


def test_labels_cover_neither_each_other_nor_points():
    spots = [(20.0 * i, 100.0 + (i % 3) * 6) for i in range(1, 20)]
    wishes = [Wish(f"#{i}", x, y) for i, (x, y) in enumerate(spots)]
    obstacles = [around(x, y, 6) for x, y in spots]
    placed = place_labels(wishes, obstacles, Box(0, 0, 420, 220))
    boxes = [box for _, box in placed]
    assert len(boxes) > 8
    for i, box in enumerate(boxes):
        assert not any(box.covers(other) for other in boxes[:i] + obstacles)
