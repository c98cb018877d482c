"""The split of a data set that has been prepared; imports no torch."""

from __future__ import annotations

import numpy as np

from se_search.recipe import Recipe
from se_search.training.datasets import PreparedData
from se_search.training.image_scan import read_part
from se_search.training.split import DrawnSplit, draw_split


def split_prepared(prepared: PreparedData, recipe: Recipe, replicate: int) -> DrawnSplit:
    """Return the split that a recipe draws from a data set in a replicate, named by its seed."""
    if prepared.layout == "arrays":
        labels = np.load(prepared.array_path("train_labels"))
    else:
        assert prepared.listing is not None
        labels = read_part(prepared.listing, "train").labels
    return draw_split(recipe, labels, replicate, prepared.info.validation_part == "val")
