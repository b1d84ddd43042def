from pathlib import Path

import pytest
import yaml

from sparx_nas.command.options import Given
from sparx_nas.data import DATA_NAMES
from sparx_nas.ground.errors import OptionError
from sparx_nas.search.asked import settings
from sparx_nas.search.asked.config_file import read_config_file
from sparx_nas.search.asked.options import (
    GROUPS,
    OPTIONS,
    Options,
    command_line,
    read_options,
)
from sparx_nas.search.asked.settings import changes, from_config, resolve, to_config
from support.search_progress import SPACE


def options(*argv: str) -> Options:
    return read_options(command_line(argv, "search"))


def pairs(*argv: str) -> dict[str, Given]:
    """Pair flags with values as the command line would, without the time a parser takes."""
    flags = zip(argv[::2], argv[1::2], strict=True)
    return {flag[2:].replace("-", "_"): Given(flag, value) for flag, value in flags}


def mistakes(*argv: str) -> str:
    with pytest.raises(OptionError) as caught:
        read_options(pairs(*argv))
    return str(caught.value)


def resolved(*argv: str, name: str = "run-1") -> settings.Settings:
    return resolve(read_options(pairs("--space", "mamba_micro", *argv)), SPACE, name=name)


def test_every_option_has_a_flag_a_check_and_a_default():
    names = set(Options.__dataclass_fields__)
    assert {name for group in GROUPS.values() for name in group} == names
    assert set(OPTIONS) == names
    assert options() == Options()


def test_the_command_line_is_read():
    found = options(
        *("--objectives", "top1:max,params", "--constraint", "params<=30M"),
        *("--constraint", "weight_bytes <= 1.5GiB, params<=29000000"),
        *("--time-budget", "1h30m", "--concurrency", "3", "--gpus-per-trial", "0.5"),
        *("--no-dashboard", "-v", "--stem-stride", "1", "--width", "0.5", "--sampler", "random"),
    )
    assert [(o.name, o.direction) for o in found.objectives] == [("top1", "max"), ("params", "min")]
    assert found.constraint == {"params": 29_000_000, "weight_bytes": 3 * 2**29}
    assert (found.time_budget, found.concurrency, found.gpus_per_trial) == (5400, 3, 0.5)
    assert (found.dashboard, found.verbose, found.stem_stride) == (False, True, 1)


def test_objectives_may_stand_apart_by_blanks():
    assert options("--objectives", "val_loss", "macs").objectives == Options().objectives


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--sampler", "tpee"), "Did you mean 'tpe'?"),
        (("--device", "cude"), "Did you mean 'cuda'"),
        (("--trials", "0"), "a whole number from 1"),
        (("--trials", "ten"), "--trials is 'ten'"),
        (("--width", "nan"), "a number above 0 and up to 16"),
        (("--drop-path", "1"), "below 1"),
        (("--time-budget", "30"), "a time with its unit"),
        (("--time-budget", "0s"), "a time with its unit"),
        (("--objectives", "top1,mac"), "Did you mean 'macs'?"),
        (("--objectives", "top1:min"), "the direction 'max'"),
        (("--objectives", "macs"), "leaves out top1 and val_loss"),
        (("--objectives", "top1,top1"), "twice"),
        (("--constraint", "parms<=3M"), "Did you mean 'params'?"),
        (("--constraint", "params>=3M"), "an upper one"),
        (("--constraint", "params<=3Q"), "known are K, M, G"),
        (("--constraint", "params<=3KiB"), "known are K, M, G"),
        (("--constraint", "small"), "such as 'params<=30M'"),
        (("--concurrency", "auot"), "Did you mean 'auto'?"),
        (("--stem-stride", "3"), "one of 4, 2, 1"),
        (("--storage", "study.db"), "a URL"),
        (("--experiment", "a/b"), "letters, digits"),
        (("--experiment", "x", "--resume", "runs/y"), "cannot both be given"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_should_be(argv, said):
    message = mistakes(*argv)
    assert argv[0] in message
    assert said in message
    assert "\n" not in message


def test_all_mistakes_are_listed_at_once():
    message = mistakes("--trials", "x", "--seed", "-1", "--constraint", "a<=1", "--objectives", "b")
    assert message.startswith("4 options are wrong")
    assert all(f"--{flag} " in message for flag in ("trials", "seed", "constraint", "objectives"))


def test_the_space_gives_the_training_and_the_tighter_limit_holds():
    own = resolved("--epochs", "77", "--constraint", "params<=1M")
    assert own.data == SPACE.proxy["data"]
    assert own.image_size == SPACE.proxy["image_size"]
    assert own.epochs == 77
    limited = yaml.safe_load(SPACE.source_text)
    assert "limits" not in limited
    assert own.constraints == {"params": 1_000_000}


@pytest.mark.parametrize(("trials", "sampler"), [("100", "tpe"), ("101", "nsga2")])
def test_the_sampler_goes_by_the_budget(trials, sampler):
    assert resolved("--trials", trials).sampler == sampler
    assert resolved("--trials", trials, "--sampler", "random").sampler == "random"


def test_names_of_data_sets_are_known_without_torch():
    assert (*settings.DATA_WORDS, "timm:<name>") == DATA_NAMES


def test_a_run_without_a_name_is_called_after_space_and_time(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    found = resolve(options("--space", "mamba_micro"), SPACE)
    assert found.name.startswith("mamba_micro-2")
    assert found.address == "10.0.0.1:6379"


def test_a_configuration_runs_again(tmp_path: Path):
    asked = ("--constraint", "params<=1M", "--objectives", "top1,latency_ms", "--time-budget", "2h")
    first = resolved(
        *asked, "--gpus-per-trial", "0.25", "--data-dir", "pics", "--dashboard", "false"
    )
    config = to_config(first, SPACE)
    assert config["schema"] == 1
    assert config["space_id"] == SPACE.fingerprint
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    again = resolve(read_options(read_config_file(file)), SPACE, name="run-1")
    assert again == first
    assert from_config(yaml.safe_load(file.read_text()), SPACE, name="run-1", place="x") == first


def test_the_command_line_wins_over_the_file(tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text("trials: 5\nbatch-size: 8\ndashboard: false\nepochs:\n")
    given = {**read_config_file(file), **command_line(("--trials", "6", "--dashboard"), "search")}
    found = read_options(given)
    assert (found.trials, found.batch_size, found.dashboard, found.epochs) == (6, 8, True, None)


def test_mistakes_of_a_file_come_with_their_lines(tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text("trails: 5\nseed: 1\nresume: runs/x\n")
    with pytest.raises(OptionError, match=r"2 mistakes") as caught:
        read_config_file(file)
    assert f"{file}:1: trails: unknown option. Did you mean 'trials'?" in str(caught.value)
    assert f"{file}:3: resume: unknown option" in str(caught.value)
    file.write_text("seed: 1\ntrials: many\nobjectives:\n- {name: macs, direction: max}\n")
    with pytest.raises(OptionError) as caught:
        read_options(read_config_file(file))
    assert f"{file}:2: trials is 'many'" in str(caught.value)
    assert "the direction 'min'" in str(caught.value)
    with pytest.raises(OptionError, match="No such file"):
        read_config_file(tmp_path / "none.yaml")


def test_what_decides_the_values_cannot_change():
    old = resolved()
    free = resolved(
        *("--trials", "99", "--time-budget", "1h", "--concurrency", "2", "--device", "cpu"),
        *(
            "--max-failures",
            "1",
            "--keep-weights",
            "all",
            "--format",
            "json",
            "--dashboard",
            "false",
        ),
    )
    assert changes(old, free) == []
    assert changes(old, resolved("--seed", "3")) == ["- seed: 0", "+ seed: 3"]
    assert changes(old, resolved("--objectives", "top1,params")) == [
        "- objectives: val_loss:min, macs:min",
        "+ objectives: top1:max, params:min",
    ]
    assert changes(old, resolved("--constraint", "params<=1M")) == [
        "- constraint: none",
        "+ constraint: params<=1000000",
    ]
    fixed = ("--epochs", "99", "--lr", "0.1", "--drop-path", "0.1", "--sampler", "nsga2")
    assert len(changes(old, resolved(*fixed))) == 8
