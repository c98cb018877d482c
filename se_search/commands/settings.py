"""What a run's ``config.yaml`` says: what the run is, how it is searched, on what, and where."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from se_search.commands.options import SearchOptions
from se_search.errors import RunError
from se_search.execution.environment import describe_hardware, read_versions
from se_search.execution.session import Session
from se_search.models.own_source import look_in, read_own_source
from se_search.options import spell_options
from se_search.recipe import recipe_names
from se_search.record import Rung
from se_search.run_config import RunConfig
from se_search.search.lag import choose_lag
from se_search.shell import mask_passwords
from se_search.space.schema import space_names
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import digest_backbone
from se_search.training.datasets import absolute_name
from se_search.training.image_listing import LAYOUT, printable


def absolute(path: str | Path | None, names: Collection[str] = ()) -> str | None:
    """Return an absolute path, or a name as it is; None stays None.

    Args:
        path: a file or a folder, or one of ``names``.
        names: what is no path.
    """
    return None if path is None else str(path) if path in names else str(Path(path).absolute())


def code_folder(backbone: str) -> str | None:
    """Return the folder from which a user's own network is imported; None: it is in none."""
    source = read_own_source(backbone)
    return None if source is None else str(source.folder)


def find_code(config: Mapping[str, Any], *, allow_code: bool, first: bool) -> None:
    """Let a run's own network be imported from the folder that it came from.

    Args:
        config: the run's ``config.yaml``; empty if there is no run yet.
        allow_code: whether the user's code may be run; if not, nothing is imported from there.
        first: whether that folder comes before the current one.
    """
    folder = (config.get("search") or {}).get("code")
    if folder and allow_code:
        look_in(Path(folder), first=first)


def refuse_missing_logger(
    logger: str | None, find: Callable[[str], object | None] = find_spec
) -> None:
    """Refuse a logger whose package is not installed.

    Args:
        logger: as ``tensorboard``; None: nothing is asked for.
        find: returns None for the name of a package that is not there.

    Raises:
        RunError: the package is not there.
    """
    if logger is not None and find(logger) is None:
        raise RunError(
            f"logger {logger}: the package {logger} is not installed; "
            f"pip install 'se-search[{logger}]' installs it"
        )


def refuse_without_test(folder: RunFolder, data: str, run: RunConfig) -> None:
    """Refuse to confirm a run on data without test images.

    Args:
        folder: of the run.
        data: the data set's name as it was given.
        run: the run.

    Raises:
        RunError: the data have no test images.
    """
    if not run.data["test"]:
        raise RunError(
            f"{folder.path} can't be confirmed: {printable(data)} has no test images, "
            f"on which candidates are judged ({LAYOUT})"
        )


def make_config(
    run: RunConfig, options: SearchOptions, settings: Mapping[str, Any], session: Session
) -> dict[str, Any]:
    """Return what a run's ``config.yaml`` says: what the run is, how it was made, and on what.

    Args:
        run: what it is.
        options: what was asked for.
        settings: how candidates are chosen, and were before.
        session: what its trainings use.
    """
    return {
        "identity": run.identity,
        "hash": run.hash,
        "backbone_digest": digest_backbone(run.backbone),
        "search": {
            "space": absolute(options.space, space_names()),
            "data": absolute_name(options.data),
            **settings,
            "trials": options.trials,
            "tolerance": options.tolerance,
            "workers": len(session.devices),
            "threads": options.threads,
            "accelerator": session.devices[0].accelerator,
            "recipe": absolute(options.recipe, recipe_names()),
            "data_dir": absolute(options.data_dir),
            "weights": absolute(options.weights, ["DEFAULT"]),
            "sites": absolute(options.sites),
            "code": code_folder(run.backbone.name) if run.backbone.source else None,
            "recipe_hash": run.recipe.hash,
            "max_failures": options.max_failures,
            "timeout": options.timeout,
            # What a command that goes on with the run must say again.
            "arguments": spell_options(
                options,
                always=["space"],
                never=["remeasure", "trials", "name", "runs_dir", "mix_environments", "storage"],
            ),
        },
        "versions": read_versions(),
        "hardware": describe_hardware(session.hardware),
        "command": ["se-search", *map(mask_passwords, sys.argv[1:])],
        "working_directory": str(Path.cwd()),
    }


def describe_settings(options: SearchOptions, rungs: tuple[Rung, ...]) -> dict[str, Any]:
    """Return how candidates are chosen: what the options say, as far as it matters."""
    climbs = options.promotion != "off"
    repeats = options.repeat_candidates if options.sampler in ("pareto", "grid") else None
    return {
        "evaluator": options.evaluator,
        "sampler": options.sampler,
        "promotion": ",".join(map(str, rungs)) if climbs else "off",
        "eta": options.eta if climbs else None,
        "replicates": None if options.sampler == "grid" else options.num_replicates,
        "repeat_candidates": repeats,
    }


def describe_replicates(options: SearchOptions, draw: Literal["replicate", "fixed"]) -> str:
    """Say how the trials of a search are spread over replicates, and what these draw.

    Args:
        options: of the search.
        draw: whether each replicate draws its images; see the recipe's ``split``.
    """
    images = "which images train and validate, " if draw == "replicate" else ""
    drawn = f"draws {images}initial weights, the order of the images and their augmentation"
    if options.sampler == "grid":
        return (
            "Every candidate is trained in one replicate before the next one begins. Each "
            f"{drawn} and begins with the plain network."
        )
    number = options.num_replicates
    if number == 1:
        return (
            f"All trials are of one replicate, which {drawn}. What another one does can't be "
            "known: --replicates 3 or more tell"
        )
    return (
        f"Trials take turns among {number} replicates. Each {drawn} and begins with the plain "
        "network."
    )


def record_settings(
    recorded: Mapping[str, Any], settings: Mapping[str, Any], num_trials: int
) -> tuple[list[dict[str, Any]], str | None]:
    """Return the settings by which candidates were and are chosen, and a line if they change.

    A run may go on with another sampler: each trial remains what it is, and what the sampler asks
    for next depends on the trials alone.

    Args:
        recorded: the run's ``config.yaml``; empty if there is no run yet.
        settings: those of now.
        num_trials: how many trials the run has.

    Returns:
        The settings from each trial on at which they changed, and what has changed now.
    """
    history = list((recorded.get("search") or {}).get("history") or [])
    if not history or not num_trials:
        return [{"from_trial": 0, **settings}], None
    before = history[-1]
    changed = [name for name in settings if before.get(name) != settings[name]]
    if not changed:
        return history, None
    spelled = ", ".join(
        f"{name} {_spell(before[name])} -> {_spell(settings[name])}"
        for name in changed
        if before.get(name) is not None and settings[name] is not None
    )
    if before["from_trial"] == num_trials:
        history.pop()
    return [*history, {"from_trial": num_trials, **settings}], (
        f"From trial {num_trials} on candidates are chosen otherwise than before: {spelled}"
    )


def find_lag(recorded: Mapping[str, Any], num_trials: int, num_workers: int) -> int:
    """Return up to which trial a run knows results when it chooses the next; see ``run_search``.

    A run keeps the lag that it began with, so that its trials do not depend on how many workers
    go on with it.

    Args:
        recorded: the run's ``config.yaml``; empty if there is no run yet.
        num_trials: how many trials the run has.
        num_workers: how many trainings may run at a time now.
    """
    if not num_trials:
        return choose_lag(num_workers)
    lag: int = recorded["search"]["lag"]
    return lag


def _spell(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
