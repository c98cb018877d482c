"""Streams of random numbers are independent of each other."""

import torch

from se_search.training.random_streams import seeded_generator


def test_streams_are_unrelated() -> None:
    draws = {
        int(torch.randint(0, 2**60, (1,), generator=seeded_generator(seed, stream, epoch)))
        for seed in range(5)
        for stream in ("order", "augment", "mirror")
        for epoch in range(5)
    }
    assert len(draws) == 75
