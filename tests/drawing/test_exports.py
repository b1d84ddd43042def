"""Files handed over say shapes and costs of the target, whatever its image size."""

import json

import networkx
import pytest

from sparx_nas.architecture import Architecture
from sparx_nas.cost import estimate
from sparx_nas.drawing.exports import EXPORTS
from sparx_nas.drawing.markup import TIMES
from support import runs

TARGET = {"image_size": 96, "num_classes": 5, "in_chans": 3}
DESIGN = Architecture(graph=runs.PUBLISHED, widths=runs.WIDTHS)


@pytest.mark.parametrize("kind", ["svg", "graph", "py"])
def test_the_target_is_the_one_that_is_given(kind):
    text = EXPORTS[kind].write(DESIGN, "A design", TARGET)
    if kind == "svg":
        assert f"64 channels, 24 {TIMES} 24 at 96 px" in text.replace("\u00a0", " ")
        assert "224 px" not in text
    elif kind == "graph":
        graph = networkx.node_link_graph(json.loads(text), edges="edges")
        assert graph.graph["image_height"] == graph.graph["image_width"] == 96
        assert graph.nodes["1.0"]["height"] == 24
        layers = sum(macs for _, macs in graph.nodes(data="macs"))
        assert layers < estimate(DESIGN, **TARGET).macs < 2 * layers
    else:
        assert "sparx_nas.build(architecture, num_classes=5, in_chans=3)" in text
