"""A variable that names no fused part is told at once, by every command that would use it."""

import pytest

from sparx_nas.__main__ import main
from sparx_nas.kernels.fusing import VARIABLE, parts_told


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "--space", "mamba_micro"),
        ("search", "--space", "mamba_micro", "--dry-run"),
        ("train", "--arch", "sparx_mamba_t", "--data", "digits"),
        ("doctor",),
    ],
    ids=" ".join,
)
def test_it_is_refused_and_nothing_is_written(arguments, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "all,-scna")
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main(arguments))
    assert ended.value.code == 5
    assert "SPARX_NAS_FUSED: no part 'scna'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_is_on_is_said_in_its_order(monkeypatch):
    for asked, said in (
        ("all", "all"),
        ("none", "none"),
        ("scan, norm", "norm, scan"),
        ("all,-optimiser,-aggregator", "depthwise, norm, projection, scan, feed_forward"),
    ):
        monkeypatch.setenv(VARIABLE, asked)
        assert parts_told() == said
