"""A plain afternoon's search script: Ray Tune as it comes, OptunaSearch, a torch DataLoader.

    python afternoon.py REQUEST ANSWER

REQUEST is JSON: the space, the genes of every candidate, how many seeds each is trained with, the
fidelity, the recipe, and `kernels`: "ours", or "torch" for pure PyTorch, without any compiled
operator of this project. ANSWER holds what every trial reported. Recipe and scoring are those of a
search's trials; the loop is written out here as one would write it in an afternoon.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Request = Mapping[str, Any]


def main() -> None:
    """Search, and write what came of it."""
    import ray
    from optuna.distributions import CategoricalDistribution
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    import sparx_nas

    request = json.loads(Path(sys.argv[1]).read_text())
    genes = sparx_nas.load_space(request["space"]).genes
    search = OptunaSearch(
        {gene.name: CategoricalDistribution(gene.choices) for gene in genes},
        metric="val_loss",
        mode="min",
        points_to_evaluate=request["candidates"],
    )
    folder = Path(tempfile.mkdtemp(prefix="hour-", dir="/tmp"))
    try:
        ray.init(address="local", _temp_dir=str(folder / "ray"))
        tuner = tune.Tuner(
            tune.with_parameters(train, request=request),
            tune_config=tune.TuneConfig(search_alg=search, num_samples=len(request["candidates"])),
            run_config=tune.RunConfig(storage_path=str(folder / "results")),
        )
        results = tuner.fit()
        broken = [str(result.error) for result in results if result.error]
        trials = [result.metrics["told"] for result in results if result.metrics]
        slots = int(ray.cluster_resources()["CPU"])
        said = {"trials": trials, "slots": slots, "broken": broken}
        Path(sys.argv[2]).write_text(json.dumps(said))
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def train(config: dict[str, Any], request: Request) -> None:
    """Train a candidate once for each seed, and report the mean; what Ray Tune calls."""
    if request["kernels"] == "torch":
        leave_out_compiled_kernels()
    from ray import tune

    import sparx_nas

    begun = time.time()
    design = sparx_nas.load_space(request["space"]).decode(config)
    trainings = [one(design, request, seed) for seed in range(request["seeds"][design.id])]
    mean = {key: sum(t[key] for t in trainings) / len(trainings) for key in ("top1", "val_loss")}
    told = {"architecture": design.id, "begun": begun, "ended": time.time()}
    tune.report({**mean, "told": told | {"trainings": trainings}})


def leave_out_compiled_kernels() -> None:
    """Have no operator find the compiled library in this process; a call of it is an error.

    The models ask whether it is there, and take PyTorch's own operators where it is not.
    """
    from sparx_nas.ground.errors import DeviceError
    from sparx_nas.kernels import library

    def none() -> Any:
        raise DeviceError("the compiled kernels are left out here")

    for module in [m for name, m in sys.modules.items() if name.startswith("sparx_nas.kernels")]:
        if hasattr(module, "why_missing"):
            module.why_missing = lambda: "left out"
        if module is not library and hasattr(module, "library") and callable(module.library):
            module.library = none
    library.why_missing, library.library = lambda: "left out", none


def one(design: Any, request: Request, seed: int) -> dict[str, Any]:
    """Train a design once; say what it came to, and where the time went."""
    import torch
    from torch import nn

    import sparx_nas
    from sparx_nas.ground.timm_import import prepare_timm

    prepare_timm()
    from timm.loss import LabelSmoothingCrossEntropy
    from timm.optim import create_optimizer_v2
    from timm.scheduler import CosineLRScheduler

    how, recipe, spent = request["fidelity"], request["recipe"], Spent()
    with spent.on("data"):
        loaders = loaders_of(request, seed)
    torch.manual_seed(seed)
    model: nn.Module = sparx_nas.build(
        design,
        loaders["classes"],
        in_chans=loaders["channels"],
        width=how["width"],
        stem_stride=how["stem_stride"],
        drop_path=recipe["drop_path"],
        backend="torch" if request["kernels"] == "torch" else "auto",
    ).to(memory_format=torch.channels_last)
    loss_of = LabelSmoothingCrossEntropy(recipe["smoothing"])
    lr = recipe["lr"]
    optimizer = create_optimizer_v2(
        model, opt="adamw", lr=lr, weight_decay=recipe["weight_decay"], fused=True
    )
    steps = how["epochs"] * len(loaders["train"])
    warmup = round(recipe["warmup"] * steps)
    schedule = CosineLRScheduler(
        optimizer,
        t_initial=steps,
        lr_min=lr * recipe["final_lr"],
        warmup_t=warmup,
        warmup_lr_init=lr / max(warmup, 1),
        warmup_prefix=False,
        t_in_epochs=False,
    )
    first_step, first_loss, step = time.time(), None, 0
    for _ in range(how["epochs"]):
        model.train()
        for x, labels in spent.data_of(loaders["train"]):
            with spent.on("step"):
                schedule.step_update(step)
                loss = loss_of(model(last(x)), labels)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), recipe["clip"])
                optimizer.step()
                step += 1
                first_loss = float(loss) if first_loss is None else first_loss
        with spent.on("evaluation"):
            scored = score(model, loaders)
    return {"seed": seed, "first_step": first_step, "first_loss": first_loss, "steps": step} | {
        **scored,
        "spent": spent.seconds,
    }


class Spent:
    """Seconds by what they went into."""

    def __init__(self) -> None:
        self.seconds = {"data": 0.0, "step": 0.0, "evaluation": 0.0}

    @contextmanager
    def on(self, what: str) -> Iterator[None]:
        """Count a block."""
        start = time.perf_counter()
        yield
        self.seconds[what] += time.perf_counter() - start

    def data_of(self, loader: Any) -> Iterator[Any]:
        """Yield batches, and count what it takes until they are there."""
        batches = iter(loader)
        while True:
            with self.on("data"):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch


def last(x: Any) -> Any:
    """Lay a batch out with channels last."""
    import torch

    return x.contiguous(memory_format=torch.channels_last)


def score(model: Any, loaders: Mapping[str, Any]) -> dict[str, float]:
    """Score the validation images as a search does: statistics anew, then augmented copies."""
    import torch
    from torch.nn.functional import cross_entropy

    from sparx_nas.trial.batch_norm import reestimate

    if loaders["statistics"] is not None:
        images = (x for x, _ in loaders["statistics"])
        reestimate([model], images, torch.autocast("cpu", enabled=False))
    model.eval()
    correct, loss, count = 0, 0.0, 0
    with torch.no_grad():
        for x, labels in loaders["val"]:
            logits = model(last(x))
            loss += float(cross_entropy(logits, labels, reduction="sum"))
            correct += int((logits.argmax(1) == labels).sum())
            count += len(labels)
    return {"top1": correct / count, "val_loss": loss / count}


def loaders_of(request: Request, seed: int) -> dict[str, Any]:
    """Return the loaders of a training, and how many classes and channels the images have."""
    import torch
    from torch.nn.functional import pad
    from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset

    from sparx_nas.data import open_data
    from sparx_nas.data.augment import SHIFT

    how = request["fidelity"]
    data = open_data(
        how["data"],
        data_dir=None,
        image_size=how["image_size"],
        seed=request["data_seed"],
        limit=how["images"] or None,
    )
    mean, std = (torch.tensor(v).mul(255).view(-1, 1, 1) for v in (data.mean, data.std))
    reach = int(how["image_size"] * SHIFT)

    class Images(Dataset[Any]):
        def __init__(self, split: str, moved: bool) -> None:
            store: Any = data.stores[split]
            self.pixels, self.labels, self.moved = store.pixels, store.labels, moved

        def __len__(self) -> int:
            return len(self.labels)

        def __getitem__(self, i: int) -> Any:
            x, side = self.pixels[i].float(), self.pixels.shape[-1]
            if self.moved:
                x = pad(x[None], (reach,) * 4, mode="replicate")[0]
                row, column = torch.randint(2 * reach + 1, (2,)).tolist()
                x = x[:, row : row + side, column : column + side]
                if data.flips and torch.rand(()) < 0.5:
                    x = x.flip(-1)
            return (x - mean) / std, self.labels[i]

    train, val = Images("train", True), Images("val", bool(how["val_copies"]))
    copies: Any = ConcatDataset([val] * max(1, how["val_copies"]))
    size, some = how["batch_size"], how["statistics_images"]
    steps = data.batch_count("train", size, train=True)
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:some].tolist()
    still = Subset(Images("train", False), chosen)
    order = torch.Generator().manual_seed(seed)
    return {
        "train": DataLoader(
            train, size, shuffle=True, drop_last=steps * size <= len(train), generator=order
        ),
        "val": DataLoader(copies, 256),
        "statistics": DataLoader(still, 128) if some else None,
        "classes": data.num_classes,
        "channels": data.in_chans,
    }


if __name__ == "__main__":
    main()
