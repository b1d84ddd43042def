"""A search replayed on a table: proposals, sampler, ledger, study and rules are a search's own.

Only what runs a trial is another: `run_in_process` instead of Ray Tune, with trainings drawn from
the table instead of made. As a search, a simulated one sees no more than the epochs of trials that
it asked for, and the test split after its end, for the front and the published design alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna.samplers import BaseSampler

from sparx_nas import run_store
from sparx_nas.command.options import Given, Raw
from sparx_nas.command.stopping import Stop
from sparx_nas.search.asked.options import read_options
from sparx_nas.search.asked.places import Slots
from sparx_nas.search.asked.prepared import Search
from sparx_nas.search.asked.settings import Settings, resolve, to_config
from sparx_nas.search.booking.ledger import Ledger
from sparx_nas.search.proposing.proposals import Proposal, Proposals
from sparx_nas.search.proposing.sampler import make_sampler
from sparx_nas.search.running.conductor import Conductor
from sparx_nas.search.simulating.in_process import Clock, run_in_process
from sparx_nas.search.simulating.memory import Memory
from sparx_nas.search.simulating.tabled import TabledSpace, tabled
from sparx_nas.space import SearchSpace
from sparx_nas.trial.pareto import best_trial, published_trial
from sparx_nas.trial.table import Table, TableError
from sparx_nas.trial.values import Epoch, Run, TrialRecord

FREE = ("seed", "seeds")
"""What of a fidelity a simulated search chooses; the rest is the table's."""


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """A simulated search: its run, the simulated seconds it took, and how it ended.

    `state` is `finished`, `exhausted` where nothing is left to train, or `late` where the time
    budget ended it.
    """

    run: Run
    seconds: float
    state: str

    @property
    def announced(self) -> TrialRecord | None:
        """The design that the search proposes."""
        return best_trial(self.run)


def asked(table: Table, space: SearchSpace, **options: Raw) -> Settings:
    """Return the settings of a search of a space by options as `--config` takes them.

    Raises: OptionError for an option that is wrong, TableError for a fidelity that the table does
    not have.
    """
    given = {key: Given(key, raw) for key, raw in {"space": space.name, **options}.items()}
    settings = resolve(read_options(given), space, name=f"{space.name}-simulated")
    for key, value in table.about["fidelity"].items():
        if key not in FREE and getattr(settings, key, value) != value:
            raise TableError(
                f"the table of {table.name} was trained with {key} {value}, "
                f"and {getattr(settings, key)} is asked for"
            )
    return settings


def simulate(
    table: Table,
    space: SearchSpace,
    settings: Settings,
    *,
    places: int = 2,
    sampler: BaseSampler | None = None,
) -> Simulated:
    """Search a space as `settings` say, at so many places at a time; equal seeds, equal searches.

    `sampler` takes the place of the one that the settings name.

    Raises: TableError if the table does not fit the space, or a design was trained too few times.
    """
    cut, clock, memory = tabled(space, table), Clock(), Memory()
    search = Search(
        settings=settings,
        space=cut,
        path=Path(),
        slots=Slots(places, 1, 0.0, "cpu"),
        data=table.about["data"],
        storage="",
        dashboard_lines=[],
        stop=Stop(),
        clock=clock,
    )
    study = run_store.open_study(
        name=settings.name,
        storage=None,
        objectives=settings.objectives,
        sampler=sampler
        or make_sampler(settings.sampler, cut, seed=settings.seed, trials=settings.trials),
        create=True,
    )
    proposals = Proposals(study, cut, limits=settings.constraints, fidelity_of=search.fidelity_of)
    proposals.enqueue_baselines()
    conductor = Conductor(search, proposals, Ledger(search, proposals, memory))
    run_in_process(conductor, lambda proposal: _epochs(search, table, proposal), clock)
    trials = run_store.records(study, memory.curves, settings.objectives)
    run = _scored(_run(search, cut, trials), table)
    late = clock.now > conductor.deadline
    state = "exhausted" if proposals.exhausted else "late" if late else "finished"
    return Simulated(run=run, seconds=clock.now, state=state)


def _epochs(search: Search, table: Table, proposal: Proposal) -> Sequence[Epoch]:
    """Draw the trainings of a trial and return its epochs."""
    fidelity = search.fidelity_of(proposal.baseline)
    each = table.draw(proposal.architecture, fidelity.seed, fidelity.seeds)
    images = table.about["data"]["splits"]["train"]
    return [
        Epoch.of_trainings(
            [
                Epoch(
                    epoch=i + 1,
                    train_loss=training.train_loss[i],
                    val_loss=training.val_loss[i],
                    val_loss_error=training.val_loss_error[i],
                    top1=training.top1[i],
                    seconds=training.seconds[i],
                    images_per_s=images / training.seconds[i],
                )
                for training in each
            ]
        )
        for i in range(table.epochs)
    ]


def _run(search: Search, space: TabledSpace, trials: tuple[TrialRecord, ...]) -> Run:
    """Put a run together as `load_run` does from a folder."""
    settings = search.settings
    env: Mapping[str, Any] = {"data": search.data, "table": space.table.about}
    return Run(
        name=settings.name,
        path="",
        space=space.name,
        objectives=settings.objectives,
        trials=trials,
        front=run_store.pareto_of(trials, settings.objectives),
        target=space.target,
        config=to_config(settings, space),
        env=env,
        status={"state": "finished"},
    )


def _scored(run: Run, table: Table) -> Run:
    """Score the front and the published design on the test split."""
    published = published_trial(run)
    chosen = {trial.number for trial in (*run.front, *([published] if published else []))}
    trials = tuple(
        replace(trial, test_top1s=_test(trial, table)) if trial.number in chosen else trial
        for trial in run.trials
    )
    return replace(run, trials=trials, front=run_store.pareto_of(trials, run.objectives))


def _test(trial: TrialRecord, table: Table) -> tuple[float, ...]:
    """Return what each training of a trial makes of the test split."""
    assert trial.fidelity is not None, "a complete trial has a fidelity"
    each = table.draw(trial.architecture, trial.fidelity.seed, trial.fidelity.seeds)
    return tuple(training.test_top1 for training in each)
