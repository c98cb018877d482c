"""Starts NVIDIA's multi-process service (MPS), by which trainings share a GPU side by side.

Without it processes take turns on a GPU. It is started for one command, in a folder of its own that
no other program is told of, and ends with the command, even if that is killed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from se_search.device import Device
from se_search.errors import SESearchError, explain
from se_search.terminal import one_line

PROGRAM = "nvidia-cuda-mps-control"
PIPES = "CUDA_MPS_PIPE_DIRECTORY"  # variable of the environment: where CUDA looks for the service
LOGS = "CUDA_MPS_LOG_DIRECTORY"
START_SECONDS = 30.0  # that the daemon may take to start
END_SECONDS = 15.0  # that the daemon may take to end; its servers have 10 of them

# It waits until the command's end closes its input, however that ends, and then ends the service.
# It has a session of its own: what ends the command's process group leaves it alone.
KEEPER = 'cat; echo "quit -t 10" | "$0"; rm -rf "$1"'


class SharedGpus:
    """The service while it runs; it ends with ``close``, or with this object, or its process.

    Args:
        program: ``nvidia-cuda-mps-control``.
        processes: folder in which Linux lists its processes.

    Attributes:
        environment: variables by which a process finds the service, if it has them before it
            touches a GPU.

    Raises:
        SESearchError: it does not start.
    """

    def __init__(self, program: str, processes: Path = Path("/proc")) -> None:
        folder = tempfile.mkdtemp(prefix="se-search-mps-")  # of mode 0700
        self.environment = {}
        for name in (PIPES, LOGS):
            self.environment[name] = tempfile.mkdtemp(dir=folder)
        self.keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, program, folder],
            env={**os.environ, **self.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.close = weakref.finalize(self, _end, self.keeper, processes)
        try:
            subprocess.run(
                [program, "-d"],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                # Not pipes: the daemon has them open for as long as it lives.
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=START_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            self.close()
            raise SESearchError(explain(error)) from error


def share_gpus(
    devices: Sequence[Device],
    note: Callable[[str], None],
    touch: Callable[[Mapping[str, str]], None],
    path: str | None = None,
    environment: Mapping[str, str] = os.environ,
    processes: Path = Path("/proc"),
) -> SharedGpus | None:
    """Start the service if trainings share NVIDIA's GPUs and nobody else has arranged how.

    Args:
        devices: a place each.
        note: told whether it runs, and if it does not, why.
        touch: uses the devices in a process that has these variables of the environment; raises
            an SESearchError if it can't.
        path: folders in which the program is looked for; None: those of ``PATH``.
        environment: variables of this process.
        processes: folder in which Linux lists its processes.
    """
    shared = [device for device, count in Counter(devices).items() if count > 1]
    if not any(device.accelerator == "cuda" for device in shared) or PIPES in environment:
        return None
    program = shutil.which(PROGRAM, path=path)
    if program is None:
        note(f"Trainings take turns on a GPU: {PROGRAM}, which would have them share it, is absent")
        return None
    if running := list_daemons(processes):
        note(f"{PROGRAM} runs already (process {running[0]}): no other one is started")
        return None
    try:
        service = SharedGpus(program, processes)
        try:
            touch(service.environment)
        except BaseException:
            service.close()
            raise
    except SESearchError as error:
        note(f"Trainings take turns on a GPU: {PROGRAM} does not serve: {one_line(str(error))}")
        return None
    note("Trainings share GPUs by NVIDIA's multi-process service, started until the command ends")
    return service


def list_daemons(processes: Path = Path("/proc")) -> list[int]:
    """Return the processes of the service on this machine, as far as they can be seen."""
    found = []
    for path in processes.glob("[0-9]*/stat"):
        try:
            number, _, rest = path.read_text().partition(" (")
        except OSError:  # it has ended
            continue
        name, _, state = rest.rpartition(") ")
        if name and PROGRAM.startswith(name) and len(name) >= 15 and not state.startswith("Z"):
            found.append(int(number))  # the kernel cuts names to 15 bytes
    return sorted(found)


def _end(keeper: subprocess.Popen[bytes], processes: Path) -> None:
    assert keeper.stdin is not None
    keeper.stdin.close()
    end = time.monotonic() + END_SECONDS
    try:
        keeper.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        return  # it goes on trying, and so does nobody else
    while list_daemons(processes) and time.monotonic() < end:
        time.sleep(0.05)
