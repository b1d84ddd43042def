"""What a search prints when it ends: the front, how it compares, and what to type next."""

import textwrap
from collections import defaultdict
from pathlib import Path

from sparx_nas.command.typed import dashboard, typed
from sparx_nas.drawing import facts
from sparx_nas.ground.quantities import counted
from sparx_nas.search.telling.wording import (
    BEST,
    WIDTH,
    clipped,
    costs,
    measured,
    reason,
    what_it_is,
)
from sparx_nas.trial.measures import MEASURES, amount
from sparx_nas.trial.pareto import best_trial, by_score, published_trial
from sparx_nas.trial.values import Run, TrialRecord, mark_of

COUNTED = {
    "trained": "trained",
    "baseline": "baseline",
    "guest": "guest",
    "duplicate": "duplicate",
    "infeasible": "over a limit",
    "failed": "failed",
    "interrupted": "interrupted",
}
NOUNS = ("baseline", "guest", "duplicate")
DATA = {"--data": "data", "--data-dir": "data_dir"}
"""Options that say what the data are, with the setting each comes from."""


def summary_lines(run: Run, path: Path) -> list[str]:
    """Write the closing summary in at most 80 columns; only commands and paths may be longer."""
    chosen = best_trial(run)
    blocks = [
        textwrap.wrap(facts.at_chance(run), WIDTH),
        _front(run, chosen),
        _comparison(run, chosen),
        textwrap.wrap(facts.reliability_words(run), WIDTH) if run.front else [],
        textwrap.wrap(facts.latency_words(run), WIDTH),
        _counts(run),
        _failures(run),
    ]
    return [line for block in (*blocks, _next(run, path)) if block for line in ("", *block)]


def _front(run: Run, chosen: TrialRecord | None) -> list[str]:
    """List the front, the best score first."""
    scored = sum(1 for trial in run.trials if trial.objectives)
    if not scored:
        return ["No trial has ended with a value."]
    if not run.front:
        return [f"No front: {scored} trials have values, none is within the limits."]
    names = list(dict.fromkeys([*costs(run.objectives), "macs", "params"]))
    room = max(WIDTH - 44 - 9 * len(names) - 2, 0)
    heads = "".join(MEASURES[name].column.rjust(9) for name in names)
    heads += "  wiring" if room >= len("wiring") else ""
    fidelity = run.fidelity
    how = "; val on augmented copies" if fidelity and fidelity.val_copies else ""
    lines = [
        f"Front: {len(run.front)} of {scored} trained architectures (95 % intervals{how})",
        clipped(f"       {'val top-1, %':<19}{'test top-1, %':<18}{heads}".rstrip()),
    ]
    for trial in by_score(run):
        star = BEST if chosen and trial.number == chosen.number else " "
        val = _share(trial.top1, facts.interval(run, trial))
        test = _share(trial.test_top1, facts.interval(run, trial, "test"))
        cells = [amount(name, measured(trial, name)).rjust(9) for name in names]
        what = what_it_is(trial.architecture, trial.baseline, room) if room else ""
        number = trial.mark.ljust(5)
        lines.append(
            clipped(f"{star} {number}{val:<19}{test:<18}{''.join(cells)}  {what}".rstrip())
        )
    return lines


def _share(top1: float | None, bounds: tuple[float, float] | None) -> str:
    """Write an accuracy with its interval: `91.4 (88.1-93.9)`."""
    if top1 is None:
        return "-"
    interval = f" ({100 * bounds[0]:.1f}-{100 * bounds[1]:.1f})" if bounds else ""
    return f"{100 * top1:.1f}{interval}"


def _comparison(run: Run, chosen: TrialRecord | None) -> list[str]:
    """Compare the design that the run recommends with published SparX."""
    reference = published_trial(run)
    if chosen is None or reference is None:
        return []
    why = facts.choice_words(run)
    if chosen.number == reference.number:
        return textwrap.wrap(f"Published SparX remains the choice. {why}", WIDTH)
    said = f"{BEST} {chosen.mark}: {why[0].lower()}{why[1:]}" if why else f"{BEST} {chosen.mark} "
    said += "Against" if why else "against"
    said += f" published SparX ({reference.mark}, {amount('top1', reference.top1)}): "
    return textwrap.wrap(f"{said}{facts.comparison(run, chosen, reference)}.", WIDTH)


def _counts(run: Run) -> list[str]:
    """Say what the trials came to."""
    tally = facts.counts(run)
    said = [
        counted(tally[kind], words) if kind in NOUNS else f"{tally[kind]} {words}"
        for kind, words in COUNTED.items()
        if tally.get(kind)
    ]
    return textwrap.wrap(f"Trials: {', '.join(said)}", WIDTH) if said else []


def _failures(run: Run) -> list[str]:
    """Group what failed by its cause, the most frequent first."""
    groups: dict[str, list[int]] = defaultdict(list)
    for trial in run.trials:
        if trial.state == "failed":
            groups[reason(trial).removeprefix("failed: ")].append(trial.number)
    if not groups:
        return []
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    lines = []
    for cause, numbers in ordered:
        head, tail = f"  {len(numbers)} x ", f" ({_numbers(numbers)})"
        lines.append(head + clipped(cause, WIDTH - len(head) - len(tail)) + tail)
    return ["Failures (more in search.log)", *lines]


def _numbers(numbers: list[int]) -> str:
    """Name trials, the first few of many."""
    shown = ", ".join(mark_of(number) for number in numbers[:3])
    return shown + (f" and {len(numbers) - 3} more" if len(numbers) > 3 else "")


def _data(run: Run) -> list[str]:
    """Return the options of a command that takes the data of the run."""
    options = {flag: run.config.get(name) for flag, name in DATA.items()}
    return [word for flag, value in options.items() if value for word in (flag, str(value))]


def _next(run: Run, path: Path) -> list[str]:
    """Give commands to copy."""
    asked = run.config.get("trials")
    done = run.status.get("state") in ("finished", "exhausted")
    more = ("--trials", 2 * asked) if done and isinstance(asked, int) else ()
    storage = run.config.get("storage") or f"sqlite:///{path / 'study.db'}"
    commands = {
        "report": str(path / "report.html"),
        "explore": typed("view", path),
        "go on": typed("search", "--resume", path, *more),
        "study": dashboard(str(storage)),
    }
    if run.front:
        best = path / "best"
        commands["best"] = f"{best}  (its README.md says how to load it)"
        commands["train"] = typed("train", "--arch", best, *_data(run))
        commands["export"] = typed("export", best)
        # For a training script of one's own: the design at full size, its weights new.
        commands["full"] = typed("export", best, "--full")
    return ["Next", *(f"  {name:<8}{command}" for name, command in commands.items())]
