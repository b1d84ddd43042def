import json
import runpy
from dataclasses import replace

import pytest

import sparx_nas
from sparx_nas.architecture import Architecture
from sparx_nas.architecture.network import Network, Preprocessing
from sparx_nas.ground.errors import RunError
from sparx_nas.run_store import CURVES, load_run, log_test, prune_weights, weights_path, write_best
from support import runs


@pytest.fixture
def path(tmp_path):
    """A run of the published design, plain, dense and a few found."""
    path = runs.new_run(tmp_path)
    study = runs.new_study(path)
    accuracies = {"sparx": 0.8, "plain": 0.7, "dense": 0.95}
    for name, architecture in runs.SPACE.baselines.items():
        runs.finished(path, study, architecture, accuracies[name], baseline=name)
    for index, architecture in enumerate(runs.distinct(3)):
        runs.finished(path, study, architecture, 0.6 + index / 100)
    return path


def said(path):
    """Return the words of the README, however they are wrapped."""
    return " ".join((path / "best" / "README.md").read_text().split())


def test_best_is_the_most_accurate_that_costs_no_more_than_the_published(path):
    run = load_run(path)
    trial = write_best(path, run)
    assert trial.baseline == "sparx"
    assert trial.top1 < run.front[0].top1
    words = said(path)
    assert "cost no more than the published design" in words

    assert "validation top-1 80.0 % (95 % interval 75.5 to 83.8 %)" in words
    assert "test top-1: not measured yet" in words
    assert "num_classes=10, in_chans=1)" in words
    log_test(path / CURVES, trial.number, correct=[288], images=360)
    write_best(path, load_run(path))
    assert "test top-1 80.0 % (95 %" in said(path)


def test_best_of_all_when_nothing_is_as_cheap_or_nothing_is_published(path):
    run = load_run(path)
    published = run.trials[0]
    cheap = replace(published, cost={"macs": 1.0}, objectives={"top1": 0.1, "macs": 1.0})
    trial = write_best(path, replace(run, trials=(cheap, *run.trials[1:])))
    assert trial.top1 == 0.95
    words = said(path)
    assert "costs as little as the published design" in words
    assert "the published design has 1" in words
    assert write_best(path, replace(run, trials=run.trials[1:])).top1 == 0.95
    assert "not trained in this run" in said(path)


def test_there_is_no_best_without_a_front(tmp_path):
    path = runs.new_run(tmp_path)
    assert write_best(path, load_run(path)) is None
    assert not (path / "best").exists()


def test_the_snippet_builds_the_trained_network_with_its_weights(path):
    import torch
    from safetensors.torch import save_file

    from sparx_nas.models import load_network

    run = load_run(path)
    chosen = write_best(path, run)
    fidelity = chosen.fidelity
    settings = {"in_chans": 1, "width": fidelity.width, "stem_stride": fidelity.stem_stride}
    torch.manual_seed(0)
    model = sparx_nas.build(chosen.architecture, num_classes=10, **settings)
    file = weights_path(path, chosen.architecture.id)
    file.parent.mkdir()
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, file)
    write_best(path, run)
    prune_weights(path, run, "none")
    write_best(path, run)
    assert not file.exists()
    folder = path / "best"
    assert Architecture.load(folder / "arch.json") == chosen.architecture
    assert sorted(entry.name for entry in folder.iterdir()) == [
        "README.md",
        "arch.json",
        "config.json",
        "load.py",
        "model.safetensors",
    ]
    loaded, network = load_network(folder)
    assert network.architecture == chosen.architecture
    assert all(
        torch.equal(value, loaded.state_dict()[k]) for k, value in model.state_dict().items()
    )
    again = runpy.run_path(str(folder / "load.py"))["model"]
    assert not again.training
    assert again(torch.zeros(2, 1, 16, 16)).shape == (2, 10)
    loaded = again.state_dict()
    assert loaded.keys() == model.state_dict().keys()
    assert all(torch.equal(value, loaded[key]) for key, value in model.state_dict().items())


def test_weights_of_one_design_never_stand_beside_another(path):
    run = load_run(path)
    first = write_best(path, run)
    (path / "best" / "model.safetensors").write_bytes(b"weights of the first")
    write_best(path, run)
    assert "load_file" in (path / "best" / "load.py").read_text()
    rest = tuple(trial for trial in run.trials if trial.number != first.number)
    second = write_best(path, replace(run, trials=rest))
    assert second.architecture.id != first.architecture.id
    assert json.loads((path / "best" / "arch.json").read_text())["id"] == second.architecture.id
    assert not (path / "best" / "model.safetensors").exists()
    snippet = (path / "best" / "load.py").read_text()
    assert "load_file" not in snippet
    compile(snippet, "load.py", "exec")
    assert "weights were not kept" in said(path)


def test_config_tells_how_the_network_is_fed_and_how_good_it_is(path):
    run = load_run(path)
    trial = write_best(path, run)
    network = Network.load(path / "best")
    assert network.classes == tuple("0123456789")
    assert network.build_arguments == {
        "num_classes": 10,
        "in_chans": 1,
        "width": 0.5,
        "stem_stride": 2,
    }
    assert network.preprocessing == Preprocessing(image_size=(16, 16), mean=(0.3,), std=(0.4,))
    facts = network.facts
    assert facts["run"] == run.name
    assert facts["trial"] == trial.number
    assert facts["data"]["data_id"] == "0123456789abcdef"
    assert (facts["training"]["epochs_done"], facts["training"]["epochs"]) == (2, 2)
    assert facts["seed"] == 7
    assert facts["accuracy"].keys() == {"val"}
    assert facts["accuracy"]["val"]["correct"] == round(0.8 * 359)
    low, high = facts["accuracy"]["val"]["interval"]
    assert low < 0.8 < high
    log_test(path / CURVES, trial.number, correct=[288], images=360)
    write_best(path, load_run(path))
    assert Network.load(path / "best").facts["accuracy"]["test"]["top1"] == 0.8


@pytest.mark.parametrize("name", ["classes", "in_chans", "mean", "std"])
def test_missing_facts_of_the_data_are_named_and_nothing_is_written(path, name):
    run = load_run(path)
    data = {key: value for key, value in run.env["data"].items() if key != name}
    with pytest.raises(RunError, match=f"env.json: data has no '{name}'"):
        write_best(path, replace(run, env={"data": data}))
    assert not (path / "best").exists()


def test_a_run_that_does_not_know_its_data_is_named(path):
    run = load_run(path)
    with pytest.raises(RunError, match=r"env\.json: data"):
        write_best(path, replace(run, env={}))
