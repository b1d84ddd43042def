"""The table of all trials of a run."""

from sparx_nas.architecture.graph import measures
from sparx_nas.drawing.cards import badges, card_id, drawn
from sparx_nas.drawing.markup import Markup, masked, tag, text
from sparx_nas.ground.quantities import duration, percent
from sparx_nas.trial.measures import MEASURES, amount
from sparx_nas.trial.pareto import best_trial
from sparx_nas.trial.values import Run, TrialRecord, name_of

NOTE_LENGTH = 300


def trial_table(run: Run) -> Markup:
    """Write every trial as a row, in the order of their numbers, guests last."""
    measured = _measures(run)
    heads = ["Trial", "State", "Role", *(MEASURES[name].title for name in measured)]
    heads += ["MACs as trained", "Density", "In-degree", "Span", "Ganglia", "Time"]
    numeric = len(heads)
    heads += ["Wiring", "Architecture", "Note"]
    cells = (
        tag("th", text(head), scope="col", class_="n" if 3 <= i < numeric else None)
        for i, head in enumerate(heads)
    )
    front = {trial.number for trial in run.front}
    pictures = {trial.number for trial in drawn(run)}
    chosen = best_trial(run)
    best = chosen.number if chosen else None
    rows = (
        _row(
            t, measured, t.number in pictures, badges(t, on_front=on, is_best=t.number == best), on
        )
        for t, on in ((t, t.number in front) for t in sorted(run.trials, key=_order))
    )
    return tag(
        "div",
        tag("table", tag("thead", tag("tr", *cells)), tag("tbody", *rows)),
        class_="table",
        tabindex=0,
        role="region",
        aria_label="Table of trials",
    )


def _measures(run: Run) -> list[str]:
    """Return the measures that have a column: accuracy, the score if it is another, costs."""
    shown = ["top1", "macs", "params"]
    more = [o.name for o in run.objectives if o.name not in shown]
    return sorted((*shown, *more), key=list(MEASURES).index)


def _order(trial: TrialRecord) -> tuple[bool, int]:
    """Sort guests, whose numbers go down from -1, behind the others."""
    return trial.guest, abs(trial.number)


def _row(
    trial: TrialRecord, measured: list[str], linked: bool, role: Markup, on_front: bool
) -> Markup:
    """Write one trial."""
    m = measures(trial.architecture.graph)
    values = {**trial.cost, **trial.objectives}
    if trial.top1 is not None:
        values["top1"] = trial.top1
    number = text(trial.name if trial.guest else trial.number)
    name = tag("a", number, href=f"#{card_id(trial)}") if linked else number
    numbers = [amount(n, values[n]) if n in values else "" for n in measured]
    proxy = trial.proxy_cost.get("macs")
    numbers += [
        amount("macs", proxy) if proxy is not None else "",
        f"{m.density:.2f}",
        f"{m.in_degree:.1f}",
        f"{m.span:.1f}",
        percent(m.ganglion_share, 0),
        duration(trial.seconds) if trial.seconds else "",
    ]
    ids = (trial.architecture.graph.id, trial.architecture.id)
    return tag(
        "tr",
        tag("th", name, scope="row"),
        tag("td", text(trial.state)),
        tag("td", role),
        *(tag("td", text(value), class_="n") for value in numbers),
        *(tag("td", tag("code", text(value))) for value in ids),
        tag("td", text(_note(trial)), class_="says"),
        id=f"trial-{trial.number}",
        class_="front" if on_front else None,
    )


def _note(trial: TrialRecord) -> str:
    """Say why a trial has no result, or what is special about it."""
    said = list(trial.violations)
    if trial.duplicate_of is not None:
        said.append(f"same architecture as {name_of(trial.duplicate_of)}")
    if trial.error:
        short = masked(trial.error.strip())
        cut = len(short) > NOTE_LENGTH
        said.append(f"{short[:NOTE_LENGTH]} (cut; see search.log)" if cut else short)
    return "; ".join(said)
