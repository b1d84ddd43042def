"""The report of a run: one file that opens from disk, loads nothing and runs no script."""

from collections.abc import Mapping, Sequence
from typing import Any

from sparx_nas.command.typed import dashboard, typed
from sparx_nas.drawing import facts
from sparx_nas.drawing.cards import card_id, cards, drawn, groups
from sparx_nas.drawing.charts import curves_svg, front_svg, marks
from sparx_nas.drawing.keys import curves_key, front_key, wiring_key
from sparx_nas.drawing.markup import Markup, join, masked, style, tag, text, unbroken
from sparx_nas.drawing.summary import lead, tiles
from sparx_nas.drawing.theme import CHART_CSS, REPORT_CSS, THEME_CSS, WIRING_CSS
from sparx_nas.drawing.trial_table import trial_table
from sparx_nas.ground.quantities import duration, percent, wilson
from sparx_nas.trial.measures import SCORES
from sparx_nas.trial.values import Objective, Run

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)


def report_html(run: Run) -> str:
    """Write a run, at any stage of its life, as one HTML file.

    Accuracies stand with their fidelity and, where the run recorded the size of the validation
    split, with a 95 % interval. Linear in the trials but for the charts' fronts, O(n^2).
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", text(f"{run.name}: search report")),
        style(THEME_CSS + WIRING_CSS + CHART_CSS + REPORT_CSS),
    )
    body = tag(
        "main",
        _header(run),
        lead(run),
        tiles(run),
        _fronts(run),
        _wirings(run),
        _curves(run),
        _trials(run),
        _reproduce(run),
        _caveats(run),
        _records(run),
    )
    page = tag("html", head, tag("body", body), lang="en")
    return f"<!doctype html>\n{page}\n"


def _header(run: Run) -> Markup:
    """Name the run and say how it was made."""
    fidelity = run.fidelity
    splits = [
        f"{size} {split}"
        for split in ("train", "val", "test")
        if (size := facts.images(run, split)) is not None
    ]
    name = run.data.get("name") or (fidelity.data if fidelity else "")
    status = run.status
    rows = {
        "Space": run.space,
        "State": status.get("state", "unknown"),
        "Data": f"{name} ({', '.join(splits)} images)" if splits else name,
        "Trained": facts.fidelity_words(fidelity),
        "Seed": fidelity.seed if fidelity else "",
        "Device": next((t.device for t in run.trials if t.device), run.env.get("device", "")),
        "Started": status.get("started", ""),
        "Updated": status.get("updated", ""),
    }
    return tag(
        "header",
        tag("p", text("sparx_nas search report"), class_="over"),
        tag("h1", text(run.name)),
        tag(
            "dl",
            *(
                tag("div", tag("dt", text(key)), tag("dd", text(value)))
                for key, value in rows.items()
                if value not in ("", None)
            ),
            class_="facts",
        ),
    )


def _section(title: str, *content: Markup) -> Markup:
    """Wrap a section with its heading."""
    return tag("section", tag("h2", text(title)), *content)


def _paragraph(words: str, kind: str | None = None) -> Markup:
    """Wrap a paragraph of plain text."""
    return tag("p", text(unbroken(words)), class_=kind)


def _fronts(run: Run) -> Markup:
    """Draw the first objective against each other one; an only objective, against trial numbers."""
    front = {trial.number for trial in run.front}
    links = {t.number: f"#trial-{t.number}" for t in run.trials}
    links |= {t.number: f"#{card_id(t)}" for t in drawn(run)}
    first, *others = run.objectives
    fidelity = run.fidelity
    note = facts.fidelity_words(fidelity, brief=True) if first.name in SCORES else ""
    figures = []
    bounds = {t.number: facts.bounds(run, t, first.name) for t in run.trials}
    for x in others or [Objective(name="trial", direction="min")]:
        points = marks(run.trials, front, x, first, bounds)
        chart = front_svg(points, x, first, links=links, y_note=note)
        if chart:
            figures.append(tag("figure", chart, front_key(points)))
    if not figures:
        return _section("Front", _paragraph("No trial has finished, so there is no front yet."))
    says = "A point leads to its wiring, or to its row in the table of trials."
    return _section("Front", *figures, _paragraph(says, "note"))


def _wirings(run: Run) -> Markup:
    """Draw the wirings of the front and of the baselines."""
    if not drawn(run):
        return Markup("")
    parts = [wiring_key()]
    for words, group in groups(run).items():
        parts += [tag("h3", text(words), class_="group"), cards(run, group)]
    return _section(
        "Wirings",
        _paragraph(
            "Each row is a stage, its layers from left to right. Costs and maps are those of the "
            f"target, at full width: {run.target_words}.",
            "note",
        ),
        *parts,
    )


def _curves(run: Run) -> Markup:
    """Draw accuracy over epochs."""
    note = facts.fidelity_words(run.fidelity)
    chart = curves_svg(run.trials, {trial.number for trial in run.front}, y_note=note)
    if not chart:
        return Markup("")
    return _section("Training curves", tag("figure", chart, curves_key()))


def _trials(run: Run) -> Markup:
    """Table all trials and say how many there are."""
    if not run.trials:
        return _section("Trials", _paragraph("No trial has been recorded yet."))
    number = len(run.trials)
    return _section(
        "Trials",
        _paragraph(f"All {number} of {number}; shaded rows are on the front.", "note"),
        trial_table(run),
    )


def _reproduce(run: Run) -> Markup:
    """Give the commands that continue, repeat and use the run."""
    folder = run.path.rstrip("/")
    classes = run.data.get("num_classes")
    head = f", num_classes={classes}" if isinstance(classes, int) else ""
    file = f"{folder}/best/arch.json"
    python = (
        f"import sparx_nas\n\narchitecture = sparx_nas.Architecture.load({file!r})\n"
        f"model = sparx_nas.build(architecture{head})"
    )
    steps = {
        "Continue this run; finished trials are not repeated": (
            typed("search", "--resume", run.path)
        ),
        "Run the same search again, in a new folder": (
            typed("search", "--config", f"{folder}/config.yaml")
        ),
        "Build the best design at full width, without weights": python,
        "Write the best design at full width as one file of plain PyTorch, untrained": (
            typed("export", f"{folder}/best", "--full")
        ),
        "Look at the study, if it is kept in the run": dashboard(f"sqlite:///{folder}/study.db"),
    }
    parts = [
        part
        for words, command in steps.items()
        for part in (_paragraph(words, "note"), tag("pre", tag("code", text(command))))
    ]
    return _section("How to reproduce", *parts)


def _caveats(run: Run) -> Markup:
    """Say what the numbers can and cannot bear."""
    fidelity = run.fidelity
    tested = (
        "The test split was read once, for the front, after the search."
        if any(trial.test_top1 is not None for trial in run.trials)
        else "The test split has not been read."
    )
    said = [
        "MACs, parameters and activation memory are exact counts for the full-width target "
        f"({run.target_words}), not for the network that was trained; the latter's MACs "
        "stand beside them.",
        "The validation accuracy of the best of many trials is optimistic, for it was chosen by "
        "it. " + tested,
        facts.reliability_words(run)
        + (
            " Intervals hold both the noise of seeds and the sampling of images."
            if run.noise.top1
            else " Intervals here cover only the sampling of images."
        ),
    ]
    if words := facts.latency_words(run):
        said.append(words)
    if fidelity:
        said.insert(
            0,
            f"Accuracies are those of a short proxy training ({facts.fidelity_words(fidelity)}, "
            f"stem stride {fidelity.stem_stride}). They are for comparing designs and do not "
            "foretell the accuracy after a full training.",
        )
    n = facts.images(run, "val")
    if n:
        low, high = wilson(round(0.9 * n), n)
        said.insert(
            1,
            f"The validation split has {n} images: by them alone a measured {percent(0.9, 0)} has "
            f"a 95 % interval of {facts.interval_words((low, high))}.",
        )
    return _section(
        "How far to trust this", tag("ul", *(tag("li", text(unbroken(s))) for s in said))
    )


def _records(run: Run) -> Markup:
    """Fold out the configuration and the environment as recorded."""
    parts = [
        tag("details", tag("summary", text(title)), _tree(value))
        for title, value in (("Configuration", run.config), ("Environment", run.env))
        if value
    ]
    total = sum(trial.seconds for trial in run.trials)
    said = f"Training took {duration(total)} in all. " if total else ""
    foot = tag(
        "footer", text(f"{said}This file loads nothing from the network and runs no script.")
    )
    return tag("section", *parts, foot)


def _tree(value: Any) -> Markup:
    """Write nested mappings and lists as nested definition lists."""
    if isinstance(value, Mapping):
        rows = [
            part
            for key, inner in value.items()
            for part in (tag("dt", text(key)), tag("dd", _tree(inner)))
        ]
        return tag("dl", *rows, class_="tree")
    if isinstance(value, Sequence) and not isinstance(value, str):
        if not any(isinstance(item, Mapping) for item in value):
            return text(masked(", ".join(map(str, value))))
        return join(_tree(item) for item in value)
    return text("none" if value is None else masked(str(value)))
