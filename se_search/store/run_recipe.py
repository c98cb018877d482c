"""The recipe of a run as its folder keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from se_search.config import validate
from se_search.errors import RecipeError
from se_search.recipe import Recipe


def read_recorded_recipe(config: Mapping[str, Any]) -> Recipe:
    """Return the recipe as the run recorded it: the file that it came from may have changed.

    Raises:
        RecipeError: this version of se-search reads the recipe differently.
    """
    recorded = config["identity"]
    fields = {**recorded["recipe"], "epochs": recorded["epochs"]}
    recipe = validate(fields, Recipe, RecipeError, "config.yaml: identity.recipe")
    before = config["search"].get("recipe_hash", recipe.hash)
    if recipe.hash != before:
        raise RecipeError(
            f"the run's recipe was {before} and reads as {recipe.hash} here: this version of "
            "se-search trains otherwise than the one that ran it"
        )
    return recipe
