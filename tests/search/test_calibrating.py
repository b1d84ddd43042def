"""`sparx-nas calibrate`: what it says of answers whose truth is known, and the whole command."""

import random

import pytest
import yaml

from sparx_nas import load_space
from sparx_nas.__main__ import main
from sparx_nas.search.asked.known import known_reliability
from sparx_nas.search.asked.options import read_options
from sparx_nas.search.asked.settings import given_in, resolve
from sparx_nas.search.calibrating.levels import (
    Answer,
    Level,
    next_epochs,
    predicted,
    proposed,
    settings_text,
)
from sparx_nas.search.calibrating.telling import screen
from sparx_nas.space.spread import spread

MICRO = load_space("mamba_micro")


def level(epochs, between, within, seconds=10.0):
    rng, answers = random.Random(epochs), []
    for i in range(12):
        mean = 0.8 + between * (i - 5.5) / 3.5
        for seed in range(4):
            top1 = mean + rng.gauss(0, within)
            answers.append(
                Answer(design=f"d{i}", seed=seed, top1=top1, loss=1.0, seconds=epochs * seconds)
            )
    return Level(epochs=epochs, images=1000, answers=tuple(answers), measure="top1")


def test_the_cheapest_level_that_ranks_is_proposed_with_the_seeds_it_needs():
    noise, good, dear = level(1, 0.0, 0.02), level(2, 0.04, 0.015), level(4, 0.05, 0.01)
    assert proposed([noise]) is None
    assert noise.seeds is None
    assert good.seeds * good.seconds < dear.seeds * dear.seconds
    assert proposed([noise, good, dear]) is good
    assert good.scores.of_mean(good.seeds)[0] >= 0.6
    assert dear.seeds == 1


def test_levels_grow_and_are_predicted_from_the_last():
    assert next_epochs([], 16) == 1
    assert next_epochs([level(8, 0.0, 0.01)], 16) == 16
    assert next_epochs([level(16, 0.0, 0.01)], 16) is None
    assert predicted([], 1, 8, 3, 2) == 0
    assert predicted([level(2, 0.0, 0.01)], 4, 8, 3, 2) == pytest.approx(40 * 8 * 3 / 2)


def test_the_screen_fits_and_says_what_to_do():
    levels = [level(1, 0.0, 0.02), level(2, 0.03, 0.02)]
    said = screen(levels, "Ended there.")
    assert all(len(line) <= 80 for line in said.splitlines())
    assert "> " in said
    assert "Proposed: 2 epochs" in " ".join(said.split())
    assert "mostly noise" in " ".join(screen(levels[:1], "").split())


def test_designs_spread_over_the_cost_and_hold_the_baselines():
    space = load_space("mamba_t")
    found = spread(space, 12)
    assert len({design.id for design in found.values()}) == 12
    assert list(found)[:3] == ["sparx", "plain", "dense"]
    macs = [space.cost(design).macs for design in list(found.values())[3:]]
    assert macs == sorted(macs)
    assert spread(space, 12) == found
    assert len(spread(MICRO, 1000)) < 1000


def test_a_settings_file_is_known_until_something_else_is_asked(tmp_path):
    file, best = tmp_path / "mine.yaml", level(2, 0.03, 0.02)
    given = {"space": "mamba_micro", "data": "digits", "image_size": 16}
    file.write_text(settings_text(given, best))
    content = yaml.safe_load(file.read_text())
    asked = {name: value for name, value in content.items() if name != "reliability"}
    settings = resolve(read_options(given_in(asked, "file")), MICRO)
    assert (settings.epochs, settings.seeds) == (2, best.seeds)
    found, where = known_reliability(settings, MICRO, file)
    assert list(found) == content["reliability"]
    assert str(file) in where
    other = resolve(read_options(given_in({**asked, "epochs": 3}, "file")), MICRO)
    assert known_reliability(other, MICRO, file) is None
    assert known_reliability(settings, MICRO, None) is None


def test_wrong_options_are_told_before_anything_is_trained(tmp_path, capsys):
    assert main(["calibrate", "--minutes", "0", "--repeats", "1"]) == 2
    said = capsys.readouterr().err
    assert "--minutes" in said
    assert "--repeats" in said
    assert main(["calibrate", "--write", str(tmp_path / "none" / "x.yaml")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    (tmp_path / "x.yaml").write_text("mine")
    assert main(["calibrate", "--write", str(tmp_path / "x.yaml")]) == 2
    assert "--write names another" in capsys.readouterr().err
    assert (tmp_path / "x.yaml").read_text() == "mine"
    assert main(["calibrate", "--space", "mamba_micro", "--data", "nothing"]) != 0
    assert "nothing" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_trains_and_writes_settings_that_a_search_takes(tmp_path, capsys):
    file = tmp_path / "calibrated.yaml"
    words = ["--space", "mamba_micro", "--minutes", "9", "--designs", "3", "--repeats", "2"]
    code = main(["calibrate", *words, "--most-epochs", "2", "--write", str(file)])
    said = capsys.readouterr().out
    assert "reliability" in said
    assert code == (0 if file.exists() else 3)
    if file.exists():
        assert main(["search", "--config", str(file), "--dry-run"]) == 0
        assert "measured by calibrate" in " ".join(capsys.readouterr().out.split())
