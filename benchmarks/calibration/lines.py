"""Searches that are made once, in any order, on as many cores as are free; a line of JSON each."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

from se_search.surrogate.posterior_front import MODEL_VERSION

Line = dict[str, Any]


class Job(Protocol):
    """A search that is to be made; it can be sent to another process."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """The fields that its line has, and no other search's; plain data."""

    def carry_out(self) -> Line:
        """Make the search, and return its line."""


def carry_out(
    jobs: Iterable[Job],
    path: Path,
    num_processes: int = 1,
    minutes: float = float("inf"),
    tell: Callable[[Line], None] = lambda _: None,
) -> None:
    """Make the searches that a file lacks, and add a line of JSON to it as each ends.

    Args:
        jobs: the searches that are wanted, most wanted first.
        path: the file.
        num_processes: how many searches are made at a time.
        minutes: none starts later than this.
        tell: handed each line.
    """
    known = read_lines(path)
    missing = [job for job in jobs if not any(_is_of(line, job.identity) for line in known)]
    deadline = time.monotonic() + 60 * minutes
    _cut_torn_line(path)
    with path.open("a") as file:
        for line in _start(missing, num_processes, deadline):
            file.write(json.dumps(line) + "\n")
            file.flush()
            tell(line)


def read_lines(path: Path) -> list[Line]:
    """Return the searches of a file that the present accuracy model made.

    A last line that was broken off is left out.
    """
    if not path.exists():
        return []
    whole, _, _ = path.read_text().rpartition("\n")
    lines = [json.loads(text) for text in whole.splitlines()]
    return [line for line in lines if line["model"] == MODEL_VERSION]


def _is_of(line: Line, identity: Mapping[str, Any]) -> bool:
    return all(line.get(name) == value for name, value in identity.items())


def _cut_torn_line(path: Path) -> None:
    """Remove a last line that was broken off, so that the next one stands alone."""
    if path.exists():
        text = path.read_text()
        os.truncate(path, len(text.encode()) - len(text.rpartition("\n")[2].encode()))


def _start(jobs: Sequence[Job], num_processes: int, deadline: float) -> Iterator[Line]:
    if num_processes == 1:
        for job in jobs:
            if time.monotonic() > deadline:
                return
            yield job.carry_out()
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # read by numpy's libraries as the children import them
    left, running = iter(jobs), set[Future[Line]]()
    with ProcessPoolExecutor(num_processes, mp_context=get_context("spawn")) as pool:
        while True:
            while len(running) < num_processes and time.monotonic() <= deadline:
                job = next(left, None)
                if job is None:
                    break
                running.add(pool.submit(job.carry_out))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
