"""`sparx-nas importance`: what it measures, keeps and says, and what it refuses."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from sparx_nas import data as data_package
from sparx_nas.data import DataSet, open_data
from sparx_nas.ground.errors import RunError
from sparx_nas.importance import __main__ as command
from sparx_nas.importance import trained
from sparx_nas.models import build
from sparx_nas.run_store import read_importance, weights_path, write_importance, write_status
from sparx_nas.run_store.importance import importance_path
from support import runs
from support.architectures import EDGES, micro
from support.runs import asked, finished, new_run, new_study


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return open_data("digits", data_dir=None, image_size=16, seed=runs.FIDELITY.seed)


@pytest.fixture
def run(tmp_path, monkeypatch, digits):
    """Make a run: trial 0 trained, 1 without weights, 2 without ganglia, 3 cut short."""
    fidelity = replace(runs.FIDELITY, data_id=digits.data_id, width=1.0)
    monkeypatch.setattr(runs, "FIDELITY", fidelity)
    path = new_run(tmp_path)
    study = new_study(path)
    kept, plain = micro(), micro({})
    finished(path, study, kept, 0.8)
    finished(path, study, micro({"3.3": ["3.1"]}), 0.7)
    finished(path, study, plain, 0.6)
    asked(study, micro({"3.3": ["3.2"]}))
    write_status(path, state="finished")
    for architecture in (kept, plain):
        file = weights_path(path, architecture.id)
        file.parent.mkdir(exist_ok=True)
        torch.manual_seed(0)
        save_file(build(architecture, 10, in_chans=1, stem_stride=2).state_dict(), file)
    return path


def test_the_command_measures_and_keeps_the_record(run, capsys, digits, monkeypatch):
    read = []
    plain = DataSet.batches
    monkeypatch.setattr(
        DataSet,
        "batches",
        lambda self, split, *a, **k: (read.append(split), plain(self, split, *a, **k))[1],
    )
    opened = []
    monkeypatch.setattr(
        trained,
        "open_data",
        lambda *a, **k: opened.append(data_package.open_data(*a, **k)) or opened[-1],
    )
    words = [str(run), "--trial", "0", "--images", "60", "--device", "cpu"]
    assert command.main([*words, "--format", "json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert set(read) == {"val"}
    assert all("test" not in data.stores for data in opened)
    assert record == read_importance(run, micro().id)
    assert (record["schema"], record["kind"], record["split"]) == (1, "importance", "val")
    assert (record["trial"], record["images"], record["data"]) == (0, 60, "digits")
    assert record["fidelity"]["data_id"] == digits.data_id
    assert {(edge["source"], edge["target"]) for edge in record["edges"]} == EDGES
    assert [pair["measures"] for pair in record["agreement"]] == [
        ["mass", "gradient"],
        ["mass", "ablation_nll"],
        ["gradient", "ablation_nll"],
    ]
    assert command.main(words) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines()[:-1])) <= 80
    assert str(importance_path(run, micro().id)) in said
    costs = [float(line.split()[-1]) for line in said.splitlines() if " -> " in line]
    assert len(costs) == 7
    assert costs == sorted(costs, reverse=True)


def test_images_are_drawn_by_class_and_no_more_than_there_are(digits):
    device = torch.device("cpu")
    drawn = trained.validation_batches(digits, 100, seed=7, device=device)
    labels = torch.cat([labels for _, labels in drawn])
    assert len(labels) == 100
    assert labels.bincount(minlength=10).min() >= 9
    whole = trained.validation_batches(digits, 10**6, seed=7, device=device)
    assert sum(len(labels) for _, labels in whole) == digits.splits["val"]
    again = trained.validation_batches(digits, 100, seed=7, device=device)
    torch.testing.assert_close(again, drawn)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--trial", "9"], 4, ["has no trial 9", "can be measured: 0  ["]),
        (["--trial", "3"], 4, ["not trained", "interrupted"]),
        (["--trial", "1"], 4, ["were not kept", "--keep-weights all"]),
        (["--trial", "2"], 2, ["no ganglion layer"]),
        (["--trial", "0", "--images", "0"], 2, ["at least 1"]),
    ],
)
def test_what_cannot_be_measured_is_an_error_with_a_hint(run, capsys, words, code, told):
    assert command.main([str(run), *words]) == code
    said = capsys.readouterr().err
    for text in told:
        assert text in said
    assert not (run / "importance").exists()


def test_no_such_run(tmp_path, capsys):
    assert command.main([str(tmp_path / "none"), "--trial", "0"]) == 4
    assert "there is no run" in capsys.readouterr().err


def test_no_gpu(run, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command.main([str(run), "--trial", "0", "--device", "cuda"]) == 5
    assert "--device cpu" in capsys.readouterr().err


def test_other_data_than_the_run_had(run, capsys, monkeypatch, digits):
    monkeypatch.setattr(trained, "open_data", lambda *a, **k: replace(digits, data_id="f" * 16))
    assert command.main([str(run), "--trial", "0"]) == 4
    said = capsys.readouterr().err
    assert "the data changed" in said
    assert digits.data_id in said


def test_weights_of_another_network(run, capsys):
    file = weights_path(run, micro().id)
    save_file({"x": torch.zeros(1)}, file)
    assert command.main([str(run), "--trial", "0"]) == 4
    file.write_bytes(b"torn")
    assert command.main([str(run), "--trial", "0"]) == 4
    assert capsys.readouterr().err.count(str(file)) == 2


def record(**fields):
    """Return a whole record."""
    edge = {"source": "3.1", "target": "3.4", "mass": 0.5, "gradient": 1, "gradient_raw": 0.1}
    pair = {"measures": ["mass", "gradient"], "spearman": None, "low": None, "high": None, "n": 1}
    return {
        "schema": 1,
        "kind": "importance",
        "trial": 0,
        "architecture_id": "0123456789abcdef",
        "data": "digits",
        "split": "val",
        "images": 10,
        "device": "cpu",
        "top1": 0.5,
        "nll": 1.0,
        "fidelity": runs.FIDELITY.to_dict(),
        "edges": [{**edge, "ablation_top1": 0.0, "ablation_nll": -0.1}],
        "agreement": [pair],
        "says": "Nothing.",
    } | fields


def test_a_record_comes_back_as_it_was_written(tmp_path):
    name = record()["architecture_id"]
    assert read_importance(tmp_path, name) is None
    assert write_importance(tmp_path, record()) == importance_path(tmp_path, name)
    assert read_importance(tmp_path, name) == record()
    write_importance(tmp_path, record(images=20))
    assert read_importance(tmp_path, name) == record(images=20)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"schema": 2}, "schema 1"),
        ({"kind": "pareto"}, "not the importance"),
        ({"images": "many"}, "images is no int"),
        ({"nll": math.nan}, "nll is no float"),
        ({"edges": [{"source": "3.1"}]}, "edges[0].mass is missing"),
        ({"edges": [3]}, "edges[0] is no table"),
        ({"agreement": [{"measures": [], "n": 1, "low": "x"}]}, "agreement[0].low is no number"),
        ({"architecture_id": "fedcba9876543210"}, "of architecture fedcba"),
    ],
)
def test_a_record_that_was_edited_is_refused(tmp_path, wrong, told):
    file = importance_path(tmp_path, record()["architecture_id"])
    file.parent.mkdir()
    file.write_text(json.dumps(record(**wrong)))
    with pytest.raises(RunError) as caught:
        read_importance(tmp_path, record()["architecture_id"])
    assert str(file) in str(caught.value)
    assert told in str(caught.value)
    assert caught.value.hint


def test_help_loads_no_torch():
    code = (
        "import sys; from sparx_nas.__main__ import main\n"
        "try: main(['importance', '--help'])\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert "validation images" in done.stdout


def test_reading_a_record_loads_no_torch():
    code = (
        "import sys; from pathlib import Path\n"
        "from sparx_nas.run_store import read_importance\n"
        "read_importance(Path('none'), 'x'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
