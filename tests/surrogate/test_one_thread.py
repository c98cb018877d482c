"""Limiting linear algebra to one thread."""

import numpy as np
import scipy.linalg  # noqa: F401  # brings a library of its own
from threadpoolctl import threadpool_info, threadpool_limits

from se_search.surrogate.one_thread import one_thread


def count_threads():
    return {library["filepath"]: library["num_threads"] for library in threadpool_info()}


def test_every_library_has_one_thread_inside_and_what_it_had_outside():
    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpool_limits(2):
        before = count_threads()
        with one_thread():
            assert set(count_threads().values()) == {1}
        assert count_threads() == before
    assert 2 in before.values()
