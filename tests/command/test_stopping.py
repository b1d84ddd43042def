"""How work ends when somebody else ends it."""

import os
import signal
import subprocess
import sys
import time

import psutil

from support.patience import PATIENCE_S

PARENT = """
import multiprocessing, os, time
from sparx_nas.command.stopping import end_with_parent

def work(parent):
    end_with_parent(parent)
    print(os.getpid(), flush=True)
    time.sleep(1000)

child = multiprocessing.get_context("fork").Process(target=work, args=(os.getpid(),))
child.start()
child.join()
"""


def test_a_worker_does_not_outlive_a_parent_that_is_killed() -> None:
    words = [sys.executable, "-c", PARENT]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        end = time.monotonic() + PATIENCE_S
        while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < end
            time.sleep(0.1)
