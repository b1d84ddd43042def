"""How work ends when somebody else ends it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from sparx_nas.command.prompt import exit_code
from sparx_nas.command.stopping import ONE_S, SIGNALS, Stop, interruptible, listening
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


@pytest.fixture(autouse=True)
def heard():
    """Have no signal passed over, whatever started the tests."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}
    yield
    for number, old in before.items():
        signal.signal(number, old)


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


@pytest.mark.parametrize("number", SIGNALS, ids=lambda n: n.name)
def test_every_signal_asks_to_stop_and_two_at_once_are_one(number) -> None:
    before = signal.getsignal(number)
    with listening() as stop:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        assert stop.reason == number.name
        assert stop.exit_code == 128 + number
        stop.since -= 2 * ONE_S
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) == before


def test_failures_are_no_signal() -> None:
    stop = Stop()
    stop.ask("failures")
    assert stop.exit_code == 0


def test_what_nohup_passes_over_stays_unheard() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible(), listening() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.asked
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_command_ends_by_any_signal_as_by_ctrl_c(capsys) -> None:
    for number in SIGNALS:

        def command(number=number) -> int:
            os.kill(os.getpid(), number)
            time.sleep(PATIENCE_S)
            return 0

        assert exit_code(command, verbose=False) == 128 + number
        assert capsys.readouterr().err == "interrupted\n"


APART = """
import os, sys, time
from sparx_nas.command.stopping import stand_apart
stand_apart()
print(os.getpgid(0) == os.getpid(), flush=True)
sys.stdin.read()
"""


def test_a_worker_apart_hears_no_signal() -> None:
    words = [sys.executable, "-c", APART]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "True\n"
        for number in SIGNALS:
            worker.send_signal(number)
        worker.communicate("", timeout=PATIENCE_S)
    assert worker.returncode == 0
