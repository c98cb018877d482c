"""Keeps linear algebra to one thread: trainings need the other cores."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit NumPy's and SciPy's libraries to one thread, on whose number sums depend, too."""
    with _find_libraries(len(sys.modules)).limit(limits=1):
        yield


@lru_cache(maxsize=1)
def _find_libraries(num_modules: int) -> ThreadpoolController:
    """Return the libraries of the process; a module that is imported later may add one.

    Looking for them takes a millisecond, as long as a decision of a sampler on a small space.
    """
    return ThreadpoolController()
