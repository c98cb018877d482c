"""Recipes: what they refuse, and that the hash covers all that trains differently."""

import copy
import json

import pytest
from pydantic import BaseModel, ValidationError
from support.pages import ROOT

from se_search.config import parse_yaml
from se_search.errors import RecipeError
from se_search.recipe import Recipe, read_recipe, recipe_names

TABLE = ROOT / "benchmarks" / "nas_bench_se_2"
FIELDS = {
    "description": "made up",
    "epochs": 10,
    "batch_size": 64,
    "micro_batch": 32,
    "optimizer": {
        "name": "sgd",
        "lr": 0.1,
        "momentum": 0.9,
        "weight_decay": 0.001,
        "nesterov": False,
    },
    "schedule": {"name": "step", "warmup": 0.1, "milestones": [0.5, 0.75], "factor": 10.0},
    "label_smoothing": 0.0,
    "augmentation": {"crop_padding": 2, "flip": True, "resized_crop": [0.1, 1.0]},
    "split": {"draw": "replicate", "validation": 100, "fraction": 1.0, "seed": 0},
    "image_size": 32,
    "eval_crop": 0.875,
    "validate_every": 1,
    "precision": "auto",
}
CHANGES = {
    "batch_size": 65,
    "micro_batch": 16,
    "optimizer.name": "adamw",
    "optimizer.lr": 0.11,
    "optimizer.momentum": 0.8,
    "optimizer.weight_decay": 0.002,
    "optimizer.nesterov": True,
    "schedule.name": "cosine",
    "schedule.warmup": 0.2,
    "schedule.milestones": [0.5, 0.8],
    "schedule.factor": 5.0,
    "label_smoothing": 0.1,
    "augmentation.crop_padding": 4,
    "augmentation.flip": False,
    "augmentation.resized_crop": [0.2, 1.0],
    "split.draw": "fixed",
    "split.validation": 101,
    "split.fraction": 0.5,
    "split.seed": 1,
    "image_size": 64,
    "eval_crop": 0.9,
    "validate_every": 0,
    "precision": "float32",
}


def changed(**changes):
    """Return the recipe with some fields changed; ``optimizer__lr`` stands for one inside."""
    fields = copy.deepcopy(FIELDS)
    for name, value in changes.items():
        place = fields
        *outer, last = name.split("__")
        for key in outer:
            place = place[key]
        place[last] = value
    if "schedule__name" in changes:
        del fields["schedule"]["milestones"]
    return Recipe.model_validate(fields)


def leaves(model, prefix=""):
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaves(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def refusal(**changes):
    with pytest.raises(ValidationError) as caught:
        changed(**changes)
    return str(caught.value)


@pytest.mark.parametrize("field", sorted({*leaves(Recipe)} - {"description", "epochs"}))
def test_the_hash_covers_every_field_that_trains_differently(field):
    assert changed(**{field.replace(".", "__"): CHANGES[field]}).hash != changed().hash


@pytest.mark.parametrize(("field", "value"), [("description", "other"), ("epochs", 11)])
def test_the_hash_leaves_out_the_description_and_the_epochs(field, value):
    other = changed(**{field: value})
    assert other != changed()
    assert other.hash == changed().hash


def test_a_recipe_without_a_micro_batch_keeps_the_hash_that_it_had_before_there_was_one():
    """The environment of each training of the published table has the hash of that day."""
    manifest = json.loads((TABLE / "manifest.json").read_text(encoding="utf-8"))
    before = {environment["recipe_hash"] for environment in manifest["environments"]}
    assert before == {read_recipe(str(TABLE / "recipe.yaml")).hash}


def test_the_hash_is_of_the_values_and_not_of_how_they_are_written():
    reordered = dict(reversed(FIELDS.items())) | {"label_smoothing": 0}
    assert Recipe.model_validate(reordered).hash == changed().hash


def test_a_field_that_is_left_out_hashes_as_its_default():
    fields = {name: FIELDS[name] for name in FIELDS if name not in ("precision", "validate_every")}
    assert Recipe.model_validate(fields).hash == changed().hash


@pytest.mark.parametrize(
    ("name", "epochs", "batch_size", "lr", "validation"),
    [
        ("cifar", 200, 128, 0.1, 5_000),  # Zagoruyko and Komodakis 2016, sec. 3
        ("imagenet", 100, 1_024, 0.6, 50_000),  # Hu et al. 2019, sec. 5.1
    ],
)
def test_the_recipes_of_the_papers_are_as_published(name, epochs, batch_size, lr, validation):
    recipe = read_recipe(name)
    assert (recipe.epochs, recipe.batch_size) == (epochs, batch_size)
    assert (recipe.optimizer.lr, recipe.split.validation) == (lr, validation)


@pytest.mark.parametrize(
    ("name", "milestones", "factor"),
    [
        ("cifar", [60, 120, 160], 5),  # Zagoruyko and Komodakis 2016, sec. 3
        ("imagenet", [30, 60, 90], 10),  # Hu et al. 2019, sec. 5.1
    ],
)
def test_the_recipes_of_the_papers_divide_the_rate_after_their_epochs(name, milestones, factor):
    recipe = read_recipe(name)
    assert [share * recipe.epochs for share in recipe.schedule.milestones] == milestones
    assert recipe.schedule.factor == factor


def test_there_are_three_shipped_recipes_and_no_two_have_one_hash():
    assert recipe_names() == ["cifar", "imagenet", "quick"]
    assert len({read_recipe(name).hash for name in recipe_names()}) == 3


def test_a_recipe_is_frozen_and_hashable():
    with pytest.raises(ValidationError, match="frozen"):
        changed().epochs = 5
    with pytest.raises(ValidationError, match="frozen"):
        changed().optimizer.lr = 5
    assert len({changed(), changed(), changed(epochs=11)}) == 2


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_milestones_belong_to_the_step_schedule(name):
    fields = FIELDS | {"schedule": {"name": name, "milestones": [0.5]}}
    with pytest.raises(ValidationError, match="milestones are for the schedule 'step'"):
        Recipe.model_validate(fields)


def test_the_step_schedule_needs_milestones():
    assert "which needs at least one" in refusal(schedule__milestones=[])


@pytest.mark.parametrize("milestones", [[0.6, 0.3], [0.3, 0.3], [0.2, 0.9, 0.5]])
def test_milestones_ascend(milestones):
    assert "milestones must ascend" in refusal(schedule__milestones=milestones)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("epochs", value) for value in (0, -1, 1.5, "many")),
        *(("batch_size", value) for value in (1, 0)),
        *(("optimizer__name", value) for value in ("adam", "SGD")),
        *(("optimizer__lr", value) for value in (0, -0.1, float("inf"), float("nan"))),
        *(("optimizer__momentum", value) for value in (1, -0.1)),
        *(("optimizer__weight_decay", value) for value in (-1e-9, float("inf"))),
        *(("schedule__milestones", [value]) for value in (0, 1, 1.5)),
        *(("schedule__warmup", value) for value in (1, -0.1)),
        *(("schedule__factor", value) for value in (1, 0.5)),
        *(("label_smoothing", value) for value in (1, -0.1)),
        *(("augmentation__crop_padding", value) for value in (-1,)),
        *(("augmentation__resized_crop", value) for value in ([0.5], [0, 1], [0.1, 1.1])),
        *(("split__validation", value) for value in (0, -5)),
        *(("split__fraction", value) for value in (0, 1.1)),
        *(("split__seed", value) for value in (-1,)),
        *(("image_size", value) for value in (7,)),
        *(("eval_crop", value) for value in (0, 1.1)),
        *(("validate_every", value) for value in (-1,)),
        *(("precision", value) for value in ("bf16", "float16")),
    ],
)
def test_a_value_that_can_not_train_is_refused_by_its_field(field, value):
    assert field.replace("__", ".") in refusal(**{field: value})


@pytest.mark.parametrize("missing", ["epochs", "batch_size", "optimizer", "split"])
def test_what_has_no_default_is_required(missing):
    fields = {name: value for name, value in FIELDS.items() if name != missing}
    with pytest.raises(ValidationError, match=rf"{missing}\n  Field required"):
        Recipe.model_validate(fields)


def test_an_unknown_key_is_named_with_its_line_and_what_is_allowed():
    with pytest.raises(RecipeError) as caught:
        parse_yaml("epochs: 1\noptimizer:\n  lr: 1\n  rate: 2\n", Recipe, RecipeError, "r.yaml")
    assert "r.yaml:4: unknown key 'optimizer.rate' (allowed here: name, lr, momentum" in str(
        caught.value
    )


def test_a_recipe_file_is_read_by_its_path(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("epochs: 2\nbatch_size: 8\noptimizer: {lr: 0.5}\nsplit: {validation: 9}\n")
    recipe = read_recipe(str(path))
    assert (recipe.epochs, recipe.optimizer.lr, recipe.split.validation) == (2, 0.5, 9)


def test_a_recipe_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    with pytest.raises(RecipeError, match=r"own' is neither a file nor one of cifar, imagenet, q"):
        read_recipe(str(tmp_path / "own"))
