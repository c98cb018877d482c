"""Streams of random numbers for batches, each drawn from a seed, its purpose and the epoch.

The global generators are neither read nor moved.
"""

from __future__ import annotations

import torch

from se_search.seeds import derive_seed


def seeded_generator(seed: int, stream: str, epoch: int = 0) -> torch.Generator:
    """Return a CPU generator for one purpose in one epoch, independent of all others."""
    return torch.Generator().manual_seed(derive_seed(seed, stream, epoch))
