"""Ends a process when its parent is gone, even if the parent was killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)
COORDINATOR = "SE_SEARCH_COORDINATOR"  # variable of the environment: the parent of a server


def end_with_parent(parent: int) -> None:
    """Have the system kill this process as soon as its parent dies; only Linux can.

    It is the thread that started this process whose end counts, which must be one that lasts.

    Args:
        parent: number of the process that started this one.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before
        os._exit(1)
