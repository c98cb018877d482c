"""Fits a recipe to a folder of images: what the recipe leaves open, and what a shipped one misses.

A recipe file of the user's own keeps all that it says.
"""

from __future__ import annotations

from collections.abc import Callable

from se_search.recipe import Recipe
from se_search.training.image_scan import FolderScan
from se_search.training.split import MIN_IMAGES_FOR_FRACTION, count_split

LARGEST_SIDE = 224  # pixels, as for ImageNet since Krizhevsky et al. 2012
IMAGES_OF_QUICK = 6_000  # that train, in the recipe of that name
NUM_BATCHES = 4  # of the smallest batch that is chosen: what is left over of an epoch stays below


def fit_recipe(
    recipe: Recipe,
    scan: FolderScan,
    *,
    is_imagenet: bool,
    is_shipped: bool,
    note: Callable[[str], None],
) -> Recipe:
    """Return the recipe with an image size and, if it is a shipped one, with sizes that fit.

    Fitting a recipe that fits changes nothing.

    Args:
        recipe: as it was read.
        scan: of the folder.
        is_imagenet: whether the folder is ImageNet's, for which 224 pixels are usual.
        is_shipped: whether the recipe came with se-search, for other images than these.
        note: told of each choice, in one sentence.
    """
    if recipe.image_size is None:
        size = LARGEST_SIDE if is_imagenet else choose_image_size(scan.median_side)
        reason = (
            "usual for ImageNet"
            if is_imagenet
            else f"by the shorter sides of the images, in the median {scan.median_side:g} pixels"
        )
        note(f"Image size: {size} pixels, {reason}; --image-size takes another")
        recipe = recipe.model_copy(update={"image_size": size})
    return _fit_sizes(recipe, scan, note) if is_shipped else recipe


def choose_image_size(median_side: float) -> int:
    """Return the image size for images of this shorter side: a multiple of 8, from 64 on of 32."""
    step = 8 if median_side < 64 else 32
    return min(LARGEST_SIDE, max(8, step * round(median_side / step)))


def _fit_sizes(recipe: Recipe, scan: FolderScan, note: Callable[[str], None]) -> Recipe:
    counts = scan.listing.counts("train")
    split = recipe.split
    if sum(counts) >= MIN_IMAGES_FOR_FRACTION:
        rest, _ = count_split(split.model_copy(update={"fraction": 1.0}), counts, scan.validates)
        fraction = max(split.fraction, min(1.0, IMAGES_OF_QUICK / rest))
        split = split.model_copy(update={"fraction": fraction})
        if fraction > recipe.split.fraction:
            note(
                f"Training images: {round(fraction * rest):,} of {rest:,}, for split.fraction "
                f"{recipe.split.fraction:g} was chosen for another data set"
            )
    train, _ = count_split(split, counts, scan.validates)
    fitted = recipe.model_copy(update={"split": split})
    if train >= 2 * recipe.batch_size:
        return fitted
    batch_size = 2
    while 2 * batch_size * NUM_BATCHES <= train:
        batch_size *= 2
    lr = recipe.optimizer.lr * batch_size / recipe.batch_size  # Goyal et al. 2017
    note(
        f"Batch size: {batch_size} instead of {recipe.batch_size}, for {train:,} images train; "
        f"learning rate {lr:g} instead of {recipe.optimizer.lr:g}, in proportion"
    )
    optimizer = recipe.optimizer.model_copy(update={"lr": lr})
    changes = {"batch_size": batch_size, "micro_batch": None, "optimizer": optimizer}
    return fitted.model_copy(update=changes)
