"""Crops and mirroring are those of a loop over single images."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from support.batches import make_images

from se_search.training.augmentation import RandomCrop, draw_mirrored, mirror


@pytest.mark.parametrize(("channels", "size", "padding"), [(1, 28, 2), (3, 32, 4), (3, 9, 0)])
def test_crops_are_those_of_a_loop_over_padded_images(
    channels: int, size: int, padding: int
) -> None:
    images = torch.from_numpy(make_images(20, channels, size)).permute(0, 2, 3, 1)
    crop = RandomCrop(images, padding)
    indices = torch.tensor([19, 0, 7, 7, 3])
    furthest = 2 * padding
    corners = torch.tensor(
        [[0, 0], [furthest, furthest], [0, furthest], [padding, padding], [furthest, 0]]
    )
    windows = crop(indices, corners)
    for window, index, (row, column) in zip(windows, indices, corners.tolist(), strict=True):
        canvas = torch.zeros(size + furthest, size + furthest, channels, dtype=torch.uint8)
        canvas[padding : padding + size, padding : padding + size] = images[index]
        assert torch.equal(window, canvas[row : row + size, column : column + size])


def test_corners_are_uniform_over_the_padding() -> None:
    crop = RandomCrop(torch.zeros(1, 8, 8, 1, dtype=torch.uint8), 2)
    corners = crop.draw_corners(50_000, torch.Generator().manual_seed(0))
    for axis in (0, 1):
        counts = torch.bincount(corners[:, axis])
        assert len(counts) == 5
        assert counts.float().div(10_000).sub(1).abs().max() < 0.05  # five standard deviations


def test_mirroring_is_numpys_flip_of_the_marked_images() -> None:
    images = torch.from_numpy(make_images(6, 3, 8)).permute(0, 2, 3, 1)
    marked = torch.tensor([True, False, False, True, True, False])
    result = mirror(images, marked)
    for image, before, is_mirrored in zip(result, images, marked, strict=True):
        expected = np.fliplr(before.numpy()) if is_mirrored else before.numpy()
        np.testing.assert_array_equal(image.numpy(), expected)


def test_every_image_is_mirrored_every_other_epoch() -> None:
    epochs = [draw_mirrored(1000, seed=5, epoch=epoch) for epoch in range(4)]
    assert 400 < epochs[0].sum() < 600
    for before, after in itertools.pairwise(epochs):
        assert torch.equal(before, ~after)
