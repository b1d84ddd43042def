import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import sparx_nas
from sparx_nas.trial.table import TableError, front, open_table, read_table, write_table
from support import tables
from support.tables import fewer_with_ganglia as loss


@pytest.fixture(scope="module")
def space():
    return sparx_nas.load_space("mamba_micro")


@pytest.fixture(scope="module")
def table(space):
    return tables.made(space, loss)


def test_a_design_is_found_with_its_trainings(space, table):
    design = space.baselines["sparx"]
    assert design in table
    assert table.baselines[table.place(design)] == "sparx"
    trainings = table.trainings(design)
    assert [training.seed for training in trainings] == list(range(6))
    assert all(len(training.val_loss) == table.epochs == 4 for training in trainings)
    mean = np.mean([training.val_loss[-1] for training in trainings])
    assert table.truth(design).raw == pytest.approx(mean)


def test_truths_are_those_that_the_scores_were_made_of(table):
    true = np.array([loss(design) for design in table.designs])
    found = table.truths()
    assert np.mean(np.abs(found.means - true) < 1.96 * found.errors) > 0.85
    assert np.sqrt(np.mean((found.means - true) ** 2)) < 0.05 / 2
    assert found.within == pytest.approx(0.05, rel=0.2)


def test_draws_are_trainings_of_the_design_none_twice_and_equal_for_equal_seeds(space, table):
    design, other = table.designs[5], table.designs[6]
    for count in (1, 2, 4):
        drawn = table.draw(design, 7, count)
        assert drawn == table.draw(design, 7, count)
        assert len({training.seed for training in drawn}) == count
        assert all(training in table.trainings(design) for training in drawn)
    orders = [[t.seed for t in table.draw(design, seed, 4)] for seed in range(200)]
    assert len(set(map(tuple, orders))) == 24, "every order comes up"
    others = [[t.seed for t in table.draw(other, seed, 4)] for seed in range(200)]
    same = np.mean([a == b for a, b in zip(orders, others, strict=True)])
    assert same < 0.1, "draws of two designs have nothing to do with each other"


def test_a_curve_ends_at_the_truth(table):
    design = table.designs[0]
    curve = table.curve(design)
    assert curve[-1] == table.truth(design)
    assert curve[0].mean == pytest.approx(2 * curve[-1].mean, rel=0.1)


def test_the_ceiling_rises_with_seeds_to_what_rankings_reach(table):
    one, two, six = (table.ceiling(seeds)[0] for seeds in (1, 2, 6))
    assert 0 < one < two < six < 1
    low, high = table.ceiling(2)[1:]
    assert low < two < high


def test_the_front_is_that_of_true_means(space):
    table = tables.made(space, loss, noise=0.002)
    found = front(table)
    points = [(space.cost(d).macs, loss(d), d.id) for d in table.designs]
    true = {
        key
        for macs, value, key in points
        if not any(m <= macs and v <= value and (m, v) != (macs, value) for m, v, _ in points)
    }
    assert {m.architecture.id for m in found if m.probability > 0.95} == true
    assert [m.cost for m in found] == sorted(m.cost for m in found)
    assert all(0.05 <= m.probability <= 1 for m in found)
    by_accuracy = front(table, "top1")
    assert {m.architecture.id for m in by_accuracy if m.probability > 0.95} == true


def test_a_file_gives_the_same_table_back(table, tmp_path):
    write_table(table, tmp_path / "a.npz")
    again = read_table(tmp_path / "a.npz")
    assert [d.id for d in again.designs] == [d.id for d in table.designs]
    assert again.baselines == table.baselines
    assert again.about["fidelity"] == table.about["fidelity"]
    for design in (table.designs[0], table.designs[-1]):
        mine, other = table.truth(design), again.truth(design)
        assert other.mean == pytest.approx(mine.mean, abs=1e-6)
        assert again.draw(design, 3, 2)[0].test_top1 == table.draw(design, 3, 2)[0].test_top1
    assert open_table(str(tmp_path / "a.npz")).name == "mamba_micro"


def test_it_opens_without_torch(table, tmp_path):
    write_table(table, tmp_path / "a.npz")
    code = (
        "import sys; from sparx_nas import table as tables; "
        f"t = tables.open_table({str(tmp_path / 'a.npz')!r}); t.truth(t.designs[0]); "
        "print([m for m in ('torch', 'ray', 'optuna', 'timm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda t, d: open_table("mamba_x"), "there is no table 'mamba_x'"),
        (lambda t, d: open_table("no/such.npz"), "cannot read no/such.npz: No such file"),
        (lambda t, d: t.truth(d), "the table of mamba_micro has no design"),
        (lambda t, d: t.truth(t.designs[0], "accuracy"), "there is no measure 'accuracy'"),
        (lambda t, d: t.truth(t.designs[0], epoch=4), "there is no epoch 4; they go from 0 to 3"),
        (lambda t, d: t.truth(t.designs[0], "test_top1", 1), "after the last epoch alone"),
        (lambda t, d: t.draw(t.designs[9], 0, 5), "was trained 4 times"),
        (lambda t, d: front(t, cost="dollars"), "there is no cost 'dollars'; known are params"),
    ],
)
def test_what_is_not_there_is_named(table, act, said):
    foreign = sparx_nas.load_space("conv_t").baselines["sparx"]
    with pytest.raises(TableError, match=said):
        act(table, foreign)


def test_a_damaged_file_is_one_clear_error(table, tmp_path):
    path = tmp_path / "a.npz"
    write_table(table, path)
    whole = path.read_bytes()
    for content in (b"", b"no table", whole[:1000], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(TableError, match="no table, or a damaged one"):
            read_table(path)
    newer = replace(table, about={**table.about, "schema": 9})
    write_table(newer, path)
    with pytest.raises(TableError, match="a table of schema 9, this version reads 1"):
        read_table(path)
    json.dumps(dict(table.about))
