"""What `--help` prints: within the terminal, and in the words of the paper."""

import os
import re
import subprocess
import sys

import pytest

from sparx_nas.__main__ import TOOLS
from support.commands import help_of

HELP = "import sys; from sparx_nas.__main__ import main; sys.exit(main(sys.argv[1:]))"
HEAVY = ("torch", "ray", "optuna", "dash", "timm", "scipy", "pandas")


@pytest.mark.parametrize("tool", ["", *TOOLS])
@pytest.mark.parametrize("columns", ["80", "60"])
def test_every_help_fits_the_terminal(tool: str, columns: str):
    words = [sys.executable, "-c", HELP, *([tool] if tool else []), "--help"]
    env = {**os.environ, "COLUMNS": columns}
    said = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout
    lines = re.sub(r"\x1b\[[0-9;]*m", "", said).splitlines()
    assert len(lines) > 5
    # The list of tools is made for 80 columns, as are names that nobody can wrap.
    most = int(columns) if tool else 80
    assert [line for line in lines if len(line) > most] == []


@pytest.mark.parametrize("tool", ["", *TOOLS])
def test_a_help_loads_nothing_that_takes_time(tool: str):
    words = f"['{tool}', '--help']" if tool else "['--help']"
    code = (
        "import sys\nfrom sparx_nas.__main__ import main\n"
        f"try: main({words})\nexcept SystemExit: pass\n"
        f"sys.stderr.write(' '.join(n for n in {HEAVY!r} if n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_helps_say_what_a_ganglion_layer_is():
    for tool in ("", "search", "train", "view", "importance"):
        said = " ".join(re.sub(r"[│╭╮╰╯─]", " ", help_of(tool)).split())
        assert "ganglion layer" in said, tool
        assert re.search(r"several earlier|joins what it reads", said), tool
    said = " ".join(help_of("search").split())
    for word in ("normal layer", "multi-layer channel aggregator (DMCA)", "cross-layer"):
        assert word in said
