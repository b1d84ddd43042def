"""Which candidate is trained next: baselines first, nothing twice, nothing over a limit."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState

from sparx_nas import run_store
from sparx_nas.architecture import Architecture
from sparx_nas.ground.errors import ArchitectureError, NoFeasibleError, SpaceError
from sparx_nas.search.proposing.sampler import distributions
from sparx_nas.space import SearchSpace
from sparx_nas.trial.values import Fidelity, name_of

LOG = logging.getLogger(__name__)
PATIENCE = 60
"""Proposals in a row that lead to no new architecture before the space is walked instead."""
WALK = 2_000
"""Seeded draws of a space too large to enumerate before it counts as exhausted."""


@dataclass(frozen=True)
class Proposal:
    """A trial to be trained: its number in the run, negative for guests, and what it is."""

    number: int
    architecture: Architecture
    baseline: str


class Proposals:
    """Asks the study for candidates until one is worth training.

    An architecture that failed is not proposed again before the run is resumed.

    Duplicates are pruned with a reference to the first of their kind; candidates over a limit are
    pruned with the violation as a constraint, before any training. Baselines are trained whatever
    they cost. What a person queued comes before what the sampler proposes, and guests, which the
    space cannot express and which have a study of their own (`open_guests`), before that.
    `fidelity_of` says how a baseline of a name is trained, and anything else under "".
    """

    def __init__(
        self,
        study: optuna.Study,
        space: SearchSpace,
        *,
        limits: Mapping[str, float],
        fidelity_of: Callable[[str], Fidelity],
        open_guests: Callable[[], optuna.Study | None] = lambda: None,
    ) -> None:
        self.study, self.space, self.limits = study, space, limits
        self.fidelity_of, self.open_guests = fidelity_of, open_guests
        self.guests: optuna.Study | None = None
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
                there |= self._queued_id(trial)
            elif trial.state in (TrialState.COMPLETE, TrialState.RUNNING):
                there.add(trial.user_attrs.get("architecture_id", ""))
        for name, architecture in self.space.baselines.items():
            genes = self.space.encode(architecture)
            assert genes is not None, name
            if architecture.id not in there:
                self.study.enqueue_trial(dict(genes))

    def _queued_id(self, trial: optuna.trial.FrozenTrial) -> set[str]:
        """Return the id of what waits in the study; none for what is no choice of the space."""
        try:
            return {self.space.decode(trial.system_attrs.get("fixed_params", {})).id}
        except SpaceError:
            return set()

    def restore(self, interrupted: Sequence[int]) -> None:
        """Take up a study: what was seen, and which trials have to be run again; guests first.

        A kill may have come before a trial had all its genes, or between the verdict that it is a
        duplicate and its end, so every interrupted trial is decided anew, in order.
        """
        trials = self.study.get_trials(deepcopy=False)
        for trial in trials:
            decided = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
            if decided and "duplicate_of" not in trial.user_attrs:
                self.seen[trial.user_attrs["architecture_id"]] = trial.number
        self.guests = self.open_guests()
        guests = self.guests.get_trials(deepcopy=False) if self.guests else []
        for guest in guests:
            decided = guest.state in (TrialState.COMPLETE, TrialState.PRUNED)
            if decided and "duplicate_of" not in guest.user_attrs:
                self.seen[guest.user_attrs["architecture_id"]] = run_store.turned(guest.number)
        for number in interrupted:
            own = trials[number] if number >= 0 else guests[run_store.turned(number)]
            study = self.study if number >= 0 else self.guests
            assert study is not None, "an interrupted guest has a study"
            proposal = self._decide(optuna.trial.Trial(study, own._trial_id), number)
            if proposal is not None:
                self.again.append(proposal)

    def waiting(self) -> int:
        """Count what is queued, baselines among it, and not taken yet."""
        if self.guests is None and run_store.has_guests(self.study):
            self.guests = self.open_guests()
        return _queue_length(self.study) + _queue_length(self.guests)

    def next(self, *, sampled: bool = True) -> Proposal | None:
        """Return the next trial to train, or None if there is nothing new.

        Without `sampled` it is one that was queued, or one to be run again.

        Raises: NoFeasibleError if a walk through the space finds nothing within the limits.
        """
        if self.again:
            return self.again.pop(0)
        proposal = self._queued()
        return self._sampled() if proposal is None and sampled else proposal

    def _queued(self) -> Proposal | None:
        """Take what is queued, guests first, until one is worth training."""
        while self.waiting():
            if self.guests is not None and _queue_length(self.guests):
                proposal = self._asked(self.guests)
            else:
                proposal = self._asked(self.study)
            if proposal is not None:
                return proposal
        return None

    def _sampled(self) -> Proposal | None:
        """Ask the sampler until something is new, then walk through the space."""
        for _ in range(PATIENCE):
            proposal = self._asked(self.study)
            if proposal is not None:
                return proposal
        untried = self._untried()
        if untried is None:
            self.exhausted = True
            return None
        self.study.enqueue_trial(dict(untried))
        return self._queued()

    def _asked(self, study: optuna.Study) -> Proposal | None:
        """Ask one of the studies for a trial, and decide whether it is trained."""
        with run_store.at_once(study):
            trial = study.ask()
            guest = study is self.guests
            return self._decide(trial, run_store.turned(trial.number) if guest else trial.number)

    def _decide(self, trial: optuna.Trial, number: int) -> Proposal | None:
        """Decide whether a trial is trained; one that is no design of the space fails.

        `number` is that of the run, which is negative for guests.
        """
        try:
            architecture = self._drawn(trial) if number >= 0 else run_store.guest_of(trial)
        except (ArchitectureError, SpaceError) as error:
            queued = number < 0 or _queued(trial)
            reason = f"queued, and is no design: {error}" if queued else str(error)
            LOG.log(logging.WARNING if queued else logging.DEBUG, "%s: %s", name_of(number), reason)
            run_store.fail(trial.study, trial.number, reason)
            return None
        return self._judge(trial, number, architecture)

    def _drawn(self, trial: optuna.Trial) -> Architecture:
        """Give a trial its genes and return what they mean.

        Raises: SpaceError if it was queued with a value that is no choice of the space.
        """
        try:
            for name, distribution in self.genes.items():
                trial._suggest(name, distribution)
        except ValueError as error:
            if not _queued(trial):
                raise
            raise SpaceError(str(error)) from error
        return self.space.decode(trial.params)

    def _judge(
        self, trial: optuna.Trial, number: int, architecture: Architecture
    ) -> Proposal | None:
        """Record what a trial is; tell its study if it is not trained."""
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
            fidelity=self.fidelity_of(baseline),
        )
        if first is not None:
            run_store.prune(trial.study, trial.number, state="duplicate", duplicate_of=first)
            return None
        self.seen[architecture.id] = number
        if excess and not baseline:
            run_store.prune(trial.study, trial.number, state="infeasible")
            return None
        return Proposal(number, architecture, baseline)

    def _untried(self) -> Mapping[str, Any] | None:
        """Return the genes of an architecture within the limits that was not tried yet."""
        everything = self.space.enumerate()
        drawn = self.space.draws(WALK, seed=len(self.seen))
        candidates = chain(self.space.corners(), drawn) if everything is None else everything
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


def _queued(trial: optuna.Trial) -> bool:
    """Tell whether a trial was queued."""
    return "fixed_params" in trial.storage.get_trial(trial._trial_id).system_attrs


def _queue_length(study: optuna.Study | None) -> int:
    """Count the trials of a study that wait."""
    return len(study.get_trials(deepcopy=False, states=(TrialState.WAITING,))) if study else 0


def violations(cost: Mapping[str, Any], limits: Mapping[str, float]) -> tuple[str, ...]:
    """Say which limits a cost breaks, as sentences."""
    return tuple(
        f"{key} {cost[key]:,} > {most:,.0f}" for key, most in limits.items() if cost[key] > most
    )
