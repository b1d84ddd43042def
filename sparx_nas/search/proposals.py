"""Which candidate is trained next: baselines first, nothing twice, nothing over a limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState

from sparx_nas import run_store
from sparx_nas.architecture import Architecture
from sparx_nas.errors import NoFeasibleError
from sparx_nas.search.sampler import distributions
from sparx_nas.space import SearchSpace
from sparx_nas.trial import Fidelity

PATIENCE = 60
"""Proposals in a row that lead to no new architecture before the space is walked instead."""
WALK = 2_000
"""Seeded draws of a space too large to enumerate before it counts as exhausted."""


@dataclass(frozen=True)
class Proposal:
    """A trial to be trained: its number in the study, and what it is."""

    number: int
    architecture: Architecture
    baseline: str


class Proposals:
    """Asks the study for candidates until one is worth training.

    An architecture that failed is not proposed again before the run is resumed.

    Duplicates are pruned with a reference to the first of their kind; candidates over a limit are
    pruned with the violation as a constraint, before any training. Baselines are trained whatever
    they cost.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: SearchSpace,
        *,
        limits: Mapping[str, float],
        fidelity: Fidelity,
    ) -> None:
        self.study, self.space, self.limits, self.fidelity = study, space, limits, fidelity
        self.genes: dict[str, BaseDistribution] = distributions(space)
        self.baselines = {a.id: name for name, a in space.baselines.items()}
        self.seen: dict[str, int] = {}
        self.again: list[Proposal] = []
        self.exhausted = False

    def enqueue_baselines(self) -> None:
        """Put the baselines that are neither trained nor in training nor waiting in the queue."""
        there: set[str] = set()
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state == TrialState.WAITING:
                there.add(self.space.decode(trial.system_attrs["fixed_params"]).id)
            elif trial.state in (TrialState.COMPLETE, TrialState.RUNNING):
                there.add(trial.user_attrs.get("architecture_id", ""))
        for name, architecture in self.space.baselines.items():
            genes = self.space.encode(architecture)
            assert genes is not None, name
            if architecture.id not in there:
                self.study.enqueue_trial(dict(genes))

    def restore(self, interrupted: Sequence[int]) -> None:
        """Take up a study: what was seen, and which trials have to be run again.

        A kill may have come before a trial had all its genes, or between the verdict that it is a
        duplicate and its end, so every interrupted trial is decided anew, in order.
        """
        trials = self.study.get_trials(deepcopy=False)
        for trial in trials:
            decided = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
            if decided and "duplicate_of" not in trial.user_attrs:
                self.seen[trial.user_attrs["architecture_id"]] = trial.number
        for number in interrupted:
            reopened = optuna.trial.Trial(self.study, trials[number]._trial_id)
            for name, distribution in self.genes.items():
                reopened._suggest(name, distribution)
            proposal = self._judge(reopened)
            if proposal is not None:
                self.again.append(proposal)

    def next(self) -> Proposal | None:
        """Return the next trial to train, or None if the space has nothing new.

        Raises: NoFeasibleError if a walk through the space finds nothing within the limits.
        """
        if self.again:
            return self.again.pop(0)
        for _ in range(PATIENCE):
            proposal = self._judge(self.study.ask(self.genes))
            if proposal is not None:
                return proposal
        untried = self._untried()
        if untried is None:
            self.exhausted = True
            return None
        self.study.enqueue_trial(dict(untried))
        return self._judge(self.study.ask(self.genes))

    def _judge(self, trial: optuna.Trial) -> Proposal | None:
        """Decide whether a proposal is trained; tell the study if it is not."""
        architecture = self.space.decode(trial.params)
        first = self.seen.get(architecture.id)
        baseline = self.baselines.get(architecture.id, "") if first is None else ""
        cost = self.space.cost(architecture).to_dict()
        excess = {
            key: (cost[key] - most) / most for key, most in self.limits.items() if cost[key] > most
        }
        constraints = {key: excess.get(key, -1.0) for key in self.limits}
        if first is not None:
            # A violated constraint keeps TPE from comparing values that a duplicate has not got.
            constraints["duplicate"] = 1.0
        run_store.begin(
            trial,
            architecture=architecture,
            baseline=baseline,
            cost=cost,
            violations=violations(cost, self.limits),
            constraints=constraints,
            fidelity=self.fidelity,
        )
        if first is not None:
            run_store.prune(self.study, trial.number, state="duplicate", duplicate_of=first)
            return None
        self.seen[architecture.id] = trial.number
        if excess and not baseline:
            run_store.prune(self.study, trial.number, state="infeasible")
            return None
        return Proposal(trial.number, architecture, baseline)

    def _untried(self) -> Mapping[str, Any] | None:
        """Return the genes of an architecture within the limits that was not tried yet."""
        everything = self.space.enumerate()
        candidates = (
            self.space.draws(WALK, seed=len(self.seen)) if everything is None else everything
        )
        feasible = 0
        for architecture in candidates:
            if violations(self.space.cost(architecture).to_dict(), self.limits):
                continue
            feasible += 1
            if architecture.id not in self.seen:
                return self.space.encode(architecture)
        if not feasible:
            limits = ", ".join(f"{key}<={most:g}" for key, most in self.limits.items())
            raise NoFeasibleError(
                f"no architecture of {self.space.name} found within {limits}",
                hint="raise the limit; --explain prints the range of the space",
            )
        return None


def violations(cost: Mapping[str, Any], limits: Mapping[str, float]) -> tuple[str, ...]:
    """Say which limits a cost breaks, as sentences."""
    return tuple(
        f"{key} {cost[key]:,} > {most:,.0f}" for key, most in limits.items() if cost[key] > most
    )
