"""`sparx-nas importance`: the three measures, whether they agree, the record, the command."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest
import run_store_runs
import torch
from run_store_runs import asked, finished, new_run, new_study
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

from sparx_nas import data as data_package
from sparx_nas.architecture import Architecture
from sparx_nas.data import DataSet, open_data
from sparx_nas.errors import RunError
from sparx_nas.graph import ConnectivityGraph
from sparx_nas.importance import __main__ as command
from sparx_nas.importance import trained
from sparx_nas.importance.agreement import (
    Agreement,
    agreements,
    comparable,
    interval,
    sentence,
    spearman,
)
from sparx_nas.importance.ganglia import ganglia, scaled
from sparx_nas.importance.measures import POINTWISE, gradient, mass, measure, outcome
from sparx_nas.models import build
from sparx_nas.run_store import (
    importance_path,
    read_importance,
    weights_path,
    write_importance,
    write_status,
)

WIRING = {"2.2": ["2.0", "2.1"], "3.3": ["3.0", "3.1", "3.2"], "3.4": ["3.2", "3.3"]}
EDGES = {(source, target) for target, sources in WIRING.items() for source in sources}


def micro(ganglia=WIRING, **settings) -> Architecture:
    """Return a network of 8 layers whose stage input stands between the others in a context."""
    graph = ConnectivityGraph.from_ganglia([1, 2, 4, 1], ganglia)
    return Architecture(
        graph=graph, widths=(8, 8, 12, 16), stage_inputs=("window",) * 4, **settings
    )


def network(architecture, *, dtype=torch.float32, **options):
    """Build a network in which everything has its say: weights much larger than at the start."""
    torch.manual_seed(3)
    model = build(architecture, 10, in_chans=1, stem_stride=2, backend="torch", **options)
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            torch.nn.init.normal_(parameter, std=1.5 * parameter[0].numel() ** -0.5)
    return model.to(dtype).eval()


def images(model, *, count=24):
    """Return batches whose labels are what the network says of them."""
    dtype = next(model.parameters()).dtype
    x = torch.randn(count, 1, 16, 16, generator=torch.Generator().manual_seed(1), dtype=dtype)
    with torch.no_grad():
        labels = model(x).argmax(1)
    half = count // 2
    return [(x[:half], labels[:half]), (x[half:], labels[half:])]


def columns_of(ganglion, source):
    """Return the weights of d_proj's 1x1 map that read a source."""
    C, i = ganglion.width, ganglion.sources.index(source)
    return ganglion.op.d_proj[POINTWISE].weight[:, i * C : (i + 1) * C]


@pytest.fixture(scope="module")
def measured():
    architecture = micro()
    model = network(architecture)
    return measure(model, ganglia(model, architecture), images(model))


def test_the_edges_are_those_of_the_graph_in_the_order_of_the_context(measured):
    _, edges = measured
    assert {(edge.source, edge.target) for edge in edges} == EDGES
    assert len(edges) == len(EDGES)
    assert [e.source for e in edges if e.target == "3.3"] == ["3.1", "3.2", "3.0"]


def test_a_slice_is_the_map_of_the_source_it_is_named_after():
    architecture = micro()
    model = network(architecture)
    maps, contexts = {}, {}

    def keep(into, name):
        return lambda module, inputs, out: into.update({name: out if into is maps else inputs[0]})

    for i, stage in enumerate(model.layers):
        for layer, block in enumerate(stage.blocks, 1):
            block.register_forward_hook(keep(maps, f"{i + 1}.{layer}"))
        stage.downsample.register_forward_hook(keep(maps, f"{i + 2}.0"))
    found = ganglia(model, architecture)
    for ganglion in found:
        ganglion.op.d_norm.register_forward_hook(keep(contexts, ganglion.name))
    images(model)
    for ganglion in found:
        slices = contexts[ganglion.name].split(ganglion.width, dim=1)
        for source, part in zip(ganglion.sources, slices, strict=True):
            torch.testing.assert_close(part, maps[source], rtol=0, atol=0)


def test_shares_sum_to_one_in_every_ganglion(measured):
    _, edges = measured
    for target in WIRING:
        for name in ("mass", "gradient"):
            shares = [getattr(edge, name) for edge in edges if edge.target == target]
            assert sum(shares) == pytest.approx(1)
            assert min(shares) > 0


def test_all_images_count_and_all_are_right(measured):
    whole, edges = measured
    assert (whole.correct, whole.images) == (24, 24)
    for edge in edges:
        assert 0 <= edge.ablation_top1 <= 1
        assert edge.ablation_top1 * 24 == pytest.approx(round(edge.ablation_top1 * 24))


@pytest.mark.parametrize("source", ["3.0", "3.1", "3.2"])
def test_a_source_that_nothing_reads_has_no_importance(source):
    architecture = micro()
    model = network(architecture)
    found = ganglia(model, architecture)
    ganglion = next(g for g in found if g.name == "3.3")
    with torch.no_grad():
        columns_of(ganglion, source).zero_()
    _, edges = measure(model, found, images(model))
    for edge in edges:
        values = (edge.mass, edge.gradient_raw, edge.ablation_top1, edge.ablation_nll)
        if (edge.source, edge.target) == (source, "3.3"):
            assert values == (0, 0, 0, 0)
        else:
            assert edge.mass > 0
            assert edge.gradient_raw > 0
            assert edge.ablation_nll != 0


@pytest.mark.parametrize("source", ["3.0", "3.1", "3.2"])
def test_where_one_source_matters_it_comes_first_by_every_measure(source):
    architecture = micro({"3.3": WIRING["3.3"]})
    model = network(architecture)
    found = ganglia(model, architecture)
    with torch.no_grad():
        for other in set(found[0].sources) - {source}:
            columns_of(found[0], other).mul_(1e-3)
        # Loud enough that images change their class when it falls silent.
        found[0].op.out_proj.weight.mul_(10)
    whole, edges = measure(model, found, images(model))
    assert whole.top1 == 1
    for name in ("mass", "gradient", "ablation_top1", "ablation_nll"):
        first = max(edges, key=lambda edge, name=name: getattr(edge, name))
        assert first.source == source, name


def test_a_network_that_reads_nothing_shares_nothing_out():
    architecture = micro({"2.2": ["2.1"]})
    model = network(architecture)
    found = ganglia(model, architecture)
    with torch.no_grad():
        found[0].op.d_proj[POINTWISE].weight.zero_()
    _, (edge,) = measure(model, found, images(model))
    assert (edge.mass, edge.gradient) == (0, 0)


def test_gradient_is_how_fast_the_loss_moves_as_the_slice_is_scaled():
    architecture = micro()
    model = network(architecture, dtype=torch.float64)
    found = ganglia(model, architecture)
    batches = images(model)
    x, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    small = 1e-5

    def losses(ganglion, source, factor):
        with torch.no_grad(), scaled(ganglion, source, factor):
            return cross_entropy(model(x), labels, reduction="none")

    for ganglion, values in zip(found, gradient(model, found, batches), strict=True):
        for i, value in enumerate(values):
            ends = [losses(ganglion, i, 1 + sign * small) for sign in (1, -1)]
            slope = (ends[0] - ends[1]) / (2 * small)
            assert float(value) == pytest.approx(float(slope.abs().mean()), rel=1e-5)


@pytest.mark.parametrize("reduction", [1, 4])
def test_mass_is_the_attention_written_out(reduction):
    architecture = micro({"3.3": WIRING["3.3"]}, reductions=(reduction,) * 4)
    model = network(architecture)
    (ganglion,) = ganglia(model, architecture)
    op, C = ganglion.op, ganglion.width
    batches = images(model)
    seen = {}
    handles = [
        getattr(op, name).register_forward_hook(
            lambda module, inputs, out, name=name: seen.setdefault(name, []).append(out.detach())
        )
        for name in ("q", "k")
    ]
    (found,) = mass(model, [ganglion], batches)
    for handle in handles:
        handle.remove()
    q, k = (torch.cat(seen[name]).flatten(2) for name in ("q", "k"))
    expected = torch.zeros(len(ganglion.sources))
    norm = op.v[1]
    group = C // 4
    for channel in range(C):
        start = channel - channel % group
        rows = [q[:, r] for r in range(start, start + group)]
        total = torch.zeros(len(q))
        for row in rows:
            scores = torch.stack(
                [(row * k[:, c]).sum(1) for c in range(start, start + group)], dim=1
            )
            total += torch.softmax(scores / math.sqrt(q.shape[2]), 1)[:, channel - start]
        scale = norm.weight[channel].abs() / torch.sqrt(norm.running_var[channel] + norm.eps)
        for inner in range(C):
            path = scale * op.v[0].weight[channel, inner, 0, 0].abs()
            read = op.d_proj[POINTWISE].weight[C + inner, :, 0, 0].abs()
            for i in range(len(expected)):
                expected[i] += (total / group).sum() * path * read[i * C : (i + 1) * C].sum()
    torch.testing.assert_close(found, expected.detach())


def test_measuring_leaves_the_network_as_it_was():
    architecture = micro()
    model = network(architecture)
    batches = images(model)
    before = outcome(model, batches)
    measure(model, ganglia(model, architecture), batches)
    assert outcome(model, batches) == before
    assert not any(module._forward_hooks for module in model.modules())


def test_spearman_by_hand():
    assert spearman([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1)
    assert spearman([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    # 1 - 6 * sum of squared differences of ranks / (n (n^2 - 1))
    assert spearman([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) == pytest.approx(1 - 6 * 4 / 120)
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4.
    assert spearman([0, 7, 7, 9], [1, 2, 3, 4]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    assert spearman([1, 1, 1, 1], [1, 2, 3, 4]) is None


@pytest.mark.parametrize("n", [4, 5, 12, 100])
@pytest.mark.parametrize("correlation", [-1.0, -0.4, 0.0, 0.9, 1.0])
def test_an_interval_holds_its_value_and_narrows(correlation, n):
    low, high = interval(correlation, n)
    assert -1 <= low <= correlation <= high <= 1
    assert low < high
    wider = interval(correlation, n - 1) if n > 4 else (-1, 1)
    assert high - low < wider[1] - wider[0]


def test_an_only_source_says_nothing_of_mass_and_shares_are_made_comparable(measured):
    _, edges = measured
    alone = replace(edges[0], source="4.0", target="4.1", mass=1.0, gradient=1.0)
    values = comparable([*edges, alone])
    assert values["mass"][-1] is None
    assert values["mass"][:2] == [2 * edge.mass for edge in edges[:2]]
    assert [pair.n for pair in agreements(values)] == [7, 7, 8]


def agreement(spearman, low, high, n=20):
    return Agreement(measures=("mass", "gradient"), spearman=spearman, low=low, high=high, n=n)


def test_the_sentence_says_no_more_than_is_known():
    few = agreements({"mass": [1.0, 2.0], "gradient": [1.0, 2.0], "ablation_nll": [3.0, 4.0]})
    assert all(pair.spearman is None for pair in few)
    assert sentence(few).startswith("Whether the measures agree cannot be told from 2 edges")
    strong, weak = agreement(0.9, 0.7, 0.95), agreement(0.4, 0.1, 0.7)
    chance, opposed = agreement(0.3, -0.2, 0.6), agreement(-0.6, -0.8, -0.2)
    assert sentence([weak] * 3).startswith("The three measures agree weakly: mass and gradient 0.4")
    assert sentence([strong] * 3).startswith("The three measures agree strongly")
    assert sentence([opposed] * 3).startswith("The three measures contradict each other")
    assert sentence([opposed, chance, chance]).startswith("The three measures contradict")
    assert sentence([chance] * 3).startswith("It cannot be told whether the measures agree")
    assert sentence([strong, chance, weak]).startswith("The three measures agree in part")
    constant = agreements({"mass": [1.0] * 5, "gradient": [1.0, 2.0, 3.0, 4.0, 5.0]})
    assert "one is the same for all" in sentence(constant)


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return open_data("digits", data_dir=None, image_size=16, seed=run_store_runs.FIDELITY.seed)


@pytest.fixture
def run(tmp_path, monkeypatch, digits):
    """Make a run: trial 0 trained, 1 without weights, 2 without ganglia, 3 cut short."""
    fidelity = replace(run_store_runs.FIDELITY, data_id=digits.data_id, width=1.0)
    monkeypatch.setattr(run_store_runs, "FIDELITY", fidelity)
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
        "fidelity": run_store_runs.FIDELITY.to_dict(),
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
