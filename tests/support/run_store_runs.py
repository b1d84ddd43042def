"""Real runs for the tests of the run store: a folder, a SQLite study, real architectures."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import sparx_nas
from sparx_nas.cost import estimate
from sparx_nas.run_store import (
    CURVES,
    End,
    begin,
    complete,
    create_folder,
    default_storage,
    log_end,
    log_epoch,
    log_start,
    open_study,
)
from sparx_nas.trial.values import Epoch, Fidelity, Objective

SPACE = sparx_nas.load_space("mamba_micro")
OBJECTIVES = (Objective(name="top1", direction="max"), Objective(name="macs", direction="min"))
CONFIG = {
    "space": "mamba_micro",
    "objectives": [{"name": o.name, "direction": o.direction} for o in OBJECTIVES],
    "lr": 1e-05,
    "storage": None,
}
ENV = {
    "data": {
        "name": "digits",
        "classes": [str(digit) for digit in range(10)],
        "in_chans": 1,
        "mean": [0.3],
        "std": [0.4],
        "splits": {"train": 1078, "val": 359, "test": 360},
    }
}
FIDELITY = Fidelity(
    data="digits",
    data_id="0123456789abcdef",
    epochs=2,
    batch_size=64,
    image_size=16,
    width=0.5,
    stem_stride=2,
    seed=7,
)
TARGET = {"image_size": 32, "in_chans": 1, "num_classes": 10}


def new_run(parent: Path, name: str = "micro-1") -> Path:
    """Make the folder of a run."""
    path = parent / name
    create_folder(path, config=CONFIG, space_text=SPACE.source_text, env=ENV)
    return path


def opened_study(path: Path, *, create: bool, **fields):
    """Make or open the study of a run."""
    return open_study(
        name=path.name,
        storage=default_storage(path),
        objectives=OBJECTIVES,
        create=create,
        **fields,
    )


@cache
def empty_study() -> bytes:
    """Return a database with the study of a new run, which takes a second to make."""
    with TemporaryDirectory() as place:
        path = new_run(Path(place))
        opened_study(path, create=True)
        return (path / "study.db").read_bytes()


def new_study(path: Path, **fields):
    """Give a run called `micro-1` its study."""
    (path / "study.db").write_bytes(empty_study())
    return opened_study(path, create=False, **fields)


def asked(study, architecture, *, baseline="", violations=(), constraints=None):
    """Ask for a trial and begin it; return its number."""
    trial = study.ask()
    begin(
        trial,
        architecture=architecture,
        baseline=baseline,
        cost=estimate(architecture, **TARGET).to_dict(),
        violations=violations,
        constraints=constraints or {},
        fidelity=FIDELITY,
    )
    return trial.number


def epoch(number: int, top1: float, **fields) -> Epoch:
    """Return the metrics of an epoch."""
    values = {"train_loss": 2.0, "val_loss": 2.1, "seconds": 0.5, "images_per_s": 400.0 + number}
    return Epoch(epoch=number, top1=top1, **(values | fields))


def trained(path: Path, number: int, architecture, top1: float) -> End:
    """Write the curve of a whole training; the study is not told yet."""
    curves = path / CURVES
    log_start(curves, number, architecture=architecture.id)
    log_epoch(curves, number, epoch(1, top1 / 2))
    log_epoch(curves, number, epoch(2, top1))
    proxy = estimate(architecture, image_size=16, in_chans=1, num_classes=10, width=0.5)
    end = End(
        number=number,
        objectives={"top1": top1, "macs": estimate(architecture, **TARGET).macs},
        top1=top1,
        seconds=1.25,
        device="cpu",
        proxy_cost=proxy.to_dict(),
    )
    log_end(curves, end)
    return end


def told(study, end: End) -> None:
    """Tell the study how a training ended."""
    complete(study, end.number, end, OBJECTIVES)


def finished(path: Path, study, architecture, top1: float, **facts) -> int:
    """Run a trial from the asking to the telling; return its number."""
    number = asked(study, architecture, **facts)
    told(study, trained(path, number, architecture, top1))
    return number


def distinct(count: int):
    """Return different architectures of the space."""
    found = {}
    seed = 0
    while len(found) < count:
        architecture = SPACE.sample(seed)
        found[architecture.id] = architecture
        seed += 1
    return list(found.values())
