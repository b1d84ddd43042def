"""The network against values of the official one: names, outputs, gradients, statistics."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from support import parity

FORWARD = parity.names(("t", "s", "b", "x_"))
GRADIENT = parity.names(("t_grad32", "t_grad64", "g_", "t_train", "tr_"))


def test_there_is_something_to_compare_with():
    assert (len(FORWARD), len(GRADIENT)) == (27, 10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_maps_of_the_segmentation_backbone(dtype):
    """Its state dict is the classifier's, with norms of the maps in the classifier's place."""
    case, classifier = parity.load("t_backbone"), parity.load("t")
    net = case.network().to(dtype)
    names = [[n, list(t.shape)] for n, t in net.state_dict().items()]
    shared = [entry[:2] for entry in classifier.about["manifest"] if "classifier" not in entry[0]]
    assert names == shared + case.about["state_dict_extra"]
    with torch.no_grad():
        maps = net(case.images(dtype))
    assert [list(m.shape) for m in maps] == case.about["outputs"]
    for i, found in enumerate(maps):
        reference = case.values[f"out{i}"]
        assert parity.difference(found, reference) <= parity.TOLERANCE[dtype], i


@pytest.mark.parametrize("name", FORWARD)
def test_state_dict_and_outputs(name):
    """One test for both precisions: drawing 84 million weights is what takes the time."""
    case = parity.load(name)
    net = case.network()
    assert_state_dict(net, case)
    for dtype in (torch.float32, torch.float64):
        assert_outputs(net.to(dtype), case, dtype)


@pytest.mark.parametrize("name", GRADIENT)
def test_gradients_and_training_statistics(name):
    case = parity.load(name)
    filled = case.network()
    for dtype in (torch.float32, torch.float64):
        net, images = deepcopy(filled).to(dtype), case.images(dtype).requires_grad_()
        logits, tolerance = net(images), parity.TOLERANCE[dtype]
        (logits * parity.loss_weights(logits)).sum().backward()
        assert parity.difference(logits.detach(), case.values["logits"]) <= tolerance
        if "input_grad" in case.values:
            assert parity.difference(images.grad, case.values["input_grad"]) <= tolerance
        assert_gradients(net, case.values, tolerance)
        if "bn_names" in case.values:
            assert_statistics(net, case.values, tolerance)


def assert_state_dict(net, case):
    """Compare names, shapes, types, kinds and order, and that the weights are the fixture's."""
    parameters, state = dict(net.named_parameters()), net.state_dict()
    got = [
        [
            name,
            list(tensor.shape),
            str(tensor.dtype).removeprefix("torch."),
            "param" if name in parameters else "buffer",
        ]
        for name, tensor in state.items()
    ]
    assert got == case.about["manifest"]
    sums = case.values["param_sum_sumsq"]
    for (name, tensor), (total, squares) in zip(state.items(), sums, strict=True):
        wide = tensor.double()
        assert wide.sum().item() == pytest.approx(total, rel=1e-9, abs=1e-9), name
        assert wide.square().sum().item() == pytest.approx(squares, rel=1e-9), name


def assert_outputs(net, case, dtype):
    """Compare logits, values within every output, and statistics of the stages."""
    values, tolerance, outputs = case.values, parity.TOLERANCE[dtype], {}
    handles = [
        module.register_forward_hook(lambda _, __, out, name=name: outputs.update({name: out}))
        for name, module in net.named_modules()
        if name in values["probe_names"] or name.endswith(".downsample")
    ]
    with torch.no_grad():
        logits = net(case.images(dtype))
    for handle in handles:
        handle.remove()
    for name, reference in zip(values["probe_names"], values["probes"], strict=True):
        assert parity.difference(parity.probe(outputs[name]), reference) <= tolerance, name
    assert parity.difference(logits, values["logits"]) <= tolerance
    if "stem_mean_std" in values:
        assert_stage_statistics(net, outputs, values, tolerance)


def assert_stage_statistics(net, outputs, values, tolerance):
    """Compare mean and standard deviation of stem, stages and downsamplings."""
    ends = [f"layers.{i}.blocks.{len(s.blocks) - 1}" for i, s in enumerate(net.layers)]
    places = ["patch_embed", *ends, *(f"layers.{i}.downsample" for i in range(len(net.layers)))]
    stem, stages, downs = (
        values[key].reshape(-1, 2)
        for key in ("stem_mean_std", "stage_mean_std", "stage_down_mean_std")
    )
    for place, (mean, std) in zip(places, [*stem, *stages, *downs], strict=True):
        out = outputs[place].double()
        assert abs(out.mean().item() - mean) <= tolerance * std, place
        assert abs(out.std(correction=0).item() - std) <= tolerance * std, place


def assert_gradients(net, values, tolerance):
    """Compare norms; those that vanish are measured against the others."""
    least = 1e-2 * np.median(values["param_grad_norm"])
    parameters = dict(net.named_parameters())
    assert list(parameters) == values["param_names"].tolist()
    for (name, parameter), norm in zip(parameters.items(), values["param_grad_norm"], strict=True):
        apart = abs(parameter.grad.double().norm().item() - norm)
        assert apart <= tolerance * (norm + least), name
    heads = values.get("param_grad_head", ())
    for parameter, norm, head in zip(
        parameters.values(), values["param_grad_norm"], heads, strict=False
    ):
        first = parameter.grad.double().flatten()[:4].numpy()
        typical = norm / parameter.numel() ** 0.5 + least
        assert np.abs(first - head[: first.size]).max() <= 10 * tolerance * typical


def assert_statistics(net, values, tolerance):
    """Compare sums and sums of squares of BatchNorm's buffers."""
    state = net.state_dict()
    for name, (total, squares) in zip(values["bn_names"], values["bn_sum_sumsq"], strict=True):
        buffer = state[name].double()
        got = buffer.square().sum().item()
        assert got == pytest.approx(squares, rel=tolerance, abs=tolerance * 1e-3), name
        size = (squares * buffer.numel()) ** 0.5
        assert abs(buffer.sum().item() - total) <= tolerance * (size + 1e-3), name
