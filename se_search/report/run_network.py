"""Builds the network of a run's candidate: trained, or as its training began."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from se_search.candidate import Candidate
from se_search.errors import RunError
from se_search.models.own_source import look_in
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import read_backbone


def build_network(
    folder: RunFolder, config: Mapping[str, Any], text: str, seed: int, *, allow_code: bool
) -> Any:  # PyTorch's type belongs to models and training
    """Return the network of a candidate, an untrained ``nn.Module``.

    Args:
        folder: of the run.
        config: its ``config.yaml``.
        text: of the candidate.
        seed: of the replicate whose initial weights it has.
        allow_code: whether the user's code may be run to make the network.

    Raises:
        RunError: the file of weights that trainings began with has changed.
        SESearchError: the network or the weights are not there.
    """
    # PyTorch takes seconds to import.
    from se_search.models.surgery import build

    identity, search = config["identity"], config["search"]
    if allow_code and search.get("code"):
        look_in(Path(search["code"]), first=True)
    candidate = Candidate.parse(text, read_backbone(folder, allow_code=allow_code))
    weights = _find_weights(search, identity["backbone"])
    return build(candidate, seed, weights, bool(identity["backbone"].get("frozen")))


def build_trained(folder: RunFolder, text: str, *, allow_code: bool, quiet: bool) -> Any:
    """Return the trained network of a candidate; see ``trained_network``.

    Args:
        folder: of the run.
        text: of the candidate.
        allow_code: whether the user's code may be run to make the network.
        quiet: whether nothing is said of a training on standard error.
    """
    from se_search.export.trained import TrainAgain, trained_network

    def note(sentence: str) -> None:
        if not quiet:
            print(sentence, file=sys.stderr, flush=True)

    candidate = Candidate.parse(text, read_backbone(folder, allow_code=allow_code))
    return trained_network(folder, candidate, TrainAgain(allow_code=allow_code), note)


def _find_weights(search: Mapping[str, Any], backbone: Mapping[str, Any]) -> Path | None:
    """Return the file of weights that the run's trainings began with; None: all were drawn."""
    from se_search.models.weights import find_weights

    if not search.get("weights"):
        return None
    path = find_weights(search["weights"], backbone["name"])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:12]
    if digest != backbone["weights"]:
        raise RunError(
            f"{path} is another file of weights than the run's: its digest is {digest}, not "
            f"{backbone['weights']}"
        )
    return path
