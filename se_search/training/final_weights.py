"""Writes the weights that a training ends with."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import nn

from se_search.candidate import Candidate
from se_search.errors import BackboneError, UnwritableError
from se_search.models.trained import pack_weights
from se_search.recipe import Recipe
from se_search.record import Assignment
from se_search.store.files import write_bytes
from se_search.store.kept_weights import add_facts, describe_facts


def keep_weights(
    model: nn.Module,
    assignment: Assignment[Candidate],
    recipe: Recipe,
    last: Mapping[str, float],
    device: str,
) -> str | None:
    """Write the weights of a network where its assignment asks for them, whole or not at all.

    No training fails by it. Of a training whose numbers are not finite nothing is written.

    Args:
        model: the trained network.
        assignment: what was trained.
        recipe: how.
        last: the last row of the history.
        device: model of the GPU or CPU that trained it.

    Returns:
        why they could not be written; None: they were, or nobody asked.
    """
    path = assignment.weights_file
    if path is None or not all(map(math.isfinite, last.values())):
        return None
    facts = describe_facts(
        assignment.candidate,
        assignment.seed,
        assignment.epochs,
        accuracy=last["accuracy"],
        recipe=recipe.hash,
        device=device,
    )
    try:
        write_bytes(path, add_facts(pack_weights(model), facts))
    except (BackboneError, UnwritableError) as error:
        return str(error)
    return None
