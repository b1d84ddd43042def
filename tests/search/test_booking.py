"""What a search writes as its trials end."""

import csv
import json
from pathlib import Path

import pytest

import sparx_nas
from sparx_nas.ground import record
from support.booked import Booked


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count the bytes that are written, by the name of the file."""
    counts: dict[str, int] = {}
    replace, append = record.write_bytes, record.append_line

    def count(path: Path, content: bytes) -> None:
        counts[path.name] = counts.get(path.name, 0) + len(content)

    def write_bytes(path: Path, content: bytes) -> None:
        count(path, content)
        replace(path, content)

    def append_line(path: Path, line: bytes, **how) -> None:
        count(path, line)
        append(path, line, **how)

    monkeypatch.setattr(record, "write_bytes", write_bytes)
    monkeypatch.setattr("sparx_nas.run_store.curves.append_line", append_line)
    return counts


def test_twice_the_trials_are_about_twice_the_bytes(tmp_path, written):
    booked = Booked(tmp_path / "run", "mamba_t_free")
    totals = []
    for trials in (40, 80, 160):
        booked.until(trials)
        totals.append(sum(written.values()))
    first, second = totals[1] - totals[0], totals[2] - totals[1]
    assert {"curves.jsonl", "trials.csv", "pareto.json", "report.html"} <= written.keys()
    # Forty trials, then eighty more: quadratic bytes would be four times as many.
    assert second < 2.7 * first, totals


def test_a_small_run_is_shown_whole_after_each_trial(tmp_path):
    path = tmp_path / "run"
    booked = Booked(path, "mamba_micro")
    for trials in range(1, 8):
        booked.until(trials)
        rows = list(csv.DictReader((path / "trials.csv").read_text().splitlines()))
        assert sum(row["state"] == "complete" and not row["baseline"] for row in rows) == trials


def test_what_is_kept_in_mind_is_what_is_on_disk(tmp_path):
    path = tmp_path / "run"
    booked = Booked(path, "mamba_t_free")
    booked.until(30)
    kept = booked.folder.run
    booked.folder.write(booked.ledger, "finished")
    read = sparx_nas.load_run(path, study=booked.proposals.study)
    assert kept.trials == read.trials
    assert [t.number for t in kept.front] == [t.number for t in read.front]
    members = json.loads((path / "pareto.json").read_text())["members"]
    assert [m["trial"] for m in members] == [t.number for t in read.front]
    assert len(list(csv.DictReader((path / "trials.csv").read_text().splitlines()))) == len(
        read.trials
    )
