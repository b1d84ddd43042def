"""`best/`: the design to use, as a folder that can be handed on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from sparx_nas.architecture.network import CONFIG, WEIGHTS, Network
from sparx_nas.command.typed import typed_anywhere
from sparx_nas.ground.errors import RunError
from sparx_nas.ground.quantities import counted, percent, si
from sparx_nas.ground.record import json_text, read_json, write_bytes, write_json
from sparx_nas.run_store.best_network import best_network
from sparx_nas.run_store.derived import replace_text
from sparx_nas.run_store.weights import weights_path
from sparx_nas.trial.measures import MEASURES, amount
from sparx_nas.trial.pareto import alike, best_trial, costs_no_more, published_trial
from sparx_nas.trial.values import Run, TrialRecord

BEST = "best"
ARCH, SNIPPET, README = "arch.json", "load.py", "README.md"
WRAP = 96
COST_WORDS: Mapping[str, str] = {
    "macs": "MACs",
    "params": "parameters",
    "activation_bytes": "activation bytes of an image",
}


def write_best(path: Path, run: Run) -> TrialRecord | None:
    """Bring best/ up to date and return the design in it; None while there is no front.

    With its weights best/ is the folder of a `Network`. They are copied from weights/, and stay if
    they are pruned there later. At no moment do the weights of one design stand beside the
    architecture of another.

    Raises: RunError if the run does not say what its data are.
    """
    trial = best_trial(run)
    if trial is None:
        return None
    network = best_network(run, trial)
    folder = path / BEST
    arch, model = folder / ARCH, folder / WEIGHTS
    folder.mkdir(exist_ok=True)
    if not arch.exists() or read_json(arch, RunError).get("id") != trial.architecture.id:
        model.unlink(missing_ok=True)
        (folder / CONFIG).unlink(missing_ok=True)
        write_json(arch, trial.architecture.to_dict())
    weights = weights_path(path, trial.architecture.id)
    if weights.exists() and not model.exists():
        write_bytes(model, weights.read_bytes())
    replace_text(folder / CONFIG, json_text(network.to_dict()))
    replace_text(folder / SNIPPET, _snippet(network, with_weights=model.exists()))
    replace_text(folder / README, _readme(run, trial, network, with_weights=model.exists()))
    return trial


def _snippet(network: Network, *, with_weights: bool) -> str:
    """Write the program that builds the trained network and loads its weights."""
    imports = ["import sparx_nas"]
    last = ["model.eval()"]
    if with_weights:
        imports.insert(0, "from safetensors.torch import load_file\n")
        load = f'model.load_state_dict(load_file(HERE / "{WEIGHTS}"), strict=True)'
        last.insert(0, load)
    does = "Build the network as it was trained, and load its weights."
    if not with_weights:
        does = "Build the network as it was trained; its weights were not kept."
    lines = [
        f'"""{does}"""',
        "",
        "from pathlib import Path",
        "",
        *imports,
        "",
        "HERE = Path(__file__).resolve().parent",
        f'architecture = sparx_nas.Architecture.load(HERE / "{ARCH}")',
        f"model = sparx_nas.build(architecture, {_spelled(network.build_arguments)})",
        *last,
    ]
    return "\n".join(lines) + "\n"


def _spelled(arguments: Mapping[str, Any]) -> str:
    """Write keyword arguments as Python code."""
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def _readme(run: Run, trial: TrialRecord, network: Network, *, with_weights: bool) -> str:
    """Write what the design is, why it was chosen, how good it is, and how to use it."""
    what = f"the baseline `{trial.baseline}`" if trial.baseline else _origin(trial)
    arguments = _spelled({"num_classes": network.num_classes, "in_chans": network.in_chans})
    as_trained = f"`python {SNIPPET}` builds the network as it was trained. "
    if with_weights:
        as_trained += (
            f"It loads `{WEIGHTS}`, the weights of that short training: a check that the design "
            f"works, not a network to use. `{typed_anywhere('export', '.')}` writes it as ONNX, as "
            "a program of torch.export and as one file of plain PyTorch."
        )
    else:
        as_trained += "Its weights were not kept (`--keep-weights`)."
    return f"""# The design to use from `{run.name}`

{trial.name.capitalize()}, {what}; architecture `{trial.architecture.id}`.

{fill(_rule(run, trial), WRAP, break_on_hyphens=False)}

{_scores(run, trial)}

{fill(_training(trial), WRAP, break_on_hyphens=False)}

{_costs(run, trial)}

## Use it

At full size, to be trained in full:

```python
import sparx_nas

architecture = sparx_nas.Architecture.load("{ARCH}")
model = sparx_nas.build(architecture, {arguments})
```

{fill(_FULL, WRAP, break_on_hyphens=False)}

{fill(as_trained, WRAP, break_on_hyphens=False)}
"""


_FULL = (
    f"For a training script of your own, `{typed_anywhere('export', '.', '--full')}` writes the "
    "same, untrained, as one file of plain PyTorch that needs no sparx_nas."
)


def _origin(trial: TrialRecord) -> str:
    """Say who proposed a design that is no baseline."""
    if trial.guest:
        return "handed to the search by a person; its space cannot express it"
    return "handed to the search by a person" if trial.source else "found by the search"


def _training(trial: TrialRecord) -> str:
    """Say how the trial was trained, and what that is worth."""
    fidelity = trial.fidelity
    assert fidelity is not None, "a complete trial has a fidelity"
    epochs = counted(fidelity.epochs, "epoch")
    return (
        f"Trained on {fidelity.data} for {epochs} of {fidelity.image_size} px images in batches of "
        f"{fidelity.batch_size}, at {fidelity.width:g} of full width, stem stride "
        f"{fidelity.stem_stride}, seed {fidelity.seed}. Such a short training is for "
        "comparing designs; it does not foretell the accuracy of a full one."
    )


def _rule(run: Run, trial: TrialRecord) -> str:
    """Say which rule chose the design."""
    reference, others = published_trial(run), alike(run)
    measure = MEASURES[run.score].title.lower()
    among = "of the front"
    if reference is not None and costs_no_more(trial, reference, run.objectives):
        among = "among the members of the front that cost no more than the published design"
    if trial.number == others[0].number:
        said = f"Chosen as the one with the best {measure} {among}."
    else:
        top = others[0]
        said = (
            f"Chosen as the cheapest of {len(others)} {among} that these trainings cannot tell "
            f"apart; the best {measure} of them has {top.name}, "
            f"{amount(run.score, top.objectives[run.score])}."
        )
    if run.at_chance:
        said = (
            "No candidate of this run is above chance, so nothing here says that this design is "
            f"better than another. {said}"
        )
    if reference is None:
        said += " The published design was not trained in this run, so its cost played no part."
    elif among == "of the front":
        said += " No member of the front costs as little as the published design."
    return said


def _scores(run: Run, trial: TrialRecord) -> str:
    """List the accuracies with their intervals; of several trainings the mean, and the first's."""
    noise, seeds = run.noise, len(trial.top1s)
    first = f"; the weights here: {percent(trial.top1s[0])}" if seeds > 1 else ""
    mean = f", the mean of {seeds} trainings" if seeds > 1 else ""
    lines = [
        f"- validation top-1 {percent(trial.top1 or 0.0)}{_interval(noise.interval(trial.top1s))}"
        f"{mean}{first}; optimistic, for the design was chosen by it"
    ]
    if trial.test_top1 is None:
        lines.append("- test top-1: not measured yet")
    else:
        bounds = noise.interval(trial.test_top1s, "test")
        first = f"; the weights here: {percent(trial.test_top1s[0])}" if seeds > 1 else ""
        lines.append(f"- test top-1 {percent(trial.test_top1)}{_interval(bounds)}{mean}{first}")
    return "\n".join(lines)


def _interval(bounds: Sequence[float] | None) -> str:
    """Write a 95 % interval behind the value it belongs to."""
    return f" (95 % interval {100 * bounds[0]:.1f} to {percent(bounds[1])})" if bounds else ""


def _costs(run: Run, trial: TrialRecord) -> str:
    """List the costs at full size, beside those of the published design."""
    reference = published_trial(run)
    other: Mapping[str, Any] = {}
    if reference is not None and reference.number != trial.number:
        other = reference.cost
    lines = [f"At full size, at the target ({run.target_words}):", ""]
    for name, words in COST_WORDS.items():
        if name in trial.cost:
            beside = f"; the published design has {si(other[name])}" if name in other else ""
            lines.append(f"- {si(trial.cost[name])} {words}{beside}")
    return "\n".join(lines)
