"""A run of many trials, written into its database in one go: Optuna takes minutes for as many."""

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import sparx_nas
from sparx_nas.ground.record import write_text
from sparx_nas.run_store import CURVES, create_folder, default_storage, open_study
from sparx_nas.trial.values import Fidelity
from support.run_store_runs import CONFIG, ENV, OBJECTIVES, epoch

STARTED = "2026-01-01T00:00:00+00:00"
FIDELITY = Fidelity(
    data="digits",
    data_id="0123456789abcdef",
    epochs=4,
    batch_size=48,
    image_size=16,
    width=0.25,
    stem_stride=2,
    seed=0,
)


def large_run(
    parent: Path, trials: int, *, name: str = "large", space: str = "mamba_t_free"
) -> Path:
    """Make a finished run of so many trials, the first ones the baselines of its space."""
    known = sparx_nas.load_space(space)
    path = parent / name
    create_folder(path, config=CONFIG | {"space": space}, space_text=known.source_text, env=ENV)
    open_study(name=name, storage=default_storage(path), objectives=OBJECTIVES, create=True)
    drawn = list(known.draws(trials, 0))[: trials - len(known.baselines)]
    candidates = [*known.baselines.items(), *(("", a) for a in drawn)]
    seen: dict[str, int] = {}
    rows = [_trial(known, n, *pair, seen) for n, pair in enumerate(candidates)]
    with closing(sqlite3.connect(path / "study.db")) as connection, connection:
        _write(connection, rows)
    _write_curves(path, rows)
    (path / "status.json").write_text(
        json.dumps({"schema": 1, "state": "finished", "trained": trials, "asked": trials})
    )
    return path


def _trial(space, number, baseline, architecture, seen):
    """Return what the study says of one trial: state, values, attributes."""
    draw = random.Random(number)
    cost = space.cost(architecture).to_dict()
    first = seen.setdefault(architecture.id, number)
    edges = sum(len(row) for stage in architecture.graph.stages for row in stage.sources)
    top1 = round(min(0.99, 0.8 + 0.01 * edges**0.5 + draw.gauss(0, 0.02)), 4)
    facts = {
        "baseline": baseline if first == number else "",
        "cost": cost,
        "violations": [],
        "limits": {},
        "fidelity": FIDELITY.to_dict(),
        "seed": 0,
        "started": STARTED,
        "graph_id": architecture.graph.id,
        "architecture_id": architecture.id,
        "architecture": architecture.to_dict(),
        "ended": STARTED,
    }
    if first != number:
        return "PRUNED", None, facts | {"state": "duplicate", "duplicate_of": first}
    if draw.random() < 0.01:
        return "FAIL", None, facts | {"state": "failed", "error": "RuntimeError: no luck"}
    proxy = {"macs": cost["macs"] // 16, "params": cost["params"] // 16}
    done = {"state": "complete", "top1": top1, "seconds": 9.5, "device": "cpu (2 threads)"}
    return "COMPLETE", (top1, float(cost["macs"])), facts | done | {"proxy_cost": proxy}


def _write(connection, rows):
    """Insert trials with their values and attributes."""
    study = connection.execute("SELECT study_id FROM studies").fetchone()[0]
    trials = [
        (n + 1, n, study, state, STARTED[:19].replace("T", " "))
        for n, (state, *_) in enumerate(rows)
    ]
    connection.executemany(
        "INSERT INTO trials (trial_id, number, study_id, state, datetime_start, datetime_complete)"
        " VALUES (?, ?, ?, ?, ?5, ?5)".replace("?, ?, ?, ?, ?5", "?1, ?2, ?3, ?4, ?5"),
        trials,
    )
    values = [
        (n + 1, i, value, "FINITE")
        for n, (_, both, _) in enumerate(rows)
        for i, value in enumerate(both or ())
    ]
    connection.executemany(
        "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (?, ?, ?, ?)",
        values,
    )
    attributes = [
        (n + 1, key, json.dumps(value))
        for n, (_, _, facts) in enumerate(rows)
        for key, value in facts.items()
    ]
    connection.executemany(
        "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (?, ?, ?)", attributes
    )


def _write_curves(path, rows):
    """Write the epochs of the trained trials."""
    lines = []
    for number, (state, values, _) in enumerate(rows):
        if state != "COMPLETE":
            continue
        lines.append({"kind": "start", "trial": number, "time": STARTED})
        for e in range(1, FIDELITY.epochs + 1):
            made = epoch(e, round(values[0] * (1 - 0.4**e), 4))
            lines.append({"kind": "epoch", "trial": number, **vars(made)})
    write_text(path / CURVES, "".join(json.dumps(line) + "\n" for line in lines))
