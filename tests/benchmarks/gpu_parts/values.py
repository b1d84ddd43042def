"""Values and gradients of every Triton kernel, and of a network, against float64."""

import contextlib
import math

import torch
from gpu_parts.common import BOOK, DEVICE, DRY, TYPES, design, off, say, torch_scan, triton_scan
from gpu_parts.tiles import warm
from scan_inputs import map_inputs, sequence_inputs

import sparx_nas
from sparx_nas import kernels
from sparx_nas.kernels import reference
from sparx_nas.kernels.channel_attention import channel_attention

LIMITS = {"fp32": 1e-5, "bf16": 1e-2}
MAPS = [
    *((2, 1, 1, 5, 1, 1), (1, 1, 7, 3, 2, 1), (2, 3, 7, 19, 2, 1), (1, 5, 7, 67, 3, 1)),
    *((2, 8, 8, 96, 6, 1), (3, 7, 7, 128, 32, 1), (2, 14, 14, 200, 20, 1), (1, 2, 3, 8, 40, 1)),
    *((2, 9, 5, 33, 3, 2), (1, 6, 7, 40, 5, 16), (2, 28, 27, 192, 12, 1), (1, 56, 56, 96, 6, 1)),
]
SEQUENCES = [(1, 1, 1, 1, 1), (2, 3, 5, 1, 33), (1, 2, 7, 4, 18), (3, 4, 96, 1, 200)]
ATTENTIONS = [
    *((2, 96, 24, (7, 7), (28, 28)), (2, 320, 80, (7, 7), (14, 14)), (1, 12, 3, (2, 2), (5, 7))),
    *((2, 512, 128, (7, 7), (7, 7)), (1, 70, 35, (9, 9), (3, 3))),
]
if DRY:
    MAPS, SEQUENCES, ATTENTIONS = MAPS[1:3], SEQUENCES[1:2], ATTENTIONS[2:3]


def check() -> dict:
    """Compare every Triton kernel and a network with float64."""
    torch.backends.cudnn.allow_tf32 = False
    rows = []
    ranks = [(6, 1), (12, 1), (20, 1), (32, 1), (40, 1), (6, 2)]
    warm([((1, 2, 3, 8, r, n), kind, "", ()) for kind in TYPES for r, n in ranks])
    for kind, dtype in TYPES.items():
        for sizes in MAPS:
            tensors = rounded(map_inputs(*sizes), (0,), dtype)
            exact = reference.ss2d if sizes[1] * sizes[2] <= 64 else torch_scan
            own = compared(triton_scan, exact, tensors, ((0,), dtype))
            rows.append(judged(f"ss2d {sizes}", kind, own))
        for sizes in SEQUENCES:
            tensors = rounded(sequence_inputs(*sizes), (0,), dtype)
            own = compared(one_way, reference.selective_scan, tensors, ((0,), dtype))
            rows.append(judged(f"scan {sizes}", kind, own))
        for batch, channels, group, small, large in ATTENTIONS:
            shapes = [(batch, channels, *small)] * 2 + [(batch, channels, *large)]
            tensors = rounded([torch.randn(s) for s in shapes], (0, 1, 2), dtype)

            def fused(*t, group=group):
                return channel_attention(*t, group, backend="triton")

            def plain(*t, group=group):
                return channel_attention(*t, group, backend="torch")

            own = compared(fused, plain, tensors, ((0, 1, 2), dtype))
            rows.append(judged(f"attention {channels} of {group} {small} {large}", kind, own))
        rows.append(judged("network", kind, whole_network(dtype)))
    again = [
        triton_scan(*[t.to(DEVICE) for t in tensors]) for tensors in [map_inputs(*MAPS[0])] * 2
    ]
    same = bool((again[0] == again[1]).all())
    worst = {
        k: max(max(r["value"], r["worst_gradient"]) for r in rows if r["type"] == k) for k in TYPES
    }
    say(
        f"values and gradients: {len(rows)} cases, worst "
        + ", ".join(f"{k} {v:.1e}" for k, v in worst.items())
    )
    return {"limits": LIMITS, "same_bits": same, "worst": worst, "rows": rows}


@contextlib.contextmanager
def poisoned():
    """Fill what torch.empty gives with NaN."""
    names = ("empty", "empty_like")
    kept = {name: getattr(torch, name) for name in names}

    def spoil(make):
        def made(*args, **named):
            out = make(*args, **named)
            return out.fill_(math.nan) if out.is_floating_point() else out

        return made

    for name in names:
        setattr(torch, name, spoil(kept[name]))
    try:
        yield
    finally:
        for name in names:
            setattr(torch, name, kept[name])


def compared(function, exact, tensors, halves) -> list[float]:
    """Return how far the result and each gradient are off; the first `halves` tensors are maps."""
    given = [t.detach().to(DEVICE) for t in tensors]
    exact_in = [t.double().requires_grad_() for t in given]
    y = exact(*exact_in)
    weight = torch.randn_like(y).to(halves[1]).double()
    wanted = [y, *torch.autograd.grad(y, exact_in, weight)]
    own = [t.to(halves[1]) if i in halves[0] else t for i, t in enumerate(given)]
    with poisoned():
        own = [t.requires_grad_() for t in own]
        out = function(*own)
        got = [out, *torch.autograd.grad(out, own, weight.to(out.dtype))]
    assert all(t.shape == w.shape for t, w in zip(got, wanted, strict=True))
    return [off(t.detach(), w.detach()) for t, w in zip(got, wanted, strict=True)]


def rounded(tensors, maps, kind):
    """Bring maps to what their type can hold, so that both sides see the same inputs."""
    return [(t.to(kind).float() if i in maps else t).detach() for i, t in enumerate(tensors)]


def judged(name: str, kind: str, found: list[float]) -> dict:
    """Record the greatest error of a case, and say if it is too large."""
    worst = max(found) if not any(map(math.isnan, found)) else math.nan
    if not worst <= LIMITS[kind]:
        BOOK["failed"].append(f"{name} {kind}: off by {worst:.2g}")
    return {"case": name, "type": kind, "value": found[0], "worst_gradient": max(found[1:])}


def one_way(*tensors):
    """Scan sequences with Triton."""
    return kernels.selective_scan(*tensors, backend="triton")


def whole_network(dtype) -> list[float]:
    """Return how far logits and all gradients of a network are off, as one vector each."""
    found = []
    x = torch.randn(2, 3, *[8 if DRY else 32] * 2).to(DEVICE)
    for backend, kind in (("triton", torch.float32), ("torch", torch.float64)):
        torch.manual_seed(0)
        net = sparx_nas.build(design(), 3, stem_stride=2, backend=backend).to(DEVICE, kind).eval()
        cast = torch.autocast(DEVICE.type, dtype, enabled=dtype != kind and kind != torch.float64)
        with cast:
            logits = net(x.to(kind))
        logits.double().square().sum().backward()
        grads = torch.cat([p.grad.flatten().double() for p in net.parameters()])
        found.append((logits.detach(), grads))
    # Every layer rounds in half precision, so that is no error of a kernel: a looser bound.
    return [off(a, b) / (1 if dtype == torch.float32 else 8) for a, b in zip(*found, strict=True)]
