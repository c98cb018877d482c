"""Says where an exported network's code and first weights come from, and under which licences."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from se_search.models.names import TORCHVISION, TORCHVISION_NAMES

TERMS = (
    "torchvision states no licence of these weights (its code is BSD-3-Clause); the terms of the "
    "images that they were trained on, ImageNet's for research, may bind them"
)


def describe_origin(config: Mapping[str, Any]) -> dict[str, str | None]:
    """Return ``code``, ``weights`` and ``licence`` of a run's network, in words.

    Args:
        config: the run's ``config.yaml``.
    """
    name, weights = config["identity"]["backbone"]["name"], config["search"].get("weights")
    digest = config["identity"]["backbone"].get("weights")
    code = _describe_code(config, name)
    if not weights:
        return {
            "code": code,
            "weights": "drawn at random: no foreign weights are part of it",
            "licence": None,
        }
    if weights == "DEFAULT":
        source, licence = _describe_default(name)
    else:
        source = f"the file {Path(weights).name}"
        licence = "that of the file, which se-search does not know: look it up where it comes from"
    frozen = ", and frozen" if config["identity"]["backbone"].get("frozen") else ""
    return {
        "code": code,
        "weights": f"{source} (SHA-256 {digest}...){frozen}; those of SE blocks were drawn",
        "licence": licence,
    }


def _describe_code(config: Mapping[str, Any], name: str) -> str:
    from se_search.models.backbones import BACKBONES
    from se_search.models.own import is_own_name

    if is_own_name(name):
        return f"{name}, of your own"
    if name in TORCHVISION_NAMES or name.startswith(TORCHVISION):
        return "torchvision (BSD-3-Clause)"
    return "se-search (Apache-2.0)" if name in BACKBONES else "timm (Apache-2.0)"


def _describe_default(name: str) -> tuple[str, str]:
    from torchvision.models import get_model_weights

    default: Any = get_model_weights(name.removeprefix(TORCHVISION)).DEFAULT
    stated = default.meta.get("license")
    return f"torchvision's {default}, {default.url}", TERMS if stated is None else str(stated)
