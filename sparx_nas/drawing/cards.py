"""The wirings of the front and of the baselines, each with its numbers."""

from collections.abc import Sequence

from sparx_nas.architecture.graph import measures
from sparx_nas.drawing import facts
from sparx_nas.drawing.markup import Markup, join, tag, text
from sparx_nas.drawing.paint import Paint
from sparx_nas.drawing.wiring import wiring_svg
from sparx_nas.ground.quantities import percent
from sparx_nas.trial.measures import MEASURES, amount
from sparx_nas.trial.pareto import best_trial, published_trial
from sparx_nas.trial.values import Run, TrialRecord

WIDE_DEPTH = 14
"""A stage of more layers makes its card as wide as the page."""
SHOWN = ("top1", "val_loss", "macs", "params")


def drawn(run: Run) -> list[TrialRecord]:
    """Return the trials whose wirings the report draws: the front, then the other baselines."""
    front = {trial.number for trial in run.front}
    rest = [t for t in run.trials if t.baseline and t.number not in front]
    return [*run.front, *rest]


def groups(run: Run) -> dict[str, list[TrialRecord]]:
    """Return the drawn trials by heading: the best beside the published one, then the others."""
    chosen = best_trial(run)
    pair = [chosen, published_trial(run)] if chosen else []
    first = {trial.number: trial for trial in pair if trial}
    front = {trial.number for trial in run.front}
    rest = [trial for trial in drawn(run) if trial.number not in first]
    found = {
        "Best and published" if len(first) == 2 else "Best": list(first.values()),
        "The rest of the front": [t for t in rest if t.number in front],
        "Other baselines": [t for t in rest if t.number not in front],
    }
    return {words: trials for words, trials in found.items() if trials}


def card_id(trial: TrialRecord) -> str:
    """Return the anchor of a trial's wiring."""
    return f"wiring-{trial.number}"


def cards(run: Run, trials: Sequence[TrialRecord]) -> Markup:
    """Draw the trials as a grid of cards."""
    chosen = best_trial(run)
    front = {trial.number for trial in run.front}
    return tag(
        "div",
        *(
            _card(
                run,
                trial,
                on_front=trial.number in front,
                is_best=chosen is not None and trial.number == chosen.number,
            )
            for trial in trials
        ),
        class_="cards",
    )


def badges(trial: TrialRecord, *, on_front: bool, is_best: bool) -> Markup:
    """Say what a trial is to the run: best, on the front, a baseline, over a limit."""
    over = trial.state == "infeasible" or not trial.feasible
    possible = (
        ("best", "best", is_best),
        ("front", "front", on_front),
        ("baseline", trial.baseline, bool(trial.baseline)),
        ("guest", "guest", trial.guest),
        ("over", "over a limit", over),
    )
    shown = [(kind, said) for kind, said, there in possible if there]
    return join((tag("span", text(said), class_=f"badge {kind}") for kind, said in shown), " ")


def _card(run: Run, trial: TrialRecord, *, on_front: bool, is_best: bool) -> Markup:
    """Draw one wiring with its numbers."""
    name = facts.titled(trial)
    m = measures(trial.architecture.graph)
    paint = Paint(image_size=run.target["image_size"])
    svg = wiring_svg(
        trial.architecture, title=name, ids=f"w{trial.number}", standalone=False, paint=paint
    )
    wide = " wide" if max(trial.architecture.graph.depths) > WIDE_DEPTH else ""
    said = (
        f"{m.ganglia} of {m.layers} layers are ganglia, {m.edges} edges, density {m.density:.2f}, "
        f"mean span {m.span:.1f}"
    )
    return tag(
        "article",
        tag("header", tag("h3", text(name)), badges(trial, on_front=on_front, is_best=is_best)),
        _numbers(run, trial),
        tag("div", svg, class_="scroll", tabindex=0, role="region", aria_label=f"{name}: wiring"),
        tag("p", text(said), class_="ids"),
        tag("p", text("wiring "), tag("code", text(trial.architecture.graph.id)), class_="ids"),
        id=card_id(trial),
        class_=f"card{wide}",
    )


def _numbers(run: Run, trial: TrialRecord) -> Markup:
    """List the measures of one trial: accuracies, the target's cost, the proxy's MACs."""
    rows: list[tuple[str, str, str]] = []
    if trial.top1 is not None:
        bounds = facts.interval_words(facts.interval(run, trial))
        rows.append(("Validation top-1", percent(trial.top1), bounds))
    else:
        rows.append(("Validation top-1", "not trained", ""))
    if trial.test_top1 is not None:
        bounds = facts.interval_words(facts.interval(run, trial, "test"))
        rows.append(("Test top-1", percent(trial.test_top1), bounds))
    values = {**trial.cost, **trial.objectives}
    names = ["macs", "params", *(o.name for o in run.objectives if o.name not in SHOWN)]
    rows += [(MEASURES[n].title, amount(n, values[n]), "") for n in names if n in values]
    if "macs" in trial.proxy_cost:
        rows.append(("MACs as trained", amount("macs", trial.proxy_cost["macs"]), ""))
    return tag(
        "dl",
        *(
            tag(
                "div",
                tag("dt", text(label)),
                tag("dd", text(value), *([tag("small", text(bounds))] if bounds else [])),
            )
            for label, value, bounds in rows
        ),
        class_="numbers",
    )
