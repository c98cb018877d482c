"""Seeds the global random generators of Python, NumPy and PyTorch."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

NUMPY_SEEDS = 2**32  # NumPy's global generator takes smaller seeds than the others


@contextmanager
def seeded_generators(seed: int) -> Iterator[None]:
    """Seed Python's, NumPy's and PyTorch's global CPU generators, and restore them at the end."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would also seed the GPUs, whose state the fork does not restore.
        torch.default_generator.manual_seed(seed)
        _seed_others(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def seed_generators(seed: int) -> None:
    """Seed Python's, NumPy's and PyTorch's global generators, those of the GPUs included."""
    torch.manual_seed(seed)
    _seed_others(seed)


def _seed_others(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % NUMPY_SEEDS)
