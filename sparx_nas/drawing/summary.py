"""The first screen of the report: the outcome in plain words, and four or five numbers."""

from sparx_nas.drawing import facts
from sparx_nas.drawing.markup import Markup, tag, text, unbroken
from sparx_nas.ground.quantities import percent
from sparx_nas.trial.measures import amount
from sparx_nas.trial.pareto import best_trial, published_trial
from sparx_nas.trial.values import Run, TrialRecord


def lead(run: Run) -> Markup:
    """Say what came out, and how sure that is."""
    said = [
        facts.at_chance(run),
        _outcome(run),
        facts.reliability_words(run) if run.front else "",
        _counts_words(run),
    ]
    said = [words for words in said if words]
    return tag(
        "section",
        *(
            tag("p", text(unbroken(words)), class_="lead" if i == 0 else "muted")
            for i, words in enumerate(said)
        ),
    )


def _outcome(run: Run) -> str:
    """Compare the best design with the published one."""
    tally = facts.counts(run)
    trained = tally.get("trained", 0) + tally.get("guest", 0)
    if not trained and not tally.get("baseline"):
        return "No trial has finished yet."
    chosen, reference = best_trial(run), published_trial(run)
    if chosen is None:
        return f"The front holds {len(run.front)} designs; no validation accuracy was recorded."
    if not trained:
        return (
            f"Only baselines have been trained so far; the best of them is {_design(run, chosen)}."
        )
    why = facts.choice_words(run)
    if reference is None:
        return (
            f"The design to use is {_design(run, chosen)}. {why}The published one was not trained."
        )
    if chosen.number == reference.number:
        return (
            f"The published SparX design remains the choice: {_design(run, chosen)}. {why}".strip()
        )
    return (
        f"The design to use is {_design(run, chosen)}. {why}Compared with the published SparX "
        f"design ({_accuracy(run, reference)}): {facts.comparison(run, chosen, reference)}."
    )


def _design(run: Run, trial: TrialRecord) -> str:
    """Name a design with its accuracy and its MACs."""
    name = trial.name + (f" ({trial.baseline})" if trial.baseline else "")
    macs = trial.cost.get("macs")
    return f"{name}, {_accuracy(run, trial)}" + (
        f" at {amount('macs', macs)} MACs" if macs is not None else ""
    )


def _accuracy(run: Run, trial: TrialRecord) -> str:
    """Return the validation accuracy with its interval."""
    if trial.top1 is None:
        return "accuracy not recorded"
    bounds = facts.interval_words(facts.interval(run, trial))
    return f"{percent(trial.top1)} validation top-1" + (
        f", 95 % interval {bounds}" if bounds else ""
    )


def _counts_words(run: Run) -> str:
    """Count what became of the trials."""
    words = {
        "trained": ("architecture", "trained besides the baselines"),
        "baseline": ("baseline", "trained"),
        "guest": ("guest", "trained beside the search"),
        "duplicate": ("duplicate", "not trained again"),
        "infeasible": ("candidate", "over a limit and not trained"),
        "failed": ("trial", "failed"),
        "interrupted": ("trial", "interrupted"),
        "running": ("trial", "running"),
    }
    tally = facts.counts(run)
    said = [
        f"{number} {noun}{'' if number == 1 else 's'} {rest}"
        for key, (noun, rest) in words.items()
        if (number := tally.get(key))
    ]
    fidelity = facts.fidelity_words(run.fidelity)
    how = f" Every accuracy is that of a short training: {fidelity}." if fidelity else ""
    return f"{'; '.join(said)}.{how}" if said else ""


def tiles(run: Run) -> Markup:
    """Show the numbers that matter most; nothing where there are none yet."""
    chosen, reference = best_trial(run), published_trial(run)
    shown: list[tuple[str, str]] = []
    if chosen is not None and chosen.top1 is not None:
        shown.append((percent(chosen.top1), "validation top-1 of the design to use"))
        if chosen.test_top1 is not None:
            bounds = facts.interval_words(facts.interval(run, chosen, "test"))
            shown.append((percent(chosen.test_top1), f"its test top-1 ({bounds})"))
    if chosen is not None and reference is not None and chosen.number != reference.number:
        for name, words in (("macs", "MACs"), ("params", "parameters")):
            if name in chosen.cost and reference.cost.get(name):
                change = chosen.cost[name] / reference.cost[name] - 1
                shown.append((f"{100 * change:+.1f} %", f"{words} against published SparX"))
    if run.front:
        shown.append((str(len(run.front)), "designs on the front"))
    if not shown:
        return Markup("")
    cells = (tag("div", tag("b", text(n)), tag("span", text(w)), class_="tile") for n, w in shown)
    return tag("div", *cells, class_="tiles")
