"""Flat parameters: the steps are torch's own, and nobody else can tell."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file, save_model
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from torch import nn

from sparx_nas import build, load_space
from sparx_nas.data import open_data
from sparx_nas.kernels import fusing
from sparx_nas.trial.flat import FlatUpdate, PlainUpdate, update_of
from sparx_nas.trial.training import Recipe, Training
from sparx_nas.trial.values import Fidelity

CPU = torch.device("cpu")
SPACE = load_space("mamba_micro")
SHAPES = ((3,), (1,), (4, 5), (), (2, 3, 1, 1), (2, 3, 3, 3), (0,), (17, 3), (16,), (33,))


class Odd(nn.Module):
    """Parameters of odd shapes, one of them channels-last; timm decays some of them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.weights = nn.ParameterList(nn.Parameter(torch.randn(shape)) for shape in SHAPES)
        with torch.no_grad():
            spatial = self.weights[5]
            spatial.data = spatial.contiguous(memory_format=torch.channels_last)


def network():
    torch.manual_seed(0)
    made = build(SPACE.baselines["sparx"], 10, in_chans=1, width=0.25, stem_stride=1)
    return made.to(memory_format=torch.channels_last)


def both(make, **more):
    """Return a network and how it steps, once plain and once flat."""
    found = []
    for flat in (False, True):
        model = make()
        options = {"opt": "adamw", "lr": 0.01, "weight_decay": 0.1, "fused": True} | more
        optimizer = create_optimizer_v2(model, **options)
        update = FlatUpdate(optimizer) if flat else PlainUpdate(model, optimizer)
        found.append((model, update))
    return found


def give_gradients(models, step, here=lambda place: True):
    """Run a backward pass with gradients drawn by step, over the parameters that it reaches."""
    for model in models:
        draw = torch.Generator().manual_seed(step)
        loss = torch.zeros((), requires_grad=True)
        for place, parameter in enumerate(model.parameters()):
            gradient = torch.randn(parameter.shape, generator=draw)
            if parameter.requires_grad and here(place):
                loss = loss + (parameter * gradient).sum()
        loss.backward()


def assert_equal_steps(pairs, steps, *, here=lambda step, place: True, clip=5.0, before=None):
    """Take steps both ways and compare every parameter after each."""
    (plain, _), (flat, _) = pairs
    begun = [p.detach().clone() for p in plain.parameters()]
    for step in range(steps):
        give_gradients((plain, flat), step, lambda place, step=step: here(step, place))
        for _, update in pairs:
            if before:
                before(update.optimizer, step)
            update.step(clip)
        for (name, p), q in zip(plain.named_parameters(), flat.parameters(), strict=True):
            torch.testing.assert_close(
                q, p, rtol=2e-6, atol=2e-7, msg=lambda m, n=name: f"{n}: {m}"
            )
    return [not torch.equal(p, q) for p, q in zip(plain.parameters(), begun, strict=True)]


@pytest.mark.parametrize("make", [Odd, network])
@pytest.mark.parametrize("clip", [0.5, 1e9])
def test_steps_are_those_of_torch(make, clip):
    pairs = both(make)
    moved = assert_equal_steps(pairs, 6, clip=clip)
    assert sum(moved) >= len(moved) - 1, "only the empty one may stay"
    assert [len(group["params"]) for group in pairs[1][1].optimizer.param_groups] == [1, 1]


def test_frozen_parameters_stay_as_they_are():
    def frozen():
        model = network()
        for place, parameter in enumerate(model.parameters()):
            parameter.requires_grad = place % 3 != 1
        return model

    moved = assert_equal_steps(both(frozen), 4)
    assert moved == [place % 3 != 1 for place in range(len(moved))]


def test_a_parameter_frozen_later_on_stays_from_then_on():
    pairs = both(Odd)
    assert_equal_steps(pairs, 2)
    kept = {}
    for model, _ in pairs:
        model.weights[2].requires_grad = False
        kept[model] = model.weights[2].detach().clone()
    assert_equal_steps(pairs, 3)
    assert all(torch.equal(model.weights[2], value) for model, value in kept.items())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=10, max_size=10), min_size=1, max_size=6))
def test_a_parameter_without_a_gradient_takes_no_part_in_the_step(here):
    pairs = both(Odd)
    moved = assert_equal_steps(pairs, len(here), here=lambda step, place: here[step][place])
    trained = [any(step) for step in zip(*here, strict=True)]
    empty = [math.prod(shape) == 0 for shape in SHAPES]
    assert moved == [t and not e for t, e in zip(trained, empty, strict=True)]


def test_a_schedule_moves_the_rates_of_groups_and_each_keeps_its_own_scale():
    schedules = {}

    def before(optimizer, step):
        if optimizer not in schedules:
            optimizer.param_groups[1]["lr_scale"] = 0.1
            schedules[optimizer] = CosineLRScheduler(
                optimizer, t_initial=8, warmup_t=3, warmup_lr_init=1e-4, t_in_epochs=False
            )
        schedules[optimizer].step_update(step)

    pairs = both(network)
    assert_equal_steps(pairs, 8, before=before)
    rates = [[g["lr"] for g in update.optimizer.param_groups] for _, update in pairs]
    assert rates[0] == rates[1]
    assert rates[0][1] == pytest.approx(0.1 * rates[0][0])


def test_names_shapes_strides_and_values_are_as_before_and_weights_are_saved(tmp_path):
    before, (_, (model, update)) = network(), both(network)
    for (name, p), (other, q) in zip(
        before.named_parameters(), model.named_parameters(), strict=True
    ):
        assert (name, p.shape, p.stride()) == (other, q.shape, q.stride())
        assert torch.equal(p, q)
        assert q.is_leaf
    give_gradients([model], 0)
    update.step(5.0)
    save_model(model, str(tmp_path / "model.safetensors"))
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(state, tmp_path / "file.safetensors")
    for path in tmp_path.iterdir():
        loaded = load_file(path)
        assert loaded.keys() == state.keys()
        assert all(torch.equal(loaded[name], value) for name, value in state.items())
    torch.save(next(model.parameters()), tmp_path / "one.pt")
    assert (tmp_path / "one.pt").stat().st_size < 10_000, "all of the buffer"


def test_loaded_weights_are_those_that_train_on():
    pairs = both(network)
    give_gradients([model for model, _ in pairs], 0)
    for _, update in pairs:
        update.step(5.0)
    drawn = {name: value + 1 for name, value in network().state_dict().items()}
    for model, _ in pairs:
        model.load_state_dict(drawn)
    assert_equal_steps(pairs, 3)


def test_a_copy_of_the_network_lies_apart():
    _, (model, update) = both(Odd)
    copied = copy.deepcopy(model)
    before = [p.detach().clone() for p in copied.parameters()]
    give_gradients([model], 0)
    update.step(5.0)
    assert all(torch.equal(p, q) for p, q in zip(copied.parameters(), before, strict=True))
    assert not torch.equal(copied.weights[2], model.weights[2])


def test_gradients_count_wherever_they_come_from():
    pairs = both(Odd)
    assert_equal_steps(pairs, 1)
    for model, update in pairs:
        give_gradients([model], 1, lambda place: place < 8)
        give_gradients([model], 2, lambda place: place < 6)
        model.weights[0].grad = None
        model.weights[2].grad = torch.ones(4, 5)
        model.weights[7].grad = None
        give_gradients([model], 3, lambda place: place == 7)
        update.step(1.0)
        model.zero_grad()
        give_gradients([model], 4)
        update.step(1.0)
        model.zero_grad()
        update.step(1.0)
    for p, q in zip(pairs[0][0].parameters(), pairs[1][0].parameters(), strict=True):
        torch.testing.assert_close(q, p, rtol=2e-6, atol=2e-7)
    assert_equal_steps(pairs, 2)


def test_parameters_that_were_moved_are_noticed():
    _, (model, update) = both(Odd)
    model.to(torch.float64).to(torch.float32)
    give_gradients([model], 0)
    with pytest.raises(AssertionError, match="moved"):
        update.step(5.0)


def test_a_trial_trains_the_same_with_the_part_on_and_off():
    data = open_data("digits", data_dir=None, image_size=8, seed=0, limit=120)
    told = {"data": "digits", "data_id": data.data_id, "epochs": 2, "batch_size": 32}
    told |= {"image_size": 8, "width": 0.25, "stem_stride": 1, "seed": 3}
    losses = {}
    for part in ("optimiser", "none"):
        with fusing.only(part):
            training = Training(
                SPACE.baselines["sparx"],
                data,
                fidelity=Fidelity(**told),
                recipe=Recipe(),
                device=CPU,
            )
        assert isinstance(training.update, FlatUpdate if part == "optimiser" else PlainUpdate)
        epochs = [training.run_epoch() for _ in range(2)]
        losses[part] = [x for e in epochs for x in (e.train_loss, e.val_loss)]
    assert losses["optimiser"] == pytest.approx(losses["none"], rel=1e-4)
    assert losses["none"][2] < losses["none"][0]


def test_the_part_is_for_a_cpu():
    model = Odd().to("meta")
    optimizer = torch.optim.AdamW(model.parameters())
    assert isinstance(update_of(model, optimizer, torch.device("cuda")), PlainUpdate)
