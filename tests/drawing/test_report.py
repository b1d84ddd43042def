import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from sparx_nas import patterns
from sparx_nas.drawing import facts
from sparx_nas.drawing.markup import TIMES
from sparx_nas.drawing.report import report_html
from sparx_nas.trial.measures import amount
from sparx_nas.trial.pareto import best_trial, published_trial
from sparx_nas.trial.values import Objective
from support import runs

HOSTILE = "</title><script>alert(1)</script>\"'&<img src=x onerror=alert(1)>\x00\x1b{}%s"


def parsed(run) -> ET.Element:
    page = report_html(run)
    assert page.startswith("<!doctype html>\n")
    return ET.fromstring(page.split("\n", 1)[1])


def words(root: ET.Element) -> str:
    said = " ".join("".join(root.find("body").itertext()).split())
    return said.replace("\u00a0", " ")


def kinds():
    full = runs.full_run()
    only = runs.trial(0, runs.PUBLISHED, baseline="sparx")
    costs = (Objective(name="params", direction="min"), Objective(name="macs", direction="min"))
    three = (*runs.OBJECTIVES, Objective(name="params", direction="min"))
    with_params = [
        replace(t, objectives={**t.objectives, "params": t.cost["params"]} if t.objectives else {})
        for t in full.trials
    ]
    without_top1 = [
        runs.trial(
            i,
            graph,
            objectives=dict(runs.trial(i, graph).cost),
            top1=None,
            epochs=(),
            baseline="sparx" if i == 0 else "",
        )
        for i, graph in enumerate(runs.wirings(4))
    ]
    graph = runs.PUBLISHED
    states = ("running", "failed", "infeasible", "duplicate", "interrupted")
    return {
        "full": full,
        "empty": runs.run([], env={}, config={}, status={}),
        "none finished": runs.run(
            [runs.untrained(i, graph, state) for i, state in enumerate(states)]
        ),
        "one": runs.run([only]),
        "baselines": runs.run(runs.baselines()),
        "nothing feasible": runs.run([replace(only, feasible=False)]),
        "no accuracy": runs.run(without_top1, costs),
        "three objectives": runs.run(with_params, three),
        "one objective": runs.run(list(full.trials), runs.OBJECTIVES[:1]),
        "other stages": runs.run([runs.trial(0, patterns.dense((30,)))]),
    }


RUNS = kinds()


@pytest.mark.parametrize("name", RUNS)
def test_every_kind_of_run_gives_a_well_formed_page_with_every_trial(name):
    run = RUNS[name]
    root = parsed(run)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert {f"trial-{t.number}" for t in run.trials} <= set(ids)
    assert {f"wiring-{t.number}" for t in run.front} <= set(ids)
    targets = {element.get("href") for element in root.iter() if element.get("href")}
    assert {target[1:] for target in targets} <= set(ids)
    assert not re.search(r"\b(nan|None|inf)\b", words(root))


LOSS = (Objective(name="val_loss", direction="min"), Objective(name="macs", direction="min"))


@pytest.mark.parametrize("objectives", [runs.OBJECTIVES, LOSS], ids=["accuracy", "loss"])
def test_every_number_of_the_table_stands_under_its_head(objectives):
    trial = runs.trial(0, runs.PUBLISHED, baseline="sparx")
    values = {"top1": trial.top1, "val_loss": 0.1234, "macs": trial.cost["macs"]}
    told = replace(trial, objectives={o.name: values[o.name] for o in objectives})
    page = parsed(runs.run([told], objectives))
    table = next(t for t in page.iter("table") if t.find(".//tr[@id='trial-0']") is not None)
    heads = ["".join(cell.itertext()) for cell in table.find("thead/tr")]
    cells = ["".join(cell.itertext()) for cell in table.find("tbody/tr")]
    row = dict(zip(heads, cells, strict=True))
    assert row["MACs"] == amount("macs", trial.cost["macs"])
    assert row["Parameters"] == amount("params", trial.cost["params"])
    assert row["Validation top-1"] == amount("top1", trial.top1)
    assert row.get("Validation loss") == ("0.123" if objectives is LOSS else None)


@pytest.mark.parametrize("name", RUNS)
def test_the_page_loads_nothing_and_runs_nothing(name):
    page = report_html(RUNS[name])
    assert set(re.findall(r"https?://[^\"' ]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert "default-src &#x27;none&#x27;" in page
    for element in ET.fromstring(page.split("\n", 1)[1]).iter():
        assert element.tag.split("}")[-1] not in ("script", "img", "link", "iframe", "image", "use")
        assert not any(key.startswith("on") or key == "src" for key in element.attrib)
    assert "url(" not in page
    assert "@import" not in page


def test_hostile_names_are_only_text():
    hostile = runs.trial(3, runs.PUBLISHED, baseline=HOSTILE, device=HOSTILE, error=HOSTILE)
    unable = runs.untrained(4, runs.PUBLISHED, "failed", violations=(HOSTILE,))
    run = runs.run(
        [*runs.baselines(), hostile, unable],
        name=HOSTILE,
        path=HOSTILE,
        space=HOSTILE,
        env={HOSTILE: HOSTILE, "data": {"name": HOSTILE, "splits": HOSTILE}},
        config={HOSTILE: [HOSTILE, {HOSTILE: HOSTILE}]},
        status={"state": HOSTILE, "started": HOSTILE},
    )
    page = report_html(run)
    plain = report_html(RUNS["baselines"])
    assert "<script" not in page
    assert "<img" not in page
    tags = {element.tag for element in parsed(run).iter()}
    assert tags <= {element.tag for element in ET.fromstring(plain.split("\n", 1)[1]).iter()}
    assert "<script>alert(1)</script>" in words(parsed(run))


def test_the_summary_compares_with_the_published_design():
    run = RUNS["full"]
    chosen, reference = best_trial(run), published_trial(run)
    assert chosen.cost["macs"] <= reference.cost["macs"]
    assert chosen in run.front
    said = words(parsed(run))
    assert f"The design to use is trial {chosen.number}" in said
    assert "Compared with the published SparX design" in said
    assert "6 epochs at 32 px, 0.25 of full width" in said
    assert "20 architectures trained besides the baselines; 3 baselines trained; 1 dupl" in said


def test_counts_are_those_of_the_run():
    assert facts.counts(RUNS["full"]) == {
        "trained": 20,
        "baseline": 3,
        "duplicate": 1,
        "infeasible": 1,
        "failed": 1,
        "running": 1,
    }


def test_best_is_the_highest_of_all_when_nothing_is_as_cheap():
    run = RUNS["full"]
    cheap = replace(run.trials[0], cost={"macs": 1.0}, objectives={"top1": 0.5, "macs": 1.0})
    moved = replace(run, trials=(cheap, *run.trials[1:]))
    assert best_trial(moved).top1 == max(t.top1 for t in run.front)


def test_intervals_need_the_size_of_the_split():
    run = RUNS["full"]
    trial = replace(run.trials[0], top1=0.9, epochs=())
    low, high = facts.interval(run, trial)
    assert 0.86 < low < 0.9 < high < 0.94
    assert facts.interval(replace(run, env={}), trial) is None
    assert "95 % interval" not in words(parsed(replace(run, env={}))).split("How far")[0]


def test_says_so_when_there_is_nothing_yet():
    assert "No trial has finished yet." in words(parsed(RUNS["none finished"]))
    assert "Only baselines have been trained" in words(parsed(RUNS["baselines"]))
    assert "no validation accuracy was recorded" in words(parsed(RUNS["no accuracy"]))


def test_three_objectives_give_two_charts():
    charts = [s for s in parsed(RUNS["three objectives"]).iter() if s.get("role") == "group"]
    assert len(charts) == 3  # two fronts and the curves


def test_paths_are_quoted_for_the_shell():
    run = replace(RUNS["one"], path="runs/my run; rm -rf x")
    assert "--resume 'runs/my run; rm -rf x'" in words(parsed(run))


def test_five_hundred_trials_stay_one_small_file():
    graphs = runs.wirings(40)
    trials = [runs.trial(i, graphs[i % 40]) for i in range(500)]
    page = report_html(runs.run(trials))
    assert page.count("<tr") == 501
    assert len(page) < 3_000_000


def test_passwords_in_addresses_do_not_reach_the_report():
    storage = "postgresql://ann:s3cr@t@db.local/studies"
    failed = runs.untrained(1, runs.PUBLISHED, "failed", error=f"no {storage}")
    page = report_html(runs.run([failed], config={"storage": storage, "all": [storage]}))
    assert page.count("postgresql://***@db.local/studies") == 3
    assert "s3cr" not in page


def test_says_whether_the_test_split_was_read():
    assert "was read once" in words(parsed(RUNS["full"]))
    assert "has not been read" in words(parsed(RUNS["none finished"]))


def test_drawings_and_words_are_those_of_the_target():
    target = {"image_size": 96, "num_classes": 5, "in_chans": 3}
    page = report_html(runs.run(runs.baselines(), target=target)).replace("\u00a0", " ")
    assert "96 x 96 px, 3 channels, 5 classes" in page
    assert f"24 {TIMES} 24 at 96 px" in page
    assert "224 px" not in page
