"""The search space of a run as its folder keeps it: which candidates there are, without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from se_search.backbone import Backbone
from se_search.backbone_file import backbone_from_json, backbone_to_json
from se_search.config import validate
from se_search.errors import BackboneError, RunError, explain
from se_search.space.bound import BoundSpace, bind
from se_search.space.schema import SearchSpace
from se_search.store.config_file import leave_out_chosen
from se_search.store.files import read_json, write_text
from se_search.store.run_folder import RunFolder


def write_backbone(folder: RunFolder, backbone: Backbone) -> None:
    """Write ``backbone.json``, whole or not at all: sites, channels, costs, a user's own included.

    Raises:
        RunError: it can't be written.
    """
    write_text(folder.backbone_file, json.dumps(backbone_to_json(backbone)) + "\n")


def read_backbone(folder: RunFolder, *, allow_code: bool = False) -> Backbone:
    """Return the backbone that a run's candidates are of, as the run described it.

    Args:
        folder: the run's.
        allow_code: whether the user's code may be run to make the network.

    Raises:
        RunError: ``backbone.json`` is not there, can't be read, or is not as the run wrote it.
    """
    path = folder.backbone_file
    if not path.is_file():
        raise RunError(f"{path} is not there: the run's backbone is not known")
    try:
        backbone = backbone_from_json(read_json(path), allow_code=allow_code)
    except (ValueError, BackboneError) as cause:
        raise RunError(f"{path} can't be read: {explain(cause)}") from cause
    written = folder.read_config().get("backbone_digest")
    if written is not None and digest_backbone(backbone) != written:
        raise RunError(
            f"{path} has been changed since the run was started: its digest is "
            f"{digest_backbone(backbone)}, not {written}"
        )
    return backbone


def digest_backbone(backbone: Backbone) -> str:
    """Return twelve hexadecimal digits over all that ``backbone.json`` says of a backbone."""
    text = json.dumps(backbone_to_json(backbone), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def read_space(folder: RunFolder) -> BoundSpace:
    """Return the space that a run searches, on its backbone.

    Raises:
        RunError: ``config.yaml`` or ``backbone.json`` is not there, or can't be read.
        SpaceError: the recorded space does not fit the backbone.
    """
    config = folder.read_config()
    if not config:
        raise RunError(f"{folder.path} is no run: there is no config.yaml")
    file = str(folder.config_file)
    space = read_recorded_space(config["identity"]["space"], file)
    return bind(space, read_backbone(folder), f"{file}: identity.space")


def read_recorded_space(recorded: Mapping[str, Any], name: str) -> SearchSpace:
    """Return the space that a run's identity records.

    Args:
        recorded: that part of the identity.
        name: of the file that records it, as messages of errors name it.

    Raises:
        RunError: this version of se-search knows no such space.
    """
    return validate(leave_out_chosen(recorded), SearchSpace, RunError, f"{name}: identity.space")
