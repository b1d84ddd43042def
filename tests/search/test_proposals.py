"""What is trained next, when a kill may come between any two writes to the study."""

import optuna
import pytest
from optuna.trial import TrialState

from sparx_nas.search.proposing.proposals import Proposals
from sparx_nas.search.proposing.sampler import make_sampler
from support.runs import FIDELITY, OBJECTIVES, SPACE

WRITES = (
    "create_new_trial",
    "set_trial_param",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "set_trial_state_values",
)
LIMITS = {"params": 0.9 * SPACE.cost(SPACE.baselines["dense"]).params}


class Killed(BaseException):
    """The process ends here."""


def killed_after(study, writes, monkeypatch):
    """Let a study's storage write so many times, and no more."""
    left = [writes]
    storage = study._storage
    for name in WRITES:
        write = getattr(storage, name)

        def counted(*arguments, write=write, **named):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return write(*arguments, **named)

        monkeypatch.setattr(storage, name, counted)


def new_study():
    directions = ["maximize" if o.direction == "max" else "minimize" for o in OBJECTIVES]
    sampler = make_sampler("random", SPACE, seed=1, trials=20)
    return optuna.create_study(directions=directions, sampler=sampler)


def taken_up(study):
    proposals = Proposals(study, SPACE, limits=LIMITS, fidelity_of=lambda _: FIDELITY)
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    proposals.restore([trial.number for trial in running])
    proposals.enqueue_baselines()
    return proposals


def search_on(study):
    proposals = taken_up(study)
    while True:
        proposals.next()


@pytest.mark.parametrize("writes", range(0, 240, 3))
def test_a_kill_between_any_two_writes_changes_nothing(writes, monkeypatch):
    study = new_study()
    with monkeypatch.context() as patch:
        killed_after(study, writes, patch)
        with pytest.raises(Killed):
            search_on(study)
    proposals = taken_up(study)
    trained = [proposals.next() for _ in range(12)]
    ids = [proposal.architecture.id for proposal in trained]
    assert len(set(ids)) == 12
    assert {p.baseline for p in trained if p.baseline} == set(SPACE.baselines)
    for proposal in trained:
        cost = SPACE.cost(proposal.architecture).params
        assert proposal.baseline or cost <= LIMITS["params"]
    trials = study.get_trials(deepcopy=False)
    assert not [t for t in trials if t.state == TrialState.FAIL]
    running = {t.number for t in trials if t.state == TrialState.RUNNING}
    assert running == {proposal.number for proposal in trained}
