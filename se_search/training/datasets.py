"""Data sets by name: tells what each one holds, and makes it ready for training; needs no torch.

Small images (``fashion_mnist``, ``cifar10``, ``cifar100``, ``digits``) are verified completely
and decoded once into memory-mapped arrays, which every training then opens. Folders of images
(``folder:PATH``, ``imagenet:PATH``) stay where they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from se_search.errors import DataError, RecipeError
from se_search.recipe import Recipe
from se_search.training.array_cache import default_cache_dir
from se_search.training.array_search import find_arrays
from se_search.training.data_catalogue import DATA_SETS
from se_search.training.dataset_spec import ArrayName, DataSetSpec
from se_search.training.image_folders import count_images
from se_search.training.split import split_sizes

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class DataInfo:
    """What a data set holds, and how many of its images a recipe uses.

    Attributes:
        name: as the user gives it.
        channels: 1 or 3.
        image_size: height and width in pixels.
        num_classes: number of classes.
        num_train: images in the training part; a search trains and validates on these only.
        num_used: images of the training part on which a candidate is trained.
        num_validation: images of the training part on which a candidate is validated.
        num_test: images in the data set's own test part (``val`` of a folder).
        mean: of each channel over the training part, for pixels in 0..1.
        std: standard deviation of each channel over the training part, for pixels in 0..1.
    """

    name: str
    channels: int
    image_size: int
    num_classes: int
    num_train: int
    num_used: int
    num_validation: int
    num_test: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PreparedData:
    """A data set that is complete and can be opened by any process.

    Attributes:
        info: what it holds.
        layout: ``arrays``: ``folder`` holds one ``.npy`` file for each ``ArrayName``, images as
            uint8 ``(n, channels, height, width)`` and labels as int64 ``(n,)``. ``folders``:
            ``folder`` holds ``train`` and ``val``, each with a folder of images for each class.
        folder: where the arrays or the folders of images are.
        source: where the data set was found.
    """

    info: DataInfo
    layout: Literal["arrays", "folders"]
    folder: Path
    source: str

    def array_path(self, name: ArrayName) -> Path:
        """Return the ``.npy`` file of an array."""
        return self.folder / f"{name}.npy"


def describe_data(name: str, recipe: Recipe) -> DataInfo:
    """Tell what a data set holds and how the recipe splits it, without reading images.

    Args:
        name: one of ``DATA_SETS``, ``folder:PATH`` or ``imagenet:PATH``.
        recipe: gives the split, and the image size of a folder.

    Raises:
        DataError: no such data set, or a folder of images that is incomplete.
        RecipeError: the recipe does not fit the data set.
    """
    kind, path = _parse_name(name)
    if path is not None:
        return _describe_folders(name, path, recipe)
    return _describe_arrays(DATA_SETS[kind], recipe)


def prepare_data(
    name: str, data_dir: Path | None, cache_dir: Path | None, recipe: Recipe
) -> PreparedData:
    """Find a data set, verify it and decode it into the cache; instant if it is there already.

    Args:
        name: one of ``DATA_SETS``, ``folder:PATH`` or ``imagenet:PATH``.
        data_dir: folder in which the user keeps data sets; searched first. None: there is none.
        cache_dir: where decoded and fetched files go; None: ``$SE_SEARCH_CACHE`` or the user's
            cache folder.
        recipe: gives the split, and the image size of a folder.

    Raises:
        DataError: the data set is nowhere to be found, or what is in ``data_dir`` is broken, or
            the cache can't be written.
        RecipeError: the recipe does not fit the data set.
    """
    kind, path = _parse_name(name)
    if path is not None:
        info = _describe_folders(name, path, recipe)
        return PreparedData(info, "folders", path, source=str(path))
    return prepare_arrays(DATA_SETS[kind], data_dir, cache_dir or default_cache_dir(), recipe)


def prepare_arrays(
    spec: DataSetSpec, data_dir: Path | None, cache_dir: Path, recipe: Recipe
) -> PreparedData:
    """Find a data set of small images, verify it and decode it; see ``prepare_data``."""
    info = _describe_arrays(spec, recipe)
    folder, source = find_arrays(spec, data_dir, cache_dir.expanduser().absolute())
    return PreparedData(info, "arrays", folder, source)


def _parse_name(name: str) -> tuple[str, Path | None]:
    """Return a data set's kind, and the path if it is a folder of images."""
    kind, colon, path = name.partition(":")
    if kind in ("folder", "imagenet") and path:
        return kind, Path(path).expanduser().absolute()
    if colon or kind not in DATA_SETS:
        allowed = ", ".join((*DATA_SETS, "folder:PATH", "imagenet:PATH"))
        raise DataError(f"data set {name!r} is not one of {allowed}")
    return kind, None


def _describe_arrays(spec: DataSetSpec, recipe: Recipe) -> DataInfo:
    if recipe.augmentation.resized_crop is not None:
        raise RecipeError(
            f"augmentation.resized_crop is for folders of images, and {spec.name} is not one"
        )
    if recipe.image_size not in (None, spec.image_size):
        raise RecipeError(
            f"image_size {recipe.image_size} does not fit {spec.name}: "
            f"its images have {spec.image_size} pixels a side"
        )
    num_used, num_validation = split_sizes(recipe, spec.num_train)
    return DataInfo(
        name=spec.name,
        channels=spec.channels,
        image_size=spec.image_size,
        num_classes=spec.num_classes,
        num_train=spec.num_train,
        num_used=num_used,
        num_validation=num_validation,
        num_test=spec.num_test,
        mean=spec.mean,
        std=spec.std,
    )


def _describe_folders(name: str, path: Path, recipe: Recipe) -> DataInfo:
    image_size = recipe.image_size or (224 if name.startswith("imagenet:") else None)
    if image_size is None:
        raise RecipeError(f"{name}: the recipe must give image_size for a folder of images")
    counts = count_images(path)
    num_used, num_validation = split_sizes(recipe, counts.num_train)
    return DataInfo(
        name=name,
        channels=3,
        image_size=image_size,
        num_classes=counts.num_classes,
        num_train=counts.num_train,
        num_used=num_used,
        num_validation=num_validation,
        num_test=counts.num_val,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
    )
