"""What is said of a training in words: before, at its end, and in its folder."""

from collections.abc import Mapping
from textwrap import fill
from typing import TYPE_CHECKING, Any

from sparx_nas.command.typed import typed_anywhere
from sparx_nas.cost import CostEstimate, estimate
from sparx_nas.ground.quantities import duration, percent, si
from sparx_nas.train.design import ARCH
from sparx_nas.train.job import RECIPE, Job
from sparx_nas.trial.device import device_name

if TYPE_CHECKING:
    from sparx_nas.train.trainer import Trainer

WRAP, NARROW = 96, 80
COPIES = 4
"""Of the weights in float32 while training: weights, gradients, two moments; one more for EMA."""
WEIGHTS: Mapping[str, str] = {
    "ema": "The weights are the moving average, which was no worse on val than the plain ones.",
    "plain": "The weights are the plain ones, which were better on val than their moving average.",
    "only": "The weights are those of the last step.",
}


def header(job: Job, trainer: "Trainer", workers: int) -> list[str]:
    """Return the lines that stand above a training."""
    recipe, world = job.recipe, trainer.world
    cost, at = cost_of(job), trainer.progress
    source = job.divided.source
    lines = [
        f"{job.path}",
        f"{si(cost.params)} parameters, {si(cost.macs)} MACs at {recipe.image_size} px; "
        f"{source.name}: {_splits(job)}",
        f"{recipe.total_epochs} epochs of {trainer.steps} steps of {recipe.batch_size} images, "
        f"lr {recipe.lr:g}; {device_name(world.device)}"
        + (f", {world.size} processes" if world.size > 1 else "")
        + (f", {workers} workers" if workers else ""),
        *(f"note: {note}" for note in job.notes),
    ]
    if at.epoch or at.step:
        lines.append(f"going on after {at.epoch} epochs and {at.step} steps")
    return lines


def cost_of(job: Job) -> CostEstimate:
    """Count the network that is trained, for one image."""
    return estimate(job.network.architecture, job.facts.image_size, **job.network.build_arguments)


def dry_run_text(job: Job, trainer: "Trainer", time: str) -> str:
    """Say what would be run and what it takes; memory is an estimate from exact counts.

    `time` says how long it takes, and how that is known.
    """
    recipe, world, cost = job.recipe, trainer.world, cost_of(job)
    in_pass = -(-recipe.batch_size // (recipe.accumulate * world.size))
    kept = cost.activation_bytes * in_pass // (1 if trainer.precision is None else 2)
    weights = cost.weight_bytes * (COPIES + bool(recipe.ema))
    forward = recipe.total_epochs * trainer.steps * recipe.batch_size
    lines = [
        f"would train {job.asked['arch']} on {job.asked['data']} by {job.asked['recipe']}",
        f"  folder       {job.path}",
        f"  images       {_splits(job)}; {job.divided.rule}",
        f"  network      {si(cost.params)} parameters, {si(cost.macs)} MACs an image, "
        f"{len(job.network.classes)} classes, {job.network.in_chans} channels",
        f"  steps        {recipe.total_epochs} epochs of {trainer.steps} steps of "
        f"{recipe.batch_size} images",
        f"  passes       {recipe.accumulate * world.size} a step, {in_pass} images each, on "
        f"{world.size} process{'es' if world.size > 1 else ''}",
        f"  work         {si(3 * cost.macs * forward)} MACs, forward and backward",
        f"  memory       about {si(kept + weights, 'B')} a process: {si(kept, 'B')} of activations"
        f", {si(weights, 'B')} of weights, gradients and moments",
        f"  device       {device_name(world.device)}",
        f"  time         {time}",
        *(f"  note         {note}" for note in job.notes),
    ]
    hung = " " * 15
    wrapped = [fill(line, NARROW, subsequent_indent=hung, break_long_words=False) for line in lines]
    return "\n".join(wrapped) + "\n"


def score_text(score: Mapping[str, Any]) -> str:
    """Write an accuracy with its interval and its counts."""
    low, high = score["interval"]
    return (
        f"{percent(score['top1'], 2)} ({score['correct']} of {score['images']}; 95 % interval "
        f"{100 * low:.1f} to {percent(high)})"
    )


def epochs_text(facts: Mapping[str, Any]) -> str:
    """Say how far a training has come."""
    training = facts["training"]
    text = f"{training['epochs_done']} of {training['epochs']} epochs"
    return text + ("" if training["finished"] else ", not finished")


def summary(job: Job, facts: Mapping[str, Any]) -> str:
    """Say what came of a training, in a few lines."""
    training = facts["training"]
    lines = [
        f"{epochs_text(facts)} in {duration(training['seconds'])}, {training['weights']} weights"
    ]
    lines += [f"{split} top-1 {score_text(score)}" for split, score in facts["accuracy"].items()]
    lines.append(f"written to {job.path}")
    return "\n".join(lines)


def readme(job: Job, facts: Mapping[str, Any]) -> str:
    """Write what the folder holds, how good it is, and how to use it."""
    recipe, cost, name = job.recipe, cost_of(job), job.path.name
    scores = "\n".join(
        f"- {split} top-1 {score_text(score)}{_worth(split, facts)}"
        for split, score in facts["accuracy"].items()
    )
    how = (
        f"Trained on {job.asked['data']} ({job.divided.rule}) by {job.asked['recipe']}: "
        f"{recipe.image_size} px, batches of {recipe.batch_size}, seed {recipe.seed}, on "
        f"{facts['device']} in {duration(facts['training']['seconds'])}. "
        + WEIGHTS[facts["training"]["weights"] if recipe.ema else "only"]
    )
    return f"""# {job.path.name}: {epochs_text(facts)}

Architecture `{job.network.architecture.id}`, {si(cost.params)} parameters and {si(cost.macs)} MACs
as trained (width {recipe.width:g}, stem stride {recipe.stem_stride}).

{scores}

{fill(how, WRAP, break_on_hyphens=False)}

```python
from sparx_nas.models import load_network

model, network = load_network("{job.path.name}")  # evaluation mode; network says how images go in
```

- the same score again: `{typed_anywhere("train", "--evaluate", name)}`
- to go on: `{typed_anywhere("train", "--resume", name)}`
- the same training again: `{_again(job)}`
- curves: `metrics.jsonl`, and `tensorboard --logdir tensorboard`
"""


def _again(job: Job) -> str:
    """Return the command that trains alike, from the folder that this one is in."""
    files = ("--arch", f"{job.path.name}/{ARCH}", "--recipe", f"{job.path.name}/{RECIPE}")
    asked = {"--data": job.asked["data"], "--data-dir": job.asked["data_dir"]}
    data = [word for flag, value in asked.items() if value for word in (flag, value)]
    return typed_anywhere("train", *files, *data)


def _worth(split: str, facts: Mapping[str, Any]) -> str:
    """Say what an accuracy is worth."""
    if split == "test":
        return "; scored once, at the end"
    if "test" in facts["accuracy"] or facts["data"]["splits"].get("test"):
        return "; optimistic, for it chose between plain and averaged weights"
    return "; the split that also chose between plain and averaged weights"


def _splits(job: Job) -> str:
    """Say how many images there are of what."""
    return ", ".join(f"{job.images(split)} {split}" for split in job.divided.parts)
