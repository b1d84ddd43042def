"""Colours of importance heed noise, and say of what they are shares."""

import pytest

from sparx_nas.drawing.paint import legend_items
from sparx_nas.drawing.wiring import wiring_svg
from sparx_nas.ground.quantities import Z95
from sparx_nas.viewer.importance import SHARED, UNKNOWN, importance_paint
from support import runs

DESIGN = runs.drawn(runs.PUBLISHED)
EDGES = [(source, layer) for layer, row in DESIGN.graph.ganglia.items() for source in row]
ERROR = 0.0017


def record(values, **fields):
    """Return the edges of a record whose cuts lose so many nats, over and over."""
    known = {"mass": 0.25, "gradient": 0.25, "ablation_nll_error": ERROR} | fields
    return [
        {"source": s, "target": t, "ablation_nll": values[i % len(values)]} | known
        for i, (s, t) in enumerate(EDGES)
    ]


def looks(paint):
    svg = wiring_svg(DESIGN, paint=paint)
    return [name for name in svg.split('"') if name.startswith("sx-aggregate ")]


def test_a_record_of_noise_alone_is_neutral_everywhere():
    paint = importance_paint(record([0.0017, -0.0012, 0.0005, 0.0]), "ablation", "plain")
    assert not paint.importance
    assert set(paint.neutral) == set(EDGES)
    assert not any("sx-share" in look for look in looks(paint))
    # One more is in the key.
    assert looks(paint).count("sx-aggregate sx-neutral") == len(EDGES) + 1
    assert any("noise" in words for words in legend_items(paint))
    assert not any(words.startswith("importance") for words in legend_items(paint))


def test_only_what_is_beyond_noise_has_a_share_and_shares_sum_to_one():
    bounds = Z95 * ERROR
    paint = importance_paint(record([bounds * 1.01, 0.3, bounds * 0.99, -0.3]), "ablation", "plain")
    beyond = {edge for i, edge in enumerate(EDGES) if i % 4 in (0, 1)}
    assert set(paint.importance) == beyond
    assert set(paint.neutral) == set(EDGES) - beyond
    assert sum(paint.importance.values()) == pytest.approx(1)


@pytest.mark.parametrize("measure", SHARED)
def test_the_key_says_of_what_the_shares_are(measure):
    paint = importance_paint(record([0.3, 0.1]), measure, "plain")
    (first,) = [words for words in legend_items(paint) if words.startswith("importance up to")]
    assert first.endswith(f"% of {SHARED[measure]}")


def test_a_record_that_does_not_know_its_noise_says_so_and_shows_no_shares():
    edges = record([0.3])
    for edge in edges:
        del edge["ablation_nll_error"]
    paint = importance_paint(edges, "ablation", "plain")
    assert not paint.importance
    assert UNKNOWN in legend_items(paint)
    assert importance_paint(edges, "mass", "plain").importance
