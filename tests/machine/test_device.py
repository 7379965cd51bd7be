from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from study.machine.device import check_disk
from study.spec import InputError
from tests.support import ENVIRONMENT, ROOT, wait_for

RECORD = 50 * 2**20  # bytes beside the checkpoints


@pytest.mark.parametrize(("share", "fits"), [(0.9, True), (1.1, False)])
def test_a_disk_must_hold_three_checkpoints_and_the_record(share: float, fits: bool, tmp_path: Path) -> None:
    """The real disk, and a network that fills it to 90 % or to 110 %: three checkpoints of weights and momentum."""
    free = shutil.disk_usage(tmp_path).free
    parameters = int(share * (free - RECORD) / (3 * 2 * 4))
    if fits:
        check_disk(tmp_path, parameters)
        return
    with pytest.raises(InputError, match=r"MiB free and a run needs .* make room, or give --runs=PATH"):
        check_disk(tmp_path, parameters)


PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
print(child.pid, child.stdout.readline(), end="", flush=True)
time.sleep(300)
"""
CHILD = "print('ready', flush=True); import time; time.sleep(300)"
BOUND = "from study.machine.parent import die_with_parent; die_with_parent(); "


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits for its exit status to be read does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
@pytest.mark.parametrize(("first", "survives"), [(BOUND, False), ("", True)])
def test_a_bound_process_dies_with_its_parent_however_that_ends(first: str, survives: bool) -> None:
    words = [sys.executable, "-c", PARENT, first + CHILD]
    with subprocess.Popen(words, cwd=ROOT, env=os.environ | ENVIRONMENT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline().removesuffix("ready\n"))
        assert is_alive(pid)
        parent.kill()  # SIGKILL, which no program can answer
    if survives:
        assert is_alive(pid)
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid), 20)
