"""What every test starts from: seeded generators, timm importable, no files of hypothesis."""

import random
import signal
import sys

import numpy as np
import pytest
from hypothesis import settings

from sparx_nas.ground.timm_import import prepare_timm

prepare_timm()  # so that tests may import timm, in any order
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell has jobs in the background pass it over, and so would the children of tests.
    signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("seeded", derandomize=True, deadline=None, database=None)
settings.load_profile("seeded")


@pytest.fixture(autouse=True)
def seeded():
    """Seed the global generators; torch is only touched where a test has imported it.

    One thread is the quickest for small tensors, and the same on every machine.
    """
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
        sys.modules["torch"].set_num_threads(1)
