"""Data sets by name: tells what each one holds, and makes it ready for training; needs no torch.

Small images (``fashion_mnist``, ``cifar10``, ``cifar100``, ``digits``) are verified completely
and decoded once into memory-mapped arrays, which every training then opens. Folders of images
(``folder:PATH``, ``imagenet:PATH``) are scanned, and stay where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from se_search.errors import DataError, RecipeError, suggest_nearest
from se_search.recipe import Recipe
from se_search.training.array_cache import default_cache_dir, fingerprint_arrays
from se_search.training.array_search import find_arrays
from se_search.training.data_catalogue import DATA_SETS
from se_search.training.dataset_spec import ArrayName, DataSetSpec
from se_search.training.image_listing import printable
from se_search.training.image_notes import list_notes
from se_search.training.image_scan import SILENT, FolderScan, Watch, scan_folder
from se_search.training.recipe_fitting import LARGEST_SIDE, fit_recipe
from se_search.training.split import pool_share, share_out, split_sizes

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
# Of each of the 1,000 classes there are 732 to 1,300 images; the sum is exact, 1,281,167.
IMAGENET_COUNTS = (1_282,) * 167 + (1_281,) * 833
IMAGENET_NUM_TEST = 50_000
HIGH_CHANCE = 0.9  # a share of the validation images in one class that is worth a warning
FOLDER_CHANNELS = (1, 3, 4)  # grey, RGB, RGBA


@dataclass(frozen=True, slots=True)
class DataInfo:
    """What a data set holds, and how many of its images a recipe uses.

    Attributes:
        name: as the user gives it.
        channels: that the images are read with.
        image_size: height and width in pixels.
        num_classes: number of classes.
        num_train: images in the training part; a search trains and validates on these only, and
            on those of ``val`` if a folder has ``val`` and ``test``.
        num_used: images of the training part on which a candidate is trained.
        num_validation: images on which a candidate is validated.
        pool_share: share of the images at hand that one replicate trains or validates on, 0..1;
            see ``split.pool_share``.
        num_test: images in the data set's own test part; 0: it has none.
        chance: share of the validation images that are of the most frequent class, 0..1: the
            accuracy of a constant answer.
        mean: of each channel over the training part, for pixels in 0..1.
        std: standard deviation of each channel over the training part, for pixels in 0..1.
        validation_part: the part that validates: ``train`` (a share of it) or ``val``.
        fingerprint: 16 hexadecimal digits over the images; None: they have not been read yet.
    """

    name: str
    channels: int
    image_size: int
    num_classes: int
    num_train: int
    num_used: int
    num_validation: int
    pool_share: float
    num_test: int
    chance: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    validation_part: Literal["train", "val"] = "train"
    fingerprint: str | None = None

    @property
    def kind(self) -> str:
        """The name without a path: ``fashion_mnist``, ``folder``, ``imagenet``."""
        return self.name.partition(":")[0]

    @property
    def identity(self) -> dict[str, Any]:
        """What trainings on these images have in common, as plain data; where they lie is not."""
        return {
            "name": self.kind,
            "channels": self.channels,
            "image_size": self.image_size,
            "num_classes": self.num_classes,
            "train": self.num_used,
            "validation": self.num_validation,
            "test": self.num_test,
            "validation_part": self.validation_part,
            "pool_share": round(self.pool_share, 6),
            "chance": round(self.chance, 6),
            "fingerprint": self.fingerprint,
        }

    def read_for(self, in_channels: int) -> DataInfo:
        """Return the description of the images as a network of ``in_channels`` reads them.

        Arrays are read with the channels that they have; grey ones are repeated for a network of 3.
        Images of folders are read as grey, RGB or RGBA. Means and deviations of grey are those of
        the luminance, and a transparency of 0..1 is left as it is.

        Raises:
            DataError: the network can't take the images.
        """
        if self.kind in DATA_SETS:
            if in_channels not in (self.channels, 3 if self.channels == 1 else self.channels):
                raise DataError(
                    f"{self.name} has {self.channels} channels, and the backbone takes "
                    f"{in_channels}"
                )
            return self
        if in_channels not in FOLDER_CHANNELS:
            raise DataError(
                f"the backbone takes {in_channels} channels, and images of a folder are read as 1 "
                "(grey), 3 (RGB) or 4 (RGBA)"
            )
        mean, std = _channel_statistics(in_channels)
        return replace(self, channels=in_channels, mean=mean, std=std)


@dataclass(frozen=True, slots=True)
class PreparedData:
    """A data set that is complete and can be opened by any process.

    Attributes:
        info: what it holds.
        layout: ``arrays``: ``folder`` holds one ``.npy`` file for each ``ArrayName``, images as
            uint8 ``(n, channels, height, width)`` and labels as int64 ``(n,)``. ``folders``:
            ``folder`` holds the images that ``listing`` lists.
        folder: where the arrays or the images are.
        source: where the data set was found.
        listing: file that lists a folder's images; None: they are arrays.
        test_part: part of a folder that is the test part; None: there is none.
    """

    info: DataInfo
    layout: Literal["arrays", "folders"]
    folder: Path
    source: str
    listing: Path | None = None
    test_part: str | None = None

    def array_path(self, name: ArrayName) -> Path:
        """Return the ``.npy`` file of an array."""
        return self.folder / f"{name}.npy"


def describe_data(
    name: str,
    recipe: Recipe,
    *,
    is_shipped: bool = False,
    watch: Watch = SILENT,
    cache_dir: Path | None = None,
) -> tuple[DataInfo, Recipe]:
    """Tell what a data set holds and how it is split, and fit the recipe to a folder of images.

    Of small images nothing is read. A folder is scanned, which is quick if it has not changed.

    Args:
        name: one of ``DATA_SETS``, ``folder:PATH`` or ``imagenet:PATH``.
        recipe: gives the split; see ``fit_recipe``.
        is_shipped: whether the recipe came with se-search.
        watch: told what the scan finds and what is chosen.
        cache_dir: where the scan is kept; None: ``$SE_SEARCH_CACHE`` or the user's cache folder.

    Returns:
        the description, and the recipe that it is trained by.

    Raises:
        DataError: no such data set, or a folder of images that is incomplete or has broken files.
        RecipeError: the recipe does not fit the data set.
    """
    kind, path = parse_name(name)
    if path is None:
        info = _describe_arrays(DATA_SETS[kind], recipe)
    else:
        scan = scan_folder(path, _cache(cache_dir), watch)
        for sentence in list_notes(scan):
            watch.note(sentence)
        is_imagenet = kind == "imagenet"
        recipe = fit_recipe(
            recipe, scan, is_imagenet=is_imagenet, is_shipped=is_shipped, note=watch.note
        )
        info = _describe_folder(name, scan, recipe)
    if info.validation_part == "train" and info.num_validation != recipe.split.validation:
        watch.note(
            f"Validation: {info.num_validation:,} of {info.num_train:,} training images instead of "
            f"{recipe.split.validation:,}: at most a fifth, and at least one of each class"
        )
    if info.chance >= HIGH_CHANCE:
        watch.note(
            f"WARNING: a constant answer is right on {100 * info.chance:.2f} % of the validation "
            "images, for they are of one class; accuracies say little about the others"
        )
    return info, recipe


def describe_absent_imagenet(recipe: Recipe) -> DataInfo:
    """Tell what ImageNet holds (ILSVRC 2012) and how a recipe uses it, without its images."""
    counts = IMAGENET_COUNTS
    num_used, num_validation = split_sizes(recipe, counts)
    mean, std = _channel_statistics(3)
    return DataInfo(
        name="imagenet",
        channels=3,
        image_size=recipe.image_size or LARGEST_SIDE,
        num_classes=len(counts),
        num_train=sum(counts),
        num_used=num_used,
        num_validation=num_validation,
        pool_share=pool_share(recipe, counts),
        num_test=IMAGENET_NUM_TEST,
        chance=_chance(share_out(counts, num_validation)),
        mean=mean,
        std=std,
    )


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
    kind, path = parse_name(name)
    if path is None:
        return prepare_arrays(DATA_SETS[kind], data_dir, _cache(cache_dir), recipe)
    scan = scan_folder(path, _cache(cache_dir))
    info = _describe_folder(name, scan, recipe)
    return PreparedData(info, "folders", path, printable(path), scan.file, scan.test_part)


def prepare_arrays(
    spec: DataSetSpec, data_dir: Path | None, cache_dir: Path, recipe: Recipe
) -> PreparedData:
    """Find a data set of small images, verify it and decode it; see ``prepare_data``."""
    info = _describe_arrays(spec, recipe)
    folder, source = find_arrays(spec, data_dir, cache_dir.expanduser().absolute())
    info = replace(info, fingerprint=fingerprint_arrays(folder))
    return PreparedData(info, "arrays", folder, source)


def parse_name(name: str) -> tuple[str, Path | None]:
    """Return a data set's kind, and the absolute path if it is a folder of images.

    Raises:
        DataError: there is no such data set.
    """
    kind, colon, path = name.partition(":")
    if kind in ("folder", "imagenet") and path:
        return kind, Path(path).expanduser().absolute()
    if colon or kind not in DATA_SETS:
        allowed = ", ".join((*DATA_SETS, "folder:PATH", "imagenet:PATH"))
        hint = suggest_nearest(kind, (*DATA_SETS, "folder", "imagenet"))
        if name and Path(name).is_dir():
            hint = f" (did you mean folder:{printable(name)}?)"
        raise DataError(f"data set {name!r} is not one of {allowed}{hint}")
    return kind, None


def absolute_name(name: str) -> str:
    """Return a data set's name with an absolute path, if it has a path."""
    kind, path = parse_name(name)
    return kind if path is None else f"{kind}:{path}"


def _cache(cache_dir: Path | None) -> Path:
    return (cache_dir or default_cache_dir()).expanduser().absolute()


def _describe_arrays(spec: DataSetSpec, recipe: Recipe) -> DataInfo:
    for key, value in (
        ("augmentation.resized_crop", recipe.augmentation.resized_crop),
        ("eval_crop", recipe.eval_crop),
    ):
        if value is not None:
            raise RecipeError(f"{key} is for folders of images, and {spec.name} is not one")
    if recipe.image_size not in (None, spec.image_size):
        raise RecipeError(
            f"image_size {recipe.image_size} does not fit {spec.name}: "
            f"its images have {spec.image_size} pixels a side"
        )
    num_used, num_validation = split_sizes(recipe, spec.train_counts)
    return DataInfo(
        name=spec.name,
        channels=spec.channels,
        image_size=spec.image_size,
        num_classes=spec.num_classes,
        num_train=spec.num_train,
        num_used=num_used,
        num_validation=num_validation,
        pool_share=pool_share(recipe, spec.train_counts),
        num_test=spec.num_test,
        chance=_chance(share_out(spec.train_counts, num_validation)),
        mean=spec.mean,
        std=spec.std,
    )


def _describe_folder(name: str, scan: FolderScan, recipe: Recipe) -> DataInfo:
    assert recipe.image_size is not None  # fit_recipe has seen to that
    counts = scan.listing.counts("train")
    num_used, num_validation = split_sizes(recipe, counts, scan.validates)
    if scan.validates:
        validation = scan.listing.counts("val")
    else:
        names = [printable(name) for name in scan.listing.class_names]
        validation = tuple(share_out(counts, num_validation, names))
    mean, std = _channel_statistics(3)
    return DataInfo(
        name=name,
        channels=3,
        image_size=recipe.image_size,
        num_classes=len(counts),
        num_train=sum(counts),
        num_used=num_used,
        num_validation=sum(validation),
        pool_share=pool_share(recipe, counts, scan.validates),
        num_test=sum(scan.listing.counts(scan.test_part)) if scan.test_part else 0,
        chance=_chance(validation),
        mean=mean,
        std=std,
        validation_part="val" if scan.validates else "train",
        fingerprint=scan.fingerprint,
    )


def _chance(validation: Sequence[int]) -> float:
    return max(validation) / sum(validation)


def _channel_statistics(channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return ImageNet's means and deviations, of its luminance for one channel (ITU-R 601-2)."""
    if channels == 1:
        weights = (0.299, 0.587, 0.114)
        mean, std = (
            sum(weight * value for weight, value in zip(weights, values, strict=True))
            for values in (_IMAGENET_MEAN, _IMAGENET_STD)
        )
        return (mean,), (std,)
    if channels == 4:  # the transparency stays 0..1
        return (*_IMAGENET_MEAN, 0.0), (*_IMAGENET_STD, 1.0)
    return _IMAGENET_MEAN, _IMAGENET_STD
