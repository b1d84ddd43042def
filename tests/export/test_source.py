"""What can be exported: a network's folder, a run's best/, a run; and what is said of the rest."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import sparx_nas
from sparx_nas.export.paths import refuse_local_paths
from sparx_nas.export.source import read_source
from sparx_nas.ground.errors import ArchitectureError, ExportError
from sparx_nas.run_store import load_run, weights_path, write_best
from support import export_networks as nets
from support import runs


@pytest.fixture
def run(tmp_path):
    """A run of the published design, its weights kept."""
    path = runs.new_run(tmp_path)
    study = runs.new_study(path)
    sparx = runs.SPACE.baselines["sparx"]
    runs.finished(path, study, sparx, 0.8, baseline="sparx")
    model = sparx_nas.build(sparx, num_classes=10, in_chans=1, width=0.5, stem_stride=2)
    file = weights_path(path, sparx.id)
    file.parent.mkdir()
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, file)
    write_best(path, load_run(path))
    return path, model.eval()


def test_a_run_stands_for_its_best(run):
    path, model = run
    x = torch.randn(2, 1, 16, 16)
    for folder in (path, path / "best"):
        source = read_source(folder)
        assert source.folder == path / "best"
        with torch.no_grad():
            assert torch.equal(source.model(x), model(x))
    assert source.network.facts["made_by"] == "search"


def test_a_best_of_before_config_json_is_read_from_its_run(run):
    path, _ = run
    new = read_source(path).network
    (path / "best" / "config.json").unlink()
    assert read_source(path).network == new
    assert not (path / "best" / "config.json").exists()
    arch = json.loads((path / "best" / "arch.json").read_text())
    (path / "best" / "arch.json").write_text(json.dumps(arch | {"id": "0" * 16}))
    with pytest.raises(ExportError, match="not of the design that its run chooses") as caught:
        read_source(path)
    assert "--resume" in caught.value.hint


def test_a_best_without_weights_says_how_to_get_some(run):
    path, _ = run
    (path / "best" / "model.safetensors").unlink()
    with pytest.raises(ExportError, match="nothing trained to export") as caught:
        read_source(path)
    assert "--keep-weights front" in caught.value.hint
    assert "by sparx-nas train" in caught.value.hint


def test_a_run_without_a_complete_trial(tmp_path):
    path = runs.new_run(tmp_path)
    with pytest.raises(ExportError, match="no trial of it is complete"):
        read_source(path)


def test_folders_that_are_no_network(tmp_path):
    with pytest.raises(ExportError, match="is not there"):
        read_source(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="is a file"):
        read_source(tmp_path / "file")
    with pytest.raises(ExportError, match=r"has no config\.json"):
        read_source(tmp_path)


def test_weights_of_another_network_are_named_by_their_folder(tmp_path):
    nets.saved(tmp_path, nets.network())
    nets.network("conv").save(tmp_path)
    with pytest.raises(ArchitectureError) as caught:
        read_source(tmp_path)
    assert f"{tmp_path}/model.safetensors does not fit {tmp_path}" in str(caught.value)


def test_paths_of_this_machine_stay_here(tmp_path):
    network = nets.network(facts={"data": {"source": str(tmp_path), "name": "x/y"}, "n": 1})
    nets.saved(tmp_path, network)
    told = read_source(tmp_path).network.facts
    assert told == {"data": {"source": tmp_path.name, "name": "x/y"}, "n": 1}


def test_a_folder_of_one_word_has_to_stand_by_itself(monkeypatch):
    monkeypatch.setattr(Path, "cwd", lambda: Path("/data"))
    for harmless in (b"model/data/weights", b"/database", b"x /data-1", b"./data/a"):
        refuse_local_paths("model.pt2", harmless)
    for telling in (b'"/data/mine.py"', b"\x05/data", b"in /data, line 3"):
        with pytest.raises(ExportError, match="would tell of /data,"):
            refuse_local_paths("model.pt2", telling)
    monkeypatch.setattr(Path, "cwd", lambda: Path("/data/mine"))
    with pytest.raises(ExportError):
        refuse_local_paths("model.pt2", b"A/data/mine")
