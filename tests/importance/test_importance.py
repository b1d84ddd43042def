"""The importance of edges: three measures, and whether they agree."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

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
from support.architectures import EDGES, WIRING, micro


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


def test_the_error_of_a_loss_is_that_of_its_mean_over_the_images():
    model = network(micro())
    found, batches = ganglia(model, micro()), images(model)
    whole, edges = measure(model, found, batches)
    with scaled(found[0], 0, 0):
        without = outcome(model, batches)
    changes = torch.tensor(without.nlls) - torch.tensor(whole.nlls)
    assert len(changes) == whole.images > 1
    assert edges[0].ablation_nll == pytest.approx(float(changes.mean()), rel=1e-4, abs=1e-6)
    error = float(changes.std() / len(changes) ** 0.5)
    assert edges[0].ablation_nll_error == pytest.approx(error, rel=1e-3, abs=1e-7)


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
