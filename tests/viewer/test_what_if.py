"""What a changed design costs and equals, and what is known of its latency."""

from dataclasses import replace

import pytest

from sparx_nas.architecture import Architecture
from sparx_nas.cost import estimate
from sparx_nas.ground.errors import ArchitectureError, GraphError
from sparx_nas.trial.pareto import minimised, pareto_front
from sparx_nas.trial.values import Run
from sparx_nas.viewer.columns import run_columns, run_summary
from sparx_nas.viewer.what_if import changed, consequences, latency_of, read_architecture
from support.runs import OBJECTIVES, PUBLISHED, WIDTHS, trial, wirings

TARGET = {"image_size": 224, "num_classes": 1000, "in_chans": 3}
BASE = Architecture(graph=PUBLISHED, widths=WIDTHS)


def run_of(trials):
    points = [minimised([t.objectives[o.name] for o in OBJECTIVES], OBJECTIVES) for t in trials]
    return Run(
        name="made",
        path="runs/made",
        space="mamba_t",
        objectives=OBJECTIVES,
        trials=tuple(trials),
        front=tuple(trials[i] for i in pareto_front(points)),
        target=TARGET,
        config={},
        env={},
        status={"state": "finished"},
    )


def with_latency(number, graph, extra=0.0):
    made = trial(number, graph)
    macs, layers = made.cost["macs"], len(graph.ganglia)
    cost = {**made.cost, "activation_bytes": estimate(made.architecture).activation_bytes}
    ms = 1.5 + 2e-9 * macs + 0.3 * layers + extra
    objectives = {**made.objectives, "latency_ms": ms}
    return replace(made, objectives=objectives, cost=cost, device="a made GPU")


def test_operations_change_one_thing():
    once = changed(BASE, {"kind": "layer", "stage": 3, "layer": 1})
    assert set(once.graph.ganglia) ^ set(BASE.graph.ganglia) == {"3.1"}
    cut = changed(BASE, {"kind": "edge", "stage": 3, "source": 0, "target": 1})
    assert cut.widths == BASE.widths
    rule = {"kind": "rule", "stage": 3, "start": 8, "stride": 1, "window": None}
    assert not [name for name in changed(BASE, rule).graph.ganglia if name.startswith("3.")]
    wiring = {"kind": "wiring", "ganglia": {"4.2": ["4.0"]}}
    assert changed(BASE, wiring).graph.ganglia == {"4.2": ("4.0",)}


@pytest.mark.parametrize(
    "operation",
    [
        None,
        {"kind": "nothing"},
        {"kind": "layer", "stage": "3", "layer": 1},
        {"kind": "layer", "stage": True, "layer": 1},
        {"kind": "rule", "stage": 3, "start": 1, "stride": 1, "window": 1, "density": "x"},
        {"kind": "rule", "stage": 3, "start": 1, "stride": 1, "window": 0},
        {"kind": "wiring", "ganglia": {"9.9": ["9.0"]}},
        {"kind": "wiring", "ganglia": []},
    ],
)
def test_what_is_no_operation_is_said(operation):
    with pytest.raises(GraphError):
        changed(BASE, operation)


def test_consequences_are_exact_and_name_the_same_design():
    trials = [trial(i, graph) for i, graph in enumerate([PUBLISHED, *wirings(4)])]
    found = consequences(run_of(trials), BASE, TARGET)
    counted = estimate(BASE, **TARGET)
    assert found["cost"] == {
        "params": counted.params,
        "macs": counted.macs,
        "activation_bytes": counted.activation_bytes,
    }
    assert found["same_as"] == 0
    assert found["same_words"].startswith("Same design as trial 0 (")
    assert [rule["changes"] for rule in found["rules"]] == [0, 0, 0, 0]
    other = changed(BASE, {"kind": "layer", "stage": 1, "layer": 1})
    assert consequences(run_of(trials), other, TARGET)["same_as"] is None


def test_latency_is_measured_or_predicted_and_says_which():
    trials = [with_latency(i, graph) for i, graph in enumerate(wirings(20))]
    known = latency_of(trials, trials[3].architecture, estimate(trials[3].architecture))
    assert known is not None
    assert known.error is None
    assert "measured in trial 3 on a made GPU" in known.words()
    expected = with_latency(99, PUBLISHED).objectives["latency_ms"]
    guess = latency_of(trials, BASE, estimate(BASE))
    assert guess is not None
    assert guess.error is not None
    assert guess.ms == pytest.approx(expected, rel=0.02)
    assert "predicted ±" in guess.words()
    assert latency_of(trials[:7], BASE, estimate(BASE)) is None


def test_a_prediction_s_error_covers_what_it_misses():
    noise = [0.4 if i % 2 else -0.4 for i in range(24)]
    trials = [with_latency(i, g, noise[i]) for i, g in enumerate(wirings(24))]
    guess = latency_of(trials, BASE, estimate(BASE))
    assert guess is not None
    assert guess.error is not None
    assert 0.3 < guess.error < 0.8


@pytest.mark.parametrize("value", [None, [], "x", {"schema": 2}, {"schema": 1}])
def test_what_is_no_architecture_is_said(value):
    with pytest.raises(ArchitectureError, match="page"):
        read_architecture(value, "page")


def test_an_edited_wiring_is_read_whatever_id_was_sent_along():
    sent = BASE.to_dict() | {"ganglia": {"4.2": ["4.0"]}}
    assert read_architecture(sent, "page").graph.ganglia == {"4.2": ("4.0",)}


def test_columns_tell_every_trial_and_each_wiring_once():
    graphs = wirings(5)
    trials = [trial(i, graphs[i % 5]) for i in range(12)]
    trials[7] = replace(trials[7], state="failed", objectives={}, top1=None)
    trials[8] = replace(trials[8], number=-1, source="viewer")
    told = run_columns(run_of([t for t in trials if t.objectives]))
    assert len(told["wirings"]["id"]) == 5
    assert len(told["number"]) == 11
    assert told["sources"] == {"-1": "viewer"}
    everything = replace(run_of(trials[:7]), trials=tuple(trials))
    columns = run_columns(everything)
    assert columns["measures"]["top1"][7] is None
    assert columns["partial"] == {"7": [6, columns["partial"]["7"][1]]}
    assert [columns["state"]["words"][c] for c in columns["state"]["codes"]][7] == "failed"
    said = run_summary(everything)
    assert said["trials"] == 12
    assert said["wirings"] == 5
