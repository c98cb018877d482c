"""What a run is: described by its options, compared with what its folder recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from se_search.backbone import Backbone
from se_search.commands.options import SearchOptions
from se_search.commands.run_latency import describe_asked
from se_search.errors import RunChangedError
from se_search.execution.session import Session
from se_search.models.catalogue import backbone_in_channels, describe_backbone
from se_search.recipe import Recipe, recipe_names
from se_search.run_config import RunConfig, parse_objectives
from se_search.score import SupernetSettings
from se_search.space.schema import SearchSpace
from se_search.store.run_folder import RunFolder
from se_search.training.array_cache import default_cache_dir
from se_search.training.datasets import describe_data
from se_search.training.image_scan import SILENT, Watch, describe_changes


def describe_run(
    space: SearchSpace,
    recipe: Recipe,
    options: SearchOptions,
    backbone: Backbone | None = None,
    watch: Watch = SILENT,
) -> RunConfig:
    """Describe a run as far as it is known before PyTorch has started.

    Args:
        space: what is searched.
        recipe: how candidates are trained.
        options: what is asked for.
        backbone: the network that the options name, as it was described before; None: described
            now, with PyTorch unless the catalogue has it.
        watch: told what is found in a folder of images, and what is chosen by it.

    Raises:
        SESearchError: the data or the backbone are not there.
    """
    if options.image_size is not None:
        recipe = recipe.model_copy(update={"image_size": options.image_size})
    info, recipe = describe_data(
        options.data, recipe, is_shipped=options.recipe in recipe_names(), watch=watch
    )
    backbone = backbone or describe_backbone(
        options.backbone,
        in_channels=backbone_in_channels(
            options.backbone, info.channels, info.image_size, allow_code=options.allow_code
        ),
        image_size=info.image_size,
        num_classes=info.num_classes,
        allow_code=options.allow_code,
        sites=options.sites,
    )
    return RunConfig(
        space=space,
        backbone=backbone,
        recipe=recipe,
        data=info.read_for(backbone.in_channels).identity,
        objectives=parse_objectives(options.objectives),
        epochs=options.epochs or recipe.epochs,
        seed=options.seed,
        precision="",
        freeze_backbone=options.freeze_backbone,
        latency=describe_asked(options.latency_options)
        if "latency" in parse_objectives(options.objectives)
        else None,
        supernets=None if options.evaluator == "train" else asdict(SupernetSettings()),
    )


def assume_recorded(run: RunConfig, recorded: Mapping[str, Any]) -> RunConfig:
    """Take what is not known before a session is open from the identity that a run recorded."""
    backbone = recorded.get("backbone") or {}
    data = dict(run.data)
    if data["fingerprint"] is None:
        data["fingerprint"] = (recorded.get("data") or {}).get("fingerprint")
    known = recorded.get("latency")
    latency = run.latency
    if latency is not None and known is not None:
        latency = {name: known.get(name) if own is None else own for name, own in latency.items()}
    return replace(
        run,
        precision=recorded.get("precision", ""),
        weights=backbone.get("weights"),
        data=data,
        latency=latency,
    )


def refuse_changes(folder: RunFolder, run: RunConfig) -> None:
    """Refuse to continue a folder's run as another search; says how images of a folder differ.

    Raises:
        RunChangedError: the identity differs; the message lists where.
    """
    try:
        folder.refuse_changes(run.identity)
    except RunChangedError as error:
        before = folder.read_config()["identity"]["data"].get("fingerprint")
        now = run.data["fingerprint"]
        changes = None
        if before and now and before != now:
            changes = describe_changes(default_cache_dir(), before, now)
        if changes is None:
            raise
        raise RunChangedError(f"{error}\n{changes}") from error


def complete(run: RunConfig, session: Session, precision: str | None = None) -> RunConfig:
    """Return the run with all of its identity, of which a session knows the rest.

    Args:
        run: as far as it is known.
        session: what its trainings use.
        precision: that the run began with; trainings in another one are mixed only if that is
            asked for. None: it begins with the session's.
    """
    return replace(
        run,
        precision=precision or session.precision,
        weights=session.weights_digest,
        data={**run.data, "fingerprint": session.task.data.info.fingerprint},
    )
