"""Ends what is left of a Ray cluster when the command that started it has ended, however it did.

Ray's own agents end themselves by a signal that is kept away from the whole cluster, because it
also ends commands. This file is run by itself, and imports nothing of the package.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

GRACE_SECONDS = 2.0  # in which Ray ends most by itself


def main() -> None:
    """Wait until standard input is closed, and kill what has files open in the folder named there.

    A process that has another title than its program's, as Ray's have, has lost its environment.
    """
    folder = sys.stdin.buffer.read().strip()
    if not folder:
        return
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
