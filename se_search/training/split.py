"""The split of a data set's training part into images that train and images that validate.

Both are drawn class by class, in proportion to the classes' images, and in each replicate anew
unless the recipe fixes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from se_search.errors import DataError, RecipeError
from se_search.recipe import Recipe, Split
from se_search.seeds import derive_seed

SplitPart = Literal["train", "validation"]

MIN_IMAGES_FOR_FRACTION = 10_000  # a smaller training part is too small to leave images out


@dataclass(frozen=True, slots=True, eq=False)  # eq: arrays have no single answer to it
class DrawnSplit:
    """The images of the training part that train and those that validate in one replicate.

    Attributes:
        seed: of the permutation that drew them.
        train: indices of the images that train, in the order in which they were drawn.
        validation: indices of the images that validate, ascending: the order of the bits in
            ``Evaluation.correct``. Empty if these images lie in a part of their own.
    """

    seed: int
    train: NDArray[np.int64]
    validation: NDArray[np.int64]

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits, equal for two splits if both of their parts are."""
        parts = (np.sort(self.train), np.sort(self.validation))
        digest = hashlib.sha256()
        for part in parts:
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part.astype("<i8").tobytes())
        return digest.hexdigest()[:12]


def spread_evenly(indices: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Return at most ``limit`` of some indices in their order, spread evenly over them."""
    if len(indices) <= limit:
        return indices
    places = np.linspace(0, len(indices) - 1, limit).round().astype(np.int64)
    chosen: NDArray[np.int64] = indices[places]
    return chosen


def draw_split(
    recipe: Recipe, labels: NDArray[np.int64], replicate: int, own_validation: bool = False
) -> DrawnSplit:
    """Return the split of a replicate.

    Args:
        recipe: gives the sizes, and whether each replicate draws its own split.
        labels: class of each image of the training part, ``(n,)``; each class has an image.
        replicate: the seed that names the replicate.
        own_validation: whether the images that validate lie in a part of their own, which is used
            whole in every replicate.
    """
    seed = split_seed(recipe.split, replicate)
    return DrawnSplit(seed, *split_indices(recipe, labels, seed, own_validation))


def split_seed(split: Split, replicate: int) -> int:
    """Return the seed of the permutation that draws a replicate's split.

    It has at most 31 bits unless the recipe gives a longer one: a spreadsheet keeps each digit of
    it, and a recipe with ``draw: fixed`` and this ``seed`` trains on the replicate's images.
    """
    if split.draw == "fixed":
        return split.seed
    return derive_seed("split", split.seed, replicate) >> 32


def pool_share(recipe: Recipe, class_counts: Sequence[int], own_validation: bool = False) -> float:
    """Return the share of the images at hand that one replicate trains or validates on, 0..1.

    The larger it is, the more images two replicates share, and the less their differences tell
    about other images (Nadeau & Bengio 2003). A part of its own that validates is used whole in
    every replicate, so that the share is 1.

    Args:
        recipe: gives the sizes.
        class_counts: images of each class in the training part.
        own_validation: whether the images that validate lie in a part of their own.
    """
    if own_validation:
        return 1.0
    return sum(count_split(recipe.split, class_counts)) / sum(class_counts)


def count_split(
    split: Split, class_counts: Sequence[int], own_validation: bool = False
) -> tuple[int, int]:
    """Return how many images of the training part train, and how many validate.

    At most a fifth of the training part validates, even if more are asked for, but one image of
    each class does. A training part below 10,000 images is used whole: ``split.fraction`` is for
    larger ones.

    Args:
        split: what is asked for.
        class_counts: images of each class in the training part.
        own_validation: whether the images that validate lie in a part of their own.
    """
    num_train = sum(class_counts)
    validation = 0
    if not own_validation:
        validation = max(len(class_counts), min(split.validation, num_train // 5))
    rest = num_train - validation
    fraction = 1.0 if num_train < MIN_IMAGES_FOR_FRACTION else split.fraction
    return round(fraction * rest), validation


def split_sizes(
    recipe: Recipe, class_counts: Sequence[int], own_validation: bool = False
) -> tuple[int, int]:
    """Return the sizes of ``count_split`` if a recipe can train on as many images.

    Raises:
        RecipeError: fewer images than two batches, or than one a class, are left to train on.
    """
    train, validation = count_split(recipe.split, class_counts, own_validation)
    num_train, num_classes = sum(class_counts), len(class_counts)
    if train < 2 * recipe.batch_size:
        raise RecipeError(
            f"of {num_train} training images {validation} validate and {train} train, which is "
            f"less than two batches of {recipe.batch_size} (batch_size, split.fraction)"
        )
    if train < num_classes:
        raise RecipeError(
            f"of {num_train} training images {train} train, which is less than one for each of "
            f"{num_classes} classes (split.fraction)"
        )
    return train, validation


def share_out(
    class_counts: Sequence[int], total: int, class_names: Sequence[str] = ()
) -> list[int]:
    """Return how many images of each class validate: in proportion, and at least one.

    The shares are rounded by the largest remainders; of equal ones the first class's is rounded up.

    Args:
        class_counts: images of each class in the training part.
        total: images that validate; at least one for each class.
        class_names: names of the classes for messages; empty: their numbers.

    Raises:
        DataError: a class has a single image, which can't both train and validate.
    """
    names = class_names or [str(number) for number in range(len(class_counts))]
    short = [(name, n) for name, n in zip(names, class_counts, strict=True) if n < 2]
    if short:
        listed = ", ".join(f"{name} ({n})" for name, n in short[:5])
        more = f" and {len(short) - 5} more" if len(short) > 5 else ""
        raise DataError(
            f"each class needs an image that trains and another one that validates; too few images "
            f"in the training part: {listed}{more}. Add images, or leave the class out"
        )
    counts = np.asarray(class_counts, np.int64)
    scaled = total * counts  # the exact share, times the number of images
    shares, remainders = np.divmod(scaled, counts.sum())
    order = np.argsort(-remainders, kind="stable")
    shares[order[: total - int(shares.sum())]] += 1
    shares = np.maximum(shares, 1)
    while shares.sum() > total:
        # What the smallest classes got comes from the class that is furthest above its share.
        excess = np.where(shares > 1, shares * counts.sum() - scaled, np.iinfo(np.int64).min)
        shares[excess.argmax()] -= 1
    return [int(share) for share in shares]


def split_indices(
    recipe: Recipe, labels: NDArray[np.int64], seed: int, own_validation: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the images that train and those that validate from the training part.

    One permutation orders the images of each class: its first ones validate, the others can train.
    They are lined up so that the beginning of the line, however long, has the classes in
    proportion. So a larger fraction adds training images to those of a smaller fraction, and leaves
    the validation images as they are.

    Args:
        recipe: gives the sizes.
        labels: class of each image of the training part, ``(n,)``; each class has an image.
        seed: of the permutation.
        own_validation: whether the images that validate lie in a part of their own.

    Returns:
        indices of the images that train, in the order of the line, and of those that validate,
        ascending.
    """
    class_counts = np.bincount(labels)
    num_train, num_validation = split_sizes(recipe, class_counts.tolist(), own_validation)
    shares = np.zeros(len(class_counts), np.int64)
    if not own_validation:
        shares += share_out(class_counts.tolist(), num_validation)
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    classes = labels[by_class]
    starts = np.cumsum(class_counts) - class_counts
    ranks = np.arange(len(labels)) - (starts + shares)[classes]  # 0: its class's first that trains
    # Webster's method of apportionment, but for each class's first image, which comes first.
    places = np.where(ranks == 0, 0.0, (ranks + 0.5) / (class_counts - shares)[classes])
    places[ranks < 0] = -1
    line = by_class[np.argsort(places, kind="stable")]
    train = line[num_validation : num_validation + num_train]
    return train, np.sort(line[:num_validation])
