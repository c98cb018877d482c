"""Commands that run beside a test, and the processes that they and others have started (Linux)."""

import subprocess
import time
from contextlib import suppress
from pathlib import Path

from support.commands import COMMAND, RUN

PATIENCE = 600  # seconds: how long a test waits at most, for its machine may do much else


def start_run(environment, home, *arguments, stderr=subprocess.PIPE):
    """Start a short search in a process, and a session, of its own."""
    return subprocess.Popen(
        [COMMAND, *RUN, *map(str, arguments)],
        cwd=home,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )


def wait_for(condition, seconds=PATIENCE):
    """Wait until a condition has a value that counts as true, and return that."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.1)
    return found


def list_below(pid):
    """Return the processes below one, at any depth."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has ended
            for child in task.read_text().split():
                found += [int(child), *list_below(int(child))]
    return found


def lives(pid):
    """Tell whether a process runs; one that has ended, and that nobody has asked how, does not."""
    return read_state(pid)[:1] not in ([], ["Z"])


def list_session(session):
    """Return the processes of a session that run."""
    numbers = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in numbers if lives(pid) and int(read_state(pid)[3]) == session]


def read_state(pid):
    """Return the fields of a process after its name: state, parent, group, session; or nothing."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def read_command(pid):
    """Return the command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
