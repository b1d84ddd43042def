"""What the server answers to each question, as JSON values; no web framework in here."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from sparx_nas.architecture import Architecture
from sparx_nas.command.typed import typed
from sparx_nas.cost import to_networkx
from sparx_nas.drawing import compare, facts, matrix, population
from sparx_nas.drawing.associations import association_sentences, associations
from sparx_nas.drawing.associations_chart import associations_svg
from sparx_nas.drawing.compare import compare_svg
from sparx_nas.drawing.difference import difference_words
from sparx_nas.drawing.matrix import matrix_svg
from sparx_nas.drawing.paint import Paint, legend_items
from sparx_nas.drawing.population import population_svg
from sparx_nas.drawing.wiring import wiring_svg
from sparx_nas.ground.errors import GraphError, RunError, SparxError
from sparx_nas.ground.quantities import counted, duration, percent
from sparx_nas.run_store import judge, read_importance
from sparx_nas.trial.measures import amount
from sparx_nas.trial.values import Run, TrialRecord
from sparx_nas.viewer import what_if
from sparx_nas.viewer.importance import SHARED, importance_paint
from sparx_nas.viewer.server.source import Source

VIEWS = ("arc", "matrix")
"""Of a design."""
POPULATION = "population"
"""The view of all designs."""
COLORS = ("class", "age")
WIDTHS = ("plain", "channels", "macs")
CURVES = 60
"""Curves that are told at once."""


def trial_of(source: Source, number: int) -> TrialRecord:
    """Return a trial by number.

    Raises: RunError if the run has none of that number.
    """
    trial = source.snapshot().by_number.get(number)
    if trial is None:
        raise RunError(f"{source.name} has no trial {number}")
    return trial


def trial_answer(source: Source, trial: TrialRecord) -> dict[str, Any]:
    """Tell everything of one trial."""
    run = source.snapshot().run
    return {
        "number": trial.number,
        "name": trial.name,
        "state": trial.state,
        "baseline": trial.baseline,
        "says": _facts(run, trial),
        "notes": [*trial.violations, *([trial.error] if trial.error else [])],
        "architecture": trial.architecture.to_dict(),
        "layers": _layers(trial.architecture, run.target["image_size"]),
        "image_size": run.target["image_size"],
        "epochs": [asdict(epoch) for epoch in trial.epochs],
        "importance": _importance_note(source, trial),
    }


def _facts(run: Run, trial: TrialRecord) -> list[list[str]]:
    """List label, value and what stands behind it."""
    rows: list[list[str]] = []
    if trial.top1 is not None:
        bounds = facts.interval_words(facts.interval(run, trial))
        rows.append(["Validation top-1", percent(trial.top1), bounds])
    if trial.test_top1 is not None:
        bounds = facts.interval_words(facts.interval(run, trial, "test"))
        rows.append(["Test top-1", percent(trial.test_top1), bounds])
    costs = {"params": "Parameters", "macs": "MACs", "activation_bytes": "Activation memory"}
    for name, label in costs.items():
        if name in trial.cost:
            rows.append([label, amount(name, trial.cost[name]), ""])
    if trial.objectives.get("latency_ms"):
        measured = f"measured on {trial.device}"
        if trial.latency:
            measured = trial.latency.words()
        rows.append(["Latency", amount("latency_ms", trial.objectives["latency_ms"]), measured])
    if trial.fidelity:
        rows.append(
            ["Trained", facts.fidelity_words(trial.fidelity), f"seed {trial.fidelity.seed}"]
        )
    if trial.seconds:
        rows.append(["Time", duration(trial.seconds), trial.device])
    return rows


def _layers(architecture: Architecture, image_size: int) -> list[dict[str, Any]]:
    """List the layers with shape, cost and sources, in reading order."""
    graph = to_networkx(architecture, image_size)
    rows = []
    for name, node in graph.nodes(data=True):
        edges = graph.in_edges(name, data=True)
        reads = [source for source, _, edge in edges if edge["kind"] == "aggregate"]
        shape = f"{node['channels']} x {node['height']} x {node['width']}"
        cost = {"params": node["params"], "macs": node["macs"]}
        rows.append({"layer": name, "kind": node["kind"], "shape": shape, "reads": reads} | cost)
    return rows


def wiring_answer(
    source: Source,
    drawn: tuple[str, Architecture],
    *,
    versus: tuple[str, Architecture] | None,
    view: str,
    paint: Paint,
    standalone: bool = False,
) -> dict[str, Any]:
    """Draw a named design, alone or against another; the text says what the drawing shows.

    Raises: GraphError for an unknown view.
    """
    if view not in VIEWS:
        raise GraphError(f"no view {view!r}; there are {', '.join((*VIEWS, POPULATION))}")
    (title, design), target = drawn, source.target()
    words = difference_words(design, versus[1], target) if versus else ""
    if view == "matrix":
        other = versus[1] if versus else None
        svg = matrix_svg(
            design, vs=other, ids="w", title=title, standalone=standalone, target=target
        )
    elif versus:
        titles = (title, versus[0])
        svg = compare_svg(
            design, versus[1], titles=titles, ids="w", standalone=standalone, target=target
        )
    else:
        svg = wiring_svg(design, title=title, ids="w", standalone=standalone, paint=paint)
    keys = _key(view, versus is not None, paint)
    return {
        "svg": svg,
        "words": words,
        "key": [[said, drawn] for said, drawn in keys.items()],
        "id": design.graph.id,
    }


def _key(view: str, versus: bool, paint: Paint) -> Mapping[str, str]:
    """Return what the marks of a drawing mean, each with a sample 22 px wide."""
    if view == "arc" and not versus:
        return legend_items(paint)
    if view == "matrix":
        samples = matrix.legend_samples(versus=versus)
    else:
        samples = (population if view == "population" else compare).legend_samples()
    return {said: sample(11.0, 11.0) for said, sample in samples.items()}


def population_answer(
    source: Source, only: Collection[int] | None, *, standalone: bool = False
) -> dict[str, Any]:
    """Draw how often each edge is on the front, and elsewhere, perhaps of some trials `only`."""
    run = source.snapshot().run
    front = {t.number for t in run.front}
    able = [t for t in run.trials if t.state in ("complete", "untrained")]
    looked = able if only is None else [t for t in able if t.number in only]
    chosen = [t.architecture.graph for t in looked if t.number in front]
    rest = [t.architecture.graph for t in looked if t.number not in front]
    words = f"{counted(len(chosen), 'wiring')} on the front against {counted(len(rest), 'other')}"
    if only is not None:
        words += f", of the {counted(len(only), 'trial')} that lasso and search leave"
    svg = population_svg(chosen, rest, ids="w", title=words, standalone=standalone)
    key = [[said, drawn] for said, drawn in _key("population", False, Paint()).items()]
    return {"svg": svg, "words": words, "key": key, "id": ""}


def paint_of(source: Source, design: Architecture, color: str, width: str) -> Paint:
    """Return how to paint a design.

    Raises: GraphError for an unknown colour or width, or importance that was not measured.
    """
    colors = (*COLORS, *SHARED)
    if color not in colors or width not in WIDTHS:
        raise GraphError(f"colour is one of {', '.join(colors)}, width of {', '.join(WIDTHS)}")
    size = source.target()["image_size"]
    if color in COLORS:
        return Paint(color=color, width=width, image_size=size)  # type: ignore[arg-type]
    found = importance_of(source, design)
    if found is None:
        raise GraphError("the importance of this design's edges was not measured")
    return replace(importance_paint(found["edges"], color, width), image_size=size)


def importance_of(source: Source, design: Architecture) -> dict[str, Any] | None:
    """Return the measured importance of a design's edges, if there is one."""
    return read_importance(source.path, design.id) if source.path else None


def _importance_note(source: Source, trial: TrialRecord) -> dict[str, Any] | str:
    """Return the importance of a trial's edges, or how to measure it."""
    try:
        found = importance_of(source, trial.architecture)
    except RunError as error:
        return str(error)
    if found is not None:
        return found
    if trial.state != "complete" or source.path is None:
        return "Edge importance needs a trained design."
    command = typed("importance", source.path, "--trial", trial.number)
    return f"Not measured yet: {command} (its weights have to be kept)"


def curves_answer(source: Source, numbers: Sequence[int]) -> dict[str, Any]:
    """Tell validation accuracy over epochs of some trials."""
    found = source.snapshot().by_number
    trials = [found[number] for number in numbers[:CURVES] if number in found]
    return {
        "curves": [
            {
                "number": t.number,
                "epoch": [e.epoch for e in t.epochs],
                "top1": [e.top1 for e in t.epochs],
                "train_loss": [e.train_loss for e in t.epochs],
                "val_loss": [e.val_loss for e in t.epochs],
            }
            for t in trials
            if t.epochs
        ]
    }


def features_answer(source: Source) -> dict[str, Any]:
    """Tell which features of wirings go with accuracy at equal cost."""
    run = source.snapshot().run
    trained = [t for t in run.trials if t.state == "complete" and t.top1 is not None]
    found = associations(
        [t.architecture.graph for t in trained],
        [t.top1 or 0.0 for t in trained],
        [t.cost["macs"] for t in trained],
    )
    images = facts.images(run, "val")
    said = association_sentences(found, trials=len(trained), validation_images=images)
    return {"sentences": said, "svg": associations_svg(found) if found else ""}


def what_if_answer(source: Source, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Apply an operation to a design and tell its consequences; a mistake leaves it as it is.

    `sent` holds `architecture` and, for a change, `operation`; `base` is a trial to compare with.

    Raises: ArchitectureError for what is no architecture.
    """
    design, mistake = what_if.read_architecture(sent.get("architecture"), "what-if"), ""
    if sent.get("operation"):
        try:
            design = what_if.changed(design, sent["operation"])
        except SparxError as error:
            mistake = str(error)
    run = source.snapshot().run
    found = what_if.consequences(run, design, source.target())
    number = sent.get("base")
    base = source.snapshot().by_number.get(number) if type(number) is int else None
    found["architecture"], found["mistake"] = design.to_dict(), mistake
    found["layers"] = _layers(design, run.target["image_size"])
    found["image_size"] = run.target["image_size"]
    found["difference"] = _difference(base, design, run)
    found["base"] = dict(base.cost) if base else {}
    found["verdict"] = verdict_answer(source, design)
    return found


def _difference(base: TrialRecord | None, design: Architecture, run: Run) -> str:
    """Say what sets a design apart from the trial it is compared with, if there is one."""
    return difference_words(base.architecture, design, run.target) if base else ""


def verdict_answer(source: Source, design: Architecture) -> dict[str, Any]:
    """Say whether a design can be handed to the search, and what follows."""
    if source.path is None:
        return {"accepted": False, "guest": False, "words": "A space has no search to send it to."}
    run = source.snapshot().run
    found = judge(run, source.space, design, source.waiting())
    return asdict(found)
