"""The columns of the published file, and a training as a row of it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from benchmarks.nas_bench_se_2.definition import BACKBONE
from se_search.store.training_log import Training

# Names in the history of a training, and those of the columns, which say which images are meant.
MEASURES = {
    "train_loss": "train_loss",
    "accuracy": "validation_accuracy",
    "loss": "validation_loss",
    "top5": "validation_top5",
    "test_accuracy": "test_accuracy",
    "test_loss": "test_loss",
    "test_top5": "test_top5",
}
_MEANINGS = {
    "train_loss": "mean cross-entropy over the training batches of epoch {}",
    "validation_accuracy": "share of the validation images that are right after epoch {}, 0 to 1",
    "validation_loss": "mean cross-entropy over the validation images after epoch {}",
    "validation_top5": "share of the validation images whose class is among the first five of ten "
    "answers after epoch {}",
    "test_accuracy": "share of the test images that are right after epoch {}, 0 to 1",
    "test_loss": "mean cross-entropy over the test images after epoch {}",
    "test_top5": "share of the test images whose class is among the first five of ten answers "
    "after epoch {}",
}
NETWORK = {
    "order": "place of the network in the order of training; 0: no SE, 1: r = 16 everywhere",
    "key": "12 hexadecimal digits that name the network (read it as text)",
    "candidate": "text form: each stage that carries SE, as standard:SQUEEZE_WIDTH",
    **{f"x_stage{n}": f"SE in stage {n}: none, or its reduction ratio" for n in BACKBONE.stages},
    "part": "balanced part of the 625 networks, 1 to 5, of 125 networks each",
    "params": "parameters of the whole network",
    "added_params": "parameters of the SE blocks",
    "macs": "multiply-adds for one image, batch norm at two an element",
    "added_macs": "multiply-adds of the SE blocks, with pooling, gates and scaling",
}
_TRAINING = {
    "epochs": "length of the training, over which its learning rate falls to 0",
    "replicate": "what is drawn anew: initial weights, order, and the images that train and "
    "validate; all networks of a replicate share them",
    "environment": "place in the manifest's list of environments (versions, hardware, threads)",
    "split_seed": "seed of the permutation that drew the images which train and validate",
    "split_hash": "12 hexadecimal digits, equal for equal splits (read it as text)",
    "seconds": "wall time of the training with all evaluations, beside other work",
}
_BITS = {
    "validation_correct": "which validation images are right at the end: packed bits as base64",
    "test_correct": "which test images are right at the end: packed bits as base64",
}


def describe_columns(num_epochs: int) -> dict[str, str]:
    """Return a line on each column of a file whose longest training has some epochs."""
    measured = {
        f"{column}_{epoch}": _MEANINGS[column].format(epoch)
        for column in MEASURES.values()
        for epoch in range(1, num_epochs + 1)
    }
    return NETWORK | _TRAINING | measured | _BITS


def to_row(training: Training) -> dict[str, object]:
    """Return the fields of a training by column; those of its network are not among them."""
    measured = {
        f"{column}_{row['epoch']}": row[name]
        for row in training.history
        for name, column in MEASURES.items()
    }
    return {
        "epochs": training.epochs,
        "replicate": training.seed,
        "environment": training.environment,
        "split_seed": training.split_seed,
        "split_hash": training.split_hash,
        "seconds": training.seconds,
        **measured,
        "validation_correct": base64.b64encode(training.correct).decode(),
        "test_correct": base64.b64encode(training.test_correct).decode(),
    }


def from_row(row: Mapping[str, str]) -> Training:
    """Return the training whose fields are a row of the file."""
    epochs = int(row["epochs"])
    history = tuple(
        {
            "epoch": epoch,
            **{name: float(row[f"{column}_{epoch}"]) for name, column in MEASURES.items()},
        }
        for epoch in range(1, epochs + 1)
    )
    return Training(
        key=row["key"],
        candidate=row["candidate"],
        epochs=epochs,
        seed=int(row["replicate"]),
        environment=int(row["environment"]),
        history=history,
        correct=base64.b64decode(row["validation_correct"]),
        test_correct=base64.b64decode(row["test_correct"]),
        seconds=float(row["seconds"]),
        split_seed=int(row["split_seed"]),
        split_hash=row["split_hash"],
    )
