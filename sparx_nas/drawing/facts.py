"""What a run says, before any of it is drawn: counts, its data, how designs compare.

Reads three optional places of a run: `env["data"]["splits"]` (images by split), `env["data"]`
(`name`, `num_classes`), and `status["state"]`.
"""

from collections import Counter
from collections.abc import Mapping
from statistics import fmean

from sparx_nas.ground.quantities import counted, percent
from sparx_nas.trial.measures import MEASURES, amount
from sparx_nas.trial.pareto import alike, best_trial, top_trial
from sparx_nas.trial.values import Fidelity, Run, TrialRecord

Interval = tuple[float, float]


def titled(trial: TrialRecord) -> str:
    """Return the name of a trial as a title: `Trial 17`, or `Guest 1`."""
    return trial.name.capitalize()


def counts(run: Run) -> dict[str, int]:
    """Count the trials by what became of them; baselines and guests are counted apart."""
    return dict(Counter(_outcome(trial) for trial in run.trials))


def _outcome(trial: TrialRecord) -> str:
    """Name what became of a trial."""
    if trial.baseline and trial.objectives:
        return "baseline"
    if trial.guest and trial.objectives:
        return "guest"
    return "trained" if trial.state == "complete" else trial.state


def images(run: Run, split: str) -> int | None:
    """Return the number of images of a split, if the run recorded it."""
    splits = run.data.get("splits")
    size = splits.get(split) if isinstance(splits, Mapping) else None
    return size if isinstance(size, int) else None


def interval(run: Run, trial: TrialRecord, split: str = "val") -> Interval | None:
    """Return the 95 % interval of a trial's accuracy, seeds and images; None if it is unknown."""
    return run.noise.interval(trial.top1s if split == "val" else trial.test_top1s, split)


def bounds(run: Run, trial: TrialRecord, measure: str) -> Interval | None:
    """Return the 95 % interval of a score, seeds and images, or the quartiles of a latency.

    None for a cost that is counted, or if it is unknown.
    """
    if measure == "latency_ms":
        return spread(trial, measure)
    if measure == "val_loss" and measure == run.score and trial.epochs:
        return run.noise.loss_interval(trial.val_losses, trial.epochs[-1].val_loss_error)
    return interval(run, trial) if measure == "top1" else None


def spread(trial: TrialRecord, measure: str) -> Interval | None:
    """Return the quartiles of a measured latency; None for what is no measured time."""
    if measure != "latency_ms" or trial.latency is None:
        return None
    return trial.latency.low, trial.latency.high


def interval_words(bounds: Interval | None) -> str:
    """Return `90.0 to 95.3 %`, or nothing."""
    return f"{100 * bounds[0]:.1f} to {percent(bounds[1])}" if bounds else ""


def fidelity_words(fidelity: Fidelity | None, *, brief: bool = False) -> str:
    """Return the fidelity as it stands beside an accuracy: `8 epochs at 32 px, 0.25 of full width`.

    With seeds and images, unless it is `brief`.
    """
    if fidelity is None:
        return ""
    epochs = counted(fidelity.epochs, "epoch")
    width = f"{fidelity.width:g} of full width"
    if brief:
        return f"{epochs} at {fidelity.image_size} px, {width}"
    images = f" on {fidelity.images:,} images" if fidelity.images else ""
    copies = ", val images augmented" if fidelity.val_copies else ""
    seeds = f", mean of {fidelity.seeds} seeds" if fidelity.seeds > 1 else ""
    return f"{epochs}{images} at {fidelity.image_size} px, {width}{seeds}{copies}"


def comparison(run: Run, trial: TrialRecord, reference: TrialRecord) -> str:
    """Say how a trial compares with another: accuracy, then each cost that both have."""
    said = [_accuracies(run, trial, reference)]
    for name, words in (("macs", "MACs"), ("params", "parameters")):
        if reference.cost.get(name) and name in trial.cost:
            change = trial.cost[name] / reference.cost[name] - 1
            same = abs(change) < 0.0005
            share = f"{percent(abs(change))} {'more' if change > 0 else 'fewer'} {words}"
            said.append(f"the same {words}" if same else share)
    said = [words for words in said if words]
    return ", ".join(said[:-1]) + (" and " if said[1:] else "") + "".join(said[-1:])


def _accuracies(run: Run, trial: TrialRecord, reference: TrialRecord) -> str:
    """Say which of two trials is more accurate, if their trainings can tell.

    On the test split where both were scored there, for the validation split helped to choose. What
    seeds do is known of validation top-1, and taken to be the same on the test split.
    """
    if trial.top1 is None or reference.top1 is None:
        return ""
    if run.at_chance:
        return "no word on which is more accurate (candidates are not above chance)"
    split, scores = "validation", (trial.top1s, reference.top1s)
    if trial.test_top1s and reference.test_top1s:
        split, scores = "test", (trial.test_top1s, reference.test_top1s)
    found = run.noise.difference(*scores, "test" if split == "test" else "val")
    if found is None:
        return f"no word on which is more accurate ({run.untold})"
    low, high = (100 * bound for bound in found)
    if low <= 0 <= high:
        return f"{split} accuracies that cannot be told apart by these trainings"
    way = "more" if low > 0 else "less"
    ends = sorted((abs(low), abs(high)))
    middle = 100 * abs(fmean(scores[0]) - fmean(scores[1]))
    bounds = f"({ends[0]:.1f} to {ends[1]:.1f})"
    chosen = ", which the search went by" if split == "validation" else ""
    return f"{middle:.1f} points {way} accurate on the {split} split {bounds}{chosen}"


def score_words(run: Run, trial: TrialRecord) -> str:
    """Return the score of a trial with its name: `validation loss 0.412`."""
    words = MEASURES[run.score].title.lower()
    return f"{words} {amount(run.score, trial.objectives.get(run.score))}"


def latency_words(run: Run) -> str:
    """Say how latencies were measured, and what is doubtful of them; "" where none was."""
    known = [t for t in run.trials if t.latency]
    if not known:
        return ""
    spans = sorted((t.latency.high - t.latency.low) / t.latency.ms for t in known if t.latency)
    doubtful = [t.name for t in known if t.latency and t.latency.doubtful]
    said = (
        "Latencies were measured while no other trial of this search ran on the device, one image "
        f"at a time; the middle half of passes is {percent(spans[len(spans) // 2])} of the median "
        "wide in a usual trial."
    )
    if doubtful:
        others = f" and {len(doubtful) - 3} more" if len(doubtful) > 3 else ""
        said += (
            f" The machine was busy with other programs when {', '.join(doubtful[:3])}{others} "
            "were measured: compare those with care, or search again on a quiet machine."
        )
    return said


def choice_words(run: Run) -> str:
    """Say why the design to use is not the most accurate one, in a sentence and a space, if so."""
    chosen, top = best_trial(run), top_trial(run)
    if chosen is None or top is None or chosen.number == top.number:
        return ""
    others = len(alike(run)) - 1
    return (
        f"It is the cheapest of {others + 1} designs of the front that these trainings cannot tell "
        f"apart; the best score of them has {top.name} ({score_words(run, top)}). "
    )


def at_chance(run: Run) -> str:
    """Say that the candidates learned nothing, if so, and what to change; else nothing."""
    if not run.at_chance:
        return ""
    mean, scored = fmean(run.judged), sum(t.top1 is not None for t in run.trials)
    who = "trials" if len(run.judged) == scored else "candidates"
    return (
        f"The {who} learned nothing that can be seen: {percent(mean)} validation top-1 on "
        f"average, where always naming one class gives {percent(run.chance or 0.0)}. Nothing "
        "below ranks designs. Train longer (--epochs), on larger images (--image-size) or more "
        "of them."
    )


def reliability_words(run: Run) -> str:
    """Say how much of a score is its design's, in a sentence or two."""
    found = run.noise.score
    if found is None:
        return f"How reliable a score is was not measured: {run.untold}."
    share, low, high = found.of_mean(run.seeds)
    mean = f", the mean of {run.seeds} trainings," if run.seeds > 1 else ""
    spreads = [_spread(run.score, spread) for spread in (found.within, found.between)]
    return (
        f"Reliability of a score ({MEASURES[run.score].title.lower()}){mean} {max(share, 0.0):.2f} "
        f"(95 % interval {low:.2f} to {high:.2f}; 1 is all design, 0 all seed): seeds move a "
        f"training by {spreads[0]} (standard deviation), designs differ by {spreads[1]} "
        f"({found.trainings} trainings of {found.designs} designs)."
    )


def _spread(measure: str, value: float) -> str:
    """Write a standard deviation of a score."""
    return f"{100 * value:.1f} points" if measure == "top1" else f"{value:.4f} nats"
