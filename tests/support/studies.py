"""A small study of two placements of SE, with made-up trainings."""

import numpy as np

from se_search.analysis.claims import Claim
from se_search.candidate import Candidate
from se_search.models.catalogue import describe_backbone
from se_search.reproduction.judge import Setting, judge_study
from se_search.reproduction.study_file import StudyFile
from se_search.store.training_log import Training

NUM_TEST = 3_000
CLAIMS = (
    "all beats none",
    "none beats all by 1",
    "all equals none within 30 in top-5",
    "all equals none within 30",
)
PLACEMENTS = {"none": "all=none", "all": "all=standard:r16", "first": "stage2=standard:r16"}
FIGURES = {"none": {"top1_error": 10.0}, "all": {"top1_error": 9.0, "top5_error": 1.0}}
ENVIRONMENT = {
    **dict.fromkeys(("torch", "torchvision", "pytorch-lightning", "se-search"), "1.0"),
    "python": "3.12.1",
    "hardware": "a CPU",
    "accelerator": "cpu",
    "precision": "32-true",
    "workers": 2,
    "threads": 1,
    "system": "Linux x86_64",
}


def study_file(**changes):
    return StudyFile.model_validate(
        {
            "title": "SE on made-up images",
            "question": "Does it help?",
            "baseline": "none",
            "candidates": PLACEMENTS,
            "paper": {"source": "made up", "network": "a net", "figures": FIGURES},
            "claims": CLAIMS,
            "scales": {
                "desk": {
                    "backbone": "resnet20_bottleneck",
                    "data": "digits",
                    "recipe": "quick",
                    "replicates": 6,
                }
            },
            **changes,
        }
    )


def candidates_of(file):
    backbone = describe_backbone("resnet20_bottleneck", 1, 28, 10)
    return {
        name: Candidate.parse(f"{backbone.name}/{text}", backbone)
        for name, text in file.candidates.items()
    }


def made_up_training(
    candidate, seed, gain=0.04, environment=0, top5=0.99, epochs=1, num_test=NUM_TEST
):
    """Return a training: SE gains so much, and seeds move it by a point."""
    rng = np.random.default_rng([seed, int(candidate.key, 16)])
    share = 0.8 + gain * any(candidate.blocks) + 0.01 * rng.standard_normal()
    right = rng.random(num_test) < share
    row = {"epoch": 1, "accuracy": share, "test_accuracy": float(right.mean())}
    if top5 is not None:
        row["test_top5"] = top5
    return Training(
        key=candidate.key,
        candidate=str(candidate),
        epochs=epochs,
        seed=seed,
        environment=environment,
        history=({**row, "test_accuracy": 0.0}, row),
        correct=b"",
        test_correct=np.packbits(right).tobytes(),
        seconds=1_800.0,
    )


def judge_made_up(
    folder, replicates=range(6), file=None, trainings=None, name="one", wanted=None, looks=None
):
    """Judge a study on made-up trainings of each candidate in each replicate, or on those given."""
    file = file or study_file()
    candidates = candidates_of(file)
    if trainings is None:
        trainings = [made_up_training(c, seed) for c in candidates.values() for seed in replicates]
    setting = Setting(
        name=name,
        scale="desk",
        backbone="resnet20_bottleneck",
        data="digits",
        epochs=1,
        recipe_hash="abc",
        looks=looks,
        replicates=tuple(wanted or replicates),
        num_images=(1_000, 100, NUM_TEST),
    )
    claims = [Claim.parse(text) for text in file.claims]
    return judge_study(folder, setting, file, claims, candidates, trainings, [ENVIRONMENT])
