"""Optuna's samplers over the genes of a space, with idle genes pinned before they are recorded."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from sparx_nas.space import SearchSpace

POPULATION = 20


def distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """Return the fixed, flat set of genes as Optuna's distributions."""
    return {gene.name: CategoricalDistribution(gene.choices) for gene in space.genes}


def make_sampler(name: str, space: SearchSpace, *, seed: int, trials: int) -> BaseSampler:
    """Return the sampler of a search: `tpe` (multivariate), `nsga2` or `random`."""
    startup = max(4, min(10, trials // 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        inner: Mapping[str, Any] = {
            "tpe": lambda: TPESampler(
                multivariate=True, constant_liar=True, n_startup_trials=startup, seed=seed
            ),
            "nsga2": lambda: NSGAIISampler(population_size=POPULATION, seed=seed),
            "random": lambda: RandomSampler(seed=seed),
        }
        return PinningSampler(inner[name](), space)


class PinningSampler(BaseSampler):
    """Draws all genes at once from another sampler and pins those that are idle.

    A gene that is idle in a candidate gets the value of the canonical genotype, so that the
    sampler learns from one spelling of every architecture.
    """

    def __init__(self, inner: BaseSampler, space: SearchSpace) -> None:
        self.inner, self.space, self.genes = inner, space, distributions(space)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return all genes, always: the space does not change from trial to trial."""
        return self.genes

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw a full genotype and return its canonical spelling."""
        known = self.inner.infer_relative_search_space(study, trial)
        drawn = self.inner.sample_relative(study, trial, known)
        for name, distribution in search_space.items():
            if name not in drawn:
                drawn[name] = self.inner.sample_independent(study, trial, name, distribution)
        return dict(self.space.canonical(drawn))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        """Draw one gene; only an enqueued trial that leaves genes out comes here."""
        return self.inner.sample_independent(study, trial, name, distribution)

    def reseed_rng(self) -> None:
        """Pass on."""
        self.inner.reseed_rng()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Pass on."""
        self.inner.before_trial(study, trial)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Pass on."""
        self.inner.after_trial(study, trial, state, values)
