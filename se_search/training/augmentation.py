"""Normalisation, random crops and mirroring of batches of uint8 images on any device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from se_search.training.datasets import DataInfo
from se_search.training.random_streams import seeded_generator


class Normalise:
    """Maps uint8 images ``(n, h, w, channels)`` to float32 images ``(n, in_channels, h, w)``.

    Pixels are scaled to 0..1, then the data set's mean is subtracted and the result divided by
    its standard deviation. The result's memory format is channels-last. One channel is repeated if
    the backbone takes three.
    """

    def __init__(self, info: DataInfo, in_channels: int, device: torch.device) -> None:
        self._in_channels = in_channels
        mean, std = torch.tensor(info.mean), torch.tensor(info.std)
        # A row for the whole image: broadcasting over a last dimension of 3 takes ten times longer.
        num_pixels = info.image_size**2
        self._scale = (1 / (255 * std)).repeat(num_pixels).to(device)
        self._shift = (-mean / std).repeat(num_pixels).to(device)

    def __call__(self, images: Tensor) -> Tensor:
        """Return the normalised images as the backbone takes them."""
        rows = images.reshape(len(images), -1).float()
        images = torch.addcmul(self._shift, rows, self._scale).view(images.shape)
        images = images.expand(*images.shape[:3], self._in_channels).permute(0, 3, 1, 2)
        return images.contiguous(memory_format=torch.channels_last)


class RandomCrop:
    """Cuts windows of the original size out of images that are padded with zeros.

    The padded images lie in memory, so that a batch of windows is one selection of rows.
    """

    def __init__(self, images: Tensor, padding: int) -> None:
        """Take uint8 images ``(n, height, width, channels)``."""
        self._height, self._width, self._channels = images.shape[1:]
        self._padding = padding
        padded = pad(images, (0, 0, padding, padding, padding, padding)).contiguous()
        self._row_size = (self._width + 2 * padding) * self._channels
        self._image_size = (self._height + 2 * padding) * self._row_size
        # Overlapping views of one window's width each: selecting from these copies whole rows,
        # which is six times faster than indexing pixels.
        width = self._width * self._channels
        self._runs = padded.as_strided((padded.numel() - width + 1, width), (1, 1))
        self._rows = torch.arange(self._height, device=images.device) * self._row_size

    def draw_corners(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw the upper left corners ``(count, 2)`` of windows, as row and column."""
        return torch.randint(0, 2 * self._padding + 1, (count, 2), generator=generator)

    def __call__(self, indices: Tensor, corners: Tensor) -> Tensor:
        """Return the windows ``(batch, height, width, channels)`` of the images at ``indices``."""
        row, column = corners.unbind(1)
        start = indices * self._image_size + row * self._row_size + column * self._channels
        windows = self._runs.index_select(0, (start[:, None] + self._rows).view(-1))
        return windows.view(len(indices), self._height, self._width, self._channels)


def draw_mirrored(count: int, seed: int, epoch: int) -> Tensor:
    """Mark the images that are mirrored in an epoch, as ``(count,)`` bool.

    Alternating flip (Jordan 2024, arXiv 2404.00498): chance decides for each image in epoch 0, and
    every further epoch mirrors the other images. In any two successive epochs the network sees
    both sides of every image.
    """
    first = torch.randint(0, 2, (count,), generator=seeded_generator(seed, "mirror"))
    return (first + epoch) % 2 == 1


def mirror(images: Tensor, mirrored: Tensor) -> Tensor:
    """Mirror the marked images of a batch, left to right.

    Args:
        images: ``(batch, height, width, channels)``.
        mirrored: ``(batch,)`` bool.
    """
    # Selecting whole images from both sides is four times faster than torch.where.
    both = torch.cat((images, images.flip(2))).view(2 * len(images), -1)
    chosen = torch.arange(len(images), device=images.device) + len(images) * mirrored
    return both.index_select(0, chosen).view(images.shape)
