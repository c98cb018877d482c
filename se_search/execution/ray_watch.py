"""Ends what is left of a Ray cluster when the command that started it has ended, however it did.

Ray's own agents end themselves by a signal that is kept away from the whole cluster, because it
also ends commands. This file is also run by itself, and so imports nothing of the package.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

LOOK_SECONDS = 0.2
GRACE_SECONDS = 2.0  # in which Ray ends most by itself


def end_with_this_process(folder: str) -> None:
    """Have what has files open in a folder end when this process has ended, even if it is killed.

    Args:
        folder: of the session of a Ray cluster.
    """
    watch = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # signals to the group of this process do not reach it
    )
    assert watch.stdin is not None
    watch.stdin.write(os.fsencode(folder))
    watch.stdin.flush()
    _WATCHES.append(watch)  # its pipe is open as long as this process lives


_WATCHES: list[subprocess.Popen[bytes]] = []


def main() -> None:
    """Wait until the parent has ended, and kill what has files open in the folder that it named.

    A process that has another title than its program's, as Ray's have, has lost its environment.
    """
    parent = int(sys.argv[1])
    folder = sys.stdin.buffer.read().strip()
    while os.getppid() == parent:  # it closes its files before it has ended
        time.sleep(LOOK_SECONDS)
    time.sleep(GRACE_SECONDS)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            opened = [os.readlink(os.fsencode(each)) for each in (process / "fd").iterdir()]
            if any(each.startswith(folder + b"/") for each in opened):
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:  # it has ended, or is somebody else's
            continue


if __name__ == "__main__":
    main()
