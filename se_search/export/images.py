"""Says how images are prepared for an exported network, and gives some to check its files with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from se_search.errors import SESearchError
from se_search.store.run_recipe import read_recorded_recipe
from se_search.training.array_cache import default_cache_dir
from se_search.training.datasets import DataInfo, PreparedData, parse_name, prepare_data
from se_search.training.image_scan import scan_folder

NUM_IMAGES = 8  # that files are checked with
DIGITS = tuple(map(str, range(10)))
CLASS_NAMES: Mapping[str, tuple[str, ...]] = {  # by their authors, in the order of the labels
    "digits": DIGITS,
    "fashion_mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "cifar10": (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
}


@dataclass(frozen=True, slots=True)
class Preparation:
    """How images become what a network takes.

    Attributes:
        prepared: the data set; None: it is not here, and what follows is not known.
        info: the images as the network reads them; None: not known.
        class_names: in the order of the outputs; None: not known.
        steps: what is done to an image, in order, in sentences.
        lacking: why the data set is not here; None: it is.
    """

    prepared: PreparedData | None
    info: DataInfo | None
    class_names: tuple[str, ...] | None
    steps: tuple[str, ...]
    lacking: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain data for ``candidate.json``."""
        info = self.info
        return {
            "mean": None if info is None else list(info.mean),
            "std": None if info is None else list(info.std),
            "class_names": None if self.class_names is None else list(self.class_names),
            "steps": list(self.steps),
        }


def find_preparation(config: Mapping[str, Any], data_dir: Path | None = None) -> Preparation:
    """Return how a run prepares its images.

    Args:
        config: the run's ``config.yaml``.
        data_dir: folder that holds the data set; None: where the run found it.
    """
    search, backbone = config["search"], config["identity"]["backbone"]
    recipe = read_recorded_recipe(config)
    folder = data_dir or (Path(search["data_dir"]) if search.get("data_dir") else None)
    try:
        prepared = prepare_data(search["data"], folder, None, recipe)
    except SESearchError as error:
        return Preparation(None, None, None, (), str(error))
    info = prepared.info.read_for(backbone["in_channels"])
    kind, path = parse_name(search["data"])
    names = CLASS_NAMES.get(kind)
    if path is not None:
        names = scan_folder(path, default_cache_dir()).listing.class_names
    size, crop = info.image_size, recipe.eval_crop
    channels = {1: "grey", 3: "RGB", 4: "RGBA"}.get(backbone["in_channels"], "all channels")
    shape = (
        f"resized to {size} x {size} pixels"
        if crop is None
        else f"resized to {round(size / crop)} pixels on the shorter side, and the {size} x {size} "
        "pixels of the middle"
    )
    repeats = backbone["in_channels"] > info.channels
    steps = (
        f"read as {channels}" + (", grey ones repeated" if repeats else ""),
        *([shape] if path is not None else [f"{size} x {size} pixels, as they are"]),
        "values of 0 to 1 (a byte divided by 255)",
        "less the mean, divided by the standard deviation, of each channel",
    )
    return Preparation(prepared, info, names, steps)


def read_images(config: Mapping[str, Any], preparation: Preparation, seed: int) -> Any:
    """Return images for a check, ``(8, c, h, w)``: of the validation part, or random ones.

    Args:
        config: the run's ``config.yaml``.
        preparation: of the run; without data the images are random, with a mean of 0.
        seed: of the replicate whose validation images they are.
    """
    import torch

    backbone = config["identity"]["backbone"]
    channels, size = backbone["in_channels"], backbone["image_size"]
    if preparation.prepared is None:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(NUM_IMAGES, channels, size, size, generator=generator)
    from se_search.training.data import make_data

    data = make_data(preparation.prepared, read_recorded_recipe(config), seed, channels)
    data.setup("fit")
    images, _ = next(iter(data.val_dataloader()))
    return images[:NUM_IMAGES].contiguous()
