import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sparx_nas.trial.table import read_table
from support.patience import PATIENCE_S

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "table.py"
SPACE = Path(__file__).parents[2] / "search_spaces" / "mamba_micro.yaml"


@pytest.fixture
def space(tmp_path):
    """Return a space whose trainings take a moment."""
    text = SPACE.read_text().replace("epochs: 4", "epochs: 2, images: 40")
    assert "images: 40" in text
    (tmp_path / "quick.yaml").write_text(text.replace("name: mamba_micro", "name: quick"))
    return tmp_path / "quick.yaml"


def command(verb, space, *more):
    """Return a command of the script."""
    folder = str(space.parent / "made")
    return [sys.executable, str(SCRIPT), verb, str(space), "--folder", folder, *more]


def ran(verb, space, *more):
    """Run a command to its end."""
    done = subprocess.run(command(verb, space, *more), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def rows(space):
    """Read what is there, line by line."""
    path = space.parent / "made" / "quick.jsonl"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.slow
def test_a_table_is_made_killed_gone_on_with_extended_and_packed(space, tmp_path):
    begun = ("--wirings", "3", "--seeds", "1", "--baseline-seeds", "2", "--processes", "1")
    with subprocess.Popen(command("make", space, *begun), stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + PATIENCE_S
        while len(rows(space)) < 2:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    with (space.parent / "made" / "quick.jsonl").open("a") as file:
        file.write('{"architecture": "half a li')

    said = ran("make", space, "--processes", "1").stderr
    assert "jobs on 1 core\n" in said
    assert "left, until" in said
    plan = json.loads(ran("plan", space).stdout)
    assert plan["there"]["trainings"] == plan["there"]["wanted"] == 3 * 2 + 3
    whole = [json.loads(line) for line in rows(space) if "half a li" not in line]
    assert len({(row["architecture"], row["seed"]) for row in whole}) == len(whole) == 9

    ran("make", space, "--more-seeds", "1", "--more-wirings", "1", "--processes", "1")
    told = json.loads(ran("pack", space, "--out", str(tmp_path / "quick.npz")).stdout)
    assert told["designs"] == 7
    assert told["trainings"] == 3 * 2 + 4 * 2
    table = read_table(tmp_path / "quick.npz")
    assert sorted(table.baselines.values()) == ["dense", "plain", "sparx"]
    assert np.bincount(table.design).tolist() == [2] * 7
    first = next(row for row in whole if row["baseline"] == "sparx" and row["seed"] == 1)
    training = table.trainings(table.designs[0])[1]
    assert training.test_top1 == first["test"]["correct"] / first["test"]["images"]
    losses = [epoch["val_loss"] for epoch in first["epochs"]]
    assert training.val_loss == pytest.approx(losses, rel=1e-6)


@pytest.mark.slow
def test_a_row_is_what_a_search_would_have_scored(space):
    """The same design and seed, trained by the search's own code, comes to the same values."""
    import torch

    import sparx_nas
    from sparx_nas.data import open_data
    from sparx_nas.trial.training import Recipe, Trainings
    from sparx_nas.trial.values import Fidelity

    begun = ("--wirings", "1", "--seeds", "1", "--baseline-seeds", "1", "--processes", "1")
    ran("make", space, *begun)
    plan = json.loads(ran("plan", space).stdout)
    row = next(r for r in map(json.loads, rows(space)) if r["baseline"] == "sparx")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        trained = Trainings(
            sparx_nas.load_space(str(space)).baselines["sparx"],
            open_data("digits", data_dir=None, image_size=16, seed=0, limit=40),
            fidelity=Fidelity(**plan["fidelity"], seed=0, seeds=1),
            recipe=Recipe(**plan["recipe"]),
            device=torch.device("cpu"),
        )
        for told in row["epochs"]:
            epoch = trained.run_epoch()
            assert epoch.val_loss == pytest.approx(told["val_loss"], rel=1e-6)
            assert epoch.top1 == told["top1"]
    finally:
        torch.set_num_threads(before)
