"""Completes names on the command line; nothing of this imports PyTorch or Optuna."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

SAMPLER_NAMES = ("pareto", "tpe", "nsga2", "random", "grid")


def complete_space(incomplete: str) -> list[str]:
    """Return the shipped spaces that begin as typed, and space files."""
    from se_search.space.schema import space_names

    return [*begin_with(incomplete, space_names()), *_list_files(incomplete)]


def complete_recipe(incomplete: str) -> list[str]:
    """Return the shipped recipes that begin as typed, and recipe files."""
    from se_search.recipe import recipe_names

    return [*begin_with(incomplete, recipe_names()), *_list_files(incomplete)]


def complete_sampler(incomplete: str) -> list[str]:
    """Return the samplers that begin as typed."""
    return begin_with(incomplete, SAMPLER_NAMES)


def complete_samplers(incomplete: str) -> list[str]:
    """Return lists of samplers with commas whose last one begins as typed."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in complete_sampler(last)]


def complete_backbone(incomplete: str) -> list[str]:
    """Return the catalogue's and torchvision's backbones that begin as typed."""
    from se_search.models.names import BACKBONE_NAMES, TORCHVISION_NAMES

    return begin_with(incomplete, dict.fromkeys((*BACKBONE_NAMES, *TORCHVISION_NAMES)))


def complete_data(incomplete: str) -> list[str]:
    """Return the data sets that begin as typed, and the prefixes of folders of images."""
    names = ("fashion_mnist", "cifar10", "cifar100", "digits", "folder:", "imagenet:")
    return begin_with(incomplete, names)


def complete_run(incomplete: str) -> list[str]:
    """Return the names of the runs in ``runs`` that begin as typed, and folders of runs."""
    folder, slash, _ = incomplete.rpartition("/")
    place = Path(folder + slash) if slash else Path("runs")
    names = (f"{folder}{slash}{path.parent.name}" for path in place.glob("*/config.yaml"))
    return sorted(begin_with(incomplete, names))


def begin_with(incomplete: str, names: Iterable[str]) -> list[str]:
    """Return the names that begin as typed."""
    return [name for name in names if name.startswith(incomplete)]


def _list_files(incomplete: str) -> list[str]:
    """Return YAML files and folders that begin as typed, where a path may be meant."""
    if not incomplete:
        return []
    folder, _, name = incomplete.rpartition("/")
    place = Path(folder or ("/" if incomplete.startswith("/") else "."))
    if not place.is_dir():
        return []
    prefix = incomplete[: len(incomplete) - len(name)]
    return sorted(
        f"{prefix}{path.name}/" if path.is_dir() else f"{prefix}{path.name}"
        for path in place.iterdir()
        if path.name.startswith(name) and (path.is_dir() or path.suffix in (".yaml", ".yml"))
    )
