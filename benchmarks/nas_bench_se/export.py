"""Writes the published files of the table from a log of trainings, and reads them back.

Floats are written with all their digits, so that a training can be repeated and compared to the
bit. The files are a function of the trainings, byte for byte.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.nas_bench_se.definition import (
    BACKBONE,
    FORMAT,
    SPACE,
    describe_candidate,
    describe_files,
    list_candidates,
)
from se_search.errors import RunError
from se_search.space.bound import BoundSpace
from se_search.store.files import write_bytes
from se_search.store.training_log import LogContents, Training, read_log

TRAININGS, CURVES, CORRECT, MANIFEST = (
    "nas_bench_se.csv",
    "epochs.csv",
    "correct.npy",
    "manifest.json",
)

# Names in the history of a training, and those of the columns, which say which images are meant.
MEASURES = {
    "train_loss": "train_loss",
    "accuracy": "validation_accuracy",
    "loss": "validation_loss",
    "test_accuracy": "test_accuracy",
    "test_loss": "test_loss",
}
COLUMNS = {
    "order": "place of the candidate in the fixed random order of the space; 0: no SE",
    "key": "12 hexadecimal digits that name the candidate (read it as text)",
    "candidate": "text form: each stage or block that carries SE, as INTEGRATION:SQUEEZE_WIDTH",
    "x_integration": "where SE sits in the residual unit, in the whole network; none: no SE",
    **{f"x_stage{n}": f"SE in stage {n}: none, or its reduction ratio" for n in BACKBONE.stages},
    "params": "parameters of the whole network",
    "added_params": "parameters of the SE blocks",
    "macs": "multiply-adds for one image, batch norm at two an element",
    "added_macs": "multiply-adds of the SE blocks, with pooling, gates and scaling",
    "epochs": "length of the training, over which its learning rate falls to 0",
    "seed": "seed of weights and order; equal seeds share both across candidates",
    "environment": "place in the manifest's list of environments (versions, hardware, threads)",
    "seconds": "wall time of the training with all evaluations",
    "train_loss": "mean cross-entropy over the training batches of the last epoch",
    "validation_accuracy": "share of the validation images that are right at the end, 0 to 1",
    "validation_loss": "mean cross-entropy over the validation images at the end",
    "test_accuracy": "share of the test images that are right at the end, 0 to 1",
    "test_loss": "mean cross-entropy over the test images at the end",
}
CURVE_COLUMNS = ("key", "epochs", "seed", "epoch", *MEASURES.values())


def write_table(log: Path, folder: Path) -> str:
    """Write the table's files from the trainings that are in the folder already and those of a log.

    Returns:
        A line with the numbers of trainings and of trained candidates.

    Raises:
        RunError: there are no trainings, or they are not of this space and recipe.
    """
    parts = [read_table(folder), read_log(log) if log.exists() else None]
    contents = merge([part for part in parts if part is not None])
    candidates = {candidate.key: candidate for candidate in list_candidates()}
    order = {key: place for place, key in enumerate(candidates)}
    _check(contents, order)
    trainings = sorted(contents.trainings, key=lambda t: (t.epochs, t.seed, order[t.key]))
    described = {key: describe_candidate(candidates[key]) for key in {t.key for t in trainings}}
    rows = [
        [
            order[training.key],
            training.key,
            training.candidate,
            *described[training.key].values(),
            training.epochs,
            training.seed,
            training.environment,
            training.seconds,
            *_measures(training.history[-1]),
        ]
        for training in trainings
    ]
    curves = [
        [training.key, training.epochs, training.seed, row["epoch"], *_measures(row)]
        for training in trainings
        for row in training.history
    ]
    bits = [[training.correct, training.test_correct] for training in trainings]
    array = np.array([[list(part) for part in pair] for pair in bits], dtype=np.uint8)
    files = {
        TRAININGS: _to_csv(COLUMNS, rows),
        CURVES: _to_csv(CURVE_COLUMNS, curves),
        CORRECT: _to_npy(array),
    }
    manifest = _describe(contents, trainings, order, files)
    folder.mkdir(parents=True, exist_ok=True)
    files[MANIFEST] = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
    for name, data in files.items():
        write_bytes(folder / name, data)
    num_trained = len({training.key for training in trainings})
    return f"{len(trainings)} trainings of {num_trained} of {len(candidates)} candidates"


def read_table(folder: Path) -> LogContents | None:
    """Read the table's files back; None if there is no manifest.

    Raises:
        RunError: a file is missing, or is not the one that the manifest describes.
    """
    if not (folder / MANIFEST).exists():
        return None
    manifest = read_manifest(folder)
    curves: dict[tuple[str, str, str], list[Mapping[str, float]]] = {}
    for row in _read_csv(folder / CURVES):
        history = curves.setdefault((row["key"], row["epochs"], row["seed"]), [])
        measures = {name: float(row[column]) for name, column in MEASURES.items()}
        history.append({"epoch": int(row["epoch"]), **measures})
    bits = np.load(folder / CORRECT)
    trainings = tuple(
        Training(
            key=row["key"],
            candidate=row["candidate"],
            epochs=int(row["epochs"]),
            seed=int(row["seed"]),
            environment=int(row["environment"]),
            history=tuple(curves[row["key"], row["epochs"], row["seed"]]),
            correct=validation.tobytes(),
            test_correct=test.tobytes(),
            seconds=float(row["seconds"]),
        )
        for row, (validation, test) in zip(_read_csv(folder / TRAININGS), bits, strict=True)
    )
    return LogContents(manifest["table"], tuple(manifest["environments"]), trainings, size=0)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest, and check the files against its digests.

    Raises:
        RunError: a file is missing, or is not the one that the manifest describes.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        digests = {name: _digest((folder / name).read_bytes()) for name in manifest["files"]}
    except OSError as cause:
        raise RunError(f"the table in {folder} is not complete: {cause}") from cause
    if manifest["format"] != FORMAT:
        raise RunError(f"the table in {folder} has format {manifest['format']}, not {FORMAT}")
    for name, described in manifest["files"].items():
        if digests[name] != described["sha256"]:
            raise RunError(
                f"{folder / name} is not the file that {MANIFEST} describes; fetch both again"
            )
    return manifest


def merge(parts: Sequence[LogContents]) -> LogContents:
    """Join tables of one identity; a training that several parts have is taken from the first.

    Raises:
        RunError: there are no parts, or their identities differ.
    """
    if not parts:
        raise RunError("there are no trainings yet: neither a table nor a log")
    if any(part.identity != parts[0].identity for part in parts):
        raise RunError("the table and the log were made for different spaces, recipes or data")
    environments: list[Mapping[str, Any]] = []
    trainings: dict[tuple[str, int, int], Training] = {}
    for part in parts:
        environments += [e for e in part.environments if e not in environments]
        for training in part.trainings:
            number = environments.index(part.environments[training.environment])
            trainings.setdefault(training.id, replace(training, environment=number))
    return LogContents(parts[0].identity, tuple(environments), tuple(trainings.values()), size=0)


def _check(contents: LogContents, order: Mapping[str, int]) -> None:
    if contents.identity["recipe"] != describe_files()["recipe"]:
        raise RunError("the trainings were made by another recipe than that of recipe.yaml")
    if not contents.trainings:
        raise RunError("there are no trainings yet: the log has none")
    for training in contents.trainings:
        if training.key not in order:
            raise RunError(f"{training.candidate} is not in space.yaml")


def _describe(
    contents: LogContents,
    trainings: Sequence[Training],
    order: Mapping[str, int],
    files: Mapping[str, bytes],
) -> dict[str, Any]:
    budgets = {}
    commands = []
    for epochs in sorted({training.epochs for training in trainings}):
        chosen = [training for training in trainings if training.epochs == epochs]
        by_seed = Counter(training.seed for training in chosen)
        budgets[str(epochs)] = {
            "trainings": len(chosen),
            "candidates": len({training.key for training in chosen}),
            "candidates_by_seed": {str(seed): by_seed[seed] for seed in sorted(by_seed)},
        }
        num_candidates = 1 + max(order[training.key] for training in chosen)
        commands.append(
            f"python benchmarks/nas_bench_se/make.py --candidates {num_candidates} "
            f"--seeds {1 + max(by_seed)} --epochs {epochs}"
        )
    num_rows = {TRAININGS: len(trainings), CORRECT: len(trainings)}
    num_rows[CURVES] = sum(len(training.history) for training in trainings)
    return {
        "name": "NAS-Bench-SE",
        "description": "Finished trainings of squeeze-and-excitation placements in a small ResNet",
        "format": FORMAT,
        "licence": "Apache-2.0",
        "data_set": "Fashion-MNIST (Xiao et al. 2017, arXiv 1708.07747). Its training part is "
        "split by numpy's PCG64(split.seed).permutation(60000): validation first, then training",
        "made_by": commands,
        "counts": {
            "space": BoundSpace(SPACE, BACKBONE).size,
            "trainings": len(trainings),
            "candidates": len({training.key for training in trainings}),
            "by_epochs": budgets,
        },
        "table": contents.identity,
        "environments": list(contents.environments),
        "files": {
            name: {"sha256": _digest(data), "bytes": len(data), "rows": num_rows[name]}
            for name, data in files.items()
        },
        "columns": COLUMNS,
    }


def _measures(row: Mapping[str, float]) -> list[float]:
    return [row[name] for name in MEASURES]


def _to_csv(columns: Iterable[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _to_npy(array: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    data = io.BytesIO()
    np.save(data, array)
    return data.getvalue()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
