"""A training from the command line to its folder: it learns, tells, and evaluates again."""

import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
import yaml
from PIL import Image
from rich.console import Console
from tensorboardX.proto.event_pb2 import Event

from sparx_nas.architecture.network import Network
from sparx_nas.ground.quantities import wilson
from sparx_nas.models import load_network
from sparx_nas.train.__main__ import main
from sparx_nas.train.design import read_architecture
from sparx_nas.train.progress import View
from sparx_nas.train.result import append_metrics, read_metrics
from sparx_nas.trial.score import evaluate
from support.search_run import BROKEN, make_images
from support.train_jobs import job, tiny, words

DIGITS = {"epochs": 5, "image_size": 16, "limit": 640, "batch_size": 32, "ema": 0.8, "lr": 0.02}
FILES = {
    "README.md",
    "arch.json",
    "checkpoint",
    "config.json",
    "env.json",
    "metrics.jsonl",
    "model.safetensors",
    "recipe.yaml",
    "tensorboard",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training on all digits."""
    folder = tmp_path_factory.mktemp("trained")
    assert main(words(folder, name="digits", **DIGITS)) == 0
    return folder / "digits"


def facts(folder: Path) -> dict:
    return dict(Network.load(folder).facts)


def test_it_learns_and_leaves_a_whole_folder(trained: Path):
    assert {path.name for path in trained.iterdir()} == FILES
    said = facts(trained)
    test = said["accuracy"]["test"]
    assert test["top1"] > 0.7
    assert test["images"] == 359
    assert test["interval"] == list(wilson(test["correct"], 359))
    assert said["training"]["finished"] is True
    assert (said["training"]["epochs_done"], said["training"]["epochs"]) == (5, 5)
    assert said["recipe"]["seed"] == said["seed"] == 0
    assert len(said["data"]["data_id"]) == 16


def test_rows_and_curves_hold_the_same_numbers(trained: Path):
    rows = read_metrics(trained)
    assert list(rows) == [1, 2, 3, 4, 5]
    assert rows[5]["train_loss"] < 0.7 * rows[1]["train_loss"]
    seen: dict[str, list[float]] = {}
    (file,) = (trained / "tensorboard").iterdir()
    for event in events(file):
        for value in event.summary.value:
            seen.setdefault(value.tag, []).append(value.simple_value)
    assert seen["train/loss"] == pytest.approx([row["train_loss"] for row in rows.values()])
    for name in ("plain", "ema"):
        expected = [row["val"][name]["top1"] for row in rows.values()]
        assert seen[f"val/top1_{name}"] == pytest.approx(expected)


def events(file: Path) -> list[Event]:
    """Read an event file: length, its checksum, the event, its checksum."""
    data, found = file.read_bytes(), []
    while data:
        length = int.from_bytes(data[:8], "little")
        found.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


def test_statistics_taken_anew_judge_the_first_epochs(tmp_path: Path):
    """Running ones lag behind: the average of a short training is judged at chance by them."""
    losses = {}
    for images in (0, 256):
        argv = words(tmp_path, name=f"of{images}", **DIGITS | {"epochs": 2, "ema": 0.9})
        assert main([*argv, "--statistics-images", str(images)]) == 0
        rows = read_metrics(tmp_path / f"of{images}")
        losses[images] = [rows[1]["val"][name]["loss"] for name in ("plain", "ema")]
        assert rows[1]["train_loss"] == losses.setdefault("train", rows[1]["train_loss"])
    assert all(new < 0.9 * old for old, new in zip(losses[0], losses[256], strict=True))
    assert main(["--evaluate", str(tmp_path / "of256"), "--device", "cpu"]) == 0


def test_it_evaluates_to_the_recorded_image(trained: Path, capsys: pytest.CaptureFixture[str]):
    for split in ("val", "test"):
        assert main(["--evaluate", str(trained), "--split", split, "--device", "cpu"]) == 0
        said, score = capsys.readouterr().out, facts(trained)["accuracy"][split]
        assert "the same as recorded" in said
        assert f"({score['correct']} of {score['images']};" in said
    assert main(["--evaluate", str(trained), "--crop-pct", "0.5", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "crop 0.5" in said
    assert "recorded: " in said


def test_the_chosen_weights_are_those_that_judge_better(trained: Path):
    last = read_metrics(trained)[5]
    best = max(score["correct"] for score in last["val"].values())
    assert last["val"][last["weights"]]["correct"] == best
    assert facts(trained)["accuracy"]["val"]["correct"] == best


def test_another_reading_of_the_weights_scores_alike(trained: Path):
    """The loader of a search and its resizing are other code, so a few images may differ."""
    from sparx_nas.data import open_data

    model, network = load_network(trained)
    data = open_data("digits", data_dir=None, image_size=16, seed=0, limit=640)
    assert data.data_id == network.facts["data"]["data_id"]
    score = evaluate(model, data, "val", batch_size=64, device=next(model.parameters()).device)
    assert score.top1 == pytest.approx(network.facts["accuracy"]["val"]["top1"], abs=0.03)


def test_the_written_recipe_and_architecture_train_alike(tmp_path: Path):
    assert main(words(tmp_path, name="first", mixup=0.8, drop_path=0.2, crop_scale="0.3,1")) == 0
    first = tmp_path / "first"
    argv = ["--arch", str(first), "--data", "digits", "--recipe", str(first / "recipe.yaml")]
    assert main([*argv, "--output", str(tmp_path), "--name", "again", "--device", "cpu"]) == 0
    for name in ("model.safetensors", "recipe.yaml", "arch.json"):
        assert (tmp_path / "again" / name).read_bytes() == (first / name).read_bytes()


def test_the_readme_says_what_it_is(trained: Path):
    text = (trained / "README.md").read_text()
    test = facts(trained)["accuracy"]["test"]
    assert "5 of 5 epochs" in text
    assert f"({test['correct']} of 359;" in text
    assert "not finished" not in text


def test_a_folder_that_is_there_is_left_alone(trained: Path, capsys: pytest.CaptureFixture[str]):
    before = (trained / "model.safetensors").read_bytes()
    assert main(words(trained.parent, name="digits", **DIGITS)) == 4
    assert "exists already" in capsys.readouterr().err
    assert (trained / "model.safetensors").read_bytes() == before


def test_a_dry_run_tells_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    argv = words(tmp_path, name="dry", accumulate=2, epochs=3, cooldown_epochs=2)
    assert main([*argv, "--dry-run"]) == 0
    said = capsys.readouterr().out
    for part in ("64 train, 64 val, 64 test", "5 epochs of 4 steps of 16 images", "2 a step, 8"):
        assert part in said
    assert re.search(r"time +about .*: [\d.]+ images/s are trained", said)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.json"]


def test_a_dry_run_of_half_precision_needs_no_gpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    argv = words(tmp_path, name="dry", amp="fp16")
    assert main([*argv, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "would be refused" in " ".join(told.split())
    assert max(map(len, told.splitlines())) <= 80
    assert main(argv) == 2
    assert "amp is fp16, which needs a GPU" in capsys.readouterr().err
    assert not (tmp_path / "dry").exists()


def test_help_is_instant_and_imports_no_torch():
    code = (
        "import sys\nfrom sparx_nas.__main__ import main\n"
        "try: main(['train', '--help'])\nexcept SystemExit as end: assert end.code == 0\n"
        "print([m for m in ('torch', 'timm', 'tensorboardX') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    for flag in ("--arch", "--auto-augment", "--cooldown-epochs", "--evaluate"):
        assert flag in done.stdout


def test_imagenets_layout_holds_nothing_out_and_broken_images_are_stood_in_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    images = make_images(tmp_path / "images")
    (images / "test").mkdir()
    Image.new("RGB", (20, 20)).save(images / "test" / "without_class.png")
    given = {"data": "imagenet", "data_dir": images, "recipe": "small", "limit": "none"}
    given |= {"epochs": 3, "drop_path": 0.1, "width": 1, "ema": 0, "ema_warmup": "false"}
    assert main(words(tmp_path, name="folder", mixup=0, cutmix=0, lr=0.01, **given)) == 0
    said = facts(tmp_path / "folder")
    assert said["data"]["name"] == "imagenet"
    assert said["data"]["splits"] == {"train": 91, "val": 30}
    assert "nothing is held out" in said["data"]["rule"]
    assert set(said["accuracy"]) == {"val"}
    assert said["accuracy"]["val"]["images"] == 30
    assert said["training"]["finished"] is True
    torn = "train/red/torn.png"
    assert torn in BROKEN
    assert torn in capsys.readouterr().out
    env = json.loads((tmp_path / "folder" / "env.json").read_text())
    assert [name for name, _ in env["data"]["skipped"]] == ["train/green/empty.jpg"]


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"amp": "fp16"}, 2, "fp16, which needs a GPU"),
        ({"batch_size": 100}, 5, "there are only 64 train images"),
        ({"data": "pictures"}, 5, "no data set and no folder"),
        ({"data": "pictures", "recipe": "no-such"}, 2, "there is no recipe 'no-such'"),
        ({"arch": "nothing/here.json"}, 2, "there is no architecture"),
        ({"output": "/dev/null"}, 4, "cannot make /dev/null/wrong: Not a directory"),
        ({"normalize": "imagenet"}, 2, "digits has 1 channel"),
        ({"auto_augment": "rand-q9"}, 2, "timm cannot read it"),
        (
            {"lr": 10, "optimizer": "sgd", "min_lr": 9, "clip": 0, "epochs": 40},
            6,
            "the loss became",
        ),
    ],
)
def test_what_cannot_be_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fields: dict, code: int, said: str
):
    assert main(words(tmp_path, name="wrong", **fields)) == code
    assert said in capsys.readouterr().err
    assert code == 6 or not (tmp_path / "wrong").exists()


def test_the_live_line_fits_a_terminal():
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=200)
    view = View(310, images=1_281_167, quiet=False, console=console)
    view.step(9, 620, 625, 6.9077)
    view.epoch(10, 6.5, {"plain": 0.1, "ema": 0.05}, 3600.0)
    view.close()
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()))
    assert any("epoch 10/310  step 620/625  loss 6.9077" in line for line in lines)
    assert any("plain 10.0 %  ema 5.0 %  1 h 00 m" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_a_torn_last_line_is_ignored_and_cut_off(tmp_path: Path):
    append_metrics(tmp_path, {"epoch": 1, "x": 1})
    append_metrics(tmp_path, {"epoch": 2, "x": 2})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "x"')
    assert list(read_metrics(tmp_path)) == [1, 2]
    append_metrics(tmp_path, {"epoch": 2, "x": 5})
    assert read_metrics(tmp_path) == {1: {"epoch": 1, "x": 1}, 2: {"epoch": 2, "x": 5}}


def test_a_trained_folder_passes_on_the_seed_of_its_splits(tmp_path: Path):
    assert main(words(tmp_path, name="first", split_seed=5)) == 0
    assert job(tmp_path, arch=tmp_path / "first").recipe.split_seed == 5
    assert job(tmp_path, arch=tmp_path / "first" / "arch.json").recipe.split_seed == 5
    assert job(tmp_path, arch=tmp_path / "first", split_seed=3).recipe.split_seed == 3


def test_an_architecture_is_a_file_a_folder_or_a_name(trained: Path, tmp_path: Path):
    tiny().save(tmp_path / "best" / "arch.json")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"data": "digits", "seed": 7}))
    for path in (
        tmp_path / "best",
        tmp_path / "best" / "arch.json",
        trained,
        trained / "config.json",
    ):
        assert read_architecture(path).id == tiny().id
    assert read_architecture(Path("sparx_mamba_t")).widths == (96, 192, 320, 512)
    found = job(tmp_path, arch=tmp_path / "best")
    assert found.recipe.split_seed == 7
    assert f"{tmp_path.name}-digits-" in found.path.name
