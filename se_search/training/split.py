"""The split of a data set's training part into images that train and images that validate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from se_search.errors import RecipeError
from se_search.recipe import Recipe

MIN_IMAGES_FOR_FRACTION = 10_000  # a smaller training part is too small to leave images out


def split_sizes(recipe: Recipe, num_train: int) -> tuple[int, int]:
    """Return how many images of the training part train, and how many validate.

    At most a fifth of the training part validates, even if the recipe asks for more. A training
    part below 10,000 images is used whole: ``recipe.split.fraction`` is for larger ones.

    Raises:
        RecipeError: fewer images than two batches are left to train on.
    """
    validation = max(1, min(recipe.split.validation, num_train // 5))
    rest = num_train - validation
    fraction = 1.0 if num_train < MIN_IMAGES_FOR_FRACTION else recipe.split.fraction
    train = round(fraction * rest)
    if train < 2 * recipe.batch_size:
        raise RecipeError(
            f"of {num_train} training images {validation} validate and {train} train, which is "
            f"less than two batches of {recipe.batch_size} (batch_size, split.fraction)"
        )
    return train, validation


def split_indices(recipe: Recipe, num_train: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the images that train and those that validate from the training part.

    Both are taken from the beginning of one permutation: first the validation images, then the
    training images. So a larger fraction adds training images to those of a smaller fraction, and
    leaves the validation images as they are.

    Returns:
        indices of the images that train, and of those that validate.
    """
    train, validation = split_sizes(recipe, num_train)
    order = np.random.Generator(np.random.PCG64(recipe.split.seed)).permutation(num_train)
    return order[validation : validation + train], order[:validation]
