"""Short trainings: statistics taken anew, several seeds, and what they leave alone."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from sparx_nas import load_space
from sparx_nas.data import open_data
from sparx_nas.trial.batch_norm import reestimate, training_images
from sparx_nas.trial.score import half_precision
from sparx_nas.trial.training import Recipe, Training, Trainings
from sparx_nas.trial.values import Fidelity

CPU = torch.device("cpu")
SPACE = load_space("mamba_micro")


@pytest.fixture(scope="module")
def data():
    return open_data("digits", data_dir=None, image_size=8, seed=0, limit=120)


def fidelity(data, **fields):
    made = Fidelity(
        data="digits",
        data_id=data.data_id,
        epochs=2,
        batch_size=32,
        image_size=8,
        width=0.25,
        stem_stride=1,
        seed=3,
    )
    return replace(made, **fields)


def trained(data, **fields):
    return Training(
        SPACE.baselines["sparx"],
        data,
        fidelity=fidelity(data, **fields),
        recipe=Recipe(),
        device=CPU,
    )


def norms(model):
    return [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]


def test_statistics_are_the_means_over_batches_of_what_layers_see():
    net = nn.Sequential(nn.BatchNorm2d(2), nn.Dropout(0.9))
    batches = [torch.randn(8, 2, 3, 3), 3 + torch.randn(8, 2, 3, 3)]
    assert reestimate([net], batches, half_precision(CPU)) == 16
    means = torch.stack([b.mean((0, 2, 3)) for b in batches]).mean(0)
    spreads = torch.stack([b.var((0, 2, 3)) for b in batches]).mean(0)
    torch.testing.assert_close(net[0].running_mean, means)
    torch.testing.assert_close(net[0].running_var, spreads)
    assert net[0].momentum == 0.1
    assert net.training
    assert net[1].training


def test_nothing_else_changes_and_a_network_without_such_layers_is_left_alone(data):
    model = trained(data).model.eval()
    before = {name: p.clone() for name, p in model.named_parameters()}
    batches = [x for x, _ in data.drawn("train", 64, 32, device=CPU)]
    reestimate([model], batches, half_precision(CPU))
    first = [m.running_mean.clone() for m in norms(model)]
    assert not model.training
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    reestimate([model], batches, half_precision(CPU))
    assert all(torch.equal(m.running_mean, f) for m, f in zip(norms(model), first, strict=True))
    assert reestimate([nn.Linear(2, 2)], batches, half_precision(CPU)) == 0


def test_images_are_drawn_once_over_all_classes_and_never_from_val(data):
    images = torch.cat(list(training_images(data, 100, device=CPU)))
    assert len(images) == 100
    again = torch.cat(list(training_images(data, 100, device=CPU)))
    assert torch.equal(images, again)
    labels = torch.cat([y for _, y in data.drawn("train", 60, 32, device=CPU)])
    assert len(labels.unique()) == 10
    assert len(torch.cat(list(training_images(data, 10**6, device=CPU)))) == data.splits["train"]


def test_the_first_epochs_are_scored_above_chance_where_running_statistics_lag():
    data = open_data("digits", data_dir=None, image_size=16, seed=0)
    scores = {}
    for count in (0, 512):
        training = Training(
            SPACE.baselines["dense"],
            data,
            fidelity=fidelity(
                data, epochs=4, image_size=16, width=1.0, stem_stride=2, statistics_images=count
            ),
            recipe=Recipe(),
            device=CPU,
        )
        scores[count] = training.run_epoch().top1
    assert scores[512] > scores[0] + 0.2
    assert scores[512] > 0.4


def test_several_seeds_are_their_single_trainings_side_by_side(data):
    several = Trainings(
        SPACE.baselines["plain"],
        data,
        fidelity=fidelity(data, seeds=2),
        recipe=Recipe(),
        device=CPU,
    )
    epochs = [several.run_epoch() for _ in range(2)]
    alone = [
        Training(
            SPACE.baselines["plain"],
            data,
            fidelity=fidelity(data, seed=3 + i),
            recipe=Recipe(),
            device=CPU,
        )
        for i in range(2)
    ]
    for epoch in epochs:
        singles = [training.run_epoch() for training in alone]
        assert epoch.top1s == tuple(one.top1 for one in singles)
        assert epoch.val_losses == tuple(one.val_loss for one in singles)
        assert epoch.top1 == pytest.approx(sum(epoch.top1s) / 2)
        assert epoch.val_loss_error > 0
    assert epochs[0].top1s != epochs[1].top1s or epochs[0].val_losses != epochs[1].val_losses
