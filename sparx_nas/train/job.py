"""One training with nothing left open: what is trained, on which images, by which recipe, where."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.network import CONFIG, Network, Preprocessing
from sparx_nas.command.checks import anywhere
from sparx_nas.command.options import Given
from sparx_nas.command.typed import typed
from sparx_nas.cost import estimate
from sparx_nas.data import DATA_NAMES, Divided
from sparx_nas.ground.errors import RunError
from sparx_nas.ground.record import read_json
from sparx_nas.train.design import ARCH, RUN_CONFIG, read_architecture
from sparx_nas.train.images import IMAGENET, normalisation, open_images
from sparx_nas.train.options import Options
from sparx_nas.train.reading import DEFAULTS, given_in, read_recipe, recipe_text
from sparx_nas.train.recipe import Recipe, changes, size_of

RECIPE, ENV = "recipe.yaml", "env.json"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A training that can begin.

    `asked` says in the user's words what it was made of (arch, data, data_dir, recipe), so that it
    can go on; `notes` are remarks to print. `network` has no facts yet.
    """

    path: Path
    network: Network
    recipe: Recipe
    divided: Divided
    asked: Mapping[str, str | None]
    notes: tuple[str, ...] = ()

    @property
    def facts(self) -> Preprocessing:
        """How images become inputs."""
        return self.network.preprocessing

    def images(self, split: str) -> int:
        """Return how many images a split has; 0 if there is no such split."""
        part = self.divided.parts.get(split)
        return 0 if part is None else len(part.picks)

    @property
    def resume_command(self) -> str:
        """Return the command that goes on with it."""
        return typed("train", "--resume", self.path)


def prepare(asked: Options) -> Job:
    """Read and find everything that a new training needs; nothing is written.

    Raises: SparxError of the kind that fits what is missing or wrong.
    """
    assert asked.arch is not None, "a new training has an architecture"
    assert asked.data is not None, "a new training has data"
    path = Path(asked.arch).expanduser()
    architecture = read_architecture(path)
    text, place = recipe_text(asked.recipe, asked.data)
    given = given_in(text, place)
    warmup, notes = _shortened_warmup(given, asked.fields)
    notes += _scaling_note(given, asked.fields)
    given = {**_split_of_run(path, asked.data), **given, **asked.fields, **warmup}
    recipe = read_recipe(given, size_of(estimate(architecture).params))
    if not asked.recipe and asked.data not in DEFAULTS:
        notes.append(f"by {place}, for no --recipe was named")
    data = _called(asked.data)
    folder = str(asked.data_dir.absolute()) if asked.data_dir else None
    called = {"arch": asked.arch, "data": data, "data_dir": folder, "recipe": place}
    name = asked.name or _name(path, asked.data)
    job = _job(asked.output / name, architecture, recipe, called, notes)
    return job if asked.recipe or "batch_size" in asked.fields else _fitted(job)


def prepare_again(asked: Options) -> Job:
    """Read a training's folder so that it can go on; what is given anew has to be the same.

    Raises: RunError with a diff if the recipe, the architecture or the data are others now.
    """
    path = asked.resume
    assert path is not None, "a training to go on with"
    env = read_env(path)
    architecture = Architecture.load(path / ARCH)
    written = path / RECIPE
    try:
        given = given_in(written.read_text(encoding="utf-8"), str(written))
    except OSError as cause:
        raise RunError(f"cannot read {written}: {cause.strerror}") from cause
    size = size_of(estimate(architecture).params)
    old = read_recipe(given, size)
    if asked.recipe:
        given = given_in(*recipe_text(asked.recipe, str(asked.data)))
    lines = changes(old, read_recipe({**given, **asked.fields}, size))
    if asked.arch:
        other = read_architecture(Path(asked.arch).expanduser())
        if other.id != architecture.id:
            lines += [f"- arch: {architecture.id}", f"+ arch: {other.id}"]
    called = _called_now(env["asked"], asked)
    if asked.data and _called(asked.data) != called["data"]:
        lines += [f"- data: {called['data']}", f"+ data: {asked.data}"]
    if lines:
        raise RunError(
            f"{path} cannot go on with other settings:\n" + "\n".join(lines),
            hint="leave these options out, or start a new training without --resume",
        )
    job = _job(path, architecture, old, called, [])
    before, now = env["data"]["data_id"], job.divided.data_id
    if before != now:
        raise RunError(
            f"{path}: the data changed since the training began (hash {before}, now {now})",
            hint="bring the old data back, or start a new training",
        )
    return job


def read_env(path: Path) -> dict[str, Any]:
    """Read what a training's folder says of itself.

    Raises: RunError if it is no such folder.
    """
    value = read_json(path / ENV, RunError)
    if not isinstance(value, dict) or not isinstance(value.get("asked"), dict):
        raise RunError(
            f"{path / ENV} is not of a training", hint="give a folder of sparx-nas train"
        )
    return value


def _job(
    path: Path,
    architecture: Architecture,
    recipe: Recipe,
    called: Mapping[str, str | None],
    notes: list[str],
) -> Job:
    """Open the data and put the network together."""
    data, folder = str(called["data"]), called["data_dir"]
    divided = open_images(data, Path(folder) if folder else None, recipe)
    mean, std = normalisation(divided, recipe)
    source = divided.source
    side = recipe.image_size
    network = Network(
        architecture=architecture,
        num_classes=len(source.classes),
        in_chans=source.in_chans,
        width=recipe.width,
        stem_stride=recipe.stem_stride,
        classes=source.classes,
        preprocessing=Preprocessing(
            image_size=(side, side),
            mean=mean,
            std=std,
            interpolation=recipe.interpolation,
            crop_pct=recipe.crop_pct,
            crop_mode=recipe.crop_mode,
        ),
    )
    network.architecture.plan(**network.build_arguments)
    if recipe.flip and not source.flips:
        notes = [*notes, f"a mirrored image of {data} may be of another class; see --flip 0"]
    return Job(
        path=path,
        network=network,
        recipe=recipe,
        divided=divided,
        asked=called,
        notes=tuple(notes),
    )


def _shortened_warmup(
    base: Mapping[str, Given], flags: Mapping[str, Given]
) -> tuple[dict[str, Given], list[str]]:
    """Keep the warm-up's share of a training that a flag makes too short for it, and say so."""
    wanted = {"epochs", "warmup_epochs"}
    if "epochs" not in flags or "warmup_epochs" in flags or not wanted <= set(base):
        return {}, []
    texts = [str(g.raw) for g in (base["epochs"], base["warmup_epochs"], flags["epochs"])]
    if not all(text.isdecimal() for text in texts):
        return {}, []
    before, warmup, now = (int(text) for text in texts)
    if not before or warmup < now:
        return {}, []
    kept = warmup * now // before
    place = f"{flags['epochs'].place}, which shortens warmup_epochs,"
    note = f"warmup_epochs is {kept} instead of {warmup}, for epochs is {now} instead of {before}"
    return {"warmup_epochs": Given(place, str(kept))}, [note]


def _fitted(job: Job) -> Job:
    """Make the batch of a recipe that nobody named no larger than the images there are."""
    images, batch = job.images("train"), job.recipe.batch_size
    least = 2 * job.recipe.accumulate
    if not least <= images < batch:
        return job
    note = f"batch_size is {images} instead of {batch}, for there are no more train images"
    return replace(job, recipe=replace(job.recipe, batch_size=images), notes=(*job.notes, note))


def _scaling_note(base: Mapping[str, Given], flags: Mapping[str, Given]) -> list[str]:
    """Remark on a rate that was meant for another batch size; nothing is scaled by itself."""
    if "batch_size" not in flags or "lr" in flags or not {"batch_size", "lr"} <= set(base):
        return []
    before, now, rate = (
        float(str(given.raw)) for given in (base["batch_size"], flags["batch_size"], base["lr"])
    )
    if before == now:
        return []
    return [
        f"lr stays {rate:g}, which was meant for batches of {before:.0f}, not {now:.0f}; "
        f"in proportion it were --lr {rate * now / before:.2g}"
    ]


def _split_of_run(path: Path, data: str) -> dict[str, Given]:
    """Return the seed that drew the splits of the search which an architecture comes from.

    So the images that the search chose by are not those that judge now. A trained folder passes on
    the seed of its own training. The recipe wins.
    """
    folder = path if path.is_dir() else path.parent
    trained, config = folder / CONFIG, folder.parent / RUN_CONFIG
    try:
        facts = json.loads(trained.read_text(encoding="utf-8"))["facts"]
        if facts["asked"]["data"] in (data, anywhere(data)):
            return {"split_seed": Given(str(trained), str(facts["recipe"]["split_seed"]))}
    except (OSError, KeyError, TypeError, ValueError):
        pass
    try:
        value = yaml.safe_load(config.read_text(encoding="utf-8"))
        same = value["data"] in (data, anywhere(data))
        return {"split_seed": Given(f"{config}: seed", str(int(value["seed"])))} if same else {}
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return {}


def _name(path: Path, data: str) -> str:
    """Name a training by its architecture, its data and the time."""
    folder = path if path.is_dir() else path.parent
    stem = folder.parent.name if folder.name == "best" else path.stem
    stem = stem if stem not in ("", "arch", "config") else folder.name or "arch"
    what = Path(data).name if _is_folder(data) else data.replace(":", "-").replace("/", "-")
    return f"{stem}-{what}-{datetime.now():%Y%m%d-%H%M%S}"


def _is_folder(data: str) -> bool:
    """Tell whether data are a folder rather than a name."""
    known = (*DATA_NAMES, IMAGENET)
    return data not in known and Path(data).expanduser().is_dir()


def _called_now(before: Mapping[str, str | None], asked: Options) -> dict[str, str | None]:
    """Return what a training was made of, its data where they are now, which the hash confirms."""
    data = str(before["data"])
    by_name = data in (*DATA_NAMES, IMAGENET) or data.startswith("timm:")
    place = asked.data if asked.data and _is_folder(asked.data) else asked.data_dir
    if by_name or place is None:
        return {**before, **({"data_dir": str(asked.data_dir)} if asked.data_dir else {})}
    return {**before, "data": anywhere(str(place)), "data_dir": None}


def _called(data: str) -> str:
    """Return what data are called in any working directory."""
    return anywhere(data) if _is_folder(data) else data
