"""`sparx-nas doctor`: what it says, and that it finds a backend that is wrong."""

import json
import subprocess
import sys

from sparx_nas.doctor import __main__ as command
from sparx_nas.doctor import examination
from sparx_nas.kernels import BACKENDS, backends


def test_every_backend_is_named_with_a_reason_or_a_check(capsys):
    assert command.main([]) == 0
    said = capsys.readouterr().out
    for name in BACKENDS:
        assert name in said
    assert "All is well." in said
    assert max(map(len, said.splitlines())) <= 100
    report = examination.examine()
    for backend in report.backends:
        assert bool(backend.missing) == (backend.difference is None)
    used = [backend.name for backend in report.backends if backend.used]
    assert used
    assert set(used) <= {"cpu", "triton", "torch"}


def test_json_holds_the_same(capsys):
    assert command.main(["--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["right"] is True
    assert {b["name"] for b in found["backends"]} == set(BACKENDS)
    assert found["versions"]["torch"]


def test_a_wrong_backend_is_found(monkeypatch, capsys):
    wrong = backends.Scans(
        lambda x, *_: x * 1.01,
        backends.TORCH.ss2d_backward,
        backends.TORCH.selective_scan,
        backends.TORCH.selective_scan_backward,
    )
    monkeypatch.setattr(backends, "TORCH", wrong)
    assert command.main([]) == command.WRONG
    said = capsys.readouterr().out
    assert "WRONG" in said
    assert "Wrong values: torch" in said


def test_help_loads_no_torch():
    code = (
        "import sys; from sparx_nas.__main__ import main\n"
        "try: main(['doctor', '--help'])\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
