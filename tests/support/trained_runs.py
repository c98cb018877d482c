"""Runs whose trainings end at once: weights that were drawn stand for trained ones."""

from dataclasses import replace

from support.data_sets import make_recipe
from support.records import make_record
from support.run_folders import begin_run, fill_config, store_trials
from support.searching import evaluation
from support.sessions import GROUND, MadeUpSessions
from support.small_network import NAME

from se_search.models.catalogue import describe_backbone
from se_search.models.surgery import build
from se_search.space.bound import BoundSpace
from se_search.space.schema import read_space
from se_search.training.final_weights import keep_weights

SMALL = describe_backbone(NAME, 1, 8, 10)  # for the images of digits
SPACE = BoundSpace(read_space("stages_ratio"), SMALL)
RECIPE = make_recipe(epochs=4, split={"validation": 10})
FINGERPRINT = "0123456789abcdef"


def make_trained_run(path, records=(), **search):
    """Make the folder of a run on digits; return it."""
    folder = begin_run(path, SPACE, seed=0)
    fill_config(folder)
    config = folder.read_config()
    data = config["identity"]["data"] | {"name": "digits", "validation": 10, "pool_share": 0.2}
    config["identity"] |= {
        "data": data | {"fingerprint": FINGERPRINT},
        "recipe": RECIPE.model_dump(mode="json", exclude={"description", "epochs"}),
        "epochs": RECIPE.epochs,
        "backbone": config["identity"]["backbone"]
        | {"name": SMALL.name, "in_channels": 1, "image_size": 8, "weights": None},
    }
    config["search"] |= {"data": "digits", "recipe_hash": RECIPE.hash, "weights": None, **search}
    folder.write_config(config)
    if records:
        store_trials(folder, records)
    return folder


def make_trial(placement, accuracy, seed=0, **known):
    candidate = SPACE.parse(placement)
    return replace(
        make_record("a", accuracy, seed=seed, **known),
        candidate=str(candidate),
        key=candidate.key,
        placement=candidate.placement,
        device=GROUND.device,
        precision=GROUND.precision,
        threads=GROUND.threads,
        torch=GROUND.torch,
        packages=GROUND.packages,
    )


def train_at_once(assignment):
    """Keep the weights that a training would begin with; its accuracy is 0.8."""
    model = build(assignment.candidate, assignment.seed)
    unkept = keep_weights(model, assignment, RECIPE, {"accuracy": 0.8}, "a CPU")
    return replace(evaluation(0.8), unkept=unkept)


def make_sessions(evaluate=train_at_once, grounds=(GROUND,)):
    return MadeUpSessions(evaluate, grounds=grounds)
