"""Time README's first command, word for word, on a copy of the committed tree.

    python tests/benchmarks/first_command.py > runs/benchmarks/first_command.json
    python tests/benchmarks/first_command.py --keep FOLDER > FILE    # with its copy and its run

The record holds the seconds of each part and what the search says of its own scores. A failing part
ends it with that part's exit code.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from timing import report

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Clone, run every part of the command, print the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="where the copy is made, and stays")
    args = parser.parse_args()
    lines = (ROOT / "README.md").read_text().splitlines()
    command = next(line for line in lines if line.startswith("python3 -m venv"))
    with tempfile.TemporaryDirectory() as folder:
        clone = args.keep or Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
        parts = [timed(part, clone) for part in command.split(" && ")]
        (pareto,) = clone.glob("runs/*/pareto.json")
        noise = json.loads(pareto.read_text())["noise"]
    total = round(sum(part["seconds"] for part in parts), 1)
    report("first_command", [{"parts": parts, "seconds": total, "n": 1, "noise": noise}])


def timed(part: str, folder: Path) -> dict[str, object]:
    """Run a part of the command; what it prints goes to standard error."""
    start = time.monotonic()
    code = subprocess.run(part, shell=True, cwd=folder, stdout=sys.stderr).returncode
    if code:
        raise SystemExit(code)
    return {"command": part, "seconds": round(time.monotonic() - start, 1)}


if __name__ == "__main__":
    main()
