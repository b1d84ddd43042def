import numpy as np
import pytest

from sparx_nas.trial.table.truth import truths


def drawn(rng, *, designs, trainings, scatter, within, slope):
    """Return true means, what is known of designs, and scores."""
    known = rng.standard_normal((designs, 1))
    true = 0.5 + slope * known[:, 0] + scatter * rng.standard_normal(designs)
    scores = [rng.normal(mean, within, count) for mean, count in zip(true, trainings, strict=True)]
    return true, known, scores


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_it_is_nearer_to_the_truth_than_plain_means_and_knows_how_near(slope):
    rng, better, covered, shares = np.random.default_rng(3), [], [], []
    for _ in range(40):
        trainings = np.r_[[20] * 3, [4] * 100]
        true, known, scores = drawn(
            rng, designs=103, trainings=trainings, scatter=0.03, within=0.05, slope=slope
        )
        found = truths(scores, known)
        better.append(np.mean((found.raw - true) ** 2) - np.mean((found.means - true) ** 2))
        covered.append(np.mean(np.abs(found.means - true) <= 1.96 * found.errors))
        shares.append((found.scatter, found.within))
    assert np.mean(better) > 0
    assert np.mean(better) > 3 * np.std(better) / np.sqrt(len(better))
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)
    assert np.mean(shares, 0) == pytest.approx([0.03, 0.05], rel=0.05)


def test_many_trainings_speak_for_themselves_and_few_lean_on_the_others():
    rng = np.random.default_rng(0)
    trainings = np.r_[[40], [2] * 60]
    _, known, scores = drawn(
        rng, designs=61, trainings=trainings, scatter=0.03, within=0.05, slope=0.0
    )
    found = truths(scores, known)
    assert found.of(0).weight > 0.9 > 0.6 > found.of(1).weight
    assert found.of(0).error < found.of(1).error < found.within / np.sqrt(2)
    assert found.of(0).trainings == 40
    low, high = found.of(0).interval
    assert low < found.of(0).mean < high


def test_designs_that_do_not_differ_get_one_mean():
    rng = np.random.default_rng(5)
    scores = [rng.normal(0.3, 0.05, 4) for _ in range(50)]
    means = np.array([np.mean(group) for group in scores])
    # Drawn together until less is between them than noise alone makes.
    scores = [g - 0.5 * (m - means.mean()) for g, m in zip(scores, means, strict=True)]
    found = truths(scores, rng.standard_normal((50, 2)))
    assert found.scatter == 0
    assert np.ptp(found.means) < 0.2 * np.ptp(found.raw)
    assert (found.weights == 0).all()
