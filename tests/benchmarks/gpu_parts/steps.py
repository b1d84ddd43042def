"""Training steps, where their time goes, and the short training of a trial."""

import contextlib
import time

import torch
from gpu_parts.common import BOOK, DEVICE, DRY, design, graphed, say, timed, wait
from torch.nn.functional import cross_entropy, linear

import sparx_nas
from sparx_nas.data import open_data
from sparx_nas.kernels.convolution import PointwiseConv2d


def training(until: float) -> dict:
    """Time training steps, eager and as a graph, by backend, layout and way of 1x1 convolutions."""
    rows = []
    cases = [(8, 2)] if DRY else [(224, 128), (32, 128)]
    ways = [
        ("auto", True, False),
        ("auto", True, True),
        ("triton", True, False),
        ("auto", False, False),
    ]
    for side, batch in cases:
        for backend, last, as_products in [("auto", True, True)] if DRY else ways:
            if time.monotonic() > until:
                BOOK["short"].append(
                    f"no time for training {side} px, {backend}, {last}, {as_products}"
                )
                continue
            with products() if as_products else contextlib.nullcontext():
                step = train_step(backend, side, batch, last)
                row = {"side": side, "batch": batch, "backend": backend, "channels_last": last}
                row |= {"products_1x1": as_products, "eager": timed(step, budget_s=1.2, most=12)}
                if not DRY:
                    row["graph"] = timed(graphed(step), budget_s=1.2, most=12)
            rates = {k: batch / row[k]["median_ms"] * 1e3 for k in ("eager", "graph") if k in row}
            row["images_s"] = {k: round(v, 1) for k, v in rates.items()}
            rows.append(row)
            name = backend + ", channels last" * last + ", 1x1 as products" * as_products
            told = ", ".join(f"{k} {v:.0f}" for k, v in rates.items())
            say(f"training {side} px, {name}: {told} images/s")
            del step
            if not DRY:
                torch.cuda.empty_cache()
    return {"rows": rows}


def train_step(backend: str, side: int, batch: int, last: bool):
    """Return a training step of SparX-Mamba-T under bf16 autocast, and its network."""
    import timm

    import sparx_nas.models

    torch.manual_seed(0)
    if DRY:
        net = sparx_nas.build(design(), 10, stem_stride=2, backend=backend)
    else:
        net = timm.create_model("sparx_mamba_t")
        for module in net.modules():
            if hasattr(module, "backend"):
                module.backend = backend
    layout = torch.channels_last if last else torch.contiguous_format
    net = net.to(DEVICE).to(memory_format=layout).train()
    optimizer = torch.optim.AdamW(net.parameters(), fused=True, capturable=not DRY)
    x = torch.randn(batch, 3, side, side, device=DEVICE).to(memory_format=layout)
    target = torch.randint(0, 10, (batch,), device=DEVICE)

    def step():
        optimizer.zero_grad()
        with torch.autocast(DEVICE.type, torch.bfloat16):
            loss = cross_entropy(net(x).float(), target)
        loss.backward()
        optimizer.step()
        return loss

    return step


@contextlib.contextmanager
def products():
    """Compute 1x1 convolutions of channels-last maps as products of matrices."""
    own = PointwiseConv2d.forward

    def forward(self, x):
        rows = x.permute(0, 2, 3, 1)
        if not rows.is_contiguous():
            return own(self, x)
        return linear(rows, self.weight[:, :, 0, 0], self.bias).permute(0, 3, 1, 2)

    PointwiseConv2d.forward = forward
    try:
        yield
    finally:
        PointwiseConv2d.forward = own


def profiled() -> dict:
    """Say where the time of a training step goes, by kernel."""
    from torch.profiler import ProfilerActivity, profile

    rows = []
    kind = ProfilerActivity.CPU if DRY else ProfilerActivity.CUDA
    for side, batch in [(8, 2)] if DRY else [(224, 128), (32, 128)]:
        step = train_step("auto", side, batch, True)
        for _ in range(1 if DRY else 3):
            step()
        wait()
        with profile(activities=[kind]) as run:
            step()
            wait()
        name = "self_cpu_time_total" if DRY else "self_device_time_total"
        own = sorted(((getattr(e, name), e.key, e.count) for e in run.key_averages()), reverse=True)
        total = sum(o[0] for o in own)
        launches = sum(o[2] for o in own)
        top = [
            {"kernel": k[:120], "share": round(t / total, 4), "count": n} for t, k, n in own[:25]
        ]
        rows.append({"side": side, "device_ms": total / 1e3, "kernels": launches, "top": top})
        say(
            f"profile {side} px: {total / 1e3:.1f} ms on the device, {launches} kernels; most: "
            + ", ".join(f"{t['kernel'][:40]} {t['share']:.0%}" for t in top[:6])
        )
    return {"rows": rows}


def trials() -> dict:
    """Time the default short training of a trial, without the search around it."""
    from sparx_nas.trial.training import Recipe, Training
    from sparx_nas.trial.values import Fidelity

    data = open_data("digits", data_dir=None, image_size=16, seed=0, limit=60 if DRY else None)
    space = sparx_nas.load_space("mamba_t")
    rows = []
    for seed in range(1 if DRY else 2):
        told = {"data": "digits", "data_id": "", "epochs": 1 if DRY else 4, "batch_size": 48}
        told |= {"image_size": 16, "width": 0.25, "stem_stride": 2, "seed": seed}
        start = time.perf_counter()
        one = Training(
            space.baselines["sparx"],
            data,
            fidelity=Fidelity(**told),
            recipe=Recipe(),
            device=DEVICE,
        )
        epochs = [one.run_epoch() for _ in range(told["epochs"])]
        seconds = time.perf_counter() - start
        rows.append({"seconds": round(seconds, 2), "top1": epochs[-1].top1})
    say(f"trials: {rows[-1]['seconds']} s a trial, top-1 {rows[-1]['top1']:.3f}")
    return {"rows": rows, "note": "one trial after another; no Ray, no sampler"}
