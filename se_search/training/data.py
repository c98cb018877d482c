"""Chooses the Lightning data module for a prepared data set.

The batches are a function of the seed alone. Three streams of random numbers, for the order of
the images, their first mirroring and their crops, are drawn from the seed and the epoch. Which
images train and which validate is drawn from the seed, too, unless the recipe fixes it.
"""

from __future__ import annotations

from se_search.recipe import Recipe
from se_search.training.array_data import ArrayData
from se_search.training.datasets import PreparedData
from se_search.training.folder_data import FolderData
from se_search.training.rank import ALONE, Rank


def make_data(
    prepared: PreparedData,
    recipe: Recipe,
    seed: int,
    in_channels: int,
    num_workers: int = 0,
    rank: Rank = ALONE,
) -> ArrayData | FolderData:
    """Return the data module that trains by a recipe on a data set.

    Args:
        prepared: the data set.
        recipe: gives the split, the batch size and the augmentation.
        seed: of the replicate: of the order, the augmentation and, unless the recipe fixes it, of
            the split.
        in_channels: channels that the backbone takes. Grey arrays are repeated for 3 channels, and
            images of folders are read as grey, RGB or RGBA.
        num_workers: processes that decode a folder's images; 0: this one does. Arrays need none.
        rank: of this process among those that train together: it has its part of each batch, and
            of the images that are evaluated.

    Raises:
        DataError: the backbone can't take the images' channels.
    """
    prepared.info.read_for(in_channels)
    if prepared.layout == "arrays":
        return ArrayData(prepared, recipe, seed, in_channels, rank)
    return FolderData(prepared, recipe, seed, in_channels, num_workers, rank=rank)
