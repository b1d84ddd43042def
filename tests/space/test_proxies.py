"""Every shipped space at the proxy it names: candidates build, train a step, and stay in family."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from sparx_nas import build, load_space
from sparx_nas.space import list_spaces

SHIPPED = [info.name for info in list_spaces() if info.source == "shipped"]


def test_all_families_are_there():
    assert len(SHIPPED) == 23
    assert {load_space(name).backbone for name in SHIPPED} == {"mamba", "swin", "pvt", "conv"}


@pytest.mark.parametrize("name", SHIPPED)
def test_candidates_train_a_step_at_their_proxy(name):
    space = load_space(name)
    proxy = space.proxy
    for architecture in (space.sample(0), space.baselines["dense"]):
        torch.manual_seed(0)
        net = build(
            architecture,
            10,
            in_chans=1,
            width=proxy["width"],
            stem_stride=proxy["stem_stride"],
        )
        side = proxy["image_size"]
        images, labels = torch.randn(4, 1, side, side), torch.arange(4)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
        before = cross_entropy(net(images), labels)
        before.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
        optimizer.step()
        assert cross_entropy(net(images), labels) < before
