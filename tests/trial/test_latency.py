"""Latency: measured while nothing else of a search runs on the device, with its spread."""

import multiprocessing
import time
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from sparx_nas.drawing import facts
from sparx_nas.drawing.charts import front_svg, marks
from sparx_nas.drawing.report import report_html
from sparx_nas.run_store.curves import End, log_end, read_curves
from sparx_nas.search.telling.summary import summary_lines
from sparx_nas.trial.latency import Latency
from sparx_nas.trial.room import Room
from sparx_nas.trial.timing import LEAST, measure_latency
from sparx_nas.trial.values import Objective
from support import runs
from support.patience import PATIENCE_S

SPAWN = multiprocessing.get_context("spawn")
FOUND = Latency(ms=20.0, low=18.0, high=25.0, passes=30, threads=2, busy=0.0)
LATENCY = Objective(name="latency_ms", direction="min")


def work(folder: Path, name: str, rounds: int, alone: bool) -> None:
    """Write when each of some rounds of work began and ended."""
    room = Room(folder)
    for _ in range(rounds):
        with room.alone() if alone else room.shared():
            begun = time.monotonic()
            time.sleep(0.02)
            with (folder / name).open("a") as file:
                file.write(f"{begun} {time.monotonic()}\n")


def spans(file: Path) -> list[tuple[float, float]]:
    return [tuple(map(float, line.split())) for line in file.read_text().splitlines()]


def test_who_measures_is_alone_and_is_not_kept_waiting_for_ever(tmp_path: Path):
    jobs = [("a", 25, False), ("b", 25, False), ("c", 4, True), ("d", 4, True)]
    each = [SPAWN.Process(target=work, args=(tmp_path, *job)) for job in jobs]
    for process in each:
        process.start()
    for process in each:
        process.join(PATIENCE_S)
        assert process.exitcode == 0
    beside = spans(tmp_path / "a") + spans(tmp_path / "b")
    alone = spans(tmp_path / "c") + spans(tmp_path / "d")
    assert (len(beside), len(alone)) == (50, 8)
    for i, (begun, ended) in enumerate(alone):
        others = beside + alone[:i] + alone[i + 1 :]
        assert all(end <= begun or ended <= start for start, end in others)


def hold(folder: Path, entered) -> None:
    """Enter alone and stay."""
    with Room(folder).alone():
        entered.set()
        time.sleep(3600)


def test_a_killed_process_leaves_the_room(tmp_path: Path):
    entered = SPAWN.Event()
    process = SPAWN.Process(target=hold, args=(tmp_path, entered))
    process.start()
    assert entered.wait(PATIENCE_S)
    process.kill()
    process.join(PATIENCE_S)
    with Room(tmp_path).shared():
        pass
    with Room(tmp_path).alone():
        pass


class Counting(nn.Module):
    """Counts how often it is called, and with how many threads."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.threads.append(torch.get_num_threads())
        return x


def test_a_latency_is_a_median_with_its_quartiles():
    before, model = torch.get_num_threads(), Counting()
    found = measure_latency(model, (3, 8, 8), torch.device("cpu"))
    assert LEAST <= found.passes < len(model.threads)
    assert 0 < found.low <= found.ms <= found.high
    assert set(model.threads) == {found.threads}
    assert torch.get_num_threads() == before
    assert Latency.from_dict(found.to_dict()) == found


def test_curves_keep_how_it_was_measured_and_older_ones_are_read(tmp_path: Path):
    facts_of = {"objectives": {"latency_ms": 20.0}, "top1": 0.5, "seconds": 1.0, "device": "cpu"}
    for number, latency in enumerate((FOUND, None)):
        end = End(number=number, proxy_cost={}, latency=latency, **facts_of)
        log_end(tmp_path / "curves", end)
    text = (tmp_path / "curves").read_text()
    (tmp_path / "curves").write_text(text.replace(', "latency": null', ""))
    curves = read_curves(tmp_path / "curves")
    assert [curves[n].end.latency for n in (0, 1)] == [FOUND, None]


def measured_run(busy: float):
    known = runs.full_run()
    axes = (runs.OBJECTIVES[0], LATENCY)
    trials = [
        replace(
            t,
            objectives={"top1": t.objectives["top1"], "latency_ms": 20.0 + t.number},
            latency=replace(FOUND, ms=20.0 + t.number, high=25.0 + t.number, busy=busy),
        )
        if t.objectives
        else t
        for t in known.trials
    ]
    return runs.run(trials, axes)


def test_it_is_drawn_with_its_spread_along_either_axis():
    run = measured_run(0.0)
    front = {t.number for t in run.front}
    bars = {}
    for x, y in (run.objectives, run.objectives[::-1]):
        bounds = {t.number: facts.bounds(run, t, y.name) for t in run.trials}
        root = ET.fromstring(front_svg(marks(run.trials, front, x, y, bounds), x, y))
        found = [p.get("d") for p in root.iter(f"{runs.SVG}path") if p.get("class") == "sx-bar"]
        bars[x.name] = "".join(found)
    complete = sum(bool(t.objectives) for t in run.trials)
    assert bars["latency_ms"].count("H") == complete
    assert "H" not in bars["top1"]
    assert bars["top1"].count("V") >= len(front)
    assert "half of 30 passes 18 to 25 ms, 2 threads" in FOUND.words()


def test_a_busy_machine_is_warned_of_where_people_read():
    quiet, busy = measured_run(0.0), measured_run(1.5)
    assert "busy with other programs" not in facts.latency_words(quiet)
    assert "no other trial of this search ran" in " ".join(summary_lines(quiet, Path("x")))
    for said in (" ".join(summary_lines(busy, Path("x"))), report_html(busy)):
        assert "busy with other programs when trial 0" in " ".join(said.split())
    assert facts.latency_words(runs.full_run()) == ""
