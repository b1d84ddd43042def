"""`README.md`, the model card: wiring, cost, accuracy, origin, use and limits; nothing invented."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill
from typing import Any

from sparx_nas.architecture import Architecture
from sparx_nas.architecture.graph import measures
from sparx_nas.architecture.network import Network
from sparx_nas.cost import CostEstimate, estimate
from sparx_nas.drawing.exports import EXPORTS
from sparx_nas.export.design import DESIGN
from sparx_nas.export.job import Job
from sparx_nas.export.usage import WRAP, usage
from sparx_nas.ground.quantities import percent, si, wilson
from sparx_nas.space.drawing import LEGEND, draw

FILE, PICTURE = "README.md", "wiring.svg"
UNKNOWN = "not recorded"
SPLITS = {
    "val": "validation",
    "val_augmented": "validation, augmented copies",
    "test": "test",
    "train": "train",
}
WEIGHTS = {"ema": "the moving average of the training", "plain": "those of the last step"}
TOLD_ELSEWHERE = ("epochs", "epochs_done", "finished", "weights")
"""What a training's facts hold that has a line of its own."""


def write_card(job: Job) -> dict[str, Any]:
    """Write the card and the drawing beside it; of the forms it tells what their record says."""
    title = _title(job.network)
    picture = EXPORTS["svg"].write(job.network.architecture, title, full_size(job.network))
    files = {FILE: card(job).encode(), PICTURE: picture.encode()}
    job.target.put("card", files, {})
    return {}


def card(job: Job) -> str:
    """Return the card as Markdown."""
    network = job.network
    parts = [
        f"# {_title(network)}",
        *([_wrapped(NEW)] if _untrained(network) else []),
        _wrapped(_what(network)),
        "## Wiring",
        f"![The wiring: stages as lanes, ganglia as squares, arcs for what they read]({PICTURE})",
        f"```text\n{draw(network.architecture.graph)}\n\n{LEGEND}\n```",
        "## Cost",
        _costs(network),
        "## Accuracy",
        "\n\n".join([_accuracy(network.facts), *_checked(job.target.checked)]),
        "## Training",
        _training(network),
        "## Use",
        usage(job),
        "## Limits",
        _bullets(_limits(job)),
        "## Licence",
        _wrapped(LICENCE),
    ]
    return "\n\n".join(parts) + "\n"


NEW = (
    "**The weights are untrained.** This is a design at full size, for a training script of your "
    "own; until it is trained, what it says of an image means nothing."
)
LICENCE = (
    "The code of sparx_nas, and `model.py` which is generated from it, are under Apache-2.0. The "
    "weights belong to who trained them; what the data's licence asks for holds for them as well."
)


def _untrained(network: Network) -> bool:
    """Tell whether it is a design with new weights."""
    return network.facts.get("made_by") == DESIGN


def _title(network: Network) -> str:
    """Name the network by its family and its data."""
    data = _at(network.facts, "data", "name")
    family = network.architecture.backbone
    if _untrained(network):
        return f"SparX network ({family}), untrained"
    return f"SparX network ({family})" + (f" trained on {data}" if data else "")


def _what(network: Network) -> str:
    """Say what the network is and what it takes."""
    graph, prepared = network.architecture.graph, network.preprocessing
    m = measures(graph)
    depths = ", ".join(map(str, graph.depths))
    high, wide = prepared.image_size
    named = f": {', '.join(network.classes)}" if 0 < len(network.classes) <= 20 else ""
    return (
        f"An image classifier of {len(graph.depths)} stages of {depths} layers, "
        f"{m.ganglia} of {m.layers} of them ganglia, which read several earlier layers through a "
        f"dynamic aggregator ({m.edges} aggregated edges; Lou, Fu, Yu, AAAI 2025, "
        f"arXiv 2409.09649). It takes images of {high} x {wide} pixels with "
        f"{network.in_chans} channel{'s' if network.in_chans != 1 else ''} and tells "
        f"{network.num_classes} classes apart{named}. Architecture `{network.architecture.id}`, "
        f"wiring `{graph.id}`."
    )


def _costs(network: Network) -> str:
    """Table the cost of the network as it is, and at full size where that differs."""
    size, full = network.preprocessing.image_size, full_size(network)
    columns = {f"this network, {size[0]} x {size[1]} px": _estimate(network, size)}
    if network.width != 1 or network.stem_stride != 4:
        side, classes = full["image_size"], full["num_classes"]
        name = f"full size, {side} x {side} px, {classes:,} classes"
        columns[name] = estimate(network.architecture, **full)
    rows = [
        ("parameters", [f"{c.params:,}" for c in columns.values()]),
        ("MACs of an image", [si(c.macs) for c in columns.values()]),
        (
            "activation memory of an image in training, fp32",
            [f"{c.activation_bytes / 2**20:.2f} MiB" for c in columns.values()],
        ),
    ]
    table = _table(["", *columns], [[name, *values] for name, values in rows])
    said = (
        "Exact counts. A MAC is one multiply-add of a convolution, a linear map, an attention "
        "product or the scan; activation memory is what a training keeps for the way back."
    )
    return f"{table}\n\n{_wrapped(said)}"


def full_size(network: Network) -> dict[str, int]:
    """Return the arguments of `estimate` at full size.

    They are the target of the search that the network comes from; of any other network, its own
    image size, channels and classes.
    """
    target = _at(network.facts, "target")
    own = {"num_classes": network.num_classes, "in_chans": network.in_chans}
    own["image_size"] = max(network.preprocessing.image_size)
    return {**own, **(target if isinstance(target, Mapping) else {})}


def _estimate(network: Network, size: tuple[int, int]) -> CostEstimate:
    """Count the cost of the network as built."""
    architecture: Architecture = network.architecture
    return estimate(architecture, size, **network.build_arguments)


def _accuracy(facts: Mapping[str, Any]) -> str:
    """Table the accuracies that the network's facts hold."""
    known = _at(facts, "accuracy")
    rows = []
    for split, said in known.items() if isinstance(known, Mapping) else ():
        if isinstance(said, Mapping) and isinstance(said.get("top1"), int | float):
            rows.append(_score(split, said, _at(facts, "data", "splits", split)))
    if not rows:
        return "Not measured."
    return _table(["split", "top-1", "images", "95 % interval"], rows)


def _checked(said: Mapping[str, Any]) -> Iterator[str]:
    """Say what the check of the forms on real images came to, if there was one."""
    if said:
        split, right = SPLITS.get(said["split"], said["split"]), said["correct"]["torch"]
        others = ", ".join(form for form in said["correct"] if form != "torch")
        yield _wrapped(
            f"When this was exported, {right} of {said['images']} images of the {split} split of "
            f"{said['data']} (data id {said['data_id']}) were right in the network and in every "
            f"form read back: {others}."
        )


def _score(split: str, said: Mapping[str, Any], of_split: Any) -> list[str]:
    """Return one line of the table of accuracies; the interval is Wilson's."""
    images = said.get("images") or of_split
    bounds = said.get("interval")
    if bounds is None and isinstance(images, int):
        bounds = wilson(round(said["top1"] * images), images)
    interval = f"{100 * bounds[0]:.1f} to {percent(bounds[1])}" if bounds else UNKNOWN
    return [SPLITS.get(split, split), percent(said["top1"]), str(images or UNKNOWN), interval]


def _training(network: Network) -> str:
    """List how the weights came about."""
    facts = network.facts
    if _untrained(network):
        run, space = _at(facts, "run"), _at(facts, "space")
        found = f" Its design was found by the search {run} in {space}." if run else ""
        return _wrapped(f"Not trained: every `Model()` has new weights.{found}")
    done, asked = _at(facts, "training", "epochs_done"), _at(facts, "training", "epochs")
    epochs = UNKNOWN if done is None else f"{done}" + (f" of {asked}" if asked is not None else "")
    rows = {
        "made by": _at(facts, "made_by"),
        "run": _at(facts, "run"),
        "trial": _at(facts, "trial"),
        "data": _at(facts, "data", "name"),
        "data id": _at(facts, "data", "data_id"),
        "images": _images(_at(facts, "data", "splits")),
        "epochs": epochs,
        "weights": WEIGHTS.get(str(_at(facts, "training", "weights")), ""),
        "settings": _settings(_at(facts, "training")),
        "width": f"{network.width:g} of full width",
        "stem stride": network.stem_stride,
        "seed": _at(facts, "seed"),
        "device": _at(facts, "device"),
        "versions": _versions(_at(facts, "versions")),
    }
    only_search = ("run", "trial", "made by")
    said = {name: UNKNOWN if v in (None, "") else v for name, v in rows.items()}
    told = {n: v for n, v in said.items() if v != UNKNOWN or n not in (*only_search, "weights")}
    return _bullets([f"{name}: {value}" for name, value in told.items()])


def _settings(training: Any) -> str:
    """Write the settings of a training in one line."""
    given = training.items() if isinstance(training, Mapping) else ()
    told = {n.replace("_", " "): v for n, v in given if n not in TOLD_ELSEWHERE}
    words = {n: f"{v:.6g}" if isinstance(v, float) else str(v) for n, v in told.items()}
    return ", ".join(f"{n} {v.removeprefix(f'{n} ')}" for n, v in words.items())


def _images(splits: Any) -> str:
    """Write the sizes of the splits."""
    given = splits.items() if isinstance(splits, Mapping) else ()
    return ", ".join(f"{count} {SPLITS.get(split, split)}" for split, count in given)


def _versions(versions: Any) -> str:
    """Write versions in one line."""
    given = versions.items() if isinstance(versions, Mapping) else ()
    return ", ".join(f"{name} {number}" for name, number in given)


def _limits(job: Job) -> list[str]:
    """Say what must not be expected."""
    facts, (_, high, wide) = job.network.facts, job.image
    said = []
    if _untrained(job.network):
        said.append("The weights are untrained: accuracy has to come from a training of your own.")
    if _at(facts, "training", "finished") is False:
        said.append("The training was not finished: it stood where the epochs above say.")
    if _at(facts, "made_by") == "search":
        said.append(
            "The weights are those of a short training inside a search, which ranks designs; they "
            "are no substitute for a full training, and the validation accuracy is optimistic, "
            "for the design was chosen by it."
        )
    if job.network.width != 1:
        said.append(
            f"The network is {job.network.width:g} times as wide as its architecture says; "
            "costs at full width stand beside its own."
        )
    fixed = [name for name in ("model.onnx", "model.pt2") if name in _files(job)]
    if fixed:
        said.append(
            f"{' and '.join(fixed)} take{'s' if len(fixed) == 1 else ''} images of {high} x {wide} "
            "pixels; the other forms take any size, for which its accuracy is not known."
        )
    if _at(facts, "accuracy"):
        said.append("Intervals cover the sampling of images; another seed moves accuracy too.")
    elif not _untrained(job.network):
        said.append("Its accuracy is not known: nothing beside the weights tells it.")
    if not _untrained(job.network):
        said.append("Nothing is known of images unlike those it was trained on.")
    return said


def _files(job: Job) -> set[str]:
    """Return the names of the files that are there."""
    return {file for entry in job.target.entries.values() for file in entry["files"]}


def _at(value: Any, *names: str) -> Any:
    """Return what stands under nested names, or None: facts may come from other programs."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [head, ["-"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bullets(items: Sequence[str]) -> str:
    """Write a list in Markdown."""
    return "\n".join(
        fill(item, WRAP, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
        for item in items
    )


def _wrapped(words: str) -> str:
    """Wrap a paragraph."""
    return fill(words, WRAP, break_on_hyphens=False, break_long_words=False)
