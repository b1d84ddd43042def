"""Files handed over say shapes and costs of the target, whatever its image size."""

import json

import networkx
import pytest

from sparx_nas.architecture import Architecture
from sparx_nas.cost import estimate
from sparx_nas.drawing.exports import EXPORTS
from sparx_nas.drawing.markup import TIMES
from sparx_nas.ground.errors import ArchitectureError
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


@pytest.mark.parametrize(
    ("kind", "name"), [("json", "a.json"), ("yaml", "a.yaml"), ("yaml", "a.yml")]
)
def test_what_is_exported_is_loaded_again(tmp_path, kind, name):
    path = tmp_path / name
    path.write_text(EXPORTS[kind].write(DESIGN, "A design", TARGET))
    assert Architecture.load(path) == DESIGN


def test_a_mistake_in_yaml_is_told_with_its_line(tmp_path):
    path = tmp_path / "a.yaml"
    text = EXPORTS["yaml"].write(DESIGN, "A design", TARGET)
    path.write_text(text.replace("norm: batchnorm2d", "norm: 010") + "drop: yes\n")
    with pytest.raises(ArchitectureError, match=r"a\.yaml"):
        Architecture.load(path)
    path.write_text("widths: [64, 0128]\n")
    with pytest.raises(ArchitectureError, match=r"a\.yaml:1: .*base 8"):
        Architecture.load(path)
