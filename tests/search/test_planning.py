"""From a budget to a plan: what fills the time, within the limits, with what was given kept."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sparx_nas import load_space
from sparx_nas.command.options import Given
from sparx_nas.ground.errors import NoFeasibleError, OptionError
from sparx_nas.search.__main__ import main
from sparx_nas.search.asked.options import asks_for_plan, read_options
from sparx_nas.search.asked.plan import Plan, Timed
from sparx_nas.search.asked.settings import changes, from_config, resolve, to_config
from sparx_nas.search.asked.values import seconds as seconds_of
from sparx_nas.search.planning.choosing import FILL, MOST_SEEDS, Ask, Seconds, choose, total_s
from sparx_nas.search.planning.fitting import SIZES, feasible, fitting, published_cost
from sparx_nas.search.planning.ladder import FIELDS, LEAST_VISITS, Facts, ladder
from sparx_nas.search.telling.planned import asked_for, plan_lines
from sparx_nas.space import parse_space
from support.search_run import make_images, search

PHOTOS = Facts(train=1280, val=320, test=400, classes=5, in_chans=3, native=480, decode_s=0.01)
ASK = Ask(budget_s=3600, places=2, baselines=3, feasible=900)


def rungs(facts=PHOTOS, first_width=56, **given):
    return ladder(facts, given, first_width=first_width, largest_side=224)


def timed(speed):
    """Return what a training takes where cost goes by pixels and the width's square."""

    def seconds(rung):
        pixels = (rung.image_size / rung.stem_stride) ** 2 * rung.width**2
        return Seconds(rung.epochs * (rung.train + rung.val / 3) * pixels / speed, 5.0)

    return seconds


def facts_of(rng):
    return Facts(
        train=rng.choice((30, 300, 1280, 50_000)),
        val=rng.choice((10, 320)),
        test=100,
        classes=rng.choice((2, 5, 100)),
        in_chans=3,
        native=rng.choice((8, 28, 96, 1000)),
        decode_s=0.0,
    )


def plans(count):
    """Yield random asks, what was given, rungs, and the choices that were made."""
    rng = random.Random(0)
    offered = {
        "image_size": 40,
        "width": 0.3,
        "epochs": 3,
        "images": 200,
        "batch_size": 64,
        "stem_stride": 1,
    }
    for _ in range(count):
        given = {k: v for k, v in offered.items() if rng.random() < 0.2}
        ask = Ask(
            budget_s=10 ** rng.uniform(1, 6),
            places=rng.choice((1, 2, 16)),
            baselines=3,
            feasible=rng.choice((3, 60, 900)),
            trials=rng.choice((None, None, 5, 300)),
            seeds=rng.choice((None, None, 1, 4)),
        )
        steps, seconds = rungs(facts_of(rng), **given), timed(10 ** rng.uniform(2, 7))
        try:
            yield ask, given, steps, seconds, choose(ask, steps, seconds)
        except OptionError as refused:
            yield ask, given, steps, seconds, refused


def test_a_plan_never_exceeds_its_budget_and_keeps_what_was_given():
    made = refused = 0
    for ask, given, steps, seconds, choice in plans(400):
        if isinstance(choice, OptionError):
            refused += 1
            least = total_s(ask, seconds(steps[0]), ask.trials or 1, ask.seeds or 2)
            assert least > FILL * ask.budget_s
            continue
        made += 1
        took = seconds(choice.rung)
        assert choice.total_s == total_s(ask, took, choice.trials, choice.seeds)
        assert choice.total_s <= FILL * ask.budget_s
        assert {name: getattr(choice.rung, name) for name in given} == given
        assert choice.trials == (ask.trials or choice.trials)
        assert choice.seeds == (ask.seeds or choice.seeds)
        assert ask.trials or 1 <= choice.trials <= ask.feasible
        assert 2 <= choice.seeds <= MOST_SEEDS or ask.seeds
    assert made > 50
    assert refused > 50


def test_more_time_never_buys_a_cheaper_fidelity():
    steps, seconds, last = rungs(), timed(1e5), -1
    for minutes in range(5, 3000, 45):
        choice = choose(replace(ASK, budget_s=60 * minutes), steps, seconds)
        assert steps.index(choice.rung) >= last
        last = steps.index(choice.rung)
    assert last > 3


def test_the_time_is_filled():
    """One trial more, or one seed more, would not fit."""
    for minutes in (20, 60, 600):
        ask = replace(ASK, budget_s=60 * minutes)
        choice = choose(ask, rungs(), timed(1e5))
        more = total_s(ask, choice.seconds, choice.trials + 1, choice.seeds)
        assert more > FILL * ask.budget_s
        assert choice.trials >= 24


def test_the_budget_that_a_refusal_names_works():
    ask = replace(ASK, budget_s=25)
    with pytest.raises(OptionError, match="too little for 3 baselines of 3 trainings") as caught:
        choose(ask, rungs(), timed(1e5))
    needed = seconds_of(caught.value.hint.split()[1])
    assert choose(replace(ask, budget_s=needed), rungs(), timed(1e5)).trials >= 1


def test_fidelities_start_where_scores_were_measured_and_grow():
    for facts in (PHOTOS, replace(PHOTOS, native=28), replace(PHOTOS, train=60_000, native=28)):
        steps = rungs(facts)
        assert steps[0].train * steps[0].epochs >= 0.9 * LEAST_VISITS
        assert steps[0].epochs >= 4
        costs = [timed(1.0)(rung).training for rung in steps]
        assert costs == sorted(costs)
        assert len(set(steps)) == len(steps)
        assert max(rung.image_size for rung in steps) == min(facts.native, 224)
        assert steps[-1].width == 1
    assert rungs()[0].image_size == 32
    assert rungs(replace(PHOTOS, native=8))[0].image_size == 16


def test_few_images_are_seen_in_more_epochs_and_every_class_is_there():
    few = rungs(replace(PHOTOS, train=60, val=15))[0]
    assert few.images == 0
    assert few.epochs > 20
    assert few.batch_size < 48
    many = rungs(replace(PHOTOS, train=10**6, classes=1000))[0]
    assert many.images >= 10_000


@pytest.mark.parametrize("limit", [400_000, 10**6, 5 * 10**6, 10**7, 10**8, 10**9])
def test_published_sparx_of_the_space_fits_just_below_the_limit(limit):
    scaling = fitting({"params": limit}, classes=5, in_chans=3)
    cost = published_cost(scaling)
    assert cost["params"] <= limit
    assert cost["params"] >= 0.75 * limit or (scaling.name, scaling.scale) == (SIZES[-1], 1.0)
    assert scaling == fitting({"params": limit}, classes=5, in_chans=3)


def test_costs_are_those_of_the_space_that_is_read():
    scaling = fitting({"params": 10**7, "macs": 2 * 10**9}, classes=7, in_chans=1)
    space = load_space(str(scaling))
    assert space.cost(space.baselines["sparx"]).to_dict() == published_cost(scaling)
    assert published_cost(scaling)["macs"] <= 2 * 10**9
    assert space.target["num_classes"] == 7
    assert space.target["in_chans"] == 1
    some = feasible(space, {"params": 10**7})
    assert 0 < some < feasible(space, {}) == space.distinct()[0] - len(space.baselines)


def test_without_a_limit_the_published_space_is_planned():
    assert str(fitting({}, classes=5, in_chans=3)) == "mamba_t@1:5"


def test_a_limit_below_all_spaces_is_refused_with_the_range():
    with pytest.raises(NoFeasibleError, match=r"params<=1.00 k: .* to 8\d.\d M \(mamba_b\)"):
        fitting({"params": 1000}, classes=5, in_chans=3)


def plan(**changed) -> Plan:
    made = Plan(
        budget_s=3600,
        predicted_s=3100,
        training_s=41,
        opening_s=12,
        places=2,
        baselines=3,
        space="mamba_t@0.61:5",
        why="fits the limits",
        params=9_920_000,
        train=1280,
        val=320,
        classes=5,
        native=480,
        image_size=48,
        stem_stride=4,
        width=0.43,
        epochs=6,
        batch_size=48,
        seeds=2,
        trials=31,
        chosen=("space", *FIELDS, "seeds", "trials"),
        timed=(Timed(image_size=32, stem_stride=4, width=0.43, images_per_s=210.0, share=0.99),),
        short=False,
        full=False,
        enough_s=None,
    )
    return replace(made, **changed)


def test_a_plan_is_told_with_the_flags_that_change_it():
    lines = plan_lines(plan(), {"params": 10**7})
    said = " ".join(" ".join(lines).split())
    assert all(len(line) <= 80 for line in lines)
    for flag in ("space", *FIELDS, "seeds", "trials", "time_budget"):
        assert f"--{flag.replace('_', '-')}" in said
    assert "published SparX of it has 9.92 M parameters, just within params<=10.0 M" in said
    assert "31, each the mean of 2 trainings, and 3 baselines of 3" in said
    assert "about 51 m 40 s of 1 h 00 m" in said
    assert "given" not in said
    assert "noise" not in said
    assert "may be noise" in " ".join(plan_lines(plan(short=True), {}))
    assert "Others" not in said


def test_what_was_given_what_is_little_and_what_is_busy_is_said():
    busy = replace(plan().timed[0], share=0.3)
    told = plan(chosen=("trials",), timed=(busy,), trials=3, enough_s=7201.0, why="as given")
    said = " ".join(" ".join(plan_lines(told, {})).split())
    assert "--epochs given" in said
    assert "--trials given" not in said
    assert "few: --time-budget 2h1m would do" in said
    assert "Others use this machine: 30 % of a place's time was free" in said
    assert "change nothing" in " ".join(" ".join(plan_lines(plan(full=True), {})).split())


def test_a_time_is_spelled_as_the_option_takes_it():
    for value in (1, 59, 60, 3600, 3601, 7260, 90_000):
        assert 0 <= seconds_of(asked_for(value)) - value < 60


def test_a_plan_is_made_only_where_it_is_asked_for():
    def asks(*names):
        values = {"space": "mamba_t", "time_budget": "1h", "plan": "true", "trials": "4"}
        given = {name: Given(f"--{name}", values[name]) for name in names}
        return asks_for_plan(read_options(given), given)

    assert asks("time_budget")
    assert asks("time_budget", "trials")
    assert asks("time_budget", "space", "plan")
    assert not asks("time_budget", "space")
    assert not asks("space")
    assert not asks()
    with pytest.raises(OptionError, match="--plan needs a time to fill"):
        asks("plan")


def test_a_cluster_is_not_planned_for(monkeypatch, capsys):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert main(["--time-budget", "1h", "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert "timed on this machine" in said
    assert "10.0.0.1:6379" in said


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return make_images(tmp_path_factory.mktemp("images"))


def test_a_dry_run_prints_the_plan(images, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asked = ["--data", str(images), "--constraint", "params<=1M", "--time-budget", "9d"]
    fixed = [
        "--image-size",
        "8",
        "--epochs",
        "1",
        "--width",
        "0.5",
        "--trials",
        "4",
        "--concurrency",
        "1",
    ]
    assert main([*asked, *fixed, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "\nplan       about " in said
    assert "published SparX of it has" in said
    config = yaml.safe_load(said.split("\noptions\n")[1])
    assert config["image_size"] == 8
    assert config["trials"] == 4
    assert config["seeds"] == MOST_SEEDS
    space = load_space(config["space"])
    assert space.cost(space.baselines["sparx"]).params <= 10**6
    assert space.target["num_classes"] == 3
    assert list(tmp_path.iterdir()) == []


def test_a_planned_run_is_written_with_its_choices_and_goes_on_without_a_plan():
    settings = resolve(read_options({}), load_space("mamba_t@0.62:5"), name="x")
    made = replace(settings, space="mamba_t@0.62:5", plan=plan(), time_budget_s=3600.0, epochs=6)
    space = load_space(made.space)
    config = to_config(made, space)
    assert "plan" not in config
    again = from_config(config, space, name="x", place="config.yaml")
    assert again == replace(made, plan=None)
    assert changes(made, again) == []
    assert json.loads(json.dumps(made.plan.to_record()))["timed"][0]["images_per_s"] == 210.0


@pytest.mark.slow
def test_a_planned_search_says_its_plan_keeps_it_and_goes_on_with_it(images, tmp_path):
    asked = ["--data", images, "--constraint", "params<=500k", "--time-budget", "9d"]
    fixed = ["--image-size", "8", "--epochs", "1", "--width", "0.5", "--trials", "1"]
    ended = search(*asked, *fixed, "--seeds", "1", "--experiment", "planned", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("plan       about ")
    run = tmp_path / "runs" / "planned"
    record = json.loads((run / "env.json").read_text())["plan"]
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert record["space"] == config["space"]
    assert record["params"] <= 500_000
    assert parse_space((run / "space.yaml").read_text(), "x").fingerprint == config["space_id"]
    more = search("--resume", run, "--trials", "2", cwd=tmp_path)
    assert more.returncode == 0, more.stderr
    assert "Timing" not in more.stdout + more.stderr
    assert json.loads((run / "env.json").read_text())["plan"] == record
