"""Recipes: the paper's numbers, what files and flags may say, and every mistake at once."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from sparx_nas.architecture.named import named
from sparx_nas.command.options import Given
from sparx_nas.ground.errors import ArchitectureError, OptionError
from sparx_nas.train.job import prepare
from sparx_nas.train.options import read_options
from sparx_nas.train.reading import given_in, read_recipe, recipe_names, recipe_text
from sparx_nas.train.recipe import FIELD, GROUPS, Recipe, changes, size_of
from sparx_nas.train.trainer import Trainer
from support.search_run import make_images
from support.train_jobs import ONE, job, tiny


def recipe(name: str = "imagenet", size: str = "t", **fields: object) -> Recipe:
    given = given_in(*recipe_text(name, ""))
    flags = {key: Given(f"--{key}", str(value)) for key, value in fields.items()}
    return read_recipe({**given, **flags}, size)


def mistakes(text: str) -> str:
    with pytest.raises(OptionError) as caught:
        read_recipe(given_in(text, "mine.yaml"), "t")
    return str(caught.value)


def paper_rate(epoch: int) -> float:
    """The rate of an epoch from 0, as the paper's scripts come to it."""
    if epoch < 20:
        return 1e-6 + epoch * (4e-3 - 1e-6) / 20
    if epoch < 300:
        return 1e-5 + 0.5 * (4e-3 - 1e-5) * (1 + math.cos(math.pi * epoch / 300))
    return 1e-5


def test_the_papers_rate_in_every_epoch(tmp_path: Path):
    paper = recipe().to_dict()
    schedule = ("epochs", "cooldown_epochs", "warmup_epochs", "schedule", "lr")
    fields = {name: paper[name] for name in (*schedule, "warmup_lr", "min_lr")}
    trainer = Trainer((small := job(tmp_path, **fields)).network, small.recipe, ONE, images=64)
    found = []
    for epoch in range(small.recipe.total_epochs):
        trainer.schedule.step(epoch)
        found.append({group["lr"] for group in trainer.optimizer.param_groups})
    assert len(found) == 310
    for epoch, rates in enumerate(found):
        assert len(rates) == 1
        assert rates.pop() == pytest.approx(paper_rate(epoch), rel=1e-12)


def test_the_papers_numbers():
    paper = recipe()
    assert (paper.batch_size, paper.epochs, paper.total_epochs, paper.seed) == (2048, 300, 310, 42)
    assert (paper.optimizer, paper.betas, paper.eps) == ("adamw", (0.9, 0.999), 1e-8)
    assert (paper.weight_decay, paper.clip, paper.amp, paper.ema) == (0.05, 5.0, "fp16", 0.9998)
    assert (paper.ema_warmup, paper.batch_norm) == (False, "sync")
    assert (paper.mixup, paper.cutmix, paper.mix_probability, paper.mix_switch) == (0.8, 1, 1, 0.5)
    assert (paper.smoothing, paper.erase, paper.erase_mode) == (0.1, 0.25, "pixel")
    assert (paper.auto_augment, paper.color_jitter) == ("rand-m9-mstd0.5-inc1", 0.4)
    assert (paper.crop_scale, paper.crop_ratio, paper.flip) == ((0.08, 1), (3 / 4, 4 / 3), 0.5)
    assert (paper.image_size, paper.interpolation, paper.normalize) == (224, "bicubic", "imagenet")
    assert (paper.train_interpolation, paper.width, paper.stem_stride) == ("random", 1, 4)


@pytest.mark.parametrize(
    ("name", "size", "drop_path", "crop_pct"),
    [("t", "t", 0.2, 0.9), ("s", "s", 0.3, 0.95), ("b", "b", 0.5, 0.95)],
)
def test_drop_path_and_crop_go_by_size(name: str, size: str, drop_path: float, crop_pct: float):
    from sparx_nas.cost import estimate

    assert size_of(estimate(named(f"sparx_mamba_{name}")).params) == size
    found = recipe(size=size)
    assert (found.drop_path, found.crop_pct) == (drop_path, crop_pct)


def test_weights_that_are_decayed_are_the_papers(tmp_path: Path):
    trainer = Trainer((small := job(tmp_path)).network, small.recipe, ONE, images=64)
    names = {id(p): name for name, p in trainer.model.named_parameters()}
    decayed = {
        names[id(p)]: group["weight_decay"] == small.recipe.weight_decay
        for group in trainer.optimizer.param_groups
        for p in group["params"]
    }
    assert set(decayed) == set(names.values())
    for name, p in trainer.model.named_parameters():
        assert decayed[name] == (p.ndim > 1 and not name.endswith(".bias")), name
    kinds = {name.rpartition(".")[2]: is_so for name, is_so in decayed.items() if ".op." in name}
    scan = ("A_logs", "dt_projs_bias", "dt_projs_weight", "x_proj_weight", "Ds")
    assert [kinds[name] for name in scan] == [True, True, True, True, False]


def test_the_average_moves_as_its_decay_says(tmp_path: Path):
    small = job(tmp_path, ema=0.9, ema_warmup="false")
    trainer = Trainer(small.network, small.recipe, ONE, images=64)
    with torch.no_grad():
        before = trainer.ema.module.classifier[3].bias.clone()
        trainer.model.classifier[3].bias.add_(1.0)
    trainer.ema.update(trainer.model)
    torch.testing.assert_close(trainer.ema.module.classifier[3].bias, before + 0.1)


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_reads_for_every_size_and_writes_back(name: str, tmp_path: Path):
    for size in "tsb":
        found = recipe(name, size)
        text = yaml.safe_dump(found.to_dict(), sort_keys=False)
        again = read_recipe(given_in(text, "again"), "b")
        assert again == found
        assert not changes(found, again)


def test_every_field_is_read_and_stands_in_the_help():
    assert set(Recipe.__dataclass_fields__) == set(FIELD)
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(FIELD)


def test_flags_win_over_files():
    found = recipe(epochs=12, warmup_epochs=2, crop_scale="0.5,0.9", drop_path=0.1)
    assert (found.epochs, found.crop_scale, found.drop_path) == (12, (0.5, 0.9), 0.1)
    assert found.batch_size == 2048


GOOD = "image_size: 8\nbatch_size: 4\nepochs: 3\nlr: 0.1\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD + "epoch: 3", ("mine.yaml:5: epoch: unknown field", "Did you mean 'epochs'")),
        (GOOD + "mixup: -1", ("mine.yaml:5: mixup is '-1'", "a number from 0")),
        (GOOD + "amp: fp8", ("mine.yaml:5: amp", "one of auto, none, bf16, fp16")),
        (GOOD + "crop_scale: [1, 0.5]", ("two ascending numbers",)),
        (GOOD + "betas: 0.9", ("betas", "two ascending numbers")),
        (GOOD + "auto_augment: wild", ("auto_augment", "policy of timm's")),
        (GOOD + "ema_warmup: yes", ("ema_warmup is true, but there is no ema",)),
        (GOOD + "warmup_epochs: 3", ("warmup_epochs is 3", "give fewer")),
        (GOOD + "accumulate: 3", ("batch_size 4 is too small for 3 passes",)),
        (GOOD + "drop_path: {t: 0.1, s: 0.2}", ("drop_path has t, s; by size it has t, s, b",)),
        (GOOD + "lr: {t: 0.1, s: 0.2, b: 1}", ("lr: is here twice",)),
        (GOOD + "width: {t: 1, s: 2, b: 3}", ("width is a mapping; it is one value",)),
        (GOOD + "schema: 2", ("schema: is 2; this version reads 1",)),
        (GOOD + "clip: [", ("not valid YAML",)),
        (
            "lr: 0.1",
            ("3 mistakes", "image_size: missing", "batch_size: missing", "epochs: missing"),
        ),
        ("min_lr: 1\n" + GOOD, ("min_lr 1 is above lr 0.1",)),
    ],
)
def test_a_mistake_names_the_field_and_the_fix(text: str, said: tuple[str, ...]):
    told = mistakes(text)
    assert all(part in told for part in said), told


def test_all_mistakes_of_a_file_are_listed():
    told = mistakes(GOOD + "mixup: -1\namp: fp8\nflip: 2")
    assert "3 mistakes" in told
    assert [f"mine.yaml:{line}:" in told for line in (5, 6, 7)] == [True] * 3
    told = mistakes(GOOD + "mixup: -1\nepoch: 3\nema: 1")
    assert "3 mistakes" in told
    assert [f"mine.yaml:{line}:" in told for line in (5, 6, 7)] == [True] * 3


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ((), ("2 options are wrong", "--arch is missing", "--data is missing")),
        (("--resume", "x", "--name", "y"), ("--resume and --name cannot both",)),
        (("--resume", "x", "--output", "y"), ("--resume and --output cannot both",)),
        (("--evaluate", "x", "--dry-run"), ("--evaluate and --dry-run cannot both",)),
        (("--evaluate", "x", "--lr", "1"), ("--lr does not matter to --evaluate",)),
        (("--resume", "x", "--split", "test"), ("--split is for --evaluate",)),
        (("--resume", "x", "--epochs", "0", "--workers", "-1"), ("--epochs is '0'", "--workers")),
    ],
)
def test_wrong_options_are_all_named(argv: tuple[str, ...], said: tuple[str, ...]):
    with pytest.raises(OptionError) as caught:
        read_options(argv, "train")
    assert all(part in str(caught.value) for part in said), str(caught.value)


def test_a_recipe_that_is_not_there_is_told_with_those_that_are(tmp_path: Path):
    with pytest.raises(OptionError, match="Did you mean 'imagenet'") as caught:
        recipe_text("imagenett", "digits")
    assert "digits, imagenet, photos, small" in caught.value.hint


def test_pictures_of_ones_own_have_a_recipe_and_it_is_said(tmp_path: Path):
    assert recipe_text(None, "pictures") == recipe_text("photos", "pictures")
    tiny().save(tmp_path / "arch.json")
    images = make_images(tmp_path / "my own")
    words = ["--arch", str(tmp_path / "arch.json"), "--data", str(images), "--width", "1"]
    job = prepare(read_options([*words, "--image-size", "8"], "train"))
    assert job.notes == ("by recipe photos, for no --recipe was named",)
    few = prepare(read_options([*words, "--limit", "20"], "train"))
    assert few.recipe.batch_size == 20
    assert "batch_size is 20 instead of 32" in few.notes[-1]
    assert prepare(read_options([*words, "--recipe", "photos"], "train")).notes == ()


def test_another_batch_size_is_remarked_upon_unless_the_rate_is_given(tmp_path: Path):
    tiny().save(tmp_path / "arch.json")
    words = ["--arch", str(tmp_path / "arch.json"), "--data", "digits", "--width", "1"]
    noted = prepare(read_options([*words, "--batch-size", "32"], "train"))
    assert "lr stays 0.003" in noted.notes[0]
    assert "--lr 0.0015" in noted.notes[0]
    assert noted.recipe.lr == 3e-3
    told = ["--batch-size", "32", "--lr", "0.003"]
    assert not prepare(read_options([*words, *told], "train")).notes


def test_a_flag_that_shortens_a_training_shortens_its_warm_up(tmp_path: Path):
    tiny().save(tmp_path / "tiny.json")
    asked = ["--arch", str(tmp_path / "tiny.json"), "--data", "digits", "--recipe", "digits"]

    def prepared(*argv: str) -> tuple[Recipe, tuple[str, ...]]:
        made = prepare(read_options([*asked, *argv], "train"))
        return made.recipe, made.notes

    plain, notes = prepared()
    assert (plain.epochs, plain.warmup_epochs, notes) == (40, 3, ())
    short, notes = prepared("--epochs", "3")
    assert (short.epochs, short.warmup_epochs) == (3, 0)
    assert "warmup_epochs is 0 instead of 3" in notes[0]
    assert prepared("--epochs", "20")[0].warmup_epochs == 3
    with pytest.raises(OptionError, match="warmup_epochs is 9"):
        prepared("--epochs", "5", "--warmup-epochs", "9")


def test_a_design_that_is_none_is_told_before_torch_comes():
    code = "import sys; from sparx_nas.train.__main__ import main; "
    code += (
        "rc = main(['--arch', 'nope', '--data', 'digits']); sys.exit('torch' in sys.modules or rc)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == ArchitectureError.exit_code
    assert "no architecture is called 'nope'" in ended.stderr
