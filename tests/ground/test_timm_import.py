import subprocess
import sys

from support.patience import PATIENCE_S

SCRIPT = """
import warnings
warnings.simplefilter("error")
from sparx_nas.ground.timm_import import prepare_timm
prepare_timm()
prepare_timm()
import timm, torchvision
prepare_timm()
assert len(timm.list_models("resnet*")) > 10
model = timm.create_model("resnet10t", num_classes=3)
assert model(__import__("torch").zeros(1, 3, 64, 64)).shape == (1, 3)
"""


def test_timm_imports_after_preparing_in_a_fresh_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout
    assert not done.stderr
