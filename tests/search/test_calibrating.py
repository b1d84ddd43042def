"""`sparx-nas calibrate`: what it says of answers whose truth is known, and the whole command."""

import random
import tempfile
import time
from pathlib import Path

import pytest
import yaml

from sparx_nas import load_space
from sparx_nas.__main__ import main
from sparx_nas.ground.errors import OptionError
from sparx_nas.search.asked.config_file import read_config_file
from sparx_nas.search.asked.known import KEY, known_reliability
from sparx_nas.search.asked.options import read_options
from sparx_nas.search.asked.settings import resolve
from sparx_nas.search.calibrating.levels import (
    Answer,
    Level,
    next_epochs,
    predicted,
    proposed,
)
from sparx_nas.search.calibrating.telling import screen
from sparx_nas.search.calibrating.writing import settings_text
from sparx_nas.space.spread import spread

MICRO = load_space("mamba_micro")
DATA = {"commonest_class": 0.1, "splits": {"train": 1000, "val": 400}}


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
    said = screen(levels, "Ended there.", DATA)
    assert all(len(line) <= 80 for line in said.splitlines())
    assert "> " in said
    assert "Proposed: 2 epochs" in " ".join(said.split())
    assert "all noise" in " ".join(screen(levels[:1], "", DATA).split())
    hard = DATA | {"commonest_class": 0.79}
    assert "learned nothing" in " ".join(screen(levels[:1], "", hard).split())


def test_designs_spread_over_the_cost_and_hold_the_baselines():
    space = load_space("mamba_t")
    found = spread(space, 12)
    assert len({design.id for design in found.values()}) == 12
    assert list(found)[:3] == ["sparx", "plain", "dense"]
    macs = [space.cost(design).macs for design in list(found.values())[3:]]
    assert macs == sorted(macs)
    assert spread(space, 12) == found
    assert len(spread(MICRO, 1000)) < 1000


def settings_of(content):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(content, file)
        file.flush()
        given = read_config_file(Path(file.name))
    space = load_space(content["space"])
    return resolve(read_options(given), space), space


def test_a_settings_file_is_known_until_anything_of_it_is_changed(tmp_path):
    file, best = tmp_path / "mine.yaml", level(2, 0.03, 0.02)
    asked, _ = settings_of({"space": "mamba_micro", "image_size": 8})
    file.write_text(settings_text(asked, MICRO, best))
    content = yaml.safe_load(file.read_text())
    settings, _ = settings_of(content)
    assert (settings.epochs, settings.images, settings.seeds) == (2, 1000, best.seeds)
    found, where = known_reliability(settings, MICRO, file)
    assert found == pytest.approx(best.scores.of_mean(best.seeds), abs=1e-3)
    assert str(file) in where
    more, _ = settings_of(content | {"seeds": 9})
    assert known_reliability(more, MICRO, file)[0] == pytest.approx(
        best.scores.of_mean(9), abs=1e-3
    )
    assert known_reliability(settings, MICRO, None) is None
    changes = {"epochs": 3, "space": "conv_t", "image_size": 9, "constraint": "macs<=1.3M"}
    for name, value in changes.items():
        changed = content | {name: value}
        file.write_text(yaml.safe_dump(changed))
        assert known_reliability(*settings_of(changed), file) is None, name


@pytest.mark.parametrize("wrong", ["hello", [0.5], None, {"one": 99, "low": 5, "high": 200}])
def test_a_broken_reliability_is_told_with_its_file(tmp_path, wrong):
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"space": "mamba_micro", KEY: wrong}))
    settings, _ = settings_of({"space": "mamba_micro"})
    with pytest.raises(OptionError, match=r"mine\.yaml: reliability"):
        known_reliability(settings, MICRO, file)


def test_the_shipped_table_is_that_of_the_space_as_it_is(tmp_path):
    settings, space = settings_of({"space": "mamba_t"})
    (one, low, high), where = known_reliability(settings, space, None)
    assert 0.6 < one < 1
    assert 0 <= low < one < high
    assert "designs of mamba_t" in where
    own = tmp_path / "mamba_t.yaml"
    own.write_text(space.source_text.replace("density: [1.0, 0.67, 0.5, 0.34]", "density: [1.0]"))
    assert known_reliability(*settings_of({"space": str(own)}), None) is None


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
    assert main(["calibrate", "--statistics-images", "1"]) == 2
    assert "0, or a whole number from 16" in capsys.readouterr().err
    assert main(["calibrate", "--write", "/proc/calibrated.yaml"]) == 2
    assert "cannot write in /proc" in capsys.readouterr().err
    assert main(["calibrate", "--space", "mamba_micro", "--data", "nothing"]) != 0
    assert "nothing" in capsys.readouterr().err


@pytest.mark.slow
def test_a_first_fidelity_that_is_too_much_ends_in_time_and_says_what_to_do(tmp_path, capsys):
    words = ["--space", "mamba_micro", "--minutes", "0.05", "--designs", "9", "--repeats", "50"]
    start = time.monotonic()
    assert main(["calibrate", *words, "--write", str(tmp_path / "c.yaml")]) == 3
    assert time.monotonic() - start < 60
    said = capsys.readouterr().err
    assert "did not end within 0.05 minutes" in said
    assert "fewer than 9 --designs or 50 --repeats" in said


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
