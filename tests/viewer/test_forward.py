"""What is drawn is what the network's layers were handed, seen by hooks in its forward pass."""

import xml.etree.ElementTree as ET

import pytest

import sparx_nas
from sparx_nas.drawing.compare import compare_svg
from sparx_nas.drawing.matrix import matrix_svg
from sparx_nas.drawing.wiring import wiring_svg
from support.architectures import random_wiring, small
from support.networks import reads


def handed(design):
    """Return who reads whom in a network that was built."""
    model = sparx_nas.build(design, 5).eval()
    return {
        (f"{i}.{source}", f"{i}.{layer}")
        for i, stage in enumerate(reads(model), 1)
        for layer, sources in stage.items()
        for source in sources
    }


def edges(svg, **wanted):
    """Return the edges of a drawing whose data attributes are as wanted."""
    return {
        (e.get("data-source"), e.get("data-target"))
        for e in ET.fromstring(svg).iter()
        if all(e.get(f"data-{name}") in values for name, values in wanted.items())
    }


@pytest.mark.parametrize("seed", range(6))
def test_every_drawing_has_the_edges_that_the_forward_pass_reads(seed):
    a, b = small(random_wiring(seed)), small(random_wiring(seed + 50))
    truth, other = handed(a), handed(b)
    assert edges(wiring_svg(a), kind=("aggregate",)) == truth
    assert edges(matrix_svg(a), edge=("1",)) == truth
    mirrored = compare_svg(a, b)
    assert edges(half(mirrored, "a"), kind=("aggregate",)) == truth
    assert edges(half(mirrored, "b"), kind=("aggregate",)) == other


def half(svg, name):
    """Return one half of a comparison as a drawing of its own."""
    root = ET.Element("svg")
    root.extend(e for e in ET.fromstring(svg).iter() if e.get("data-half") == name)
    return ET.tostring(root, encoding="unicode")
