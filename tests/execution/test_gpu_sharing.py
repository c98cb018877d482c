"""NVIDIA's multi-process service as it is started and ended: a program stands in for it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import children
from support.networks import make_backbone

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.errors import SESearchError
from se_search.execution.gpu_sharing import SharedGpus, list_daemons, share_gpus
from se_search.execution.local import local_executor
from se_search.record import Assignment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the service is there on Linux")

SHARED = [Device("cuda", index, 1, "32-true") for index in (0, 1, 0, 1)]
# It has a pipe for commands, as NVIDIA's has, and lives until it is told to quit.
PROGRAM = """#!/bin/sh
case "$1" in
-d)
  {start}
  mkfifo "$CUDA_MPS_PIPE_DIRECTORY/control"
  stat -c %a "$CUDA_MPS_PIPE_DIRECTORY" "$CUDA_MPS_LOG_DIRECTORY" > {kept}/modes
  setsid "$0" serve &
  until [ -s {kept}/number ]; do sleep 0.01; done ;;
serve)
  echo $$ > {kept}/number
  read -r command < "$CUDA_MPS_PIPE_DIRECTORY/control"
  echo "$command" > {kept}/command ;;
*)
  cat > "$CUDA_MPS_PIPE_DIRECTORY/control" ;;
esac
"""


@pytest.fixture
def put_program(tmp_path):
    """Return a function that puts the program into a folder, and returns it; it fails if told."""

    def put(start=":"):
        program = tmp_path / "bin" / "nvidia-cuda-mps-control"
        program.parent.mkdir()
        program.write_text(PROGRAM.format(kept=tmp_path, start=start))
        program.chmod(0o755)
        return program

    return put


@pytest.fixture
def share(tmp_path):
    """Return a function that shares GPUs where no such service runs, and what it has told."""
    notes = []
    (tmp_path / "processes").mkdir()
    options = {
        "touch": lambda _: None,
        "path": str(tmp_path / "bin"),
        "environment": {},
        "processes": tmp_path / "processes",
    }

    def call(devices=SHARED, **others):
        return share_gpus(devices, notes.append, **{**options, **others}), notes

    return call


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def read(path):
    return path.read_text().strip() if path.exists() else ""


def test_the_service_serves_in_folders_of_its_own_until_it_is_closed(put_program, share, tmp_path):
    touched = []
    put_program()
    service, notes = share(touch=touched.append)
    assert touched == [service.environment]
    folders = [Path(folder) for folder in service.environment.values()]
    assert list(service.environment) == ["CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"]
    assert (tmp_path / "modes").read_text().split() == ["700", "700"]
    assert folders[0].parent == folders[1].parent
    assert folders[0].parent.stat().st_mode & 0o777 == 0o700
    assert int(read(tmp_path / "number")) in list_daemons()
    service.close()
    wait_for(lambda: read(tmp_path / "command") == "quit -t 10")
    assert not folders[0].parent.exists()
    assert notes == [
        "Trainings share GPUs by NVIDIA's multi-process service, started until the command ends"
    ]


def test_the_service_ends_with_what_has_started_it(put_program, share, tmp_path):
    put_program()
    share()  # nobody keeps it
    wait_for(lambda: read(tmp_path / "command") == "quit -t 10")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_service_ends_with_a_command_that_a_signal_ends(put_program, tmp_path, number):
    code = (
        "import sys, time\nfrom se_search.execution.gpu_sharing import SharedGpus\n"
        "service = SharedGpus(sys.argv[1])\nprint('started', flush=True)\ntime.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(put_program())],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    process.stdout.readline()
    os.killpg(process.pid, number)  # as a terminal and a batch system do: the whole group
    process.communicate()
    wait_for(lambda: read(tmp_path / "command") == "quit -t 10")


def test_a_service_that_does_not_start_is_told_and_trainings_take_turns(put_program, share):
    put_program(start="exit 3")
    service, (note,) = share()
    assert service is None
    assert note.startswith("Trainings take turns on a GPU: nvidia-cuda-mps-control does not serve")
    assert "exit status 3" in note


def test_a_service_by_which_no_gpu_is_reached_is_ended_and_told(put_program, share, tmp_path):
    def fail(_environment):
        raise SESearchError("CUDA error: MPS client failed to connect")

    put_program()
    service, (note,) = share(touch=fail)
    assert service is None
    assert note.endswith("does not serve: CUDA error: MPS client failed to connect")
    wait_for(lambda: read(tmp_path / "command") == "quit -t 10")


@pytest.mark.parametrize(
    ("devices", "environment"),
    [
        (SHARED[:2], {}),  # a training on each
        ([Device("cpu", 0, 1, "32-true")] * 4, {}),
        (SHARED, {"CUDA_MPS_PIPE_DIRECTORY": "/dev/null"}),  # the user's word
    ],
)
def test_where_there_is_nothing_to_share_nothing_is_started(
    put_program, share, tmp_path, devices, environment
):
    put_program()
    assert share(devices, environment=environment) == (None, [])
    assert not (tmp_path / "modes").exists()


def test_a_service_that_runs_already_is_left_alone(put_program, share, tmp_path):
    put_program()
    processes = {7: "cat) S", 12: "nvidia-cuda-mps) Z", 34: "nvidia-cuda-mps) S"}
    for number, text in processes.items():
        folder = tmp_path / "processes" / str(number)
        folder.mkdir()
        (folder / "stat").write_text(f"{number} ({text} 1 1 1 0\n")
    service, notes = share()
    assert service is None
    assert notes == ["nvidia-cuda-mps-control runs already (process 34): no other one is started"]
    assert not (tmp_path / "modes").exists()


def test_without_the_program_trainings_take_turns(share):
    service, (note,) = share()
    assert service is None
    assert "nvidia-cuda-mps-control, which would have them share it, is absent" in note


def test_trainings_find_the_service(put_program, tmp_path):
    service = SharedGpus(str(put_program()), tmp_path)
    executor = local_executor(children.name_pipes, SHARED, tmp_path / "log", sharing=service)
    executor.submit(0, Assignment(Candidate.plain(make_backbone([8])), 0, 1))
    ended = []
    wait_for(lambda: ended.extend(executor.wait(0.2)) or ended)
    ((_, outcome),) = ended
    assert outcome.correct.decode() == service.environment["CUDA_MPS_PIPE_DIRECTORY"]
