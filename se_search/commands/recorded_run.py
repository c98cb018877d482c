"""Reads a finished run back: the options, the space and the recipe that it was made by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from se_search.commands.options import ConfirmOptions, SearchOptions
from se_search.commands.run_identity import assume_recorded, describe_run
from se_search.commands.run_latency import recall_options
from se_search.errors import RunError
from se_search.run_config import RunConfig
from se_search.store.identity import compare_identities
from se_search.store.run_folder import RunFolder
from se_search.store.run_recipe import read_recorded_recipe
from se_search.store.run_space import read_backbone, read_recorded_space


def read_recorded_options(config: Mapping[str, Any], options: ConfirmOptions) -> SearchOptions:
    """Return the options of the run, except for how its candidates are to be trained now.

    Args:
        config: the run's ``config.yaml``.
        options: how they are to be trained now.

    Raises:
        RunError: the configuration does not say how the run was made.
    """
    identity, search = config["identity"], config.get("search") or {}
    needed = {"search": (search, ("space", "data", "recipe")), "identity": (identity, ("seed",))}
    for part, (known, keys) in needed.items():
        for key in keys:
            if known.get(key) is None:
                raise RunError(
                    f"config.yaml does not say how the run was made: it has no '{part}.{key}'"
                )
    data_dir = search.get("data_dir")
    return SearchOptions(
        space=search["space"],
        backbone=identity["backbone"]["name"],
        data=search["data"],
        data_dir=options.data_dir or (Path(data_dir) if data_dir else None),
        recipe=search["recipe"],
        epochs=identity["epochs"],
        objectives=",".join(identity["objectives"]),
        evaluator=search.get("evaluator", "train"),
        seed=identity["seed"],
        workers=options.workers,
        threads=options.threads or search.get("threads", 1),
        accelerator=options.accelerator or search.get("accelerator", "auto"),
        timeout=options.timeout,
        mix_environments=options.mix_environments,
        executor=options.executor,
        ray_address=options.ray_address,
        cpus_per_trial=options.cpus_per_trial,
        gpus_per_trial=options.gpus_per_trial,
        trials_per_gpu=options.trials_per_gpu,
        submitit=options.submitit,
        allow_code=options.allow_code,
        sites=Path(search["sites"]) if search.get("sites") else None,
        weights=search.get("weights"),
        freeze_backbone=identity["backbone"].get("frozen", False),
        **recall_options(identity),
    )


def describe_recorded_run(
    folder: RunFolder, config: Mapping[str, Any], options: SearchOptions
) -> RunConfig:
    """Describe the run with the backbone that its folder keeps, without PyTorch.

    Raises:
        RunError: something is not as the run recorded it.
        SESearchError: the data are not there.
    """
    recorded = config["identity"]
    run = describe_run(
        read_recorded_space(recorded["space"], str(folder.config_file)),
        read_recorded_recipe(config),
        options,
        read_backbone(folder, allow_code=options.allow_code),
    )
    refuse_differences(folder, recorded, assume_recorded(run, recorded))
    return run


def refuse_other_backbone(folder: RunFolder, run: RunConfig, options: SearchOptions) -> None:
    """Refuse to train candidates of a network that is no longer the one that was searched.

    Raises:
        RunError: the network that the options name has changed since.
        SESearchError: the network is not there, or is code that may not be run.
    """
    now = describe_run(run.space, run.recipe, options).backbone
    refuse_differences(folder, run.identity, replace(run, backbone=now))
    if now != run.backbone:
        raise RunError(
            f"{folder.path} can't be confirmed: {run.backbone.name} has other sites or costs now "
            f"than {folder.backbone_file.name} says"
        )


def refuse_differences(folder: RunFolder, recorded: Mapping[str, Any], run: RunConfig) -> None:
    """Refuse to train a run's candidates otherwise than the run did.

    Raises:
        RunError: the identities differ; the message has a line for each difference.
    """
    differences = compare_identities(recorded, run.identity)
    if differences:
        lines = "\n".join(f"  {line}" for line in differences)
        raise RunError(
            f"{folder.path} can't be confirmed, for what it was made with has changed:\n{lines}"
        )
