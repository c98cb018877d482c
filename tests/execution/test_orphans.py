"""No process outlives a coordinator that is killed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from se_search.parent_death import end_with_parent

TESTS = str(Path(__file__).parents[1])
SLOW_MODULE = """\
import os, pathlib, time
pathlib.Path(__file__).with_name("draft").write_text(str(os.getpid()))
pathlib.Path(__file__).with_name("draft").rename(pathlib.Path(__file__).with_name("pid"))
time.sleep(60)
"""
WARM_UP = """\
import time
from se_search.execution.child import warm_up
warm_up(["slow_module"], threads=1)
time.sleep(60)
"""
TRAIN = """\
import sys, time
from pathlib import Path
from support import children
from support.networks import make_backbone
from se_search.candidate import Candidate
from se_search.device import Device
from se_search.execution.local import local_executor
from se_search.record import Assignment
evaluate = children.NotesItsProcess(Path(sys.argv[1]) / "pid")
executor = local_executor(evaluate, [Device("cpu", 0, 1, "32-true")], Path(sys.argv[1]) / "log")
executor.submit(0, Assignment(Candidate.plain(make_backbone([8])), 0, 1))
time.sleep(60)
"""
START_CHILD = """\
import pathlib, subprocess, sys
subprocess.Popen([sys.executable, "-c", '''
import os, pathlib, sys, time
from se_search.parent_death import end_with_parent
end_with_parent(os.getppid())
draft = pathlib.Path(sys.argv[1]) / "draft"
draft.write_text(str(os.getpid()))
draft.rename(draft.with_name("pid"))
time.sleep(60)
''', sys.argv[1]]).wait()
"""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends it at once")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(WARM_UP, id="a server that imports", marks=on_linux),
        pytest.param(TRAIN, id="a training"),
        pytest.param(START_CHILD, id="a process that asks the system", marks=on_linux),
    ],
)
def test_a_process_is_gone_a_second_after_its_coordinator_is_killed(tmp_path, script):
    (tmp_path / "slow_module.py").write_text(SLOW_MODULE)
    path = os.pathsep.join([TESTS, str(tmp_path), os.environ.get("PYTHONPATH", "")])
    coordinator = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], env=os.environ | {"PYTHONPATH": path}
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "pid").exists():
        assert time.monotonic() < deadline
        assert coordinator.poll() is None
        time.sleep(0.01)
    process = int((tmp_path / "pid").read_text())
    assert is_alive(process)
    coordinator.kill()
    coordinator.wait()
    killed = time.monotonic()
    while is_alive(process):
        assert time.monotonic() < killed + 1, "the process outlived its coordinator"
        time.sleep(0.01)


@on_linux
def test_a_process_whose_parent_was_killed_before_it_could_ask_ends_at_once():
    pid = os.fork()
    if pid == 0:
        end_with_parent(os.getppid() + 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def is_alive(pid):
    """Tell whether a process runs; one that has ended and has no parent to note it does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self").exists():
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    return status.rpartition(")")[2].split()[0] not in "ZX"
