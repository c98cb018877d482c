"""Which process works on a run, read without touching the run's lock."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

LOCKS = Path("/proc/locks")  # Linux lists every lock there, with the file's inode


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has taken a run.

    Attributes:
        process: its number.
        host: the machine that it works on.
        since: when it took the run.
        is_sure: whether it surely lives; a process of another machine can't be looked for.
    """

    process: int
    host: str
    since: datetime
    is_sure: bool

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


def describe_this_process() -> str:
    """Return what a lock's file says of the process that has it."""
    return f"{os.getpid()} {socket.gethostname()}\n"


def read_holder(lock: Path) -> Holder | None:
    """Return the process that a lock's file names, whether it still lives or not; None: nobody."""
    try:
        process, host = lock.read_text(encoding="utf-8").split()
        since = datetime.fromtimestamp(lock.stat().st_mtime).astimezone()
        return Holder(int(process), host, since, is_sure=False)
    except (OSError, ValueError):
        return None


def find_holder(lock: Path, host: str | None = None, locks: Path | None = LOCKS) -> Holder | None:
    """Return the process that works on a run now; None: nobody does.

    Args:
        lock: file of the run's lock, which is read and not opened for locking.
        host: name of this machine; None: the system's word.
        locks: the system's list of locks; None, or not there: the process's number decides alone,
            which may be another one's by now.
    """
    holder = read_holder(lock)
    if holder is None or holder.host != (host or socket.gethostname()):
        return holder
    if not _is_alive(holder.process) or not _is_locked(lock, locks):
        return None
    return Holder(holder.process, holder.host, holder.since, is_sure=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        pass
    return True


def _is_locked(lock: Path, locks: Path | None) -> bool:
    """Tell whether anybody has a lock on a file; True where the system does not tell."""
    if locks is None or not sys.platform.startswith("linux"):
        return True
    try:
        inode = lock.stat().st_ino
        lines = locks.read_text().splitlines()
    except OSError:
        return True
    # As "1: FLOCK  ADVISORY  WRITE 4711 fd:01:524 0 EOF"; file systems in layers name other devices
    # there than elsewhere, so that the inode alone is compared.
    return any(field.endswith(f":{inode}") for line in lines for field in line.split())
