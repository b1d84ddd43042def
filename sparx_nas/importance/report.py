"""Measure the edges of a trial, and say what came of it: as a record, and as a table."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from textwrap import wrap
from typing import Any

from sparx_nas.ground.quantities import percent
from sparx_nas.importance.agreement import agreements, comparable, sentence
from sparx_nas.importance.ganglia import ganglia
from sparx_nas.importance.measures import measure
from sparx_nas.importance.trained import (
    SPLIT,
    data_of,
    fidelity_of,
    network_of,
    trained_trial,
    validation_batches,
)
from sparx_nas.run_store import write_importance
from sparx_nas.run_store.importance import KIND, SCHEMA
from sparx_nas.trial.device import device_name, resolve_device

WIDTH = 80
ROW = "{:<14}{:>10}{:>12}{:>16}{:>14}"
COLUMNS = ("edge", "mass", "gradient", "top-1 lost", "nats lost")
LEGEND = (
    "mass, gradient: shares of a layer's sources. top-1, nats lost: without the edge, measured "
    "on the images named above; below 0 the network does better without it."
)


def record_importance(
    path: Path,
    number: int,
    *,
    images: int,
    device: str,
    begun: Callable[[int], Callable[[], None]],
) -> tuple[dict[str, Any], Path]:
    """Measure the edges of a trial, write the record into the run; return it and its file.

    `begun` is told how many edges there are, and what it returns is called after each of them.

    Raises: SparxError if the trial cannot be measured; `trained` says when.
    """
    run, trial = trained_trial(path, number)
    where, fidelity = resolve_device(device), fidelity_of(trial)
    data = data_of(run, trial)
    model = network_of(run, trial, data, where)
    batches = validation_batches(data, images, seed=fidelity.seed, device=where)
    found = ganglia(model, trial.architecture)
    step = begun(sum(len(ganglion.sources) for ganglion in found))
    whole, measured = measure(model, found, batches, step=step)
    edges = [asdict(edge) for edge in measured]
    pairs = agreements(comparable(measured))
    record = {
        "schema": SCHEMA,
        "kind": KIND,
        "trial": number,
        "architecture_id": trial.architecture.id,
        "data": fidelity.data,
        "split": SPLIT,
        "images": whole.images,
        "device": device_name(where),
        "top1": whole.top1,
        "nll": whole.nll,
        "fidelity": fidelity.to_dict(),
        "edges": edges,
        "agreement": [asdict(pair) | {"measures": list(pair.measures)} for pair in pairs],
        "says": sentence(pairs),
    }
    return record, write_importance(path, record)


def table(record: Mapping[str, Any], name: str) -> str:
    """Lay a record out, the edge whose loss costs most first; at most 80 columns wide."""
    edges = sorted(record["edges"], key=lambda e: (-e["ablation_nll"], -e["ablation_top1"]))
    head = (
        f"Trial {record['trial']} of {name}: {len(edges)} aggregated "
        f"edge{'s' if len(edges) != 1 else ''}, measured on {record['images']} validation images "
        f"of {record['data']}. With all edges {percent(record['top1'])} are right, at "
        f"{record['nll']:.3f} nats an image."
    )
    lines = [*_wrapped(head), "", ROW.format(*COLUMNS)]
    lines += [_row(edge) for edge in edges]
    return "\n".join([*lines, "", *_wrapped(LEGEND), "", *_wrapped(record["says"])])


def _row(edge: Mapping[str, Any]) -> str:
    """Lay out one edge."""
    return ROW.format(
        f"{edge['source']} -> {edge['target']}",
        percent(edge["mass"]),
        percent(edge["gradient"]),
        f"{100 * edge['ablation_top1']:+.1f} points",
        f"{edge['ablation_nll']:+.4f}",
    )


def _wrapped(text: str) -> list[str]:
    """Break a sentence into lines."""
    return wrap(text, WIDTH, break_on_hyphens=False)
